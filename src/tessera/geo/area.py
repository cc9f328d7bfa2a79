"""Areas of interest: a bbox, GeoJSON, a vector file, a tile name or a cell name, cut into UTM zones."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, exists, shown

from .degrees import TURN, check_degrees
from .lattice import EAST, NORTH, PIXEL_SIZE, SOUTH, WEST, Window, parse_cell
from .tiles import parse_tile
from .vector import read_vector
from .zones import LAT_MAX, LAT_MIN, from_lonlat, to_lonlat

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

DENSIFY_DEGREES = 0.01
"""Longest edge before projection: an edge straight in degrees then deviates by less than a pixel within a zone."""
_TOLERANCE = 1e-6
"""Pixels; rounding of a projection must not add a row."""
_NUMBERS = re.compile(r"[-+.\d]+(\s+[-+.\d]+)+")
_WIDEST = 180.0
"""Degrees over the date line that a bbox may span: more means that two longitudes are in the wrong order."""
_FORM = "west,south,east,north in degrees with decimal points, such as 5.1,50.6,5.2,50.7"


@dataclass(frozen=True)
class ZonePart:
    """The part of an area in one zone.

    Attributes
    ----------
    zone : UTM zone
    geometry : polygon or multipolygon, metres of the zone's CRS
    """

    zone: int
    geometry: BaseGeometry

    @property
    def window(self) -> Window:
        """The smallest lattice window that contains it."""
        left, bottom, right, top = (value / PIXEL_SIZE for value in self.geometry.bounds)
        west, east = math.floor(left + _TOLERANCE), math.ceil(right - _TOLERANCE)
        south, north = math.floor(bottom + _TOLERANCE), math.ceil(top - _TOLERANCE)
        west, east = max(west, WEST), min(max(east, west + 1), EAST)
        south, north = max(south, SOUTH), min(max(north, south + 1), NORTH)
        return Window(self.zone, west, north, east - west, north - south)

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """Pixels of `window` whose centre is inside: (height, width) bool."""
        import shapely

        x = (np.arange(window.west, window.east) + 0.5) * PIXEL_SIZE
        y = (np.arange(window.north - 1, window.south - 1, -1) + 0.5) * PIXEL_SIZE
        shapely.prepare(self.geometry)
        xx, yy = np.meshgrid(x, y)
        return np.asarray(shapely.contains_xy(self.geometry, xx, yy), dtype=np.bool_)


@dataclass(frozen=True)
class Area:
    """An area of interest.

    Attributes
    ----------
    geometry : polygon or multipolygon in degrees (EPSG:4326), cut at the date line
    name : its name in messages
    cell_window : the exact window, if the area was given as a cell
    """

    geometry: BaseGeometry
    name: str
    cell_window: Window | None = None

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(west, south, east, north), degrees; -180 and 180 where it crosses the date line."""
        west, south, east, north = self.geometry.bounds
        return float(west), float(south), float(east), float(north)

    def parts(self) -> list[ZonePart]:
        """The area cut into UTM zones, from west to east; zones that it only touches are left out."""
        import shapely

        if self.cell_window is not None:
            return [ZonePart(self.cell_window.zone, shapely.box(*self.cell_window.bounds))]
        found = []
        for zone in range(1, 61):
            strip = shapely.box(6 * zone - 186, LAT_MIN, 6 * zone - 180, LAT_MAX)
            if not shapely.intersects(self.geometry, strip):
                continue
            piece = shapely.intersection(self.geometry, strip)
            if piece.area <= 0:
                continue
            found.append(_part(piece, zone))
        return found

    def in_zone(self, zone: int) -> ZonePart:
        """The whole area in the CRS of one zone, also where it reaches into others."""
        parts = self.parts()
        if len(parts) == 1 and parts[0].zone == zone:
            return parts[0]
        return _part(self.geometry, zone)

    @property
    def zones(self) -> tuple[int, ...]:
        """The UTM zones that it covers."""
        return tuple(part.zone for part in self.parts())


