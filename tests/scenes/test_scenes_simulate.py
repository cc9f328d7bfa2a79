from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
from scenes_helpers import assert_same, digest
from simulated_cube import simulate_cube

from tessera.base import InputError
from tessera.cubes import PixelCube
from tessera.geo import Window
from tessera.scenes import build_cube
from tessera.simulator import CLASSES, COLOURS, Simulation, simulate

WINDOW = Window(31, 64 * 1024 + 3, 548 * 1024 - 5, 61, 58)
"""Off the 20 m grid on purpose, with odd sides."""


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    return simulate(tmp_path_factory.mktemp("scenes") / "sim", WINDOW, 2021, seed=5, s2_dates=8, s1_dates=3)


@pytest.fixture(scope="module")
def world() -> tuple[PixelCube, np.ndarray]:
    return simulate_cube(Window(31, 64 * 1024, 548 * 1024, 160, 160), 2023, seed=2)


def test_the_cube_in_memory_is_the_one_that_is_read_from_the_scenes(scenes: Simulation) -> None:
    cube, truth = simulate_cube(WINDOW, 2021, seed=5, s2_dates=8, s1_dates=3)
    read = build_cube(WINDOW, 2021, source=scenes.path)
    assert read.s2.shape[0] >= 5
    assert_same(read, cube)
    np.testing.assert_array_equal(truth, scenes.truth)
    assert read.provenance["s2_dates"] == cube.provenance["s2_dates"]
    assert read.provenance["s2_baselines"] == ["02.14", "05.00"]


def test_a_part_of_the_window_is_read_alike(scenes: Simulation) -> None:
    part = Window(31, WINDOW.west + 7, WINDOW.north - 11, 20, 30)
    whole, small = build_cube(WINDOW, 2021, source=scenes.path), build_cube(part, 2021, source=scenes.path)
    rows, cols = part.slices_in(WINDOW)
    days = [whole.s2_doy.tolist().index(day) for day in small.s2_doy]
    np.testing.assert_array_equal(small.s2, np.asarray(whole.s2)[days][:, rows, cols])


@pytest.mark.parametrize(
    "window",
    [Window(36, 40_000, -150_003, 30, 33), Window(60, 70_001, 20, 24, 32), Window(1, 30_000, 400_000, 20, 20)],
    ids=["south", "over the equator, far east", "far west"],
)
def test_anywhere_on_the_lattice(tmp_path: Path, window: Window) -> None:
    simulate(tmp_path / "sim", window, 2024, seed=1, s2_dates=4, s1_dates=2)
    cube, _ = simulate_cube(window, 2024, seed=1, s2_dates=4, s1_dates=2)
    assert_same(build_cube(window, 2024, source=tmp_path / "sim"), cube)


def test_the_same_seed_gives_the_same_files_and_another_does_not(tmp_path: Path) -> None:
    window = Window(31, 64 * 1024, 548 * 1024, 32, 32)
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        simulate(tmp_path / name, window, 2024, seed=seed, s2_dates=2, s1_dates=1)
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")


def test_the_catalogue_is_stac_as_others_read_it(scenes: Simulation) -> None:
    catalogue = pystac.Catalog.from_file(scenes.path / "catalog.json")
    assert [child.id for child in catalogue.get_children()] == ["sentinel-2-l2a", "sentinel-1-rtc"]
    items = {item.id: item for item in catalogue.get_items(recursive=True)}
    assert len(items) == 8 + 3 + 3
    optical = next(item for item in items.values() if item.collection_id == "sentinel-2-l2a")
    assert {"B02", "B8A", "B12", "SCL"} < set(optical.assets)
    assert optical.properties["s2:processing_baseline"] in ("02.14", "05.00")
    for key, side, kind in (("B04", 10, "uint16"), ("B11", 20, "uint16"), ("SCL", 20, "uint8")):
        asset = optical.assets[key]
        with rasterio.open(asset.get_absolute_href()) as file:
            assert (file.res, file.dtypes[0], file.nodata) == ((side, side), kind, 0)
            assert file.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == "COG"
            assert list(file.transform)[:6] == asset.extra_fields["proj:transform"]
            assert list(file.shape) == asset.extra_fields["proj:shape"]
            assert file.crs.to_epsg() == 32631
    assert "/" not in json.dumps(
        [item.assets[key].href.removeprefix("./") for item in [optical] for key in item.assets]
    )


def test_the_truth_map_tells_its_classes(scenes: Simulation) -> None:
    assert scenes.classes == CLASSES
    assert scenes.colours == COLOURS
    with rasterio.open(scenes.path / "truth.tif") as file:
        np.testing.assert_array_equal(file.read(1), scenes.truth)
        assert file.dtypes[0] == "uint8"
        assert [file.tags(1)[f"CLASS_{code}"] for code in range(len(CLASSES))] == list(CLASSES)
        assert [file.colormap(1)[code][:3] for code in range(len(CLASSES))] == list(COLOURS)
        assert tuple(file.transform)[:6] == WINDOW.grid.transform


def test_scenes_appear_whole_or_not_at_all(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path / "sim", WINDOW, 2021, s2_dates=3, s1_dates=0, progress=stop)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "sim").mkdir()
    with pytest.raises(InputError, match="sim exists; expected a new path"):
        simulate(tmp_path / "sim", WINDOW, 2021)


