"""Regions: a window of one zone, or an area over several, strip by strip."""

from __future__ import annotations

import os
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

from .layout import SCALES, ArraySpec, Layout
from .reader import read_window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tessera.geo import Area
    from tessera.net import Objects

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


def read_values(
    objects: Objects,
    layout: Layout,
    window: Window,
    year_index: int,
    spec: ArraySpec,
    dims: int,
    *,
    zones: tuple[int, ...],
    other_zones: bool,
) -> NDArray[np.float32]:
    """(height, width, dims) float32, NaN = no data; pixels whose longitude is another zone's come from there."""
    values = _read_own(objects, layout, window, year_index, spec, dims, zones)
    if not other_zones:
        return values
    x = (np.arange(window.west, window.east) + 0.5) * PIXEL_SIZE
    y = (np.arange(window.north - 1, window.south - 1, -1) + 0.5) * PIXEL_SIZE
    grid_x, grid_y = np.meshgrid(x, y)
    lon, lat = to_lonlat(grid_x, grid_y, window.zone)
    nominal = zones_of(lon)
    for zone in np.unique(nominal).tolist():
        if zone == window.zone or zone not in zones:
            continue
        rows, cols = np.nonzero(nominal == zone)
        there_x, there_y = from_lonlat(lon[rows, cols], lat[rows, cols], zone)
        px = np.clip(np.floor(there_x / PIXEL_SIZE).astype(np.int64), WEST, EAST - 1)
        py = np.clip(np.floor(there_y / PIXEL_SIZE).astype(np.int64), SOUTH, NORTH - 1)
        # block by block: the grids of two zones are turned against each other, and one box would be mostly waste
        _, group = np.unique(np.stack([px // _BLOCK, py // _BLOCK], axis=1), axis=0, return_inverse=True)
        order = np.argsort(group.reshape(-1), kind="stable")
        for members in np.split(order, np.cumsum(np.bincount(group.reshape(-1)))[:-1]):
            x0, y1 = int(px[members].min()), int(py[members].max()) + 1
            box = Window(zone, x0, y1, int(px[members].max()) + 1 - x0, y1 - int(py[members].min()))
            found = _read_own(objects, layout, box, year_index, spec, dims, zones)[
                y1 - 1 - py[members], px[members] - x0
            ]
            good = ~np.isnan(found[:, 0])
            values[rows[members[good]], cols[members[good]]] = found[good]
    return values


def _read_own(
    objects: Objects,
    layout: Layout,
    window: Window,
    year_index: int,
    spec: ArraySpec,
    dims: int,
    zones: tuple[int, ...],
) -> NDArray[np.float32]:
    if window.zone not in zones:
        return np.full((*window.shape, dims), np.nan, dtype=np.float32)
    found = read_window(objects, layout, window, year_index, (SCALES, spec))
    return dequantise(found[spec.name][..., :dims], found[SCALES.name])
