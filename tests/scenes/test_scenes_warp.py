"""Pixels onto the lattice: bit by bit what GDAL's warper makes of the whole file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.warp import transform
from tiff_helpers import NORTH, WEST, WINDOW, ZONE, CountedFile, by_gdal, image, tiff

from tessera.geo import Window
from tessera.net import PermanentError
from tessera.rasters import Target, fetch_crop
from tessera.rasters import warp as _warp
from tessera.rasters._georeference import Georeference
from tessera.rasters.warp import box_for

TILED: dict[str, Any] = {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"}
SOUTH = -300 * 1024
"""A cell's corner south of the equator, in pixels."""
TYPES = st.sampled_from(["uint8", "uint16", "float32"])
METHODS = st.sampled_from(["nearest", "bilinear", "cubic"])


def window(x: int, y: int, width: int, height: int, north: int = NORTH) -> Window:
    return Window(ZONE, WEST + x, north - y, width, height)


def laid(data: bytes, target: Target, resampling: str, dtype: Any, *, exactly: bool = True) -> NDArray[Any]:
    """Onto the target, from the blocks that it needs for this resampling or (not exactly) for any."""
    crop = fetch_crop(CountedFile(data), target, resampling=resampling if exactly else None)
    return crop.onto(target, resampling, str(dtype))


