"""Two providers of the same acquisitions: what one cannot give is taken from the other, and said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scenes_helpers import assert_same, digest

import tessera.net._host
from tessera.cubes import PixelCube
from tessera.geo import Window
from tessera.net import LoadError, Web
from tessera.scenes import LossError, build_cube
from tessera.scenes.sources._earth_search import EarthSearch
from tessera.scenes.sources._mpc import PlanetaryComputer
from tessera.scenes.sources.opera import Opera
from tessera.scenes.sources.stac_api import StacApi
from tessera.simulator import simulate
from tessera.testing import At, Faults, serve_scenes
from tessera.testing.provider import _layouts as layouts

WINDOW = Window(31, 64 * 1024 + 3, 548 * 1024 - 5, 30, 21)
YEAR = 2021
SPRING = r"20210514"
"""The day of an acquisition with the offset, as the files of every provider name it."""


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A year with both baselines."""
    folder = tmp_path_factory.mktemp("failover") / "scenes"
    simulate(folder, Window(31, 64 * 1024, 548 * 1024, 48, 48), YEAR, s2_dates=6, s1_dates=2)
    return folder


@pytest.fixture(scope="module")
def harmonised(scenes: Path) -> Path:
    """The same with the offset gone."""
    return layouts.harmonise(scenes, scenes.with_name("harmonised"))


@pytest.fixture(scope="module")
def clean(scenes: Path) -> PixelCube:
    """What the folder itself gives."""
    return build_cube(WINDOW, YEAR, source=scenes)


