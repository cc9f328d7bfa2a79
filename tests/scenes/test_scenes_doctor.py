"""The doctor: a line for each check, with what helps, whatever the machine and the sources are like."""

from __future__ import annotations

import datetime as dt
import email.utils
import errno
import json
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opera_helpers import NOW, Cmr, granule, jwt, product, send
from stac_helpers import earth_search, feature

from tessera.base import InputError, Progress, install_line, silent
from tessera.geo import Window
from tessera.net import Answer, LoadError, NetError, Web
from tessera.scenes import Address, Asset, Query, Scene, SceneTable, diagnose, doctor, search_scenes
from tessera.scenes._doctor_machine import (
    Check,
    check_cache,
    check_devices,
    check_disk,
    check_memory,
    check_packages,
    check_python,
)
from tessera.scenes.doctor import PROBE, check_clock, check_source
from tessera.scenes.sources.opera import Opera
from tessera.simulator import simulate
from tessera.testing import serve_scenes

TIFF = b"II*\0" + bytes(60_000)
REQUIRES = [
    "numpy>=2.0",
    "pyarrow>=17",
    'rasterio>=1.4; extra == "geo"',
    'dask[array]>=2024.8; extra == "geo"',
    'ray; extra == "scale"',
]


class Fake:
    """A source of one scene."""

    name = "fake"

    def __init__(self, href: str, api: str | None = None) -> None:
        self.href, self.api = href, api
        self.asked: list[Query] = []
        self.fails: Exception | None = None
        self.near = True

    def search(self, query: Query, progress: Progress) -> Iterator[Scene]:
        self.asked.append(query)
        if self.fails is not None:
            raise self.fails
        if self.near or query is not PROBE:
            moment = dt.datetime(2024, 6, 2, tzinfo=dt.UTC)
            about = ("sentinel-2-l2a", self.name, moment, ((5.0, 50.0), (6.0, 51.0)), 5.0, "05.10", "", "", "", "")
            yield Scene("scene-1", *about, {"B02": Asset(self.href)})

    def address(self, href: str) -> Address:
        return Address(href)

    def renew(self, href: str, refused: Address) -> bool:
        return False

    def verdict(self, status: int, body: bytes) -> type[NetError] | None:
        return None


@pytest.fixture
def server() -> Iterator[Cmr]:
    """Answers "/api" with JSON and "/x.tif" with ranges of a file."""
    made = Cmr()
    made.answer = serve
    yield made
    made.close()


def serve(handler: Any) -> bool:
    if not handler.path.startswith("/x.tif"):
        return send(handler, "{}")
    start, stop = map(int, handler.headers["Range"].removeprefix("bytes=").split("-"))
    body = TIFF[start : stop + 1]
    return send(handler, body, {"Content-Range": f"bytes {start}-{start + len(body) - 1}/{len(TIFF)}"}, 206)


def states(checks: Any) -> dict[str, str]:
    return {check.name: check.state for check in checks}


def test_a_source_that_works_is_told_with_its_figures(server: Cmr) -> None:
    source = Fake(f"{server.url}/x.tif", f"{server.url}/api")
    checks = {check.name: check for check in check_source(source)}
    assert states(checks.values()) == {
        "fake API": "ok",
        "clock": "ok",
        "fake search": "ok",
        "fake file": "ok",
    }
    assert "scene-1" in checks["fake search"].said
    assert "16 KiB" in checks["fake file"].said
    assert checks["fake file"].figures["bytes_per_second"] > 0
    assert source.asked == [PROBE]
    ranges = [headers["range"] for path, _, headers in server.asked if path == "/x.tif"]
    assert ranges == ["bytes=0-16383", "bytes=0-1048575"]