@pytest.fixture
def no_warper(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("GDAL's warper was asked")

    monkeypatch.setattr(_warp, "_warp", fail)


places = st.tuples(st.integers(-80, 130), st.integers(-80, 130))
sizes = st.tuples(st.integers(20, 160), st.integers(20, 160))


# --- without a warper


@pytest.mark.usefixtures("no_warper")
@given(place=places, size=sizes, dtype=TYPES, resampling=METHODS, south=st.booleans(), twin=st.booleans())
def test_the_same_grid_is_copied(
    place: tuple[int, int], size: tuple[int, int], dtype: str, resampling: str, south: bool, twin: bool
) -> None:
    north = SOUTH if south else NORTH
    pixels = image(sum(size), 90, 70, dtype)
    top = 10.0 * north + (1e7 if twin else 0)
    data = tiff(pixels, top=top, epsg=(32700 if twin else 32600) + ZONE, **TILED)
    target = Target.of(window(*place, *size, north))
    got = laid(data, target, resampling, dtype)
    np.testing.assert_array_equal(got, by_gdal(data, target, resampling))
    expected = np.zeros((400, 400), dtype)
    expected[100 : 100 + 90, 100 : 100 + 70] = pixels
    x, y = place[0] + 100, place[1] + 100
    np.testing.assert_array_equal(got, expected[y : y + size[1], x : x + size[0]])


@pytest.mark.usefixtures("no_warper")
@given(place=places, size=sizes, dtype=TYPES, exactly=st.booleans(), side=st.sampled_from([20.0, 30.0, 60.0]))
def test_nearest_repeats_larger_pixels(
    place: tuple[int, int], size: tuple[int, int], dtype: str, exactly: bool, side: float
) -> None:
    data = tiff(image(sum(size), 60, 47, dtype), side=side, **TILED)
    target = Target.of(window(*place, *size))
    got = laid(data, target, "nearest", dtype, exactly=exactly)
    # the centre of a pixel of 30 m is the centre of one of 10 m: no centre is on an edge
    np.testing.assert_array_equal(got, by_gdal(data, target, "nearest"))


@pytest.mark.usefixtures("no_warper")
@given(shift=st.tuples(st.floats(-4.9, 4.9), st.floats(-4.9, 4.9)), place=places, size=sizes)
def test_nearest_of_a_shifted_grid_is_the_nearest(
    shift: tuple[float, float], place: tuple[int, int], size: tuple[int, int]
) -> None:
    pixels = image(1, 90, 70)
    data = tiff(pixels, left=10.0 * WEST + shift[0], top=10.0 * NORTH + shift[1], **TILED)
    target = Target.of(window(*place, *size))
    got = laid(data, target, "nearest", "uint16")
    np.testing.assert_array_equal(got, by_gdal(data, target, "nearest"))
    same = laid(tiff(pixels, **TILED), target, "nearest", "uint16")
    # a shift below half a pixel changes nothing
    np.testing.assert_array_equal(got, same)


@pytest.mark.usefixtures("no_warper")
@settings(max_examples=100)
@given(
    place=places,
    size=sizes,
    dtype=st.sampled_from(["uint8", "uint16"]),
    odd=st.tuples(st.booleans(), st.booleans()),
    holes=st.sampled_from([0.0, 0.02, 0.5, 0.98]),
    twin=st.booleans(),
    exactly=st.booleans(),
    seed=st.integers(0, 9),
)
def test_bilinear_of_twice_the_side_is_gdals(
    place: tuple[int, int],
    size: tuple[int, int],
    dtype: str,
    odd: tuple[bool, bool],
    holes: float,
    twin: bool,
    exactly: bool,
    seed: int,
) -> None:
    north = SOUTH if twin else NORTH
    data = tiff(
        image(seed, 70, 81, dtype, holes),
        left=10.0 * (WEST - odd[0]),
        top=10.0 * (north + odd[1]) + (1e7 if twin else 0),
        epsg=(32700 if twin else 32600) + ZONE,
        side=20.0,
        **TILED,
    )
    target = Target.of(window(*place, *size, north))
    got = laid(data, target, "bilinear", dtype, exactly=exactly)
    expected = by_gdal(data, target, "bilinear")
    # GDAL smooths where one of its blocks of 512 x 128 pixels is cut to a few; see `lay`
    rows = size[1] if size[1] <= 128 or size[1] % 128 >= 20 else 128
    np.testing.assert_array_equal(got[:rows], expected[:rows])


@pytest.mark.usefixtures("no_warper")
@pytest.mark.parametrize("largest", [False, True])
def test_bilinear_of_a_whole_cell_is_gdals(largest: bool) -> None:
    random = np.random.default_rng(4)
    pixels = random.integers(1, 65536, (600, 620)).astype(np.uint16)
    if largest:
        pixels[random.random(pixels.shape) < 0.7] = 65535
    pixels[random.random(pixels.shape) < 0.01] = 0
    data = tiff(pixels, left=10.0 * WEST - 770, top=10.0 * NORTH + 610, side=20.0, **TILED)
    target = Target.of(window(0, 0, 1024, 1024))
    np.testing.assert_array_equal(laid(data, target, "bilinear", "uint16"), by_gdal(data, target, "bilinear"))


@pytest.mark.usefixtures("no_warper")
@given(place=places, size=st.tuples(st.integers(1, 60), st.integers(1, 60)), cut=st.integers(0, 59))
def test_bilinear_does_not_depend_on_where_the_target_ends(
    place: tuple[int, int], size: tuple[int, int], cut: int
) -> None:
    data = tiff(image(2, 40, 45), side=20.0, **TILED)
    whole = laid(data, Target.of(window(-100, -100, 300, 300)), "bilinear", "uint16")
    x, y = place
    part = laid(data, Target.of(window(x, y, *size)), "bilinear", "uint16")
    expected = whole[y + 100 : y + 100 + size[1], x + 100 : x + 100 + size[0]]
    np.testing.assert_array_equal(part, expected)


def test_bilinear_by_hand() -> None:
    pixels = np.array([[100, 200, 0], [300, 401, 0], [0, 0, 500]], np.uint16)
    data = tiff(pixels, side=20.0)
    out = laid(data, Target.of(window(0, 0, 6, 6)), "bilinear", "uint16")
    assert out[0, 0] == 100
    assert out[0, 1] == 125
    assert out[1, 1] == round((9 * 100 + 3 * 200 + 3 * 300 + 401) / 16)
    # to the right of 200 there is nothing: 3/4 and 1/4 of what is left
    assert out[1, 3] == round((9 * 200 + 3 * 401) / 12)
    assert (out[0:4, 4:6] == 0).all()
    assert (out[4:6, 0:4] == 0).all()
    assert out[5, 5] == 500
    assert out[4, 4] == round((9 * 500 + 401) / 10)


# --- through the warper


@settings(max_examples=80)
@given(
    place=places,
    size=sizes,
    dtype=TYPES,
    resampling=METHODS,
    side=st.sampled_from([7.5, 10.0, 20.0, 30.0, 45.0]),
    shift=st.tuples(st.sampled_from([0.0, 5.0, 3.3, -7.0]), st.sampled_from([0.0, 5.0, 3.3, -7.0])),
    exactly=st.booleans(),
)
def test_any_grid_of_the_zone_is_gdals(
    place: tuple[int, int],
    size: tuple[int, int],
    dtype: str,
    resampling: str,
    side: float,
    shift: tuple[float, float],
    exactly: bool,
) -> None:
    assume(size[0] % 128 >= 20 and size[1] % 128 >= 20)
    data = tiff(
        image(sum(size), 66, 71, dtype), left=10.0 * WEST + shift[0], top=10.0 * NORTH + shift[1], side=side, **TILED
    )
    target = Target.of(window(*place, *size))
    got = laid(data, target, resampling, dtype, exactly=exactly)
    np.testing.assert_array_equal(got, by_gdal(data, target, resampling))


@settings(max_examples=80)
@given(
    zone=st.sampled_from([ZONE - 1, ZONE + 1]),
    south=st.booleans(),
    twin=st.booleans(),
    place=st.tuples(st.integers(-60, 60), st.integers(-60, 60)),
    size=sizes,
    dtype=TYPES,
    resampling=METHODS,
    side=st.sampled_from([10.0, 20.0]),
    exactly=st.booleans(),
)
def test_another_zone_is_gdals(
    zone: int,
    south: bool,
    twin: bool,
    place: tuple[int, int],
    size: tuple[int, int],
    dtype: str,
    resampling: str,
    side: float,
    exactly: bool,
) -> None:
    north = SOUTH if south else NORTH
    epsg = (32700 if twin else 32600) + zone
    x, y = transform(f"EPSG:{32600 + ZONE}", f"EPSG:{epsg}", [10.0 * WEST], [10.0 * north])
    data = tiff(
        image(sum(size), 90, 95, dtype),
        left=side * (round(x[0] / side) + place[0]),
        top=side * (round(y[0] / side) + place[1]),
        side=side,
        epsg=epsg,
        **TILED,
    )
    target = Target.of(window(0, 0, *size, north))
    got = laid(data, target, resampling, dtype, exactly=exactly)
    np.testing.assert_array_equal(got, by_gdal(data, target, resampling))


@pytest.mark.parametrize("resampling", ["nearest", "bilinear"])
def test_a_whole_cell_from_another_zone_is_gdals(resampling: str) -> None:
    x, y = transform(f"EPSG:{32600 + ZONE}", f"EPSG:{32601 + ZONE}", [10.0 * WEST + 5120], [10.0 * NORTH - 5120])
    pixels = image(3, 1400, 1400)
    data = tiff(
        pixels, left=10.0 * round(x[0] / 10) - 7000, top=10.0 * round(y[0] / 10) + 7000, epsg=32601 + ZONE, **TILED
    )
    target = Target.of(window(0, 0, 1024, 1024))
    expected = by_gdal(data, target, resampling)
    assert (expected > 0).mean() > 0.9
    file = CountedFile(data)
    got = fetch_crop(file, target, resampling=resampling).onto(target, resampling, "uint16")
    np.testing.assert_array_equal(got, expected)
    assert file.bytes < 0.85 * len(data)


def test_radar_of_30_m_with_nan_and_0_for_no_data() -> None:
    power = image(5, 60, 60, "float32")
    nan = np.where(power == 0, np.nan, power).astype(np.float32)
    left, top = 10.0 * WEST - 100, 10.0 * NORTH + 200
    target = Target.of(WINDOW)
    with_nan = tiff(nan, left=left, top=top, side=30.0, nodata=float("nan"), **TILED)
    with_zero = tiff(power, left=left, top=top, side=30.0, nodata=None, **TILED)
    got = laid(with_nan, target, "bilinear", "float32")
    np.testing.assert_array_equal(got, by_gdal(with_nan, target, "bilinear", nodata=float("nan")))
    np.testing.assert_array_equal(got, laid(with_zero, target, "bilinear", "float32"))
    assert 0.8 < (got > 0).mean() < 1


def test_geographic_files_are_gdals() -> None:
    lon, lat = transform(f"EPSG:{32600 + ZONE}", "EPSG:4326", [10.0 * WEST], [10.0 * NORTH])
    side = 0.0001
    data = tiff(image(1, 200, 200), left=lon[0] - 20 * side, top=lat[0] + 20 * side, side=side, epsg=4326, **TILED)
    target = Target.of(WINDOW)
    for resampling in ("nearest", "bilinear"):
        expected = by_gdal(data, target, resampling)
        assert (expected > 0).mean() > 0.8
        np.testing.assert_array_equal(laid(data, target, resampling, "uint16"), expected)


# --- which pixels


def test_a_southern_target_is_the_same_pixels_in_both_counts() -> None:
    target = Target.of(window(0, 0, 20, 30, SOUTH))
    assert target.grid_for(32631) == target.north == ("EPSG:32631", (10.0, 0.0, 655_360.0, 0.0, -10.0, -3_072_000.0))
    assert target.grid_for(32731) == target.south == ("EPSG:32731", (10.0, 0.0, 655_360.0, 0.0, -10.0, 6_928_000.0))
    assert target.grid_for(32732) == target.north


@pytest.mark.parametrize("epsg", [32601, 32760, 32661, 3031])
def test_files_at_the_other_end_of_the_earth_are_not_touched(epsg: int) -> None:
    place = Georeference(epsg, 300_000.0, 5_000_000.0, 10.0, 10.0)
    assert box_for(Target.of(WINDOW), place, 1000, 1000, "bilinear") is None


@pytest.mark.parametrize(("epsg", "match"), [(1999, "EPSG:1999 has no way"), (5703, "EPSG:5703 is no CRS of a map")])
def test_an_unknown_crs_is_refused(epsg: int, match: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PermanentError, match=match):
        box_for(Target.of(WINDOW), Georeference(epsg, 0.0, 0.0, 10.0, 10.0), 100, 100, "nearest")
    assert capfd.readouterr().err == ""


@given(
    left=st.floats(-400, 400),
    top=st.floats(-400, 400),
    side=st.floats(3.0, 80.0),
    resampling=st.sampled_from(["nearest", "bilinear", "cubic", None]),
)
def test_the_wanted_pixels_hold_what_the_kernel_reaches(
    left: float, top: float, side: float, resampling: str | None
) -> None:
    place = Georeference(32600 + ZONE, 10.0 * WEST + left, 10.0 * NORTH - top, side, side)
    box = box_for(Target.of(WINDOW), place, 500, 500, resampling)
    reach = {"nearest": 0, "bilinear": 1, "cubic": 2, None: 2}[resampling] * max(1.0, 10 / side)
    for low, high, start, count in ((0, 2, left, 100), (1, 3, top, 90)):
        first = np.floor((5.0 - start) / side - reach + (0.5 if reach else 0))
        last = np.ceil((10.0 * count - 5.0 - start) / side + reach - (0.5 if reach else 0))
        if box is None:
            continue
        assert box[low] <= max(first, 0)
        assert box[high] >= min(last, 500)
    if -400 < left < 0 and -400 < top < 0 and side > 20:
        assert box is not None
