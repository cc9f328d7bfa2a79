"""Every way in which a provider fails: the cure, the record that it leaves, and the same bytes as without it."""

from __future__ import annotations

import datetime as dt
import time
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from plan_helpers import s2
from scenes_helpers import assert_same, digest

import tessera.net._host
from tessera.base import InputError
from tessera.cubes import PixelCube, open_cube
from tessera.geo import Window
from tessera.net import CorruptError, CredentialError, LoadError, NetError, Web
from tessera.scenes import Address, Asset, LossError, Recipe, Source, build_cube, search_scenes
from tessera.scenes._odc import OdcReader
from tessera.scenes.sources._earth_search import EarthSearch
from tessera.scenes.sources._mpc import PlanetaryComputer
from tessera.scenes.sources.stac_api import StacApi
from tessera.simulator import simulate
from tessera.testing import At, Faults, serve_scenes

WINDOW = Window(31, 64 * 1024 + 3, 548 * 1024 - 5, 40, 30)
YEAR = 2021
LINE = r"\.tif"


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A year of scenes with both baselines."""
    folder = tmp_path_factory.mktemp("faults") / "scenes"
    simulate(folder, Window(31, 64 * 1024, 548 * 1024, 64, 64), YEAR, s2_dates=5, s1_dates=2)
    return folder


@pytest.fixture(scope="session")
def clean(scenes: Path) -> PixelCube:
    """What the folder itself gives."""
    return build_cube(WINDOW, YEAR, source=scenes)


@pytest.fixture(autouse=True)
def _in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting is as ever, only shorter."""
    from tessera.scenes import _files

    monkeypatch.setattr(tessera.net._host, "PATIENCE", 5.0)
    hasty = partial(Web, delays=(0.01,) * 8)
    monkeypatch.setattr(_files, "Web", hasty)
    for module in ("_earth_search", "_mpc", "stac_api"):
        name = f"tessera.scenes.sources.{module}"
        monkeypatch.setattr(f"{name}.Web", hasty, raising=False)


def place_of(href: str) -> tuple[str, str]:
    """Account and container, as the provider here lays them out."""
    account, container = href.split("/")[3:5]
    return account, container


def source_of(provider: Any, style: str) -> Any:
    """The adapter of a style, on the provider that is served here."""
    if style == "mpc":
        return PlanetaryComputer(provider.url, tokens=provider.token_url, place=place_of, pause=lambda _: None)
    if style == "earth-search":
        return EarthSearch(provider.url)
    return StacApi(provider.url, "here")


def built(scenes: Path, style: str, faults: Faults | None = None, out: Path | None = None, **more: Any) -> PixelCube:
    with serve_scenes(scenes, style=style, faults=faults or Faults()) as provider:
        cube = build_cube(WINDOW, YEAR, source=source_of(provider, style), out=out, **more)
        if faults is not None:
            assert any(seen.fault for seen in provider.seen), "the fault met no request"
    return cube


# Python's filters of warnings are not safe for threads, and odc-stac opens files in several
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("style", ["stac", "mpc"])
@pytest.mark.parametrize("reader", ["ranges", "odc"])
def test_a_provider_gives_what_the_folder_gives(scenes: Path, clean: PixelCube, style: str, reader: str) -> None:
    cube = built(scenes, style, reader=reader)
    assert_same(cube, clean)
    assert cube.provenance["scenes_lost"] == 0
    assert cube.provenance["fallbacks"] == []
    assert cube.provenance["scenes_used"] == clean.provenance["scenes_used"] >= 8


class Fading:
    """A source whose address is over by the time that GDAL asks, a few times."""

    name = "fading"

    def __init__(self, times: int) -> None:
        self.times, self.asked = times, 0

    def address(self, href: str) -> Address:
        self.asked += 1
        return Address(f"{href}.gone" if self.asked <= self.times else href)


def test_gdal_is_given_a_fresh_address_before_a_file_counts_as_corrupt(scenes: Path) -> None:
    path = next(scenes.glob("sentinel-2-l2a/*/B04.tif"))
    scene = s2("one", assets={"B04": Asset(str(path))}, source="fading")
    for times, asked in ((0, 1), (1, 2)):
        source = Fading(times)
        reader = OdcReader(WINDOW, {"fading": cast("Source", source)}, Recipe())
        assert reader.read(scene, "B04").any()
        assert source.asked == asked
    source = Fading(9)
    with pytest.raises(CorruptError, match=r"B04\.tif cannot be read"):
        OdcReader(WINDOW, {"fading": cast("Source", source)}, Recipe()).read(scene, "B04")
    assert source.asked == 2


