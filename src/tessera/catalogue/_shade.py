"""What a store has at every dot of a map: by pixels where they can be read, else by written chunks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tessera.embeddings import is_valid
from tessera.geo import EAST, NORTH, PIXEL_SIZE, SOUTH, WEST, Window, box_around, from_lonlat, zones_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from tessera.store import Store

    from .counting import CellRow

NOTHING, VALID, NO_DATA, MOST, SOME = range(5)
"""Classes of a dot; `VALID` stands for 99 % and more, `MOST` for 50 %, `SOME` for less where only chunks are known."""
_REACH = 32.0
"""Degrees from a zone's meridian that its lattice reaches at 84 N."""
_MOST_SHARE, _SOME_SHARE = 0.99, 0.5


@dataclass(frozen=True)
class Frame:
    """A map in degrees."""

    west: float  # west, south, east, north: degrees; east > 180 where it crosses the date line
    south: float
    east: float
    north: float
    width: int
    height: int

    def dots(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Longitude, -180 to 180, and latitude (height, width) of the centre of each dot."""
        lon = self.west + (np.arange(self.width) + 0.5) * (self.east - self.west) / self.width
        lat = self.north - (np.arange(self.height) + 0.5) * (self.north - self.south) / self.height
        grid = np.meshgrid((lon + 180) % 360 - 180, lat)
        return grid[0], grid[1]


def shade(store: Store, year: int, frame: Frame, rows: list[CellRow] | None, *, pixels: bool) -> NDArray[np.uint8]:
    """Classes of the dots of a map; `pixels` reads scales rather than trust the chunks.

    `rows` are the cells of that year that are known; where None, pixels are read wherever there might be some.
    """
    lon, lat = frame.dots()
    nominal = zones_of(lon)
    out = np.zeros(lon.shape, dtype=np.uint8)
    zones = sorted(set(np.unique(nominal).tolist()) if rows is None else {row.window.zone for row in rows})
    # a zone's own dots first; where it has nothing, a neighbour's cells that reach over the seam
    for own in (True, False) if rows is not None else (True,):
        for zone in zones:
            off = (lon - (6 * zone - 183) + 180) % 360 - 180
            here = nominal == zone if own else (nominal != zone) & (np.abs(off) < _REACH) & (out == NOTHING)
            if zone in store.zones and here.any():
                mine = [row for row in rows or () if row.window.zone == zone]
                cells = None if rows is None else {(row.window.west, row.window.north): row for row in mine}
                out[here] = _zone(store, year, zone, lon[here], lat[here], cells, pixels=pixels)
    return out


def _zone(
    store: Store,
    year: int,
    zone: int,
    lon: NDArray[np.float64],
    lat: NDArray[np.float64],
    cells: dict[tuple[int, int], CellRow] | None,
    *,
    pixels: bool,
) -> NDArray[np.uint8]:
    side = store.layout.shard
    x, y = from_lonlat(lon, lat, zone)
    px, py = np.floor(x / PIXEL_SIZE), np.floor(y / PIXEL_SIZE)
    out = np.zeros(len(px), dtype=np.uint8)
    good = np.flatnonzero((px >= WEST) & (px < EAST) & (py >= SOUTH) & (py < NORTH))
    px, py = px[good].astype(np.int64), py[good].astype(np.int64)
    col, row = (px - WEST) // side, (NORTH - 1 - py) // side
    keys, group = np.unique(np.stack([row, col], axis=1), axis=0, return_inverse=True)
    order = np.argsort(group.reshape(-1), kind="stable")
    ends = np.cumsum(np.bincount(group.reshape(-1), minlength=len(keys)))[:-1]
    for (down, right), members in zip(keys.tolist(), np.split(order, ends) if len(keys) else (), strict=True):
        west, north = WEST + right * side, NORTH - down * side
        known = None if cells is None else cells.get((west, north))
        if cells is not None and known is None:
            continue
        inside, below = px[members], py[members]
        if pixels or known is None:
            x0, y1 = int(inside.min()), int(below.max()) + 1
            box = Window(zone, x0, y1, int(inside.max()) + 1 - x0, y1 - int(below.min()))
            scales = store.source.read_window(box, store.years.index(year), ())["scales"]
            found = scales[y1 - 1 - below, inside - x0]
            out[good[members]] = np.where(is_valid(found), VALID, np.where(np.isnan(found), NO_DATA, NOTHING))
        else:
            chunk = store.layout.chunk
            written = known.bitmap(store.layout.side)[(north - 1 - below) // chunk, (inside - west) // chunk]
            out[good[members]] = np.where(written, _class_of(known), NOTHING)
    return out


def _class_of(row: CellRow) -> int:
    """The class of a cell's written chunks."""
    written = row.valid + row.no_data
    share = row.valid / written if written else 0.0
    if share == 0:
        return NO_DATA
    return VALID if share >= _MOST_SHARE else MOST if share >= _SOME_SHARE else SOME


def frame_around(boxes: Iterable[tuple[float, float, float, float]], margin: float, dots: int) -> Frame:
    """The map that holds boxes (west, south, east, north; west > east over the date line), with a margin."""
    left, low, east, high = box_around(np.array(list(boxes), dtype=np.float64).reshape(-1, 4))
    right = east if east >= left else east + 360
    pad = margin * max(right - left, high - low)
    left, right, low, high = left - pad, right + pad, max(-80.0, low - pad), min(84.0, high + pad)
    stretch = max(0.1, float(np.cos(np.radians((low + high) / 2))))
    across, up = (right - left) * stretch, high - low
    # a sliver still needs room
    if across < up / 3:
        grow = (up / 3 - across) / stretch / 2
        left, right, across = left - grow, right + grow, up / 3
    elif up < across / 3:
        grow = (across / 3 - up) / 2
        low, high = max(-80.0, low - grow), min(84.0, high + grow)
        up = high - low
    scale = dots / max(across, up)
    return Frame(left, low, right, high, max(1, round(across * scale)), max(1, round(up * scale)))
