"""The pixels of an area as runs in rows, which are cheap to count in any cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.geo import NORTH, PIXEL_SIZE, SOUTH, Window, parse_area, polygon_edges

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Runs:
    """Pixels of one zone whose centre lies in an area."""

    zone: int
    rows: NDArray[np.int64]  # (N,) py of each run, ascending
    start: NDArray[np.int64]  # start, stop: (N,) px of its first pixel and behind its last
    stop: NDArray[np.int64]

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return int((self.stop - self.start).sum())

    @property
    def window(self) -> Window | None:
        """The smallest window that holds all, None if there are none."""
        if not len(self.rows):
            return None
        west, north = int(self.start.min()), int(self.rows[-1]) + 1
        return Window(self.zone, west, north, int(self.stop.max()) - west, north - int(self.rows[0]))

    def inside(self, window: Window) -> Runs:
        """The runs inside a window of the zone."""
        some = slice(*np.searchsorted(self.rows, (window.south, window.north)).tolist())
        start = np.maximum(self.start[some], window.west)
        stop = np.minimum(self.stop[some], window.east)
        there = stop > start
        return Runs(self.zone, self.rows[some][there], start[there], stop[there])

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """(height, width) bool over a window: True inside the area."""
        here = self.inside(window)
        edges = np.zeros((window.height, window.width + 1), dtype=np.int8)
        row = window.north - 1 - here.rows
        np.add.at(edges, (row, here.start - window.west), 1)
        np.subtract.at(edges, (row, here.stop - window.west), 1)
        return np.asarray(np.cumsum(edges[:, :-1], axis=1, dtype=np.int8) > 0)


def runs_of(area: object) -> tuple[list[Runs], str]:
    """The runs of an area in each zone, and a name for the area."""
    import shapely

    if isinstance(area, Window):
        return [_scan(area.zone, shapely.box(*area.bounds))], f"{area.width} x {area.height} pixels of zone {area.zone}"
    parsed = parse_area(area)
    return [_scan(part.zone, part.geometry) for part in parsed.parts()], parsed.name


def _scan(zone: int, geometry: Any) -> Runs:
    """The runs of a valid polygon, metres of the zone: the pixels that `Store.zonal` gives it."""

    def project(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return x / PIXEL_SIZE, -y / PIXEL_SIZE

    shapes, owner = np.array([geometry], dtype=object), np.zeros(1, dtype=np.int64)
    spans = polygon_edges(shapes, owner, project).spans(-NORTH, -SOUTH)
    # rows of spans go down, those of runs up
    return Runs(zone, -1 - spans.row[::-1], spans.start[::-1], spans.stop[::-1])
