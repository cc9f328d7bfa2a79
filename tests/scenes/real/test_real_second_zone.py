"""A second MGRS tile of the same day, in the next UTM zone, with its own real pixels."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import numpy as np
import pyproj
import pytest
from numpy.typing import NDArray
from real_build import build
from real_expected import CLEAR, clear, reflectance
from real_layouts import Shelf
from real_pixels import FINE, Ground, belgium, dated

from tessera.cubes import S2_BANDS
from tessera.geo import Window

SLACK = 0.13
"""Source pixels that a reader's way between projections may be off: GDAL's own tolerance is 0.125."""


def half_a_tile(shared: Path) -> Ground:
    """A clear day whose eastern part lies outside the swath."""
    one = dated(shared).only(1)
    assert clear(one, 0).all()
    scl = one.scl.copy()
    scl[:, :, 18:] = 0
    scl[:, 3:7, 3:9] = 9
    bands = {band: image.copy() for band, image in one.bands.items()}
    for band, image in bands.items():
        image[..., 18 * (2 if band in FINE else 1) :] = 0
    return dataclasses.replace(one, bands=bands, scl=scl)


def in_next_zone(shared: Path, like: Ground) -> Ground:
    """Pixels of Belgium's farmland laid over the same place on the grid of zone 32."""
    one = belgium(shared).only(10)
    left, bottom, right, top = like.window.bounds
    to_next = pyproj.Transformer.from_crs(32631, 32632, always_xy=True)
    x, y = to_next.transform((left + right) / 2, (bottom + top) / 2)
    west, north = (int(x) // 20 - 25) * 2, (int(y) // 20 + 25) * 2
    scl = one.scl.copy()
    scl[0, :4] = 8
    return dataclasses.replace(
        one, tile="32UKB", window=Window(32, west, north, 100, 100), moments=like.moments, scl=scl
    )


def places(window: Window, other: Window, side: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and columns, in pixels of another zone's grid, of the centres of a window's pixels; whole = pixel centre."""
    left, _, _, top = window.bounds
    x = left + 10 * (np.arange(window.width) + 0.5)
    y = top - 10 * (np.arange(window.height) + 0.5)
    to_other = pyproj.Transformer.from_crs(32600 + window.zone, 32600 + other.zone, always_xy=True)
    xs, ys = to_other.transform(*np.meshgrid(x, y))
    return (other.bounds[3] - ys) / side - 0.5, (xs - other.bounds[0]) / side - 0.5


def bilinear(image: NDArray[np.uint16], rows: NDArray[np.float64], cols: NDArray[np.float64]) -> NDArray[np.float64]:
    row, col = np.floor(rows).astype(int), np.floor(cols).astype(int)
    down, right = rows - row, cols - col
    value = image.astype(np.float64)
    return np.asarray(
        value[row, col] * (1 - down) * (1 - right)
        + value[row, col + 1] * (1 - down) * right
        + value[row + 1, col] * down * (1 - right)
        + value[row + 1, col + 1] * down * right
    )


def around(rows: NDArray[np.float64], cols: NDArray[np.float64]) -> list[tuple[NDArray[np.float64], ...]]:
    """The place itself, and the places that a reader may take it for."""
    steps = (0.0, -SLACK, -SLACK / 2, SLACK / 2, SLACK)
    return [(rows + down, cols + right) for down in steps for right in steps]


def nearest(image: NDArray[np.integer], place: tuple[NDArray[np.float64], ...]) -> NDArray[np.integer]:
    rows, cols = (np.floor(part + 0.5).astype(int) for part in place)
    return np.asarray(image[rows, cols])


@pytest.mark.parametrize("clearer", ["here", "next"])
def test_a_tile_of_the_next_zone_fills_what_the_first_lacks(shared: Path, tmp_path: Path, clearer: str) -> None:
    first = half_a_tile(shared)
    second = in_next_zone(shared, first)
    shelf = Shelf(tmp_path)
    shelf.planetary_s2(second, 0, cloud_cover=10.0 if clearer == "next" else 30.0)
    shelf.planetary_s2(first, 0, cloud_cover=20.0)
    cube = build(shelf, first.window, 2023)
    assert cube.s2_doy.tolist() == [dt.date(2023, 4, 5).timetuple().tm_yday]
    mask, stack = np.asarray(cube.s2_mask[:])[0].astype(bool), np.asarray(cube.s2[:])[0]

    mine = clear(first, 0)
    spots = around(*places(first.window, second.window, 20))
    kinds = np.stack([np.isin(nearest(second.scl[0], spot), CLEAR) for spot in spots])
    surely, maybe = kinds.all(axis=0), kinds.any(axis=0)
    assert (surely & ~mine).sum() > 800
    assert (~maybe).sum() > 50
    assert (maybe & ~surely).sum() < 0.25 * mask.size
    assert mask[mine | surely].all()
    assert not mask[~mine & ~maybe].any()
    assert not stack[~mask].any()

    from_first = mine if clearer == "here" else mine & ~maybe
    np.testing.assert_array_equal(stack[from_first], reflectance(first, 0)[from_first])
    from_second = mask & ~mine if clearer == "here" else surely
    for number, band in enumerate(S2_BANDS):
        image = second.bands[band][0]
        got = stack[..., number].astype(np.float64)
        if band in FINE:
            candidates = np.stack([nearest(image, at) for at in around(*places(first.window, second.window, 10))])
            assert (candidates == got).any(axis=0)[from_second].all(), band
            certain = (candidates == candidates[0]).all(axis=0) & from_second
            assert certain.sum() > 0.4 * from_second.sum()
            np.testing.assert_array_equal(got[certain], candidates[0][certain])
        else:
            values = np.stack([bilinear(image, *at) for at in spots])
            low, high = np.floor(values.min(axis=0) + 0.5), np.floor(values.max(axis=0) + 0.5)
            assert ((got >= low) & (got <= high))[from_second].all(), band