def test_a_catalogue_on_disk_is_looked_at_too(tmp_path: Path) -> None:
    (tmp_path / "B02.tif").write_bytes(TIFF)
    source = Fake(str(tmp_path / "B02.tif"))
    source.near = False
    assert states(check_source(source)) == {"fake search": "ok", "fake file": "ok"}
    assert len(source.asked) == 2
    (tmp_path / "B02.tif").unlink()
    assert list(check_source(source))[-1].said == "scene-1 B02: B02.tif is missing"


def test_a_source_that_cannot_be_reached_is_one_line(closed_port: int) -> None:
    (check,) = check_source(Fake("x", f"http://127.0.0.1:{closed_port}/api"))
    assert (check.state, check.name) == ("fail", "fake API")
    assert f"http://127.0.0.1:{closed_port}/api: no server answers at this address" in check.said
    assert "network" in check.advice


def test_a_source_that_does_not_answer_is_given_up(server: Cmr) -> None:
    hold, answered = threading.Event(), threading.Event()

    def never(handler: Any) -> bool:
        hold.wait(300)
        answered.set()
        return send(handler, "{}")

    server.answer = never
    (check,) = check_source(Fake("x", f"{server.url}/api"), seconds=0.2)
    assert not answered.is_set()
    assert check.state == "fail"
    assert "no answer after" in check.said
    hold.set()


def test_a_login_page_is_no_file(server: Cmr) -> None:
    server.answer = lambda handler: send(handler, "<!DOCTYPE html><title>Login")
    check = list(check_source(Fake(f"{server.url}/x.tif")))[-1]
    assert check.state == "fail"
    assert "<!DOCTYPE html>" in check.said
    assert "login" in check.advice


def test_a_refusal_is_told_without_its_signature(server: Cmr) -> None:
    server.answer = lambda handler: send(handler, "<Code>AuthenticationFailed</Code>", status=403)
    check = list(check_source(Fake(f"{server.url}/x.tif?sig=secret")))[-1]
    assert "status 403" in check.said
    assert "AuthenticationFailed" in check.said
    assert "secret" not in check.said
    assert "credentials" in check.advice


@pytest.mark.parametrize(
    ("error", "said", "advice"),
    [
        (LoadError("busy"), "busy", "network"),
        (LoadError("unknown; look at the network, or run tessera doctor"), "unknown", "the proxy that"),
        (InputError("no catalogue"), "no catalogue", "address"),
        (ValueError("two\nlines"), "ValueError: two", "report"),
        (RecursionError(), "RecursionError", "report"),
    ],
)
def test_whatever_a_source_raises_is_one_line(error: Exception, said: str, advice: str) -> None:
    source = Fake("x")
    source.fails = error
    (check,) = check_source(source)
    assert check.state == "fail"
    assert check.said.startswith(said)
    assert "\n" not in check.said
    assert advice in check.advice
    assert "tessera doctor" not in check.said


@pytest.mark.parametrize(("name", "state"), [("mine", "warn"), ("earth-search", "fail")])
def test_an_empty_catalogue_is_a_note_and_a_provider_without_a_scene_is_broken(name: str, state: str) -> None:
    source = Fake("x")
    source.name = name
    source.search = lambda query, progress: iter(())  # type: ignore[method-assign]
    (check,) = check_source(source)
    assert check.state == state
    assert check.said.startswith("answers, but")


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Any]:
    """A STAC API with a year of scenes of an island, none of them near where is looked first."""
    simulate(tmp_path / "scenes", Window(1, 50_000, 120_000, 16, 12), 2019, s2_dates=2, s1_dates=1)
    with serve_scenes(tmp_path / "scenes") as serving:
        yield serving


def test_an_api_with_scenes_elsewhere_is_asked_for_one(api: Any) -> None:
    checks = {check.name.rpartition(" ")[2]: check for check in check_source(f"stac:{api.url}")}
    assert {name: check.state for name, check in checks.items()} == {"API": "ok", "search": "ok", "file": "ok"}
    # near Belgium, anywhere, and there: two collections each time but one
    assert api.count("/search") == 5


