"""Which pixels polygons hold: many polygons at once, by the crossings of their edges with the rows' middle lines.

Everything is in pixel units of some grid: pixel (column c, row r) covers c to c + 1 and r to r + 1. A pixel whose
centre lies on an edge that two polygons share belongs to exactly one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Project = Callable[[NDArray[np.float64], NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64]]]


@dataclass(frozen=True)
class Spans:
    """Runs of pixels in rows: pixels `start` to `stop` (exclusive) of `row` belong to `owner`; (M,) int64 each."""

    owner: NDArray[np.int64]
    row: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.owner)

    def __getitem__(self, which: NDArray[np.int64] | NDArray[np.bool_]) -> Spans:
        return Spans(self.owner[which], self.row[which], self.start[which], self.stop[which])

    def clipped(self, first: int, last: int) -> Spans:
        """What lies in columns first to last (exclusive)."""
        start, stop = np.maximum(self.start, first), np.minimum(self.stop, last)
        kept = start < stop
        return Spans(self.owner[kept], self.row[kept], start[kept], stop[kept])

    def pixels(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Owner, row and column of every pixel."""
        which, step = _expand(self.stop - self.start)
        return self.owner[which], self.row[which], self.start[which] + step

    def mask(self, rows: range, cols: range) -> NDArray[np.bool_]:
        """Which pixels of a rectangle any owner has."""
        inside = self[(self.row >= rows.start) & (self.row < rows.stop)].clipped(cols.start, cols.stop)
        change = np.zeros((len(rows), len(cols) + 1), dtype=np.int32)
        np.add.at(change, (inside.row - rows.start, inside.start - cols.start), 1)
        np.add.at(change, (inside.row - rows.start, inside.stop - cols.start), -1)
        return np.asarray(np.cumsum(change, axis=1)[:, :-1] > 0)


@dataclass(frozen=True)
class Edges:
    """Edges of polygons, (M,) each: ends with y0 <= y1 in pixel units, and the number of the polygon."""

    x0: NDArray[np.float64]
    y0: NDArray[np.float64]
    x1: NDArray[np.float64]
    y1: NDArray[np.float64]
    owner: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.owner)

    def between(self, first: int, last: int) -> Edges:
        """The edges that touch rows first to last (exclusive)."""
        kept = (self.y1 >= first) & (self.y0 <= last)
        return Edges(self.x0[kept], self.y0[kept], self.x1[kept], self.y1[kept], self.owner[kept])

    def spans(self, first: int, last: int, *, touched: bool = False) -> Spans:
        """The pixels of rows first to last (exclusive) whose centre is inside a polygon.

        Where `touched`, pixels that a polygon's outline runs through count too.
        """
        inner = self._inside(first, last)
        if not touched:
            return inner
        owner, row, col = self._outline(first, last)
        return _merged(
            Spans(
                np.concatenate([inner.owner, owner]),
                np.concatenate([inner.row, row]),
                np.concatenate([inner.start, col]),
                np.concatenate([inner.stop, col + 1]),
            )
        )

    def _inside(self, first: int, last: int) -> Spans:
        # half-open in y: a corner on a middle line counts once, and a level edge never
        top = np.clip(np.ceil(self.y0 - 0.5), first, last).astype(np.int64)
        end = np.clip(np.ceil(self.y1 - 0.5), first, last).astype(np.int64)
        which, step = _expand(np.maximum(end - top, 0))
        row = top[which] + step
        x0, y0, x1, y1 = (value[which] for value in (self.x0, self.y0, self.x1, self.y1))
        x = x0 + (row + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
        owner = self.owner[which]
        order = np.lexsort((x, row, owner))
        owner, row, column = owner[order][::2], row[order][::2], np.ceil(x[order] - 0.5).astype(np.int64)
        start, stop = column[::2], column[1::2]
        kept = start < stop
        return Spans(owner[kept], row[kept], start[kept], stop[kept])

    def _outline(self, first: int, last: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Owner, row and column of the pixels that edges run through: each edge cut where it leaves a pixel."""
        near = self.between(first, last)
        each = np.arange(len(near))
        owners, cuts = [each, each], [np.zeros(len(near)), np.ones(len(near))]
        for start, stop in ((near.x0, near.x1), (near.y0, near.y1)):
            low, high = np.floor(np.minimum(start, stop)).astype(np.int64), np.floor(np.maximum(start, stop))
            which, step = _expand(high.astype(np.int64) - low)
            owners.append(which)
            cuts.append((low[which] + 1 + step - start[which]) / (stop[which] - start[which]))
        which, cut = np.concatenate(owners), np.clip(np.concatenate(cuts), 0.0, 1.0)
        order = np.lexsort((cut, which))
        which, cut = which[order], cut[order]
        same = which[1:] == which[:-1]
        which, middle = which[1:][same], ((cut[1:] + cut[:-1]) / 2)[same]
        col = np.floor(near.x0[which] + middle * (near.x1 - near.x0)[which]).astype(np.int64)
        row = np.floor(near.y0[which] + middle * (near.y1 - near.y0)[which]).astype(np.int64)
        kept = (row >= first) & (row < last)
        return near.owner[which][kept], row[kept], col[kept]


def polygon_edges(geometries: NDArray[np.object_], owners: NDArray[np.int64], project: Project) -> Edges:
    """Edges of valid polygons and multipolygons (N,), told by owner; `project` gives fractional column and row."""
    import shapely

    parts, of_geometry = shapely.get_parts(geometries, return_index=True)
    while (shapely.get_type_id(parts) > shapely.GeometryType.POLYGON).any():
        parts, of_part = shapely.get_parts(parts, return_index=True)
        of_geometry = of_geometry[of_part]
    rings, of_part = shapely.get_rings(parts, return_index=True)
    points, of_ring = shapely.get_coordinates(rings, return_index=True)
    col, row = project(points[:, 0], points[:, 1])
    same = of_ring[1:] == of_ring[:-1]
    owner = owners[of_geometry[of_part[of_ring[1:][same]]]].astype(np.int64)
    x0, x1, y0, y1 = col[:-1][same], col[1:][same], row[:-1][same], row[1:][same]
    # one direction, so that two polygons find the same crossing on an edge that they share
    turn = (y0 > y1) | ((y0 == y1) & (x0 > x1))
    x0, x1 = np.where(turn, x1, x0), np.where(turn, x0, x1)
    y0, y1 = np.where(turn, y1, y0), np.where(turn, y0, y1)
    return Edges(x0, y0, x1, y1, owner)


def _expand(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each index as often as its count says, and the running number within it."""
    which = np.repeat(np.arange(len(counts)), counts)
    return which, np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)


def _merged(spans: Spans) -> Spans:
    """Spans of one owner and row that overlap or touch, made one."""
    if not len(spans):
        return spans
    spans = spans[np.lexsort((spans.start, spans.row, spans.owner))]
    group = np.cumsum(
        np.concatenate([[False], (np.diff(spans.owner) != 0) | (np.diff(spans.row) != 0)]).astype(np.int64)
    )
    # groups are moved apart, so that one running maximum serves them all
    apart = int(spans.stop.max() - spans.start.min()) + 2
    reach = np.maximum.accumulate(spans.stop + group * apart)
    first = np.concatenate([[True], spans.start[1:] + (group * apart)[1:] > reach[:-1]])
    heads = np.flatnonzero(first)
    tails = np.append(heads[1:], len(spans)) - 1
    return Spans(spans.owner[heads], spans.row[heads], spans.start[heads], reach[tails] - group[tails] * apart)