PASSING = {
    "busy search": ("stac", Faults(busy=At("/search", times=2))),
    "busy files": ("stac", Faults(busy=At(LINE, times=20))),
    "busy until a date": ("stac", Faults(busy=At(LINE, times=3), retry_after="Wed, 21 Oct 2015 07:28:00 GMT")),
    "unavailable": ("mpc", Faults(unavailable=At("", times=8))),
    "bad gateway": ("stac", Faults(bad_gateway=At(LINE, times=8))),
    "line reset": ("stac", Faults(reset=At(LINE, times=8))),
    "throttled by the account's limit": ("mpc", Faults(throttled=At(LINE, times=8))),
    "throttled by a busy server": ("mpc", Faults(throttled=At(LINE, times=8), throttle_words="busy")),
    "throttled search": ("earth-search", Faults(throttled=At("/search", times=2), throttle_words="plain")),
    "expired signature": ("mpc", Faults(expired=At(LINE, times=2))),
    "tokens that serve few": ("mpc", Faults(token_uses=30)),
    "a token that is over": ("mpc", Faults(token_over=At("", times=1))),
    "truncated": ("stac", Faults(truncated=At(LINE, times=1, each=True))),
    "short": ("stac", Faults(short=At(LINE, times=1, each=True))),
    "broken bodies": ("stac", Faults(break_body=At(LINE, times=1, each=True))),
    "slow bodies": ("stac", Faults(slow=At(r"B02\.tif"), slow_pause=0.001)),
    "moved": ("stac", Faults(elsewhere=At(LINE))),
    "shuffled": ("stac", Faults(shuffle=5)),
}


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_leaves_no_trace(scenes: Path, clean: PixelCube, name: str) -> None:
    style, faults = PASSING[name]
    with serve_scenes(scenes, style=style, faults=faults) as provider:
        cube = build_cube(WINDOW, YEAR, source=source_of(provider, style))
        if name == "a token that is over":
            assert provider.count("/token") > 1
        elif name != "shuffled":
            assert any(seen.fault for seen in provider.seen)
    if style != "earth-search":
        assert_same(cube, clean)
    assert cube.provenance["scenes_lost"] == 0
    assert cube.provenance["fallbacks"] == []


def test_a_server_is_left_alone_as_long_as_it_asks(scenes: Path) -> None:
    began = time.monotonic()
    built(scenes, "stac", Faults(busy=At(LINE, times=1), retry_after=0.6))
    assert time.monotonic() - began > 0.6


def test_a_busy_provider_stops_the_build_and_what_was_read_stays(
    scenes: Path, clean: PixelCube, tmp_path: Path
) -> None:
    out = tmp_path / "cube.zarr"
    with serve_scenes(scenes, style="stac", faults=Faults(busy=At("(B04|vv)", skip=3))) as provider:
        source = source_of(provider, "stac")
        with pytest.raises(LoadError, match="status 429"):
            build_cube(WINDOW, YEAR, source=source, out=out)
        assert not out.exists()
        before = provider.count("SCL")
        provider.change(Faults())
        provider.forget()
        cube = build_cube(WINDOW, YEAR, source=source, out=out)
        # one search, and only the days that were not finished
        assert provider.count("/search") == 0
        assert provider.count("SCL") < before
    assert_same(cube, clean)
    assert not list(tmp_path.glob("*.part"))


def test_refused_credentials_stop_the_build(scenes: Path) -> None:
    with pytest.raises(CredentialError, match="status 403"):
        built(scenes, "mpc", Faults(expired=At(LINE)))