def test_an_api_without_a_scene_is_sound(tmp_path: Path) -> None:
    about = {"type": "Catalog", "stac_version": "1.0.0", "id": "x", "description": "", "links": []}
    (tmp_path / "catalog.json").write_text(json.dumps(about))
    with serve_scenes(tmp_path) as serving:
        check = list(check_source(f"stac:{serving.url}"))[-1]
        assert serving.count("/search") == 3
    assert check.name.endswith("search")
    assert (check.state, check.said) == ("warn", "answers, but holds no scene of sentinel-2-l2a or sentinel-1-rtc")


def test_an_api_whose_items_cannot_be_read_says_why(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def post(web: Web, url: str, body: Any, **more: Any) -> Answer:
        return Answer(json.dumps({"features": [] if "bbox" in body else found}).encode(), None, {})

    monkeypatch.setattr(Web, "post", post)
    found: list[Any] = [feature("x", "sentinel-2-l2a", {"datetime": "2020-01-01T00:00:00Z"}, {}, [])]
    check = list(check_source(f"stac:{api.url}"))[-1]
    assert (check.state, "item x lacks asset B02 or blue" in check.said) == ("fail", True)
    found[:] = [earth_search()]
    check = list(check_source(f"stac:{api.url}"))[-1]
    assert (check.state, check.said) == (
        "fail",
        "lists an item of 2021-06-01, but its search of that day and place finds none",
    )
    found[:] = [5, None]
    check = list(check_source(f"stac:{api.url}"))[-1]
    assert (check.state, len(check.said.splitlines())) == ("warn", 1)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("<html>", 200, "a page that is not JSON"),
        ("[]", 200, "JSON that is not STAC"),
        ('{"stac_version": "1.0.0", "type": "Catalog", "links": 5}', 200, "a Catalog without a link to its search"),
        ("no", 404, ": status 404"),
    ],
)
def test_an_address_that_is_no_root_of_an_api(server: Cmr, body: str, status: int, said: str) -> None:
    server.answer = lambda handler: send(handler, body, status=status)
    (check,) = check_source(f"stac:{server.url}")
    assert check.state == "fail"
    assert check.said.startswith("expected the root of a STAC API, got ")
    assert said in check.said


def test_a_table_of_scenes_is_looked_at_and_a_file_of_it(api: Any, tmp_path: Path) -> None:
    path = tmp_path / "found.parquet"
    search_scenes(Window(1, 50_000, 120_000, 16, 12), 2019, f"stac:{api.url}").write(path)
    before = api.count("/search")
    table, file = check_source(str(path))
    assert (table.name, table.state) == ("table found.parquet", "ok")
    assert table.said.startswith("2 Sentinel-2 and 2 Sentinel-1 scenes of ")
    assert "2018-12-31 to 2020-01-01" in table.said
    assert table.figures == {"sentinel2_scenes": 2, "sentinel1_scenes": 2}
    assert (file.state, file.name.endswith(" file")) == ("ok", True)
    assert api.count("/search") == before


def test_a_table_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.parquet"
    (check,) = check_source(str(path))
    assert (check.name, check.state) == ("table x.parquet", "fail")
    assert "x.parquet" in check.said
    path.write_bytes(b"PAR1")
    assert [check.state for check in check_source(str(path))] == ["fail"]
    query: dict[str, Any] = {"box": [5, 50, 6, 51], "first": "2020-01-01", "last": "2020-12-31", "sources": ["opera"]}
    SceneTable((), query).write(path)
    (check,) = check_source(str(path))
    assert (check.state, check.said.startswith("0 Sentinel-2 and 0 Sentinel-1 scenes of opera")) == ("warn", True)
    scene = next(Fake(str(tmp_path / "B02.tif")).search(Query((0, 0, 1, 1), dt.date.min, dt.date.max), silent))
    SceneTable((scene,), query).write(path)
    monkeypatch.delenv("EARTHDATA_TOKEN", raising=False)
    assert states(check_source(str(path))) == {"table x.parquet": "ok", "opera credentials": "fail"}
    SceneTable((scene,), query | {"sources": [str(tmp_path / "gone")]}).write(path)
    assert states(check_source(str(path))) == {"table x.parquet": "ok", "table x.parquet sources": "fail"}


