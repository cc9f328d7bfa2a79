"""The places that stand for a labelled feature: points as they are, polygons as the pixels whose centre they hold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError
from tessera.geo import PIXEL_SIZE, check_degrees, parse_area, to_lonlat

if TYPE_CHECKING:
    from numpy.typing import NDArray

PIXELS_PER_POLYGON = 200
"""Pixels kept of one polygon: its pixels are nearly the same label, and a large field must not drown the others."""
_CANDIDATES = 1_000_000
"""Pixel centres tested for one polygon; a larger polygon is tested on every s-th row and column."""


def places_of(geometry: Any, what: str, *, one: bool = False) -> NDArray[np.float64]:
    """(M, 2) float64, degrees: the places that stand for one feature; `one` place inside where a number does.

    Raises
    ------
    InputError
        Neither points nor polygons, or a place beyond 80 S or 84 N.
    """
    import shapely

    if geometry.geom_type not in ("Point", "MultiPoint", "Polygon", "MultiPolygon"):
        raise InputError(f"{what} is a {geometry.geom_type}; expected points or polygons")
    polygon = "Polygon" in geometry.geom_type
    if not polygon and not one:
        return np.asarray(shapely.get_coordinates(geometry), dtype=np.float64)
    if polygon and not one and geometry.area > 0:
        found = _pixel_centres(geometry, what)
        if len(found):
            if len(found) > PIXELS_PER_POLYGON:
                drawn = np.random.default_rng(0).choice(len(found), PIXELS_PER_POLYGON, replace=False)
                found = found[np.sort(drawn)]
            return found
    if polygon:
        check_degrees(np.asarray(shapely.get_coordinates(geometry), dtype=np.float64), what)
    inner = geometry.representative_point()
    return np.array([[inner.x, inner.y]])


def _pixel_centres(geometry: Any, what: str) -> NDArray[np.float64]:
    import shapely

    try:
        parts = parse_area(geometry).parts()
    except InputError as error:
        raise InputError(f"{what}: {error}") from None
    found = []
    for part in parts:
        window = part.window
        step = math.ceil(math.sqrt(window.width * window.height / _CANDIDATES))
        x = (np.arange(window.west, window.east, step) + 0.5) * PIXEL_SIZE
        y = (np.arange(window.north - 1, window.south - 1, -step) + 0.5) * PIXEL_SIZE
        xx, yy = np.meshgrid(x, y)
        shapely.prepare(part.geometry)
        inside = shapely.contains_xy(part.geometry, xx, yy)
        found.append(np.column_stack(to_lonlat(xx[inside], yy[inside], part.zone)))
    return np.concatenate(found) if found else np.empty((0, 2))