def test_a_lost_scene_is_counted_and_over_the_budget_the_cube_is_refused(
    scenes: Path, clean: PixelCube, tmp_path: Path
) -> None:
    out = tmp_path / "cube.zarr"
    faults = Faults(missing=At(r"B8A", times=1))
    with serve_scenes(scenes, style="stac", faults=faults) as provider:
        source = source_of(provider, "stac")
        cube = build_cube(WINDOW, YEAR, source=source, max_lost=1)
        (lost,) = cube.provenance["lost"]
        assert (lost["band"], lost["reason"]) == ("B8A", "missing")
        assert cube.provenance["scenes_lost"] == 1
        assert cube.provenance["scenes_used"] == clean.provenance["scenes_used"] - 1
        assert len(cube.provenance["s2_dates"]) == len(clean.provenance["s2_dates"]) - 1
    with serve_scenes(scenes, style="stac", faults=faults) as provider:
        source = source_of(provider, "stac")
        with pytest.raises(LossError, match=r"1 scene cannot be read, at most 0 may be lost; item .*, B8A: .*404"):
            build_cube(WINDOW, YEAR, source=source, out=out, max_lost=0)
        assert not out.exists()
        # the file is there again: only the day that lost it is read once more, and those that were not begun
        provider.change(Faults())
        again = build_cube(WINDOW, YEAR, source=source, out=out, max_lost=0)
    assert_same(again, clean)
    assert again.provenance["scenes_lost"] == 0


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        (Faults(corrupt=At("B8A"), corrupt_span=(0, 4)), "corrupt"),
        (Faults(corrupt=At("B8A"), corrupt_span=(600, 1 << 62)), "corrupt"),
        (Faults(html=At("B8A")), "corrupt"),
        (Faults(elsewhere=At("B8A"), missing=At("B8A", skip=1)), "missing"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_kind(scenes: Path, faults: Faults, reason: str) -> None:
    cube = built(scenes, "stac", faults, max_lost=9)
    assert cube.provenance["scenes_lost"] == len({lost["id"] for lost in cube.provenance["lost"]}) == 4
    assert {lost["band"] for lost in cube.provenance["lost"]} == {"B8A"}
    assert {lost["reason"] for lost in cube.provenance["lost"]} <= {reason, "missing"}
    assert cube.s2.shape[0] == 0
    assert cube.s1_asc.shape[0] == 2


@pytest.mark.parametrize("limit", [{"most_items": 2}, {"most_items": 1}, {"most_bytes": 12_000}])
def test_an_answer_that_is_too_large_is_asked_for_in_parts(tmp_path: Path, limit: dict[str, Any]) -> None:
    days = [dt.date(YEAR, 6, day) for day in (1, 4, 6, 9, 11, 30)]
    simulate(tmp_path / "june", Window(31, 64 * 1024, 548 * 1024, 64, 64), YEAR, s2_dates=days, s1_dates=1)
    with serve_scenes(tmp_path / "june", style="earth-search", faults=Faults(**limit)) as provider:
        table = search_scenes(WINDOW, YEAR, source_of(provider, "earth-search"))
        refused = provider.matching("/search", status=502)
        assert refused
        assert len({(seen.method, seen.query) for seen in refused}) <= len(refused)
    assert [scene.moment.date() for scene in table.scenes] == days


def test_pages_that_end_too_soon_or_never_are_noticed(tmp_path: Path) -> None:
    # several in a month, as a search is sliced
    days = [dt.date(YEAR, 6, day) for day in (11, 14, 16)]
    simulate(tmp_path / "june", Window(31, 64 * 1024, 548 * 1024, 32, 32), YEAR, s2_dates=days, s1_dates=1)
    for faults, message in (
        (Faults(loop=At("/search")), "repeats its pages"),
        (Faults(no_next=At("/search")), "and no next page"),
    ):
        with (
            serve_scenes(tmp_path / "june", style="stac", faults=faults, page=1) as provider,
            pytest.raises(NetError, match=message),
        ):
            search_scenes(WINDOW, "2021-06-01/2021-06-30", f"stac:{provider.url}")


@pytest.mark.parametrize(
    ("faults", "error", "message"),
    [
        (Faults(bad_json=At("/search")), (CorruptError, LoadError, InputError), "JSON"),
        (Faults(html=At("/search")), (CorruptError, LoadError, InputError), "JSON"),
        (Faults(missing=At("/search")), (InputError, Exception), "404"),
    ],
)
def test_a_search_that_is_none_is_one_line(scenes: Path, faults: Faults, error: Any, message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        built(scenes, "stac", faults)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_answers_changes_no_byte(scenes: Path, tmp_path: Path, seed: int) -> None:
    with serve_scenes(scenes, style="mpc", page=1) as provider:
        build_cube(WINDOW, YEAR, source=source_of(provider, "mpc"), out=tmp_path / "a")
        provider.change(Faults(shuffle=seed))
        build_cube(WINDOW, YEAR, source=source_of(provider, "mpc"), out=tmp_path / "b")
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    assert open_cube(tmp_path / "a").provenance["source"] == "mpc"