def test_names_are_opened_and_a_wrong_one_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "B02.tif").write_bytes(TIFF)

    def opened(name: str) -> list[Any]:
        if name != "fake":
            raise InputError(f"source {name!r}; expected a name")
        return [Fake(str(tmp_path / "B02.tif"))]

    monkeypatch.setattr(doctor, "parse_source", opened)
    assert states(check_source("fake")) == {"fake search": "ok", "fake file": "ok"}
    (check,) = check_source("other")
    assert (check.name, check.state) == ("other", "fail")
    assert "expected a name" in check.said
    found = list(diagnose(["fake", "other"], tmp_path))
    assert states(found)["other"] == "fail"
    assert states(found)["fake file"] == "ok"
    assert {"python", "packages", "memory", "device", "disk", "cache"} <= set(states(found))


def test_a_fault_of_a_check_is_a_line_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fault() -> Check:
        raise KeyError("MemTotal")

    monkeypatch.setattr(doctor, "check_memory", fault)
    found = {check.name: check for check in diagnose([], tmp_path)}
    assert (found["memory"].state, found["memory"].said) == ("fail", "KeyError: 'MemTotal'")
    assert "cache" in found


@pytest.mark.parametrize(("working", "expected"), [(("mpc",), "ok"), ((), "fail")])
def test_sources_that_were_not_named_warn_unless_none_works(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, working: tuple[str, ...], expected: str
) -> None:
    def checked(source: str, **more: Any) -> Iterator[Check]:
        yield Check(f"{source} API", "ok" if source in working else "fail", "x")

    monkeypatch.setattr(doctor, "check_source", checked)
    monkeypatch.setattr(doctor, "check_packages", lambda: iter(()))
    found = [check for check in diagnose(None, tmp_path) if check.name not in ("disk", "memory", "device")]
    assert [check.state for check in found if check.name.endswith("API")].count("warn") == 3 - len(working)
    assert ("sources" in states(found)) == (expected == "fail")
    assert all(check.ok for check in found) == (expected == "ok")


def opera(server: Cmr, token: str | None) -> Opera:
    return Opera(f"{server.url}/search", token, (server.url,), web=Web(delays=()), now=lambda: NOW)


def opera_answers(server: Cmr) -> None:
    name = product(day="20240605")
    entry = granule(name)
    entry["links"] = [{"href": f"{server.url}/x.tif/{name}_{band}.tif"} for band in ("VV", "VH")]
    server.orbits["DESCENDING"] = [entry]

    def answer(handler: Any) -> bool:
        if handler.path.startswith("/x.tif"):
            return serve(handler) if "Authorization" in handler.headers else send(handler, "no", status=401)
        if "page_size=0" in handler.path:
            # the clock of the test's servers is the machine's own
            return send(handler, '{"feed": {"entry": []}}')
        return False

    server.answer = answer


def test_opera_with_a_good_token(server: Cmr) -> None:
    opera_answers(server)
    checks = list(check_source(opera(server, jwt(exp=NOW + 30 * 86400)), now=lambda: NOW))
    found = states(checks)
    found.pop("clock")
    assert found == {"opera credentials": "ok", "opera API": "ok", "opera search": "ok", "opera file": "ok"}
    assert "until 2026-01-31" in checks[0].said


