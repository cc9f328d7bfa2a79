"""What a stopped build leaves beside its cube: taken up where whole, made anew where not, gone where worthless."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scenes_helpers import WINDOW, Catalog, assert_same, digest

from tessera.base import InputError, TesseraError
from tessera.cubes import open_cube
from tessera.net import LoadError
from tessera.scenes import NoScenesError, Scene, build_cube
from tessera.scenes import build as _build
from tessera.scenes._mosaic import mosaic_day

YEAR = 2021
DAYS = ("2021-04-01", "2021-05-01", "2021-06-01", "2021-07-01")


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    made = Catalog(tmp_path / "catalog")
    for number, day in enumerate(DAYS):
        made.s2(f"day{number}", f"{day}T10:40:00Z", dn=2000 + number)
    return made


def begin(catalog: Catalog, target: Path, days: int = 3) -> Path:
    """A build that is stopped with so many days finished; the folder that it leaves."""

    def stop(done: int, total: int) -> None:
        assert total == len(DAYS)
        if done >= days:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_cube(WINDOW, YEAR, source=catalog.root, out=target, progress=stop)
    part = target.with_name(f"{target.name}.part")
    assert (part / "notes" / "scenes.parquet").is_file()
    assert len(list((part / "dates" / "s2").iterdir())) >= days
    return part


def laid(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The days that are laid from here on."""
    found: list[str] = []

    def lay(bands: Any, stack: str, day: Any, *rest: Any) -> Any:
        found.append(day.day.isoformat())
        return mosaic_day(bands, stack, day, *rest)

    monkeypatch.setattr(_build, "mosaic_day", lay)
    return found


@pytest.mark.parametrize("damage", ["cut", "changed", "empty"])
def test_a_damaged_table_is_searched_again_and_said(
    catalog: Catalog, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    build_cube(WINDOW, YEAR, source=catalog.root, out=tmp_path / "whole")
    notes = begin(catalog, tmp_path / "cube") / "notes" / "scenes.parquet"
    good = notes.read_bytes()
    changed = good[:100] + bytes([good[100] ^ 255]) + good[101:]
    notes.write_bytes({"cut": good[:-9], "changed": changed, "empty": b""}[damage])
    there = {path.name for path in (tmp_path / "cube.part" / "dates" / "s2").iterdir()}
    again = laid(monkeypatch)
    caplog.clear()
    build_cube(WINDOW, YEAR, source=catalog.root, out=tmp_path / "cube")
    (said,) = caplog.messages
    assert said.startswith(str(notes))
    assert said.endswith("; the scenes are searched again")
    assert "\n" not in said
    assert set(again) == set(DAYS) - there
    assert digest(tmp_path / "cube") == digest(tmp_path / "whole")


def test_days_of_an_older_plan_do_not_enter(
    catalog: Catalog, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is gone, and the provider holds other scenes by now: one less, one other, one more."""
    notes = begin(catalog, tmp_path / "cube", 4) / "notes" / "scenes.parquet"
    notes.write_bytes(b"nothing")
    catalog.items = [item for item in catalog.items if "day0" not in item and "day1" not in item]
    catalog.s2("day1b", f"{DAYS[1]}T10:40:00Z", dn=7000)
    catalog.s2("late", "2021-09-01T10:40:00Z", dn=8000)
    again = laid(monkeypatch)
    cube = build_cube(WINDOW, YEAR, source=catalog.root, out=tmp_path / "cube")
    assert sorted(again) == [DAYS[1], "2021-09-01"]
    assert len(caplog.messages) == 1
    build_cube(WINDOW, YEAR, source=catalog.root, out=tmp_path / "whole")
    assert cube.provenance["s2_dates"] == [*DAYS[1:], "2021-09-01"]
    assert digest(tmp_path / "cube") == digest(tmp_path / "whole")


class Unreachable:
    """A source that does not answer."""

    name = "away"

    def search(self, query: object, progress: object) -> Any:
        raise LoadError("status 503")

    def address(self, href: str) -> Any:
        raise AssertionError

    renew = verdict = address


def test_a_build_that_came_to_nothing_leaves_nothing(catalog: Catalog, tmp_path: Path) -> None:
    out = tmp_path / "cubes"
    target = out / "cube"
    attempts: list[tuple[type[TesseraError], dict[str, Any]]] = [
        (NoScenesError, {"year": 2019}),
        (InputError, {"reader": "rangers"}),
        (LoadError, {"source": Unreachable()}),
    ]
    for error, changes in attempts:
        given: dict[str, Any] = {"year": YEAR, "source": catalog.root} | changes
        with pytest.raises(error) as caught:
            build_cube(WINDOW, out=target, **given)
        assert "\n" not in str(caught.value)
        assert not out.exists() or list(out.iterdir()) == []
    # what is there by now is found
    catalog.s2("early", "2019-05-05T10:40:00Z")
    assert build_cube(WINDOW, 2019, source=catalog.root, out=target).provenance["s2_dates"] == ["2019-05-05"]
    assert [path.name for path in out.iterdir()] == ["cube"]


def test_a_wrong_reader_is_said_before_anybody_is_asked(tmp_path: Path) -> None:
    for out in (None, tmp_path / "cube"):
        with pytest.raises(InputError, match="reader 'gdal'; expected ranges or odc"):
            build_cube(WINDOW, YEAR, source=Unreachable(), out=out, reader="gdal")


class Busy:
    """A reader that is refused."""

    def read(self, scene: Scene, band: str) -> NDArray[Any]:
        raise LoadError("status 429")


def test_a_search_is_kept_where_no_day_could_be_read(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_build, "make_reader", lambda *_: Busy())
    with pytest.raises(LoadError, match="429"):
        build_cube(WINDOW, YEAR, source=catalog.root, out=tmp_path / "cube")
    assert list((tmp_path / "cube.part" / "dates" / "s2").iterdir()) == []
    assert (tmp_path / "cube.part" / "notes" / "scenes.parquet").is_file()


class Slow:
    """A reader that waits until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def read(self, scene: Scene, band: str) -> NDArray[Any]:
        assert self.go.wait(30)
        return np.full(WINDOW.shape, 4 if band == "SCL" else 100, dtype="uint8" if band == "SCL" else "uint16")


def test_progress_is_told_while_a_server_is_slow(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Slow()
    monkeypatch.setattr(_build, "GLANCE", 0.005)
    monkeypatch.setattr(_build, "make_reader", lambda *_: reader)
    seen: list[int] = []

    def show(done: int, total: int) -> None:
        assert total == len(DAYS)
        seen.append(done)
        if len(seen) == 3:
            reader.go.set()

    cube = build_cube(WINDOW, YEAR, source=catalog.root, out=tmp_path / "cube", progress=show)
    assert seen[:3] == [0, 0, 0]
    assert seen == sorted(seen)
    assert seen[-1] == len(DAYS)
    assert_same(cube, open_cube(tmp_path / "cube"))


def test_progress_may_stop_a_build_that_waits(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Slow()
    monkeypatch.setattr(_build, "GLANCE", 0.005)
    monkeypatch.setattr("tessera.scenes._lines._PARTING", 0.01)
    monkeypatch.setattr(_build, "make_reader", lambda *_: reader)

    def stop(done: int, total: int) -> None:
        raise InterruptedError(f"{done} of {total}")

    try:
        with pytest.raises(InterruptedError, match="0 of 4"):
            build_cube(WINDOW, YEAR, source=catalog.root, out=tmp_path / "cube", progress=stop)
    finally:
        reader.go.set()
