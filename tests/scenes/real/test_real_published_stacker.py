"""The published preprocessing, restated: by hand on small cases, then against ours on real pixels."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from published_stacker import CHANNELS, DPixel, Roi, Settings, amplitude, harmonise, merge, stack
from real_build import build, published_recipe
from real_layouts import Shelf, write_cog
from real_pixels import COARSE, FINE, Ground, Pass, belgium, dated
from test_real_second_zone import half_a_tile, in_next_zone

from tessera.geo import Window


def roi_of(window: Window) -> Roi:
    left, _, _, top = window.bounds
    return Roi(32600 + window.zone, left, top, window.height, window.width)


def stacked(shelf: Shelf, window: Window, settings: Settings | None = None, year: int | None = None) -> DPixel:
    items = [item for item in shelf.written if year in (None, int(item["properties"]["datetime"][:4]))]
    return stack(items, shelf.file_of, roi_of(window), settings)


SMALL = Window(31, 66_400, 561_200, 4, 4)
"""GDAL takes bilinear for nearest where a file has but one row, so these have two of 20 m."""


def small(scl: list[int], moment: str = "2021-06-01T10:50:31", value: int = 2000) -> Ground:
    """Two 20 m classes side by side; band number `b` holds value + 100 * b everywhere."""
    names = (*FINE, *COARSE)
    shapes = {band: (1, 4, 4) if band in FINE else (1, 2, 2) for band in names}
    bands = {band: np.full(shapes[band], value + 100 * place, np.uint16) for place, band in enumerate(names)}
    when = dt.datetime.fromisoformat(moment).replace(tzinfo=dt.UTC)
    return Ground("31UFS", SMALL, (when,), bands, np.array([[scl, scl]], dtype=np.uint8))


class TestByHand:
    def test_harmonise_goes_by_the_date_alone(self) -> None:
        numbers = np.array([0, 1, 999, 1000, 1001, 2500])
        assert harmonise(numbers, "2022-01-25").tolist() == numbers.tolist()
        assert harmonise(numbers, "2022-01-26").tolist() == [0, 1, 999, 0, 1, 1500]

    def test_amplitude(self) -> None:
        # -25 dB and below are 0; 10 ** (-11.29 / 10) is the mean of VV that the published statistics tell
        power = np.array([0.0743, 0.0, -1.0, np.nan, np.inf, 10**-2.5, 1.0, 1e9], dtype=np.float32)
        image, there = amplitude(power)
        assert abs(int(image[0]) - 5483) <= 2
        assert image[1:].tolist() == [0, 0, 0, 0, 0, 10_000, 32_767]
        assert there.tolist() == [True, False, False, False, False, True, True, True]

    def test_merge(self) -> None:
        one, two = np.array([[5, 0, 0]], np.int16), np.array([[8, 7, 0]], np.int16)
        assert merge([one, two], "first").tolist() == [[5, 7, 0]]
        assert merge([one, two], "mean").tolist() == [[6, 7, 0]]

    def test_the_first_item_whose_class_counts_gives_the_pixel(self, tmp_path: Path) -> None:
        shelf = Shelf(tmp_path)
        shelf.planetary_s2(small([9, 3]), 0, baseline="03.00", made="20210602T000000")
        shelf.planetary_s2(small([4, 8], value=3000), 0, baseline="03.00", made="20210603T000000")
        shelf.planetary_s2(small([5, 0], value=5000), 0, baseline="03.00", made="20210604T000000")
        found = stacked(shelf, SMALL)
        assert found.doys.tolist() == [152]
        assert found.masks[0].tolist() == [[1, 1, 0, 0]] * 4
        step = {band: 100 * place for place, band in enumerate((*FINE, *COARSE))}
        assert found.bands[0, 0, 0].tolist() == [3000 + step[band] for band in CHANNELS]
        assert not found.bands[0, :, 2:].any()

    def test_days_of_utc_and_coverage(self, tmp_path: Path) -> None:
        shelf = Shelf(tmp_path)
        for moment, scl in (
            ("2021-06-01T23:59:59", [4, 9]),
            ("2021-06-02T00:00:01", [9, 4]),
            ("2021-06-03T10:00:00", [9, 9]),
        ):
            shelf.planetary_s2(small(scl, moment), 0, baseline="03.00")
        assert stacked(shelf, SMALL).doys.tolist() == [152, 153]
        assert stacked(shelf, SMALL, Settings(s2_coverage=50)).doys.tolist() == [152, 153]
        assert stacked(shelf, SMALL, Settings(s2_coverage=50.1)).doys.tolist() == []

    def test_a_missing_polarisation_is_zero_and_thin_images_are_left_out(self, tmp_path: Path) -> None:
        moment = dt.datetime(2021, 6, 1, 17, 0, tzinfo=dt.UTC)
        full = np.full((4, 4), 0.1, np.float32)
        thin = np.full((4, 4), np.nan, np.float32)
        thin[0, 0] = 0.2
        shelf, ground = Shelf(tmp_path), small([4, 4])
        shelf.planetary_s1(ground, Pass(moment, "ascending", thin, None), number=1)
        shelf.planetary_s1(ground, Pass(moment, "ascending", full, None), number=2)
        shelf.planetary_s1(ground, Pass(moment.replace(hour=5), "descending", None, thin), number=3)
        number, other = (int((20 * np.log10(float(np.float32(value))) + 50) * 200) for value in (0.1, 0.2))
        found = stacked(shelf, SMALL)
        assert found.sar_ascending.shape == (1, 4, 4, 2)
        assert not found.sar_ascending[..., 1].any()
        assert found.sar_ascending[0, ..., 0].tolist() == [[other, number, number, number], *[[number] * 4] * 3]
        assert found.sar_descending[0, 0, 0].tolist() == [0, other]
        mean = stacked(shelf, SMALL, Settings(radar="mean"))
        assert mean.sar_ascending[0, 0, 0, 0] == (number + other) // 2
        strict = stacked(shelf, SMALL, Settings(s1_coverage=7))
        assert (strict.sar_ascending[..., 0] == number).all()
        assert strict.sar_descending.shape == (0, 4, 4, 2)
        assert strict.sar_descending_doy.tolist() == []
        assert strict.sar_ascending_doy.tolist() == [152]

    def test_aws_has_other_names_and_no_offset(self, tmp_path: Path) -> None:
        moment = dt.datetime(2023, 6, 1, 17, 0, tzinfo=dt.UTC)
        window = Window(31, 66_402, 561_199, 12, 12)
        ground = dataclasses.replace(small([4, 4], "2023-06-01T10:50:31"), window=SMALL)
        burst = dataclasses.replace(ground, window=window)
        image = np.full((12, 12), 0.1, np.float32)
        shelf = Shelf(tmp_path)
        shelf.earth_search(ground, 0)
        shelf.opera(burst, Pass(moment, "descending", image, None))
        found = stacked(shelf, SMALL, Settings(harmonise=False))
        assert found.bands[0, 0, 0, 0] == 2000 + 100 * FINE.index("B04")
        number = int((20 * np.log10(float(np.float32(0.1))) + 50) * 200)
        assert found.sar_descending_doy.tolist() == [152]
        assert found.sar_ascending_doy.tolist() == []
        assert found.sar_descending[0, :, :, 0].tolist() == [[0, 0, 0, 0], *[[0, 0, number, number]] * 3]

    def test_20_m_bands_are_bilinear_10_m_bands_as_they_are(self, tmp_path: Path) -> None:
        ground = small([4, 4])
        bands = ground.bands | {
            "B11": np.array([[[100, 200], [100, 200]]], np.uint16),
            "B04": np.arange(1, 17, dtype=np.uint16).reshape(1, 4, 4),
        }
        shelf = Shelf(tmp_path)
        shelf.planetary_s2(dataclasses.replace(ground, bands=bands), 0, baseline="03.00")
        found = stacked(shelf, SMALL).bands[0]
        assert found[0, :, CHANNELS.index("B11")].tolist() == [100, 125, 175, 200]
        assert found[..., 0].tolist() == np.arange(1, 17).reshape(4, 4).tolist()
        rough = stacked(shelf, SMALL, Settings(bands="nearest")).bands[0]
        assert rough[0, :, CHANNELS.index("B11")].tolist() == [100, 100, 200, 200]


def check_same(
    shelf: Shelf, window: Window, year: int, settings: Settings, *, radar_slack: int = 0, **changed: Any
) -> int:
    """Ours with the published settings against the restatement, value by value where its mask is 1."""
    recipe = published_recipe(**changed)
    if recipe is None:
        pytest.skip("build_cube has no recipe yet")
    theirs = stacked(shelf, window, settings, year)
    ours = build(shelf, window, year, recipe=recipe)
    assert ours.s2_doy.tolist() == theirs.doys.tolist()
    mask = theirs.masks.astype(bool)
    np.testing.assert_array_equal(np.asarray(ours.s2_mask[:]), theirs.masks)
    np.testing.assert_array_equal(np.asarray(ours.s2[:])[mask], theirs.bands[mask])
    for stack_, doy, their_stack, their_doy in (
        (ours.s1_asc, ours.s1_asc_doy, theirs.sar_ascending, theirs.sar_ascending_doy),
        (ours.s1_desc, ours.s1_desc_doy, theirs.sar_descending, theirs.sar_descending_doy),
    ):
        assert doy.tolist() == their_doy.tolist()
        assert np.abs(np.asarray(stack_[:]).astype(np.int64) - their_stack).max(initial=0) <= radar_slack
    return int(mask.sum())


@pytest.fixture(scope="module")
def real_shelf(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Shelf, Ground]:
    """Real acquisitions, copies among them, in an order that is neither of time nor of the clearest."""
    ground, other = dated(shared), belgium(shared)
    shelf = Shelf(tmp_path_factory.mktemp("published"))
    for date in (11, 3, 0, 7, 1, 2, 4, 5, 6, 8, 9, 10):
        shelf.planetary_s2(ground, date, baseline="05.00", cloud_cover=(37 * date) % 100)
    # a cloudier copy of the same acquisition, listed later, with other numbers and classes
    height, width = ground.scl.shape[1:]
    cut = {
        band: image[10:11, : height * (2 if band in FINE else 1), : width * (2 if band in FINE else 1)]
        for band, image in other.bands.items()
    }
    scl = other.scl[10:11, :height, :width]
    for date in (1, 6):
        twin = Ground("31UFS", ground.window, (ground.moments[date],), cut, scl)
        shelf.planetary_s2(twin, 0, baseline="05.09", cloud_cover=0.5, made="20240505T000000")
    for number, seen in enumerate(ground.passes):
        shelf.planetary_s1(ground, seen, number=number)
        # the next frame of the same pass overlaps, and gives what the first lacks
        after = dataclasses.replace(seen, moment=seen.moment + dt.timedelta(seconds=25))
        shelf.planetary_s1(ground, _shifted(after), number=100 + number)
    return shelf, ground


def _shifted(seen: Pass) -> Pass:
    vv, vh = (None if image is None else np.roll(image, 9, axis=0) for image in (seen.vv, seen.vh))
    assert vv is not None
    assert vh is not None
    vv[:20], vh[:20] = np.nan, np.nan
    return Pass(seen.moment, seen.orbit, vv, vh)


RESAMPLINGS = ("bilinear", "nearest", "cubic")


@pytest.mark.parametrize("how", RESAMPLINGS)
def test_ours_equals_the_published_stack_on_real_pixels(real_shelf: tuple[Shelf, Ground], how: str) -> None:
    shelf, ground = real_shelf
    whole = ground.window
    inner = Window(whole.zone, whole.west + 5, whole.north - 3, whole.width - 11, whole.height - 9)
    for window in (whole, inner):
        assert check_same(shelf, window, 2023, Settings(bands=how), fine=how, coarse=how) > 1000


@pytest.mark.parametrize("radar", ["first", "mean"])
@pytest.mark.parametrize("thresholds", [(0.01, 0.01), (5.0, 10.0), (60.0, 75.0)])
def test_ours_equals_it_with_every_threshold_and_mosaic(
    real_shelf: tuple[Shelf, Ground], radar: str, thresholds: tuple[float, float]
) -> None:
    shelf, ground = real_shelf
    s2, s1 = thresholds
    settings = Settings(radar=radar, s2_coverage=s2, s1_coverage=s1)
    changed: dict[str, Any] = {"radar_mosaic": radar, "min_coverage_s2": s2, "min_coverage_s1": s1}
    assert check_same(shelf, ground.window, 2023, settings, **changed) > 1000


def test_ours_equals_it_before_the_date_and_where_the_date_rule_is_wrong(shared: Path, tmp_path: Path) -> None:
    # products of 2021 that were processed again carry the offset, which the rule by date leaves in
    ground = belgium(shared)
    shelf = Shelf(tmp_path)
    for date in range(12):
        shelf.planetary_s2(ground, date, baseline=("05.00", "03.01")[date % 2])
    assert check_same(shelf, ground.window, 2021, Settings()) > 20_000


def test_ours_equals_it_on_aws(shared: Path, tmp_path: Path) -> None:
    # Element 84's copies have no offset to take off; OPERA's bursts are bilinear, in float32
    ground = dated(shared)
    shelf = Shelf(tmp_path)
    for date in range(12):
        shelf.earth_search(ground, date, baseline="05.09")
    for seen in ground.passes:
        shelf.opera(ground, seen)
        shelf.opera(ground, _shifted(seen), burst="T088-187402-IW2")
    assert check_same(shelf, ground.window, 2023, Settings(harmonise=False), radar_slack=1) > 10_000


@pytest.fixture
def two_zones(shared: Path, tmp_path: Path) -> tuple[Shelf, Window]:
    """A day of two tiles, the one of the next zone listed first."""
    first = half_a_tile(shared)
    shelf = Shelf(tmp_path)
    shelf.planetary_s2(in_next_zone(shared, first), 0, cloud_cover=1.0)
    shelf.planetary_s2(first, 0, cloud_cover=20.0)
    return shelf, first.window


def test_ours_equals_it_across_zones(two_zones: tuple[Shelf, Window]) -> None:
    shelf, window = two_zones
    assert check_same(shelf, window, 2023, Settings(bands="nearest"), fine="nearest", coarse="nearest") > 1000


def test_ours_is_near_it_across_zones_where_gdal_blurs(two_zones: tuple[Shelf, Window]) -> None:
    """Bilinear between grids of one size that lie askew is no rule in GDAL.

    It widens the kernel by the ratio of the two bounding boxes, which depends on the window and on the call. So 20 m
    bands, which become finer, agree to 1, and 10 m bands stay among the pixels around.
    """
    shelf, window = two_zones
    recipe = published_recipe()
    if recipe is None:
        pytest.skip("build_cube has no recipe yet")
    theirs = stacked(shelf, window)
    around = stack(shelf.written[:1], shelf.file_of, roi_of(window), Settings(bands="nearest"))
    ours = build(shelf, window, 2023, recipe=recipe)
    np.testing.assert_array_equal(np.asarray(ours.s2_mask[:]), theirs.masks)
    got, clear = np.asarray(ours.s2[:])[0].astype(np.int64), theirs.masks[0].astype(bool)
    coarse = [number for number, band in enumerate(CHANNELS) if band in COARSE]
    assert np.abs(got - theirs.bands[0])[clear][:, coarse].max() <= 1
    inside = np.lib.stride_tricks.sliding_window_view(around.masks[0].astype(bool), (5, 5)).all(axis=(2, 3))
    assert inside.sum() > 500
    for number, band in enumerate(CHANNELS):
        if band in FINE:
            near = np.lib.stride_tricks.sliding_window_view(around.bands[0, ..., number], (5, 5))[inside]
            here = got[2:-2, 2:-2, number][inside]
            assert (here >= near.min(axis=(1, 2))).all()
            assert (here <= near.max(axis=(1, 2))).all()


class TestDefaults:
    """Ours without switches: equal where no rule differs, and each difference that is meant."""

    def test_equal_where_no_rule_differs(self, shared: Path, tmp_path: Path) -> None:
        ground = dated(shared)
        shelf = Shelf(tmp_path)
        for date in range(12):
            shelf.planetary_s2(ground, date, baseline="05.09")
        for number, seen in enumerate(ground.passes):
            shelf.planetary_s1(ground, seen, number=number)
        theirs, ours = stacked(shelf, ground.window), build(shelf, ground.window, 2023)
        assert ours.s2_doy.tolist() == theirs.doys.tolist()
        np.testing.assert_array_equal(ours.s2_mask, theirs.masks)
        np.testing.assert_array_equal(ours.s2, theirs.bands)
        np.testing.assert_array_equal(ours.s1_asc, theirs.sar_ascending)
        np.testing.assert_array_equal(ours.s1_desc, theirs.sar_descending)
        assert theirs.masks.sum() > 10_000

    def test_the_offset_goes_by_baseline_not_by_date(self, shared: Path, tmp_path: Path) -> None:
        one = belgium(shared).only(10)
        shelf = Shelf(tmp_path)
        shelf.planetary_s2(one, 0, baseline="05.00")
        theirs, ours = stacked(shelf, one.window), build(shelf, one.window, 2021)
        assert one.moments[0].year == 2021
        mask = theirs.masks.astype(bool) & (theirs.bands > 0).all(axis=-1)
        assert mask.sum() > 5000
        np.testing.assert_array_equal(np.asarray(ours.s2)[mask] + 1000, theirs.bands[mask])

    def test_dark_pixels_do_not_become_bright_or_missing(self, tmp_path: Path) -> None:
        # ESA's numbers 1, 999, 1000 and 1001 of a product with the offset
        ground = small([4, 4], "2023-06-01T10:50:31")
        shelf = Shelf(tmp_path)
        shelf.planetary_s2(ground, 0, baseline="05.00")
        item = shelf.written[0]
        numbers = np.tile(np.array([1, 999, 1000, 1001], np.uint16), (4, 1))
        write_cog(shelf.file_of(item["assets"]["B04"]["href"]), numbers, SMALL, 10)
        theirs, ours = stacked(shelf, SMALL), build(shelf, SMALL, 2023)
        assert theirs.bands[0, 0, :, 0].tolist() == [1, 999, 0, 1]
        assert np.asarray(ours.s2)[0, 0, :, 0].tolist() == [1, 1, 1, 1]

    def test_the_clearest_scene_wins_whatever_the_order_of_the_catalogue(self, tmp_path: Path) -> None:
        shelf = Shelf(tmp_path)
        for value, cloud_cover, seconds in ((2000, 90.0, 0), (3000, 10.0, 15)):
            ground = small([4, 4], f"2021-06-01T10:50:{seconds:02d}", value)
            tile = dataclasses.replace(ground, tile=f"31UF{'ST'[value > 2000]}")
            shelf.planetary_s2(tile, 0, baseline="03.00", cloud_cover=cloud_cover)
        red = 100 * FINE.index("B04")
        assert (stacked(shelf, SMALL).bands[..., 0] == 2000 + red).all()
        assert (np.asarray(build(shelf, SMALL, 2021).s2)[..., 0] == 3000 + red).all()

    def test_a_day_is_a_day_of_the_sun(self, tmp_path: Path) -> None:
        # zone 60, 12 hours before UTC by the sun: one pass, cut by midnight of UTC
        window = Window(60, 50_000, 120_000, 4, 4)
        shelf = Shelf(tmp_path)
        for moment, scl in (("2021-06-01T23:59:50", [4, 9]), ("2021-06-02T00:00:10", [9, 4])):
            ground = dataclasses.replace(small(scl, moment), window=window, tile="60NXX")
            shelf.planetary_s2(ground, 0, baseline="03.00")
        assert stacked(shelf, window).doys.tolist() == [152, 153]
        ours = build(shelf, window, 2021)
        assert ours.s2_doy.tolist() == [153]
        assert np.asarray(ours.s2_mask).all()


def test_the_order_of_the_catalogue_does_not_matter_by_default(real_shelf: tuple[Shelf, Ground]) -> None:
    shelf, ground = real_shelf
    first = build(shelf, ground.window, 2023).sha256
    places = list(range(len(shelf.written)))
    for order in (places[::-1], [int(place) for place in np.random.default_rng(5).permutation(places)]):
        assert order != places
        assert build(shelf, ground.window, 2023, order=order).sha256 == first


def test_the_order_of_the_catalogue_decides_in_the_published_stack(real_shelf: tuple[Shelf, Ground]) -> None:
    # so that the test above, and the comparison, are of scenes that do overlap
    shelf, ground = real_shelf
    roi = roi_of(ground.window)
    one, other = stack(shelf.written, shelf.file_of, roi), stack(shelf.written[::-1], shelf.file_of, roi)
    assert (one.masks == other.masks).all()
    assert (one.bands != other.bands).any()