@pytest.mark.parametrize(
    ("token", "state", "said"),
    [
        ("", "fail", "none is set"),
        (jwt(exp=NOW - 1), "fail", "expired on 2025-12-31"),
        (jwt(exp=NOW + 86400), "warn", "until 2026-01-02"),
        ("opaque-token-of-edl", "ok", "does not tell when it ends"),
    ],
)
def test_operas_token_is_looked_at(server: Cmr, token: str, state: str, said: str) -> None:
    opera_answers(server)
    checks = {check.name: check for check in check_source(opera(server, token), now=lambda: NOW)}
    credentials = checks["opera credentials"]
    assert credentials.state == state
    assert said in credentials.said
    assert checks["opera search"].state == "ok"
    assert ("opera file" in checks) == (state != "fail")
    if state == "fail":
        assert "EARTHDATA_TOKEN" in credentials.advice


def test_planetary_computers_key_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Fake("x")
    source.name = "mpc"
    source.fails = LoadError("busy")
    monkeypatch.delenv("PC_SDK_SUBSCRIPTION_KEY", raising=False)
    first = next(iter(check_source(source)))
    assert (first.state, "none is needed" in first.said) == ("ok", True)
    monkeypatch.setenv("PC_SDK_SUBSCRIPTION_KEY", "secret")
    assert next(iter(check_source(source))).said == "PC_SDK_SUBSCRIPTION_KEY is set"


@given(off=st.floats(-1e6, 1e6), slack=st.floats(0, 20))
def test_a_clock_is_judged_by_how_far_it_is_off(off: float, slack: float) -> None:
    theirs = 1_700_000_000
    check = check_clock(email.utils.formatdate(theirs, usegmt=True), theirs + off, slack)
    assert check is not None
    far = 0.0 if -1 <= off <= slack + 1 else abs(off)
    assert check.state == ("ok" if far < 60 else "warn" if far < 300 else "fail")
    assert check.figures["seconds"] == pytest.approx(off if far else 0.0)
    if far >= 60:
        assert ("ahead" in check.said) == (off > 0)


def test_whole_seconds_and_a_slow_answer_are_no_wrong_clock() -> None:
    theirs = 1_700_000_000
    date = email.utils.formatdate(theirs, usegmt=True)
    for off, slack, expected in ((0.9, 0.0, 0.0), (5.5, 5.0, 0.0), (-0.9, 0.0, 0.0), (7.5, 5.0, 7.5)):
        check = check_clock(date, theirs + off, slack)
        assert check is not None
        assert check.figures["seconds"] == expected


@pytest.mark.parametrize("date", [None, "", "yesterday", "Mon, 99 Nov 2023 00:00:00 GMT"])
def test_no_date_no_judgement(date: str | None) -> None:
    assert check_clock(date, 0.0, 0.0) is None


def test_packages_and_extras() -> None:
    good = {"numpy": "2.1.0", "pyarrow": "17.0.0", "rasterio": "1.4.3", "dask": "2025.1.0", "ray": "2.40"}
    assert states(check_packages(REQUIRES, good)) == {"packages": "ok", "extra geo": "ok", "extra scale": "ok"}
    checks = {check.name: check for check in check_packages(REQUIRES, good | {"rasterio": "1.3.11"})}
    assert checks["extra geo"].state == "warn"
    assert checks["extra geo"].said == "not installed: rasterio 1.4 (there is 1.3.11)"
    assert checks["extra geo"].advice == install_line("geo")
    del good["ray"], good["numpy"]
    checks = {check.name: check for check in check_packages(REQUIRES, good)}
    assert checks["packages"].state == "fail"
    assert "numpy" in checks["packages"].said
    assert (checks["extra scale"].state, checks["extra scale"].advice) == ("ok", install_line("scale"))
    here = states(check_packages())
    assert here["packages"] in ("ok", "warn")
    assert check_python().ok


