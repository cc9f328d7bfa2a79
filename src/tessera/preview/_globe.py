"""The grid of the global pyramid, in degrees, and the chunks that a cell touches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.geo import Cell

FOLDER = "global_rgb"
SIDE = 512
"""Side of a chunk, pixels, as in the published previews."""
LAST = 9
"""The coarsest level: 0.0512 degrees, 3,516 x 7,032 pixels."""
FINEST = 4
"""The level nearest to 160 m: 0.0016 degrees, 178 m along a meridian."""
_DEGREE = 10_000
"""Pixels of level 0 in a degree."""
_MARGIN = 0.01
"""Degrees: a cell's outline bends by less between the points that its bounds come from."""

ChunkIndex = tuple[int, int]
"""Row and column of a chunk."""


@dataclass(frozen=True)
class Scale:
    """One level of the pyramid; each has half the rows and columns of the one before."""

    number: int  # 0 (1e-4 degree) to 9

    @property
    def step(self) -> float:
        """Side of a pixel, degrees."""
        return float(2**self.number) / _DEGREE

    @property
    def shape(self) -> tuple[int, int]:
        """Rows (from 90 N) and columns (from 180 W): 1,800,000 x 3,600,000 at level 0, rounded up elsewhere."""
        return math.ceil(180 * _DEGREE / 2**self.number), math.ceil(360 * _DEGREE / 2**self.number)

    @property
    def columns(self) -> int:
        """Columns of chunks around the globe."""
        return math.ceil(self.shape[1] / SIDE)

    def key(self, place: ChunkIndex) -> str:
        """Key of a chunk from the store's root."""
        return f"{FOLDER}/{self.number}/rgb/c/{place[0]}/{place[1]}/0"

    def centres(self, place: ChunkIndex) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Longitudes (512,) and latitudes (512,) of a chunk's pixel centres; the last chunk reaches beyond 180 E."""
        row, col = place
        along = np.arange(SIDE, dtype=np.float64) + 0.5
        return -180 + (col * SIDE + along) * self.step, 90 - (row * SIDE + along) * self.step

    def touched(self, cell: Cell) -> set[ChunkIndex]:
        """The chunks that a cell may reach into."""
        west, south, east, north = cell.window.lonlat_bounds
        span = SIDE * self.step
        top, bottom = (90 - north - _MARGIN) / span, (90 - south + _MARGIN) / span
        rows = range(math.floor(top), math.floor(bottom) + 1)
        left, right = west + 180 - _MARGIN, (east if east >= west else east + 360) + 180 + _MARGIN
        # the last chunk is cut at 180 E, so columns do not wrap around
        pieces = [(left, min(right, 360.0))]
        if left < 0:
            pieces = [(left + 360, 360.0), (0.0, right)]
        elif right > 360:
            pieces.append((0.0, right - 360))
        found = set()
        for first, last in pieces:
            for col in range(math.floor(first / span), min(math.floor(last / span), self.columns - 1) + 1):
                found |= {(row, col) for row in rows}
        return found


def halve(children: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Means over 2 x 2 pixels, of those with data: (2h, 2w, 4) to (h, w, 4)."""
    corners = [children[down::2, right::2] for down in (0, 1) for right in (0, 1)]
    weights = [corner[..., 3] > 0 for corner in corners]
    count = np.sum(weights, axis=0, dtype=np.uint16)
    total = np.zeros((*count.shape, 3), dtype=np.uint16)
    for corner, weight in zip(corners, weights, strict=True):
        total += np.where(weight[..., None], corner[..., :3], 0)
    out = np.zeros((*count.shape, 4), dtype=np.uint8)
    least = np.maximum(count, 1)[..., None]
    out[..., :3] = (total + least // 2) // least
    out[..., 3] = np.where(count > 0, 255, 0)
    return out
