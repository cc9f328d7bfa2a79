"""The grid that a region is read into: the lattice itself, or any CRS and resolution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError
from tessera.geo import (
    EAST,
    NORTH,
    PIXEL_SIZE,
    SOUTH,
    WEST,
    Edges,
    Window,
    ZonePart,
    from_lonlat,
    parse_area,
    polygon_edges,
    to_lonlat,
    zone_crs,
    zones_of,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pyproj import Transformer
    from shapely.geometry.base import BaseGeometry

_DENSIFY_METRES = 1000.0
DEGREES = 1e-4
"""Resolution where a CRS counts degrees and none is given: 11 m, as the published global pyramid has it."""
_TOLERANCE = 1e-6
"""Pixels; rounding of a projection must not add a row."""
_MOST_SIDE = 2**31 - 1
"""Longest side of a grid, pixels, as GDAL has it."""


@dataclass(frozen=True)
class Target:
    """North-up pixels of some CRS."""

    crs: str  # "EPSG:<code>" or WKT
    west: int  # west, north: the upper left corner, in pixels from the CRS's origin
    north: int
    resolution: float  # side of a pixel, units of the CRS
    width: int
    height: int
    window: Window | None = None  # the same pixels as a window of the lattice, None where they are none
    others: bool = False  # whether pixels of other zones than the window's lie in it

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """(a, b, c, d, e, f), as `tessera.geo.Grid` has it."""
        size = float(self.resolution)
        return size, 0.0, self.west * size, 0.0, -size, self.north * size

    def x(self, cols: range) -> NDArray[np.float64]:
        """Centres of columns, units of the CRS."""
        return np.asarray((np.arange(cols.start, cols.stop) + (self.west + 0.5)) * self.resolution, np.float64)

    def y(self, rows: range) -> NDArray[np.float64]:
        """Centres of rows, units of the CRS."""
        return np.asarray((self.north - 0.5 - np.arange(rows.start, rows.stop)) * self.resolution, np.float64)

    def part(self, rows: range, cols: range) -> Window:
        """A rectangle of the lattice window."""
        if self.window is None:
            raise InputError(f"pixels of {self.resolution:g} in {self.crs[:60]} are not the lattice's")
        window = self.window
        return Window(window.zone, window.west + cols.start, window.north - rows.start, len(cols), len(rows))

    def lonlat(self, rows: range, cols: range) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Degrees (height, width) of pixel centres, NaN where the CRS has none."""
        x, y = np.meshgrid(self.x(cols), self.y(rows))
        if self.window is not None:
            return to_lonlat(x, y, self.window.zone)
        lon, lat = transformer(self.crs, True).transform(x, y)
        good = np.isfinite(lon) & np.isfinite(lat)
        lon = np.where(good, (np.where(good, lon, 0) + 180) % 360 - 180, np.nan)
        return lon, np.where(good, lat, np.nan)


@lru_cache(maxsize=64)
def transformer(crs: str, inverse: bool) -> Transformer:
    """From degrees to a CRS, or back; x is always the longitude or easting."""
    from pyproj import Transformer

    first, second = (crs, "EPSG:4326") if inverse else ("EPSG:4326", crs)
    return Transformer.from_crs(first, second, always_xy=True)


@lru_cache(maxsize=64)
def crs_facts(crs: str) -> tuple[str, float, bool, str]:
    """Short name, metres (or degrees) in a unit, whether it counts degrees, and the WKT.

    Raises
    ------
    InputError
        No CRS of two axes.
    """
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        parsed = CRS.from_user_input(crs)
    except CRSError:
        raise InputError(f"crs {str(crs)[:80]!r}; expected EPSG:<code>, WKT or another form that PROJ reads") from None
    if not (parsed.is_projected or parsed.is_geographic) or len(parsed.axis_info) < 2:
        raise InputError(f"crs {str(crs)[:80]!r} is neither projected nor geographic; expected one that is")
    code = parsed.to_epsg(min_confidence=100)
    name = f"EPSG:{code}" if code else parsed.to_wkt()
    degrees = bool(parsed.is_geographic)
    unit = 1.0 if degrees else float(parsed.axis_info[0].unit_conversion_factor)
    return name, unit, degrees, parsed.to_wkt()


def _zone_of(crs: str) -> int | None:
    code = crs.upper().removeprefix("EPSG:")
    return int(code) - 32600 if code.isdigit() and 32601 <= int(code) <= 32660 else None


