"""The pixels of an area as runs in rows, which are cheap to count in any cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.geo import PIXEL_SIZE, Window, parse_area

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
    """Intersect the centre line of every pixel row with the edges of a valid polygon, and pair the crossings."""
    import shapely

    points, ring = shapely.get_coordinates(_rings(geometry), return_index=True)
    points = points / PIXEL_SIZE - 0.5
    same = ring[1:] == ring[:-1]
    (x0, y0), (x1, y1) = points[:-1][same].T, points[1:][same].T
    # half-open: a row through a vertex crosses one of the two edges that meet there
    low, high = np.ceil(np.minimum(y0, y1)).astype(np.int64), np.ceil(np.maximum(y0, y1)).astype(np.int64)
    count = high - low
    edge = np.repeat(np.arange(len(count)), count)
    row = low[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    slope = (x1 - x0) / np.where(count > 0, y1 - y0, 1.0)
    x = x0[edge] + (row - y0[edge]) * slope[edge]
    order = np.lexsort((x, row))
    row, x = row[order], x[order]
    start, stop = np.ceil(x[0::2]).astype(np.int64), np.ceil(x[1::2]).astype(np.int64)
    there = stop > start
    return Runs(zone, row[0::2][there], start[there], stop[there])


def _rings(geometry: Any) -> Any:
    import shapely

    parts = shapely.get_parts(geometry)
    return shapely.get_rings([part for part in parts if part.geom_type in ("Polygon", "MultiPolygon")])