def to_zone(shapes: Any, zone: int) -> Any:
    """Shapes in degrees, one or an array of them, in metres of a UTM zone; long edges bend as the projection does."""
    import shapely

    def project(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(from_lonlat(points[:, 0], points[:, 1], zone))

    return shapely.transform(shapely.segmentize(shapes, DENSIFY_DEGREES), project)


def _part(geometry: BaseGeometry, zone: int) -> ZonePart:
    import shapely

    return ZonePart(zone, shapely.make_valid(to_zone(geometry, zone)))


def parse_area(area: object) -> Area:
    """Read an area of interest.

    Parameters
    ----------
    area : one of

        - (west, south, east, north) in degrees, also as text "w,s,e,n"; west > east crosses the date line
        - GeoJSON as a mapping or as text, a shapely polygon in degrees, or a GeoDataFrame
        - the path of a vector file; features without a geometry are left out
        - the name of a published tile ("grid_5.05_50.65") or of a cell ("utm31_e64_n548")
        - an Area

    Returns
    -------
    An Area: `geometry`, polygons in degrees (WGS 84), and `name`.

    Raises
    ------
    InputError
        It is none of these, is empty, or extends beyond 80 S or 84 N.

    Examples
    --------
    >>> import tessera
    >>> tessera.parse_area("5.246,50.691,5.252,50.694").name
    'bbox 5.246,50.691,5.252,50.694'
    >>> tessera.parse_area("utm31_e64_n548").name
    'utm31_e64_n548'
    """
    if isinstance(area, Area):
        return area
    if isinstance(area, str):
        named = _named(area)
        if named is not None:
            return named
    if isinstance(area, (list, tuple)) or (isinstance(area, np.ndarray) and area.ndim == 1):
        return _bbox(area)
    if hasattr(area, "geom_type") and not hasattr(area, "to_crs"):
        return _polygons([area], "the geometry given")
    table = read_vector(area)
    return _polygons(list(table.geometries), table.source)


def _named(text: str) -> Area | None:
    import shapely

    name = text.strip()
    if name.startswith("grid_") and not exists(name):
        return _finish(shapely.box(*parse_tile(name).bounds), name)
    if name.startswith("utm") and not exists(name):
        window = parse_cell(name).window
        left, bottom, right, top = window.bounds
        ring = shapely.segmentize(shapely.box(left, bottom, right, top), 1000.0)
        degrees = shapely.transform(ring, lambda p: np.column_stack(to_lonlat(p[:, 0], p[:, 1], window.zone)))
        return Area(degrees, name, window)
    if "," in name and not name.startswith("{") and not exists(name):
        return _bbox(name.split(","))
    if _NUMBERS.fullmatch(name):
        return _bbox(name.split())
    return None


def _said(values: Any) -> str:
    return shown(",".join(map(str, values)) if isinstance(values, (list, tuple)) else values)


def _bbox(values: Any) -> Area:
    import shapely

    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError):
        raise InputError(f"bbox {_said(values)}; expected four numbers, {_FORM}") from None
    if len(numbers) != 4:
        raise InputError(f"bbox {_said(values)} has {len(numbers)} numbers; expected four, {_FORM}")
    if not all(math.isfinite(value) for value in numbers):
        raise InputError(f"bbox {_said(values)}; expected four finite numbers, {_FORM}")
    west, south, east, north = numbers
    name = f"bbox {west:g},{south:g},{east:g},{north:g}"
    if max(abs(west), abs(east)) > 360 or max(abs(south), abs(north)) > 90:
        raise InputError(f"{name}: not degrees, perhaps metres; expected west, south, east, north in degrees")
    if abs(west) > 180 or abs(east) > 180:
        if west < east and max(abs(west), abs(east)) <= TURN and east - west <= _WIDEST:
            return _polygons([shapely.box(west, south, east, north)], name)
        raise InputError(f"{name}: longitudes go from -180 to 180; west > east crosses the date line")
    if south >= north:
        raise InputError(f"{name}: south is not below north; expected west, south, east, north in degrees")
    if west == east:
        raise InputError(f"{name}: no width; expected west, south, east, north in degrees")
    if west < east:
        return _finish(shapely.box(west, south, east, north), name)
    if east + 360 - west > _WIDEST:
        raise InputError(
            f"{name}: west > east would cross the date line over {east + 360 - west:g} degrees; "
            "expected west, south, east, north in degrees"
        )
    sides = [
        shapely.box(*side) for side in ((west, south, 180, north), (-180, south, east, north)) if side[0] < side[2]
    ]
    return _finish(shapely.union_all(sides), name)


def _polygons(geometries: list[Any], name: str) -> Area:
    import shapely

    found: list[BaseGeometry] = []
    for geometry in geometries:
        if geometry is None:
            continue
        check_degrees(shapely.get_coordinates(geometry), name)
        parts = [geometry]
        while any(hasattr(part, "geoms") for part in parts):
            parts = [inner for part in parts for inner in getattr(part, "geoms", [part])]
        found += [_cut_at_date_line(part) for part in parts if part.geom_type == "Polygon" and not part.is_empty]
    if not found:
        raise InputError(f"{name} has no polygon; expected an area of interest")
    return _finish(shapely.union_all([shapely.make_valid(polygon) for polygon in found]), name)


def _unwrap(ring: Any) -> NDArray[np.float64]:
    points = np.array(ring.coords)[:, :2]
    steps = np.diff(points[:, 0])
    turns = np.where((np.abs(steps) > 180) & (np.abs(steps) < 360), -360 * np.sign(steps), 0.0)
    points[1:, 0] += np.cumsum(turns)
    return points


def _middle(ring: NDArray[np.float64]) -> float:
    return float(ring[:, 0].min() + ring[:, 0].max()) / 2


def _cut_at_date_line(polygon: Any) -> BaseGeometry:
    """Cut a polygon at the date line if its edges cross it (jump by more than 180 degrees)."""
    import shapely
    import shapely.affinity

    outer = _unwrap(polygon.exterior)
    if outer[:, 0].min() >= -180 and outer[:, 0].max() <= 180:
        return polygon  # type: ignore[no-any-return]
    inner = [_unwrap(ring) for ring in polygon.interiors]
    for ring in inner:
        ring[:, 0] += 360 * np.round((_middle(outer) - _middle(ring)) / 360)
    whole = shapely.make_valid(shapely.Polygon(outer, inner))
    pieces = []
    for turn in (-360, 0, 360):
        moved = shapely.affinity.translate(whole, xoff=turn)
        piece = shapely.intersection(moved, shapely.box(-180, -90, 180, 90))
        if piece.area > 0:
            pieces.append(piece)
    return shapely.union_all(pieces)


def _finish(geometry: BaseGeometry, name: str) -> Area:
    if geometry.is_empty or not geometry.area > 0:
        raise InputError(f"{name} has no area; expected a polygon")
    west, south, east, north = geometry.bounds
    if south < LAT_MIN or north > LAT_MAX:
        reached = f"{north:g} N" if north > LAT_MAX else f"{-south:g} S"
        raise InputError(f"{name} reaches {reached}, beyond UTM; expected latitudes from 80 S to 84 N")
    if west < -180 or east > 180:
        raise InputError(f"{name} spans longitudes {west:g} to {east:g}; expected degrees from -180 to 180")
    return Area(geometry, name)
