from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rasterio.features import sieve as gdal_sieve

from tessera.base import InputError
from tessera.maps._patches import Patches, components, label
from tessera.maps._sieve import least_pixels, sieve

NODATA = 255
RASTERS = hnp.arrays(
    np.uint8,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14),
    elements=st.sampled_from([0, 1, 1, 2, NODATA]),
)


def cut(height: int, borders: list[int]) -> list[range]:
    edges = sorted({0, height, *(border % (height + 1) for border in borders)})
    return [range(one, other) for one, other in pairwise(edges)]


def by_hand(values: Any) -> Any:
    """Patches by flood fill, numbered by their first pixels."""
    out = np.full(values.shape, -1)
    count = 0
    for row, col in np.ndindex(values.shape):
        if values[row, col] == NODATA or out[row, col] >= 0:
            continue
        todo = [(row, col)]
        while todo:
            r, c = todo.pop()
            within = 0 <= r < values.shape[0] and 0 <= c < values.shape[1]
            if within and values[r, c] == values[row, col] and out[r, c] < 0:
                out[r, c] = count
                todo += [(r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)]
        count += 1
    return out


def sieve_by_hand(values: Any, least: int) -> Any:
    values = values.copy()
    while True:
        found = by_hand(values)
        sizes = np.bincount(found[found >= 0])
        wanted = {}
        for patch in np.flatnonzero(sizes < least):
            borders: dict[int, int] = {}
            for r, c in np.argwhere(found == patch):
                for y, x in ((r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)):
                    if 0 <= y < values.shape[0] and 0 <= x < values.shape[1]:
                        other = found[y, x]
                        if other >= 0 and other != patch and sizes[other] >= least:
                            borders[other] = borders.get(other, 0) + 1
            if borders:
                most = max(borders.values())
                wanted[patch] = min(values[found == k][0] for k, n in borders.items() if n == most)
        if not wanted:
            return values
        for patch, value in wanted.items():
            values[found == patch] = value


def run(values: Any, strips: list[range], least: int) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        rows = sieve(lambda part: values[part.start : part.stop], strips, values.shape[1], least, NODATA, Path(folder))
        return rows(range(values.shape[0]))


@settings(max_examples=300, deadline=None)
@given(RASTERS, st.lists(st.integers(0, 30), max_size=5))
def test_patches_are_those_of_a_flood_fill_however_the_raster_is_cut(values: Any, borders: list[int]) -> None:
    want = by_hand(values)
    np.testing.assert_array_equal(label(values, NODATA)[0], want)
    strips = cut(values.shape[0], borders)
    patches = Patches(lambda part: values[part.start : part.stop], strips, NODATA)
    keys = np.full(values.shape, -1)
    for number, rows in enumerate(strips):
        strip = patches.strip(number)
        good = strip.labels >= 0
        keys[rows.start : rows.stop][good] = strip.keys[strip.labels[good]]
        whole = want[rows.start : rows.stop][good]
        np.testing.assert_array_equal(strip.sizes[strip.labels[good]], np.bincount(want[want >= 0])[whole])
        np.testing.assert_array_equal(strip.classes[strip.labels[good]], strip.values[good])
    # the same patches in the same order, under numbers of their own
    found = np.unique(keys[keys >= 0], return_inverse=True)[1]
    np.testing.assert_array_equal(found, want[want >= 0])


@settings(max_examples=300, deadline=None)
@given(RASTERS, st.lists(st.integers(0, 30), max_size=5), st.integers(0, 12))
def test_the_sieve_does_what_it_says_however_the_raster_is_cut(values: Any, borders: list[int], least: int) -> None:
    found = run(values, cut(values.shape[0], borders), least)
    np.testing.assert_array_equal(found, sieve_by_hand(values, least))
    np.testing.assert_array_equal(found == NODATA, values == NODATA)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.lists(st.integers(0, 60), max_size=5))
def test_like_gdal_where_each_small_patch_has_one_neighbour(seed: int, size: int, borders: list[int]) -> None:
    rng = np.random.default_rng(seed)
    values = np.zeros((40, 44), dtype=np.uint8)
    values[:, 20:] = 7
    values[10:18, 30:40] = NODATA
    # patches in fields of 4 x 4 pixels, which keep a pixel apart from each other and from the border of two classes
    for row in range(0, 40, 4):
        for col in [*range(0, 20, 4), *range(21, 41, 4)]:
            height, width = rng.integers(0, 4, 2)
            inner = values[row : row + height, col : col + width]
            beside = values[max(0, row - 1) : row + height + 1, max(0, col - 1) : col + width + 1]
            if (beside != NODATA).all() and len(np.unique(values[row : row + 4, col : col + 4])) == 1:
                inner[:] = 3
    found = run(values, cut(40, borders), size)
    mask = values != NODATA
    if size > 1:
        want = gdal_sieve(values, size, mask=mask, connectivity=4)
        np.testing.assert_array_equal(found[mask], want[mask])
    np.testing.assert_array_equal(found == NODATA, ~mask)


def test_a_large_noisy_raster_in_strips_is_the_whole() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 3, (300, 280)).astype(np.uint8)
    values[:, 100:180] = 1
    values[rng.random(values.shape) < 0.02] = NODATA
    whole = run(values, [range(300)], 12)
    np.testing.assert_array_equal(whole, run(values, cut(300, [1, 2, 64, 128, 130, 299]), 12))
    assert (whole != values).mean() > 0.2


def test_chains_are_joined() -> None:
    count = 5000
    order = np.random.default_rng(1).permutation(count)
    assert (components(count, order[:-1], order[1:]) == 0).all()


@pytest.mark.parametrize(("hectares", "pixels"), [(0, 0), (0.1, 10), (0.3, 30), (0.105, 11), (1, 100), (0.07, 7)])
def test_hectares_are_pixels(hectares: float, pixels: int) -> None:
    assert least_pixels(hectares) == pixels


@pytest.mark.parametrize("hectares", [-1, float("nan"), float("inf"), "1"])
def test_a_wrong_area_is_refused(hectares: Any) -> None:
    with pytest.raises(InputError, match=r"minimum area .* ha; expected 0 to 1,000,000 hectares"):
        least_pixels(hectares)
