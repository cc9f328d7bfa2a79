from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import shapes
from test_maps_sieve import NODATA, RASTERS, by_hand, cut

from tessera.geo import Window
from tessera.maps._rings import chains_of
from tessera.maps.polygons import polygons_of


def vectorise(values: Any, strips: list[range], tolerance: float = 0.0) -> tuple[Any, ...]:
    window = Window(31, 64000, 561000, values.shape[1], values.shape[0])
    return polygons_of(lambda part: values[part.start : part.stop], strips, window, NODATA, tolerance)


def pixel_boxes(values: Any) -> Any:
    rows, cols = np.nonzero(values != NODATA)
    x, y = (64000 + cols) * 10.0, (561000 - rows) * 10.0
    return shapely.box(x, y - 10, x + 10, y)


@settings(max_examples=300, deadline=None)
@given(RASTERS, st.lists(st.integers(0, 30), max_size=5))
def test_polygons_are_the_patches_however_the_raster_is_cut(values: Any, borders: list[int]) -> None:
    found, classes, pixels, _, _ = vectorise(values, cut(values.shape[0], borders))
    patches = by_hand(values)
    count = patches.max() + 1
    assert len(found) == count
    if not count:
        return
    assert shapely.is_valid(found).all()
    assert shapely.coverage_is_valid(found)
    # in the order of first pixels; union and area of the pixels, exactly
    _, first = np.unique(patches[patches >= 0], return_index=True)
    np.testing.assert_array_equal(classes, values[patches >= 0][first])
    np.testing.assert_array_equal(pixels, np.bincount(patches[patches >= 0]))
    np.testing.assert_array_equal(shapely.area(found), pixels * 100.0)
    assert shapely.union_all(found).symmetric_difference(shapely.union_all(pixel_boxes(values))).area == 0
    # as in one piece, to the vertex
    whole = vectorise(values, [range(values.shape[0])])[0]
    assert [one.wkb for one in found] == [one.wkb for one in whole]


@settings(max_examples=150, deadline=None)
@given(RASTERS, st.sampled_from([5.0, 10.0, 25.0, 60.0]), st.lists(st.integers(0, 30), max_size=4))
def test_simplified_polygons_stay_a_coverage(values: Any, tolerance: float, borders: list[int]) -> None:
    found, _, pixels, _, _ = vectorise(values, cut(values.shape[0], borders), tolerance)
    if not len(found):
        return
    assert shapely.is_valid(found).all()
    assert not shapely.is_empty(found).any()
    assert shapely.coverage_is_valid(found)
    assert [one.wkb for one in found] == [one.wkb for one in vectorise(values, [range(values.shape[0])], tolerance)[0]]
    del pixels


def test_the_same_areas_as_gdal_and_far_fewer_vertices() -> None:
    rows, cols = np.indices((200, 240))
    values = ((np.sin(rows / 17) + np.cos(cols / 23 + rows / 40)) * 1.4 + 2).astype(np.uint8)
    values[40:60, 100:130] = NODATA
    exact, classes, pixels, _, _ = vectorise(values, cut(200, [33, 64, 150]))
    theirs = sorted(
        (int(value), shapely.geometry.shape(one).area)
        for one, value in shapes(values, mask=values != NODATA, connectivity=4)
    )
    assert sorted(zip(classes.tolist(), pixels.tolist(), strict=True)) == theirs
    smooth = vectorise(values, cut(200, [33, 64, 150]), 15.0)[0]
    assert shapely.get_num_coordinates(smooth).sum() < 0.5 * shapely.get_num_coordinates(exact).sum()
    assert shapely.coverage_is_valid(smooth)
    # holes of a patch stay holes: patches within patches do not overlap
    assert shapely.area(smooth).sum() == pytest.approx(shapely.union_all(smooth).area, rel=1e-9)
    assert (np.abs(shapely.area(smooth) - shapely.area(exact)) < 0.1 * shapely.area(exact) + 2000).all()


def test_a_patch_that_meets_itself_at_a_corner() -> None:
    values = np.array([[1, 1, 0], [1, 2, 1], [1, 1, 1]], dtype=np.uint8)
    found = vectorise(values, [range(3)])[0]
    ring = found[0]
    assert shapely.is_valid(found).all()
    assert len(ring.interiors) == 1
    assert ring.area == 700


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 40), st.randoms(use_true_random=False))
def test_chains_are_followed_in_order(count: int, draw: Any) -> None:
    numbers = list(range(count))
    draw.shuffle(numbers)
    after = np.full(count, -1, dtype=np.int64)
    start, want = 0, []
    while start < count:
        stop = min(count, start + draw.randint(1, 7))
        part = numbers[start:stop]
        after[part[:-1]] = part[1:]
        if draw.random() < 0.5:
            after[part[-1]] = part[0]
            turn = part.index(min(part))
            part = part[turn:] + part[:turn]
        want.append(part)
        start = stop
    first, order, lengths = chains_of(after)
    found = np.split(order, np.cumsum(lengths)[:-1]) if count else []
    assert sorted(part.tolist() for part in found) == sorted(want)
    assert first.tolist() == sorted(first.tolist())