def parse_target(area: object, crs: object, resolution: float | None, clip: bool) -> tuple[Target, Edges | None]:
    """The grid of an area, and the area's outline in its pixels where it clips; arguments as in `Store.read_region`."""
    parts = _parts(area)
    name = zone_crs(_centre_zone(area, parts)) if crs is None else crs_facts(str(crs))[0]
    zone = _zone_of(name)
    size = _resolution(name, resolution)
    if zone is not None and size == PIXEL_SIZE:
        target = _on_lattice(area, parts, zone)
    else:
        target = _snapped(_outlines(parts, name), name, size)
    if not clip or isinstance(area, Window):
        return target, None
    shapes = _outlines(parts, target.crs)

    def project(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return x / target.resolution - target.west, target.north - y / target.resolution

    return target, polygon_edges(np.asarray(shapes, dtype=object), np.zeros(len(shapes), dtype=np.int64), project)


def _parts(area: object) -> list[ZonePart]:
    if isinstance(area, Window):
        import shapely

        return [ZonePart(area.zone, shapely.box(*area.bounds))]
    return parse_area(area).parts()


def _resolution(crs: str, given: object) -> float:
    _, unit, degrees, _ = crs_facts(crs)
    if given is None:
        return DEGREES if degrees else PIXEL_SIZE / unit
    number = isinstance(given, (int, float, np.integer, np.floating)) and not isinstance(given, bool)
    size = float(given) if number else 0.0  # type: ignore[arg-type]
    if not math.isfinite(size) or size <= 0:
        raise InputError(f"resolution {given!r}; expected a number above 0, in units of the CRS")
    return size


def _centre_zone(area: object, parts: list[ZonePart]) -> int:
    if len(parts) == 1:
        return parts[0].zone
    west, _, east, _ = parse_area(area).bounds
    if west == -180 and east == 180:
        return max(parts, key=lambda part: part.geometry.area).zone
    return int(zones_of(np.asarray((west + east) / 2)))


def _on_lattice(area: object, parts: list[ZonePart], zone: int) -> Target:
    if isinstance(area, Window) and area.zone == zone:
        return _of_window(area, False)
    if len(parts) == 1 and parts[0].zone == zone:
        return _of_window(parts[0].window, False)
    return _of_window(_project_whole(parts, zone), True)


def _of_window(window: Window, others: bool) -> Target:
    crs = zone_crs(window.zone)
    return Target(crs, window.west, window.north, float(PIXEL_SIZE), window.width, window.height, window, others)


def _project_whole(parts: list[ZonePart], zone: int) -> Window:
    import shapely

    moved = []
    for part in parts:
        points = shapely.get_coordinates(shapely.segmentize(part.geometry, _DENSIFY_METRES))
        lon, lat = to_lonlat(points[:, 0], points[:, 1], part.zone)
        moved.append(np.stack(from_lonlat(lon, lat, zone), axis=1))
    points = np.concatenate(moved) / PIXEL_SIZE
    low, high = points.min(axis=0), points.max(axis=0)
    if low[0] < WEST or high[0] > EAST or low[1] < SOUTH or high[1] > NORTH:
        raise InputError(
            f"the area is too wide for one grid: it reaches beyond UTM zone {zone} and its neighbours; expected an "
            "area of a few degrees of longitude, part by part"
        )
    west, south = (int(value) for value in np.floor(low))
    east, north = (int(value) for value in np.ceil(high))
    return Window(zone, west, north, east - west, north - south)


def _outlines(parts: list[ZonePart], crs: str) -> list[BaseGeometry]:
    """The parts of an area in a CRS, their edges short enough to bend."""
    import shapely

    zone = _zone_of(crs)

    def moved(part: ZonePart) -> BaseGeometry:
        if part.zone == zone:
            return part.geometry

        def project(points: NDArray[np.float64]) -> NDArray[np.float64]:
            lon, lat = to_lonlat(points[:, 0], points[:, 1], part.zone)
            if zone is not None:
                return np.column_stack(from_lonlat(lon, lat, zone))
            return np.column_stack(transformer(crs, False).transform(lon, lat))

        dense = shapely.segmentize(part.geometry, _DENSIFY_METRES)
        outline = shapely.transform(dense, project)
        if not np.isfinite(shapely.get_coordinates(outline)).all():
            raise InputError(f"the area reaches beyond what {crs[:60]} can show; expected a CRS made for it")
        return shapely.make_valid(outline)

    return [moved(part) for part in parts]


def _snapped(outlines: list[BaseGeometry], crs: str, size: float) -> Target:
    import shapely

    left, bottom, right, top = (float(value) / size for value in shapely.total_bounds(np.asarray(outlines, object)))
    if crs_facts(crs)[2] and (right - left) * size > 359:
        raise InputError(f"the area spans all longitudes, or crosses the date line, in {crs[:60]}; expected its parts")
    if max(right - left, top - bottom) > _MOST_SIDE:
        raise InputError(f"resolution {size:g} makes {right - left:.3g} x {top - bottom:.3g} pixels; expected fewer")
    west, north = math.floor(left + _TOLERANCE), math.ceil(top - _TOLERANCE)
    east, south = math.ceil(right - _TOLERANCE), math.floor(bottom + _TOLERANCE)
    return Target(crs, west, north, size, max(1, east - west), max(1, north - south))