@pytest.fixture(autouse=True)
def _in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting is as ever, only shorter."""
    from tessera.scenes import _files

    monkeypatch.setattr(tessera.net._host, "PATIENCE", 5.0)
    hasty = partial(Web, delays=(0.01,) * 4)
    monkeypatch.setattr(_files, "Web", hasty)
    for module in ("_mpc", "opera", "stac_api"):
        monkeypatch.setattr(f"tessera.scenes.sources.{module}.Web", hasty)


def place_of(href: str) -> tuple[str, str]:
    account, container = href.split("/")[3:5]
    return account, container


@contextmanager
def providers(*wanted: tuple[str, Path, Faults]) -> Iterator[list[Any]]:
    """Adapters of providers that are served here, the preferred one first."""
    with ExitStack() as stack:
        made: list[Any] = []
        for style, folder, faults in wanted:
            one = stack.enter_context(serve_scenes(folder, style=style, faults=faults))
            if style == "mpc":
                made.append(PlanetaryComputer(one.url, tokens=one.token_url, place=place_of, pause=lambda _: None))
            elif style == "opera":
                made.append(Opera(one.url, token=one.token, hosts=(one.blobs,)))
            else:
                made.append(EarthSearch(one.url) if style == "earth-search" else StacApi(one.url, "stac"))
        yield made


FAILING = {
    "missing": (Faults(missing=At(f"{SPRING}.*B08")), "B08", "missing"),
    "corrupt": (Faults(corrupt=At(f"{SPRING}.*B11"), corrupt_span=(600, 1 << 62)), "B11", "corrupt"),
    "no classes": (Faults(missing=At(f"{SPRING}.*SCL")), "SCL", "missing"),
    "throttled": (Faults(throttled=At(f"{SPRING}.*SCL")), "SCL", "load"),
    "refused": (Faults(expired=At(f"{SPRING}.*SCL")), "SCL", "credential"),
    # several bands at once: the first in the cube's order is named
    "all bands": (Faults(missing=At(rf"{SPRING}.*_B\w\w_\d0m")), "B04", "missing"),
}


@pytest.mark.parametrize("other", ["raw", "harmonised"])
@pytest.mark.parametrize("name", FAILING)
def test_an_acquisition_is_taken_from_the_other_provider(
    scenes: Path, harmonised: Path, clean: PixelCube, name: str, other: str
) -> None:
    faults, band, reason = FAILING[name]
    second = scenes if other == "raw" else harmonised
    with providers(("mpc", scenes, faults), ("earth-search", second, Faults())) as sources:
        cube = build_cube(WINDOW, YEAR, source=sources, max_lost=0)
    assert_same(cube, clean)
    (stood_in,) = cube.provenance["fallbacks"]
    assert (stood_in["source"], stood_in["band"], stood_in["reason"]) == ("mpc", band, reason)
    assert stood_in["taken"] == "S2A_31UFS_20210514_0_L2A"
    assert cube.provenance["scenes_lost"] == 0
    assert cube.provenance["source"] == "mpc,earth-search"
    assert cube.provenance["scenes_used"] == clean.provenance["scenes_used"]


def test_the_preferred_provider_alone_is_read_while_it_gives(scenes: Path, clean: PixelCube) -> None:
    with (
        serve_scenes(scenes, style="mpc") as one,
        serve_scenes(scenes, style="earth-search") as two,
    ):
        mpc = PlanetaryComputer(one.url, tokens=one.token_url, place=place_of)
        for sources, read, left in (([mpc, EarthSearch(two.url)], one, two), ([EarthSearch(two.url), mpc], two, one)):
            one.forget()
            two.forget()
            cube = build_cube(WINDOW, YEAR, source=sources)
            assert_same(cube, clean)
            assert read.count("B04") > 0
            assert left.count("B04") == 0
            assert cube.provenance["fallbacks"] == []


def test_what_neither_has_is_lost(scenes: Path, clean: PixelCube, tmp_path: Path) -> None:
    gone = Faults(missing=At(rf"{SPRING}.*B\w\w"))
    with providers(("mpc", scenes, gone), ("earth-search", scenes, gone)) as sources:
        cube = build_cube(WINDOW, YEAR, source=sources, max_lost=1)
        with pytest.raises(LossError, match="1 scene cannot be read, at most 0"):
            build_cube(WINDOW, YEAR, source=sources, out=tmp_path / "cube", max_lost=0)
    (lost,) = cube.provenance["lost"]
    assert (lost["id"], lost["source"], lost["band"], lost["reason"]) == (
        "S2A_31UFS_20210514_0_L2A",
        "earth-search",
        "B04",
        "missing",
    )
    assert cube.provenance["s2_dates"] == [day for day in clean.provenance["s2_dates"] if day != "2021-05-14"]


def test_a_provider_that_is_down_and_another_without_radar_stop_the_build(scenes: Path) -> None:
    with (
        providers(("mpc", scenes, Faults(unavailable=At(r"\.tif"))), ("earth-search", scenes, Faults())) as sources,
        pytest.raises(LoadError, match="503"),
    ):
        build_cube(WINDOW, YEAR, source=sources)


@pytest.fixture(scope="module")
def bursts(scenes: Path) -> Path:
    return layouts.opera_granules(scenes, scenes.with_name("bursts"))


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        (Faults(missing=At("20210121.*[vV][hH]")), "missing"),
        (Faults(unavailable=At("20210121.*[vV][hH]")), "load"),
    ],
)
def test_opera_stands_in_for_a_pass(scenes: Path, bursts: Path, clean: PixelCube, faults: Faults, reason: str) -> None:
    with providers(("opera", bursts, Faults())) as sources:
        opera = build_cube(WINDOW, YEAR, source=sources)
    with providers(("mpc", scenes, faults), ("opera", bursts, Faults())) as sources:
        cube = build_cube(WINDOW, YEAR, source=sources, max_lost=0)
    (stood_in,) = cube.provenance["fallbacks"]
    assert (stood_in["band"], stood_in["reason"], stood_in["source"]) == ("VH", reason, "mpc")
    assert stood_in["taken"].startswith("OPERA_L2_RTC-S1_T088-187401-IW2_20210121T")
    assert cube.provenance["scenes_lost"] == 0
    assert opera.s1_asc_doy.tolist() == cube.s1_asc_doy.tolist() == clean.s1_asc_doy.tolist()
    np.testing.assert_array_equal(cube.s1_asc[0], opera.s1_asc[0])
    np.testing.assert_array_equal(cube.s1_asc[1], clean.s1_asc[1])
    np.testing.assert_array_equal(cube.s1_desc[:], clean.s1_desc[:])
    assert (np.asarray(opera.s1_asc[0]) != clean.s1_asc[0]).any()


def test_the_reprocessed_copy_wins_and_the_older_stands_in(scenes: Path, clean: PixelCube, tmp_path: Path) -> None:
    folder = layouts.duplicates(scenes, tmp_path / "twice", brighter=7)
    with providers(("mpc", folder, Faults())) as sources:
        newer = build_cube(WINDOW, YEAR, source=sources)
    assert newer.provenance["s2_baselines"] == ["05.10"]
    assert newer.provenance["s2_dates"] == clean.provenance["s2_dates"]
    clear = np.asarray(clean.s2_mask[:]).astype(bool)
    fine = np.asarray(clean.s2[:])[clear][:, 0]
    seen = np.asarray(newer.s2[:])[clear][:, 0]
    assert (seen == fine + 7).mean() > 0.99
    corrupt = Faults(corrupt=At(f"{SPRING}.*N0510.*B04"), corrupt_span=(600, 1 << 62))
    with providers(("mpc", folder, corrupt)) as sources:
        cube = build_cube(WINDOW, YEAR, source=sources, max_lost=0)
    place = cube.provenance["s2_dates"].index("2021-05-14")
    np.testing.assert_array_equal(cube.s2[place], clean.s2[place])
    np.testing.assert_array_equal(cube.s2[place - 1], newer.s2[place - 1])
    (stood_in,) = cube.provenance["fallbacks"]
    assert (stood_in["band"], stood_in["reason"]) == ("B04", "corrupt")
    assert [stood_in[key].rpartition("_")[2][:8] for key in ("id", "taken")] == ["20240301", "20230201"]


def test_two_baselines_of_one_ground_are_one(scenes: Path, clean: PixelCube, tmp_path: Path) -> None:
    for other_tile in (True, False):
        folder = layouts.mixed_baselines(scenes, tmp_path / f"mixed{other_tile}", other_tile=other_tile)
        with providers(("mpc", folder, Faults())) as sources:
            cube = build_cube(WINDOW, YEAR, source=sources)
        assert_same(cube, clean)
        assert set(cube.provenance["s2_baselines"]) <= {"02.14", "05.00"}
        assert ("05.00" in cube.provenance["s2_baselines"]) or other_tile


@pytest.mark.parametrize("key", ["vh", "vv"])
def test_a_pass_without_a_polarisation_keeps_the_other(
    scenes: Path, clean: PixelCube, tmp_path: Path, key: str
) -> None:
    folder = layouts.drop_polarisation(scenes, tmp_path / "one", which="20210121", key=key)
    with providers(("mpc", folder, Faults())) as sources:
        cube = build_cube(WINDOW, YEAR, source=sources)
    kept, gone = (0, 1) if key == "vh" else (1, 0)
    assert cube.s1_asc_doy.tolist() == clean.s1_asc_doy.tolist()
    assert not np.asarray(cube.s1_asc[0])[..., gone].any()
    np.testing.assert_array_equal(np.asarray(cube.s1_asc[0])[..., kept], np.asarray(clean.s1_asc[0])[..., kept])
    np.testing.assert_array_equal(cube.s1_asc[1], clean.s1_asc[1])


@pytest.mark.parametrize("style", ["stac", "mpc"])
def test_odd_items_give_the_clean_cube(scenes: Path, clean: PixelCube, tmp_path: Path, style: str) -> None:
    made = [
        layouts.wrong_transform(scenes, tmp_path / "transform"),
        layouts.wrong_transform(scenes, tmp_path / "transform2", collection="sentinel-2-l2a"),
        layouts.huge_footprints(scenes, tmp_path / "huge"),
        layouts.shuffled(scenes, tmp_path / "shuffled", seed=4),
    ]
    for folder in made:
        with providers((style, folder, Faults())) as sources:
            cube = build_cube(WINDOW, YEAR, source=sources)
        assert_same(cube, clean)
        assert cube.provenance["scenes_lost"] == 0


def test_the_next_zone_s_tile_shows_the_same_ground(scenes: Path, clean: PixelCube, tmp_path: Path) -> None:
    both = layouts.second_zone(scenes, tmp_path / "both")
    with providers(("stac", both, Faults())) as sources:
        cube = build_cube(WINDOW, YEAR, source=sources, out=tmp_path / "a")
        again = build_cube(WINDOW, YEAR, source=sources, out=tmp_path / "b")
    assert cube.provenance["s2_dates"] == clean.provenance["s2_dates"]
    assert again.provenance == cube.provenance
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    only = layouts.second_zone(scenes, tmp_path / "only", keep=False)
    with providers(("stac", only, Faults())) as sources:
        cube = build_cube(WINDOW, YEAR, source=sources)
    assert cube.s2.shape == clean.s2.shape
    # resampled twice by nearest neighbour: a pixel or two beside the truth
    shared = np.asarray(cube.s2_mask[:]).astype(bool) & np.asarray(clean.s2_mask[:]).astype(bool)
    assert shared.mean() > 0.9 * np.asarray(clean.s2_mask[:]).mean()
    one, other = (np.asarray(part.s2[:])[shared].astype(float) for part in (cube, clean))
    assert np.corrcoef(one[:, 3], other[:, 3])[0, 1] > 0.9


@pytest.mark.parametrize("how", ["multipolygon", "beyond", "naive"])
def test_scenes_over_the_date_line(tmp_path: Path, how: str) -> None:
    # half of it in the east of the line
    from tessera.geo import from_lonlat

    x, y = (np.atleast_1d(part)[0] for part in from_lonlat([180.0], [17.0], 60))
    window = Window(60, int(x // 10) - 12, int(y // 10), 24, 40)
    simulate(tmp_path / "scenes", window, YEAR, s2_dates=2, s1_dates=1)
    want = build_cube(window, YEAR, source=tmp_path / "scenes")
    folder = layouts.date_line(tmp_path / "scenes", tmp_path / how, how=how)
    assert want.s2.shape[0] + want.s1_asc.shape[0] > 1
    if how == "naive":
        # a provider that looks into such a ring finds everything but what it means
        assert_same(build_cube(window, YEAR, source=folder), want)
        return
    with providers(("stac", folder, Faults())) as sources:
        assert_same(build_cube(window, YEAR, source=sources), want)
