"""Real pixels in each provider's layout come back: every pixel, mask and date."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from real_build import build, published_recipe
from real_expected import BANDS, clear, cut, finer, reflectance, rounded, scaled
from real_layouts import OFFSET, Shelf, with_offset
from real_pixels import COARSE, FINE, Ground, autumn, belgium, dated, sahara

from tessera.cubes import S2_BANDS, PixelCube
from tessera.geo import Window

GROUNDS: dict[str, Callable[[Path], Ground]] = {
    "belgium": belgium,
    "dated": dated,
    "autumn": autumn,
    "sahara": sahara,
}


def inner(ground: Ground) -> Window:
    """A window off the grid of 20 m, inside the ground."""
    whole = ground.window
    return Window(whole.zone, whole.west + 7, whole.north - 5, whole.width - 16, whole.height - 12)


def check_optical(cube: PixelCube, ground: Ground, window: Window, year: int) -> int:
    """Compare with the pixels themselves; returns how many clear ones there were."""
    dates = [date for date, moment in enumerate(ground.moments) if moment.year == year]
    expected = [(date, cut(clear(ground, date), ground, window)) for date in dates]
    kept = [(date, mask) for date, mask in expected if mask.any()]
    assert cube.s2_doy.tolist() == [ground.moments[date].timetuple().tm_yday for date, _ in kept]
    assert cube.provenance["s2_dates"] == [ground.moments[date].date().isoformat() for date, _ in kept]
    masks, stack = np.asarray(cube.s2_mask[:]), np.asarray(cube.s2[:])
    for place, (date, mask) in enumerate(kept):
        np.testing.assert_array_equal(masks[place], mask)
        image = np.where(mask[..., None], cut(reflectance(ground, date), ground, window), 0)
        for number, band in enumerate(S2_BANDS):
            np.testing.assert_array_equal(stack[place, ..., number], image[..., number], err_msg=f"{date} {band}")
    return int(masks.sum())


def check_radar(cube: PixelCube, ground: Ground, window: Window, year: int) -> None:
    for orbit, stack, doy in (
        ("ascending", cube.s1_asc, cube.s1_asc_doy),
        ("descending", cube.s1_desc, cube.s1_desc_doy),
    ):
        wanted = [seen for seen in ground.passes if seen.orbit == orbit and seen.moment.year == year]
        assert doy.tolist() == [seen.moment.timetuple().tm_yday for seen in wanted]
        for place, seen in enumerate(wanted):
            for number, image in enumerate((seen.vv, seen.vh)):
                whole = scaled(image, ground.window.shape)
                np.testing.assert_array_equal(np.asarray(stack[place])[..., number], cut(whole, ground, window))


def test_band_orders_agree() -> None:
    assert BANDS == S2_BANDS


def test_places_lie_on_the_lattice_and_hold_what_they_say(shared: Path) -> None:
    grounds = {name: read(shared) for name, read in GROUNDS.items()}
    assert [len(ground.moments) for ground in grounds.values()] == [12, 12, 19, 1]
    for ground in grounds.values():
        # corners also on the 20 m grid of Sentinel-2
        assert ground.window.west % 2 == ground.window.north % 2 == 0
        assert {band: image.shape[1:] for band, image in ground.bands.items()} == {
            **dict.fromkeys(FINE, ground.window.shape),
            **dict.fromkeys(COARSE, ground.scl.shape[1:]),
        }
        # no two bands are alike, so that exchanged bands are seen
        images = [ground.bands[band] for band in COARSE]
        assert not any(np.array_equal(a, b) for place, a in enumerate(images) for b in images[:place])
        clear_share = np.isin(ground.scl, (4, 5, 6, 7, 10, 11)).mean()
        assert 0.1 < clear_share <= 1


@pytest.fixture(scope="module")
def shelves(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], tuple[Shelf, Ground]]:
    """A place in the layout of a provider, written once."""
    made: dict[tuple[str, str], tuple[Shelf, Ground]] = {}

    def write(provider: str, name: str) -> tuple[Shelf, Ground]:
        if (provider, name) in made:
            return made[provider, name]
        ground, shelf = GROUNDS[name](shared), Shelf(tmp_path_factory.mktemp(f"{provider}-{name}"))
        for date in range(len(ground.moments)):
            if provider == "planetary":
                # reprocessed products of any year carry the offset
                shelf.planetary_s2(ground, date, baseline=("02.14", "05.00", "05.09")[date % 3])
            else:
                baseline = "02.14" if name == "sahara" else ("05.00", "03.01")[date % 2]
                # its note on the offset is not always right; the bucket tells
                shelf.earth_search(ground, date, baseline=baseline, applied=None if date % 4 else False)
        for number, seen in enumerate(ground.passes if provider == "planetary" else ()):
            shelf.planetary_s1(ground, seen, number=number)
        made[provider, name] = shelf, ground
        return shelf, ground

    return write


@pytest.mark.parametrize(("name", "year"), [("belgium", 2020), ("belgium", 2021), ("dated", 2023), ("autumn", 2023)])
def test_planetary_computer_gives_back_every_pixel(
    shelves: Callable[[str, str], tuple[Shelf, Ground]], name: str, year: int
) -> None:
    shelf, ground = shelves("planetary", name)
    for window in (ground.window, inner(ground)):
        cube = build(shelf, window, year)
        assert check_optical(cube, ground, window, year) > 500
        check_radar(cube, ground, window, year)


@pytest.mark.parametrize(("name", "year"), [("belgium", 2021), ("autumn", 2023), ("sahara", 2020)])
def test_earth_search_gives_back_every_pixel(
    shelves: Callable[[str, str], tuple[Shelf, Ground]], name: str, year: int
) -> None:
    shelf, ground = shelves("earth-search", name)
    for window in (ground.window, inner(ground)):
        assert check_optical(build(shelf, window, year), ground, window, year) > 500


def test_the_layouts_are_those_of_the_providers(shelves: Callable[[str, str], tuple[Shelf, Ground]]) -> None:
    rasterio = pytest.importorskip("rasterio")
    kinds = {"planetary": ("B04", "B05", "SCL"), "earth-search": ("red", "rededge1", "scl")}
    for provider, keys in kinds.items():
        shelf, ground = shelves(provider, "belgium")
        item = shelf.written[0]
        with rasterio.open(shelf.file_of(item["assets"][keys[0]]["href"])) as file:
            about = file.tags(ns="IMAGE_STRUCTURE")
            assert (about["LAYOUT"], about["COMPRESSION"], about["PREDICTOR"]) == ("COG", "DEFLATE", "2")
            assert (file.block_shapes, file.overviews(1), file.res) == ([(32, 32)], [2, 4], (10.0, 10.0))
            assert file.bounds == ground.window.bounds
        for key in keys[1:]:
            with rasterio.open(shelf.file_of(item["assets"][key]["href"])) as file:
                assert (file.shape, file.res) == (ground.scl.shape[1:], (20.0, 20.0))
    radar = next(item for item in shelves("planetary", "belgium")[0].written if item["collection"] == "sentinel-1-rtc")
    with rasterio.open(shelves("planetary", "belgium")[0].file_of(radar["assets"]["vv"]["href"])) as file:
        assert (file.dtypes, file.nodata, file.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"]) == (("float32",), -32768.0, "3")


def test_a_pass_without_vh_keeps_its_vv(shared: Path, tmp_path: Path) -> None:
    import dataclasses

    if published_recipe() is None:
        pytest.skip("build_cube does not take a pass of one polarisation yet")
    ground = dated(shared)
    passes = [
        dataclasses.replace(seen, vh=None if number == 2 else seen.vh) for number, seen in enumerate(ground.passes)
    ]
    ground = dataclasses.replace(ground, passes=tuple(passes))
    shelf = Shelf(tmp_path)
    shelf.planetary_s2(ground, 2)
    for number, seen in enumerate(passes):
        shelf.planetary_s1(ground, seen, number=number)
    cube = build(shelf, ground.window, 2023)
    check_radar(cube, ground, ground.window, 2023)
    assert not np.asarray(cube.s1_asc[1])[..., 1].any()
    assert np.asarray(cube.s1_asc[1])[..., 0].all()


def test_bursts_of_30_m_come_back_bilinear(shared: Path, tmp_path: Path) -> None:
    if published_recipe() is None:
        pytest.skip("build_cube does not read OPERA's bursts yet")
    ground = dated(shared)
    shelf = Shelf(tmp_path)
    shelf.planetary_s2(ground, 2)
    for seen in ground.passes:
        shelf.opera(ground, seen)
    cube = build(shelf, ground.window, 2023)
    for orbit, stack in (("ascending", cube.s1_asc), ("descending", cube.s1_desc)):
        wanted = [seen for seen in ground.passes if seen.orbit == orbit]
        assert stack.shape[0] == len(wanted) == 5
        for place, seen in enumerate(wanted):
            for number, image in enumerate((seen.vv, seen.vh)):
                assert image is not None
                fine = finer(image[1::3, 1::3], 3, missing=None).astype(np.float32)
                expected = scaled(fine, fine.shape)
                got = np.asarray(stack[place])[: fine.shape[0], : fine.shape[1], number]
                # a float32 between two numbers may fall to either side
                assert np.abs(got.astype(int) - expected).max() <= 1
                assert (got == expected).mean() > 0.995


def test_radar_numbers_are_the_decibels_of_the_source(shared: Path) -> None:
    # dB = 20 log10(DN) - 83 and the number is (2 dB + 50) * 200, whatever was between
    xarray = pytest.importorskip("xarray")
    data = xarray.open_dataset(shared / "data/dated_cdse/results_cdse_sentinel1_grd.nc", mask_and_scale=False)
    numbers = data["S1-SIGMA0-VV"].values.astype(np.uint16).astype(np.float64)
    expected = np.clip((2 * (20 * np.log10(numbers) - 83) + 50) * 200, 0, 32767)
    found = np.stack([scaled(seen.vv, (66, 64)) for seen in dated(shared).passes])
    assert np.abs(found - np.floor(expected)).max() <= 1
    assert (found == np.floor(expected)).mean() > 0.999


def test_a_pair_of_baselines_holds_the_same_ground(shared: Path, tmp_path: Path) -> None:
    ground = autumn(shared)
    date = max(range(19), key=lambda date: int(clear(ground, date).sum()))
    one = ground.only(date)
    shelves = {}
    for baseline in ("02.14", "05.00"):
        shelves[baseline] = Shelf(tmp_path / baseline)
        shelves[baseline].planetary_s2(one, 0, baseline=baseline)
    both = Shelf(tmp_path / "both")
    both.planetary_s2(one, 0, baseline="02.14", made="20231005T000000")
    both.planetary_s2(one, 0, baseline="05.00", made="20240301T000000")
    files = {name: shelf.file_of(shelf.written[0]["assets"]["B04"]["href"]) for name, shelf in shelves.items()}
    assert files["02.14"].read_bytes() != files["05.00"].read_bytes()
    for shelf in (*shelves.values(), both):
        assert check_optical(build(shelf, one.window, 2023), one, one.window, 2023) > 500


def test_dark_pixels_are_not_missing(shared: Path, tmp_path: Path) -> None:
    import dataclasses

    one = dated(shared).only(1)
    fine = one.bands["B04"].copy()
    fine[0, 0, :6] = [0, 1, 2, 3, 4, 5]
    dark = dataclasses.replace(one, bands=one.bands | {"B04": fine}, scl=np.full_like(one.scl, 5))
    shelf = Shelf(tmp_path)
    shelf.planetary_s2(dark, 0, baseline="05.00")
    cube = build(shelf, dark.window, 2023)
    assert np.asarray(cube.s2)[0, 0, :6, S2_BANDS.index("B04")].tolist() == [0, 1, 2, 3, 4, 5]
    assert check_optical(cube, dark, dark.window, 2023) == dark.window.width * dark.window.height


class TestExpectations:
    """What the other tests rest on, by hand."""

    def test_bilinear(self) -> None:
        image = np.array([[100, 200], [300, 500]], dtype=np.uint16)
        fine = finer(image, 2)
        assert fine[0].tolist() == [100, 125, 175, 200]
        assert fine[1, 1] == (9 * 100 + 3 * 200 + 3 * 300 + 500) / 16
        hole = finer(np.array([[0, 200], [300, 500]], dtype=np.uint16), 2)
        assert hole[1, 1] == (3 * 200 + 3 * 300 + 500) / 7
        assert finer(np.array([[0, 200]], dtype=np.uint16), 2)[0].tolist() == [0, 200, 200, 200]
        thirds = finer(np.array([[3.0, 6.0]]), 3)
        np.testing.assert_allclose(thirds[0], [3, 3, 4, 5, 6, 6])

    def test_rounding(self) -> None:
        assert rounded(np.array([1.49, 1.5, 2.5])).tolist() == [1, 2, 3]

    def test_scaling(self) -> None:
        assert scaled(np.array([[0.0743, 0, np.nan, 1e-3]], np.float32), (1, 4)).tolist() == [[5483, 0, 0, 0]]
        assert not scaled(None, (2, 2)).any()

    def test_offset(self) -> None:
        assert with_offset(np.array([0, 1, 2500], np.uint16)).tolist() == [0, 1 + OFFSET, 2500 + OFFSET]