def test_dates_can_be_given() -> None:
    days = [dt.date(2024, 7, 1), dt.date(2024, 2, 29)]
    cube, _ = simulate_cube(Window(31, 65_536, 561_152, 24, 24), 2024, s2_dates=0, s1_dates=(days, []))
    assert cube.s1_asc_doy.tolist() == [60, 183]
    assert (cube.s1_desc.shape, cube.s2.shape) == ((0, 24, 24, 2), (0, 24, 24, 10))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"s2_dates": 1000}, "s2_dates 1000; expected 0 to"),
        ({"s2_dates": -1}, "s2_dates -1; expected 0 to"),
        ({"s2_dates": [dt.date(2020, 1, 1)]}, "s2_dates holds a date twice or outside 2021"),
        ({"s1_dates": ([dt.date(2021, 1, 1)] * 2, [])}, "ascending s1_dates holds a date twice"),
        ({"s1_dates": ([],)}, "expected a number or"),
        ({"seed": -1}, "seed -1; expected a whole number from 0"),
    ],
)
def test_what_cannot_be_simulated(tmp_path: Path, given: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        simulate(tmp_path / "sim", Window(31, 65_536, 561_152, 16, 16), 2021, **given)  # type: ignore[arg-type]


# Whether it looks like the Earth.


def test_every_class_is_there_and_fields_are_fields(world: tuple[PixelCube, np.ndarray]) -> None:
    _, truth = world
    share = np.bincount(truth.ravel(), minlength=len(CLASSES)) / truth.size
    assert (share > 0.005).all()
    assert share.max() < 0.5
    same = (truth[:, 1:] == truth[:, :-1]).mean()
    assert 0.8 < same < 0.98


def test_statistics_are_near_the_published_ones(world: tuple[PixelCube, np.ndarray]) -> None:
    cube, _ = world
    clear = np.asarray(cube.s2_mask).astype(bool)
    assert 0.3 < clear.mean() < 0.95
    # Clear lowland in north-western Europe, as monthly composites of Belgium show it.
    for band, mean in enumerate((780, 520, 790, 2870, 3000, 1230, 2300, 2700, 2080, 1400)):
        assert np.asarray(cube.s2)[clear][:, band].mean() == pytest.approx(mean, rel=0.25)
    for stack in (cube.s1_asc, cube.s1_desc):
        for band, (mean, deviation) in enumerate(((5909, 1507), (3405, 1531))):
            values = np.asarray(stack)[..., band]
            assert values[values > 0].mean() == pytest.approx(mean, abs=500)
            assert 0.5 * deviation < values[values > 0].std() < 1.3 * deviation


def test_seasons_turn(world: tuple[PixelCube, np.ndarray]) -> None:
    cube, truth = world
    s2 = np.where(np.asarray(cube.s2_mask)[..., None] == 1, np.asarray(cube.s2).astype(float), np.nan)
    index = (s2[..., 3] - s2[..., 0]) / (s2[..., 3] + s2[..., 0])

    def greenness(name: str, first: int, last: int) -> float:
        days = (cube.s2_doy >= first) & (cube.s2_doy <= last)
        return float(np.nanmedian(index[days][:, truth == CLASSES.index(name)]))

    assert greenness("winter wheat", 110, 165) > greenness("winter wheat", 205, 250) + 0.2
    assert greenness("maize", 205, 250) > greenness("maize", 110, 165) + 0.2
    assert greenness("deciduous forest", 150, 270) > greenness("deciduous forest", 1, 80) + 0.2
    assert abs(greenness("conifer forest", 150, 270) - greenness("conifer forest", 1, 80)) < 0.15
    assert greenness("water", 1, 365) < 0.1
    assert greenness("bare soil", 1, 365) < 0.4


def test_speckle_has_about_five_looks(world: tuple[PixelCube, np.ndarray]) -> None:
    cube, truth = world
    conifer = truth == CLASSES.index("conifer forest")
    power = 10 ** ((np.asarray(cube.s1_asc)[:, conifer, 0] / 200 - 50) / 20)
    power[np.asarray(cube.s1_asc)[:, conifer, 0] == 0] = np.nan
    looks = np.nanmean(power, axis=0) ** 2 / np.nanvar(power, axis=0)
    assert 3.5 < np.median(looks) < 7


def test_one_date_does_not_tell_maize_from_beet(world: tuple[PixelCube, np.ndarray]) -> None:
    cube, truth = world
    summer = int(np.argmax(np.asarray(cube.s2_mask).mean((1, 2)) * ((cube.s2_doy > 60) & (cube.s2_doy < 140))))
    seen = np.asarray(cube.s2_mask)[summer] == 1
    maize = np.asarray(cube.s2)[summer][seen & (truth == CLASSES.index("maize"))].astype(float)
    beet = np.asarray(cube.s2)[summer][seen & (truth == CLASSES.index("sugar beet"))].astype(float)
    distance = np.abs(maize.mean(0) - beet.mean(0)) / np.sqrt((maize.var(0) + beet.var(0)) / 2)
    assert (distance < 1.5).all()
