"""Which pixels a person can reach: inside an area, within a distance of roads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError
from tessera.geo import PIXEL_SIZE, Area, Window, ZonePart, parse_area, read_vector, to_zone

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

_MOST_METRES = 100_000.0


def parse_reach(area: object, within: object) -> Area | Window:
    """The area, cut to the polygons of `within` where there are some.

    Raises
    ------
    InputError
        The two do not overlap.
    """
    if within is None:
        return area if isinstance(area, Window) else parse_area(area)
    if isinstance(area, Window):
        import shapely

        area = Area(shapely.box(*area.lonlat_bounds), "the window")
    whole, inner = parse_area(area), parse_area(within)
    common = whole.geometry.intersection(inner.geometry)
    if common.is_empty or common.area <= 0:
        raise InputError(f"{inner.name} does not overlap {whole.name}; expected polygons inside the area")
    return Area(common, f"{whole.name} within {inner.name}")


class Reach:
    """Tests pixels of one window.

    Parameters
    ----------
    area : where points may lie
    window : the grid
    roads : a vector file of lines, GeoJSON or a GeoDataFrame; None where roads do not matter
    metres : distance to a road

    Raises
    ------
    InputError
        No line among the roads, none of them near the window, or a distance that is not above 0.
    """

    def __init__(self, area: Area | Window, window: Window, roads: object, metres: float) -> None:
        import shapely

        self.window = window
        self._shapes = [area.in_zone(window.zone) if isinstance(area, Area) else _box_of(area)]
        if roads is not None:
            if not 0 < metres <= _MOST_METRES:
                raise InputError(f"{metres} m from a road; expected above 0, at most {_MOST_METRES:,.0f} m")
            self._shapes.append(ZonePart(window.zone, _near_roads(roads, window, metres)))
        for part in self._shapes:
            shapely.prepare(part.geometry)

    def contains(self, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(N,) rows and columns of the window -> (N,) bool, by the pixel's centre."""
        import shapely

        x = (self.window.west + cols + 0.5) * PIXEL_SIZE
        y = (self.window.north - rows - 0.5) * PIXEL_SIZE
        good = np.ones(len(rows), dtype=np.bool_)
        for part in self._shapes:
            good[good] = shapely.contains_xy(part.geometry, x[good], y[good])
        return good


def _box_of(window: Window) -> ZonePart:
    import shapely

    return ZonePart(window.zone, shapely.box(*window.bounds))


def _near_roads(roads: object, window: Window, metres: float) -> BaseGeometry:
    import shapely

    table = read_vector(roads)
    lines = [one for one in table.geometries if one is not None and "LineString" in one.geom_type and not one.is_empty]
    if not lines:
        raise InputError(f"{table.source} holds no lines among {len(table)} features; expected roads as lines")

    west, south, east, north = window.lonlat_bounds
    # a degree holds 111 km of latitude and less of longitude
    room = 2 * metres / 111_000 / max(0.1, float(np.cos(np.radians(max(abs(south), abs(north))))))
    frame = shapely.box(west - room, south - room, east + room, north + room)
    near = [one for one in lines if one.intersects(frame)]
    if not near:
        raise InputError(f"none of {len(lines)} lines of {table.source} lies within {metres:g} m of the area")
    moved = to_zone(shapely.intersection(np.array(near, dtype=object), frame), window.zone)
    return shapely.union_all(shapely.buffer(moved, metres))
