"""Windows of embeddings around labels, for learners that look at the neighbours of a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError
from tessera.embeddings import CodedVectors, StackedVectors, is_valid
from tessera.geo import EAST, NORTH, PIXEL_SIZE, SOUTH, WEST, Window, points_in_zones, to_lonlat, zones_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .source import EmbeddingSource

    Inputs = Sequence[tuple[EmbeddingSource, int, int | None]]

CHIP, CORE = 96, 64
"""Pixels of a side of a window, and of the square in its middle whose labels it is read for."""
_LOWEST, _HIGHEST = -80, 84
"""Degrees of latitude that UTM zones reach."""
_MOST_BYTES = 2 * 1024**3
"""Codes of all windows of a fit, at most."""


@dataclass(frozen=True, repr=False)
class ChipVectors(StackedVectors):
    """The vectors of N labelled pixels, and the windows in which they lie.

    An index chooses labels; the windows stay as they are. So a part of the labels is learnt from while others of the
    same window stay unseen.

    Attributes
    ----------
    parts : (N, D) codes of each input at the labelled pixels
    windows : (C, S, S, D) codes of each input
    chip, row, col : (N,) int64, the window of each label and its place there
    """

    windows: StackedVectors
    chip: NDArray[np.int64]
    row: NDArray[np.int64]
    col: NDArray[np.int64]

    def __getitem__(self, index: Any) -> ChipVectors:
        parts = tuple(part[index] for part in self.parts)
        return ChipVectors(parts, self.windows, self.chip[index], self.row[index], self.col[index])

    def reshape(self, *shape: int) -> StackedVectors:
        return self if shape in ((-1,), self.shape) else super().reshape(*shape)


def read_chips(inputs: Inputs, lonlat: NDArray[np.float64]) -> ChipVectors:
    """Read the windows around labelled places.

    Windows have 96 x 96 pixels and lie 64 pixels apart on the lattice, so that each label has at least 16 pixels around
    it in the window that it belongs to.

    Parameters
    ----------
    inputs : stores, with a year and dims each (None: all)
    lonlat : (N, 2) degrees

    Raises
    ------
    InputError
        The labels lie in more windows than memory may hold.
    """
    places = np.zeros((len(lonlat), 3), dtype=np.int64)
    for zone, index, px, py in points_in_zones(lonlat):
        places[index] = np.column_stack([np.full(len(px), zone), px, py])
    found, chip = np.unique(np.column_stack([places[:, 0], places[:, 1:] // CORE]), axis=0, return_inverse=True)
    chip = chip.reshape(-1).astype(np.int64)
    size = len(found) * CHIP**2 * sum(dims or store.dims for store, _, dims in inputs)
    if size > _MOST_BYTES:
        raise InputError(
            f"labels in {len(found):,} windows of {CHIP} x {CHIP} pixels, {size / 1e9:.1f} GB; expected at most "
            f"{_MOST_BYTES / 1e9:.1f} GB: fewer places, or fewer dims"
        )
    edge = (CHIP - CORE) // 2
    read = [
        _read(inputs, int(zone), int(col) * CORE - edge, (int(row) + 1) * CORE + edge, CHIP, CHIP)
        for zone, col, row in found
    ]
    windows = StackedVectors(
        tuple(
            CodedVectors(
                np.stack([one.parts[at].codes for one in read]), np.stack([one.parts[at].scales for one in read])
            )
            for at in range(len(inputs))
        )
    )
    col = places[:, 1] - found[chip, 1] * CORE + edge
    row = (found[chip, 2] + 1) * CORE + edge - 1 - places[:, 2]
    own = tuple(part[chip, row, col] for part in windows.parts)
    return ChipVectors(own, windows, chip, row, col)


def read_around(inputs: Inputs, window: Window, margin: int, *, across: bool = True) -> StackedVectors:
    """Read a window and `margin` pixels on each side of it: (H + 2 margin, W + 2 margin).

    Pixels that lie in another UTM zone are those of that zone, the nearest to each.

    Parameters
    ----------
    inputs : as of `read_chips`
    across : False: read the window's zone alone
    """
    west, north = window.west - margin, window.north + margin
    sides = window.width + 2 * margin, window.height + 2 * margin
    return _read(inputs, window.zone, west, north, *sides, across=across)


def _read(
    inputs: Inputs, zone: int, west: int, north: int, width: int, height: int, *, across: bool = True
) -> StackedVectors:
    """What the inputs hold on a rectangle, which may reach beyond the lattice."""
    left, right = max(west, WEST), min(west + width, EAST)
    top, bottom = min(north, NORTH), max(north - height, SOUTH)
    parts = []
    for store, year, dims in inputs:
        codes = np.zeros((height, width, dims or store.dims), dtype=np.int8)
        scales = np.full((height, width), np.nan, dtype=np.float32)
        if left < right and bottom < top:
            inside = Window(zone, left, top, right - left, top - bottom)
            row, cols = north - top, slice(left - west, right - west)
            for strip in store.iter_codes(inside, year, dims=dims):
                rows = slice(row, row + len(strip))
                codes[rows, cols], scales[rows, cols] = strip.codes, strip.scales
                row += len(strip)
            if across:
                box = slice(north - top, north - bottom), cols
                _cross(store, year, dims, inside, codes[box], scales[box])
        parts.append(CodedVectors(codes, scales))
    return StackedVectors(tuple(parts))


def _cross(
    store: EmbeddingSource,
    year: int,
    dims: int | None,
    window: Window,
    codes: NDArray[np.int8],
    scales: NDArray[np.float32],
) -> None:
    """Fill in what a store holds in other zones: of pixels that lie there, and of others without data beside them."""
    x = (np.arange(window.west, window.east) + 0.5) * PIXEL_SIZE
    y = (window.north - np.arange(window.height) - 0.5) * PIXEL_SIZE
    sides, _ = to_lonlat(np.repeat(x[[0, -1]], len(y)), np.tile(y, 2), window.zone)
    if (zones_of(sides) == window.zone).all():
        return
    xx, yy = np.meshgrid(x, y)
    lon, lat = to_lonlat(xx, yy, window.zone)
    wanted = ((zones_of(lon) != window.zone) | ~is_valid(scales)) & (lat >= _LOWEST) & (lat <= _HIGHEST)
    if not wanted.any():
        return
    found = store.sample_codes(np.column_stack([lon[wanted], lat[wanted]]), year, dims)
    good = is_valid(found.scales)
    rows, cols = (index[good] for index in np.nonzero(wanted))
    codes[rows, cols], scales[rows, cols] = found.codes[good], found.scales[good]
