"""Regions: a window of one zone, or an area over several, strip by strip."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError
from tessera.embeddings import dequantise
from tessera.geo import (
    EAST,
    NORTH,
    PIXEL_SIZE,
    SOUTH,
    WEST,
    Window,
    ZonePart,
    from_lonlat,
    parse_area,
    to_lonlat,
    zones_of,
)

from .layout import SCALES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tessera.geo import Area

    from .layout import ArraySpec, Layout
    from .source import Source

_STRIP_BYTES = 256 * 1024**2
"""Float32 values held at a time while a region streams."""
_BLOCK = 256
"""Side of what is read of another zone at a time, pixels."""


def region_window(area: object, crs: str | None) -> tuple[Window, bool]:
    """The window of an area and whether other zones than the window's own must be looked at.

    Raises
    ------
    InputError
        No area, beyond UTM, or a CRS that is no UTM zone.
    """
    if isinstance(area, Window):
        own = f"EPSG:{32600 + area.zone}"
        if crs is not None and _zone_of_crs(crs) != area.zone:
            raise InputError(f"crs {crs} for a window of zone {area.zone}; expected {own} or none")
        return area, False
    parsed = parse_area(area)
    parts = parsed.parts()
    if crs is None and len(parts) == 1:
        return parts[0].window, False
    zone = _centre_zone(parsed) if crs is None else _zone_of_crs(crs)
    if len(parts) == 1 and parts[0].zone == zone:
        return parts[0].window, False
    return _project_whole(parts, zone), True


def _zone_of_crs(crs: str) -> int:
    code = str(crs).upper().removeprefix("EPSG:")
    if code.isdigit() and 32601 <= int(code) <= 32660:
        return int(code) - 32600
    raise InputError(f"crs {crs!r}; expected a UTM zone, EPSG:32601 to EPSG:32660, or none for the area's own")


def _centre_zone(area: Area) -> int:
    west, _, east, _ = area.bounds
    if west == -180 and east == 180:
        return max(area.parts(), key=lambda part: part.geometry.area).zone
    return int(zones_of(np.asarray((west + east) / 2)))


def _project_whole(parts: list[ZonePart], zone: int) -> Window:
    import shapely

    moved = []
    for part in parts:
        points = shapely.get_coordinates(part.geometry)
        lon, lat = to_lonlat(points[:, 0], points[:, 1], part.zone)
        moved.append(np.stack(from_lonlat(lon, lat, zone), axis=1))
    points = np.concatenate(moved) / PIXEL_SIZE
    low, high = points.min(axis=0), points.max(axis=0)
    if low[0] < WEST or high[0] > EAST or low[1] < SOUTH or high[1] > NORTH:
        raise InputError(
            f"the area reaches beyond the lattice of zone {zone}; expected one in neighbouring zones, or its parts"
        )
    west, south = (int(value) for value in np.floor(low))
    east, north = (int(value) for value in np.ceil(high))
    return Window(zone, west, north, east - west, north - south)


def memory_bytes() -> int:
    """Memory of this machine; 16 GiB where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 16 * 1024**3


def strips(window: Window, dims: int, rows: int | None, layout: Layout) -> Iterator[Window]:
    """Cut a window into strips from north to south; they end on rows of chunks unless `rows` is given."""
    if rows is not None and rows < 1:
        raise InputError(f"strips of {rows} rows; expected at least 1")
    chunk = layout.chunk
    fitting = _STRIP_BYTES // (4 * dims * window.width)
    north = window.north
    while north > window.south:
        south = north - rows if rows is not None else (north - max(chunk, fitting)) // chunk * chunk
        south = max(south, window.south)
        yield Window(window.zone, window.west, north, window.width, north - south)
        north = south


@dataclass(frozen=True)
class RegionReader:
    """What stays the same while a region is read.

    Attributes
    ----------
    source : of the pixels
    zones : UTM zones that it has arrays for
    year_index : position of the year on the time axis
    spec, dims : the array of codes to read and how many of its bands to keep
    """

    source: Source
    zones: tuple[int, ...]
    year_index: int
    spec: ArraySpec
    dims: int

    def read(self, window: Window, *, other_zones: bool) -> NDArray[np.float32]:
        """(height, width, dims) float32, NaN = no data; pixels whose longitude is another zone's come from there."""
        values = self._own(window)
        if not other_zones:
            return values
        x = (np.arange(window.west, window.east) + 0.5) * PIXEL_SIZE
        y = (np.arange(window.north - 1, window.south - 1, -1) + 0.5) * PIXEL_SIZE
        grid_x, grid_y = np.meshgrid(x, y)
        lon, lat = to_lonlat(grid_x, grid_y, window.zone)
        nominal = zones_of(lon)
        for zone in np.unique(nominal).tolist():
            if zone != window.zone and zone in self.zones:
                rows, cols = np.nonzero(nominal == zone)
                found = self._nearest(zone, lon[rows, cols], lat[rows, cols])
                good = ~np.isnan(found[:, 0])
                values[rows[good], cols[good]] = found[good]
        return values

    def _own(self, window: Window) -> NDArray[np.float32]:
        if window.zone not in self.zones:
            return np.full((*window.shape, self.dims), np.nan, dtype=np.float32)
        found = self.source.read_window(window, self.year_index, (SCALES, self.spec))
        return dequantise(found[self.spec.name][..., : self.dims], found[SCALES.name])

    def _nearest(self, zone: int, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float32]:
        """(N, dims): the pixels of a zone that hold places."""
        x, y = from_lonlat(lon, lat, zone)
        px = np.clip(np.floor(x / PIXEL_SIZE).astype(np.int64), WEST, EAST - 1)
        py = np.clip(np.floor(y / PIXEL_SIZE).astype(np.int64), SOUTH, NORTH - 1)
        values = np.empty((len(px), self.dims), dtype=np.float32)
        # block by block: the grids of two zones are turned against each other, and one box would be mostly waste
        _, group = np.unique(np.stack([px // _BLOCK, py // _BLOCK], axis=1), axis=0, return_inverse=True)
        order = np.argsort(group.reshape(-1), kind="stable")
        for members in np.split(order, np.cumsum(np.bincount(group.reshape(-1)))[:-1]):
            x0, y1 = int(px[members].min()), int(py[members].max()) + 1
            box = Window(zone, x0, y1, int(px[members].max()) + 1 - x0, y1 - int(py[members].min()))
            values[members] = self._own(box)[y1 - 1 - py[members], px[members] - x0]
        return values