def test_memory_is_the_machines_or_the_containers(tmp_path: Path) -> None:
    proc, group = tmp_path / "meminfo", tmp_path / "memory.max"
    proc.write_text("MemTotal:       16000000 kB\nMemFree: 1 kB\nMemAvailable:    8000000 kB\n")
    check = check_memory(proc, group)
    assert check.state == "ok"
    assert check.figures == {"total_bytes": 16_384_000_000, "available_bytes": 8_192_000_000}
    group.write_text("1500000000\n")
    check = check_memory(proc, group)
    assert check.state == "warn"
    assert check.said.startswith("1.5 of 1.5 GB are free")
    group.write_text("max\n")
    proc.write_text("nonsense")
    assert check_memory(proc, group).figures["total_bytes"] > 0


def test_a_disk_is_tried_and_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = [100e9]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=room[0]))
    check = check_disk(tmp_path / "new" / "cube.zarr", "disk")
    assert check.state == "ok"
    assert check.figures["bytes_per_second"] > 0
    assert list(tmp_path.iterdir()) == []
    room[0] = 10e9
    check = check_disk(tmp_path, "disk")
    assert (check.state, check.advice) == ("warn", "this is room for 5 cells of 2 GB")
    room[0] = 1e9
    assert check_disk(tmp_path, "disk").state == "fail"
    (tmp_path / "file").write_text("x")
    assert check_disk(tmp_path / "file" / "cube", "disk").said.endswith("file is a file")

    def full(*args: Any, **more: Any) -> Any:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    check = check_disk(tmp_path, "disk")
    assert (check.state, "Read-only file system" in check.said) == ("fail", True)


def test_the_cache_may_be_off_small_or_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1e9))
    assert check_cache().state == "ok"
    monkeypatch.setenv("TESSERA_CACHE", str(tmp_path))
    monkeypatch.setenv("TESSERA_CACHE_GB", "0.5")
    assert check_cache().state == "ok"
    monkeypatch.setenv("TESSERA_CACHE_GB", "3")
    check = check_cache()
    assert (check.state, "3.0 GB" in check.advice) == ("warn", True)
    monkeypatch.setenv("TESSERA_CACHE_GB", "many")
    assert check_cache().state == "fail"
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("TESSERA_CACHE", str(tmp_path / "file"))
    monkeypatch.setenv("TESSERA_CACHE_GB", "1")
    assert check_cache().state == "warn"


def fake_torch(**cuda: Any) -> Any:
    about = SimpleNamespace(total_memory=80e9)
    devices = {
        "device_count": lambda: 1,
        "is_available": lambda: True,
        "get_device_name": lambda index: "GPU X",
        "get_device_properties": lambda index: about,
        **cuda,
    }
    mps = SimpleNamespace(is_available=lambda: False)
    return SimpleNamespace(
        __version__="2.9", cuda=SimpleNamespace(**devices), backends=SimpleNamespace(mps=mps), get_num_threads=lambda: 3
    )


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> Any:
        raise RuntimeError("CUDA driver is too old\nsecond line")

    monkeypatch.setitem(sys.modules, "torch", None)
    check = check_devices()
    assert (check.state, "models" in check.advice) == ("warn", True)
    monkeypatch.setitem(sys.modules, "torch", fake_torch())
    assert check_devices().said == "torch 2.9, CUDA: GPU X (80 GB)"
    monkeypatch.setitem(sys.modules, "torch", fake_torch(device_count=lambda: 0, is_available=lambda: False))
    assert check_devices().said == "torch 2.9, 3 threads, no GPU"
    monkeypatch.setitem(sys.modules, "torch", fake_torch(get_device_name=broken))
    check = check_devices()
    assert (check.state, check.said) == ("warn", "torch 2.9 finds no GPU: CUDA driver is too old")


def test_a_check_as_json() -> None:
    check = Check("disk", "warn", "little", "more", {"free_bytes": 1.0})
    assert check.ok
    assert check.to_json() == {
        "name": "disk",
        "state": "warn",
        "said": "little",
        "advice": "more",
        "figures": {"free_bytes": 1.0},
    }
