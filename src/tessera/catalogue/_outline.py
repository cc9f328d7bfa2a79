"""Outlines of lattice windows in degrees, true to 2 m and cut at the date line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.geo import PIXEL_SIZE, to_lonlat

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STEP = 256
"""Pixels between vertices (2,560 m): a straight line in degrees then leaves the edge by 1.2 m at most, at 84 N."""
_DIGITS = 7
"""Decimals of a degree (1 cm), so that last bits of a projection do not change the bytes."""


def outlines(
    zone: int, west: NDArray[np.int64], north: NDArray[np.int64], size: int
) -> tuple[NDArray[np.object_], NDArray[np.float64]]:
    """Outlines of square windows of one zone, by px of the first column and py above the first row (N,).

        (N,) polygons counterclockwise, or multipolygons cut at the date line; (N, 4) xmin, ymin, xmax, ymax of each,
    degrees: a window over the date line spans -180 to 180, so that a filter by bbox never misses it.
    """
    import shapely

    steps = np.linspace(0.0, size, max(1, size // _STEP) + 1)[:-1]
    zero = np.zeros_like(steps)
    right = np.concatenate([steps, zero + size, size - steps, zero, [0.0]])
    up = np.concatenate([zero, steps, zero + size, size - steps, [0.0]])
    x = (west[:, None] + right) * PIXEL_SIZE
    y = (north[:, None] - size + up) * PIXEL_SIZE
    lon, lat = to_lonlat(x, y, zone)
    middle = 6 * zone - 183
    lon = np.round((lon - middle + 180) % 360 - 180 + middle, _DIGITS)
    rings = np.stack([lon, np.round(lat, _DIGITS)], axis=-1)
    shapes: NDArray[Any] = np.asarray(shapely.polygons(rings), dtype=object)
    for index in np.flatnonzero((lon.min(axis=1) < -180) | (lon.max(axis=1) > 180)):
        shapes[index] = _cut(shapes[index])
    return shapes, np.asarray(shapely.bounds(shapes), dtype=np.float64).reshape(-1, 4)


def _cut(polygon: Any) -> Any:
    import shapely
    from shapely.affinity import translate

    pieces = []
    for turn in (-360, 0, 360):
        piece = shapely.intersection(translate(polygon, xoff=turn), shapely.box(-180, -90, 180, 90))
        pieces += [part for part in shapely.get_parts(piece) if part.geom_type == "Polygon" and part.area > 0]
    pieces = [shapely.set_precision(piece, 10.0**-_DIGITS) for piece in pieces]
    turned = [piece if piece.exterior.is_ccw else piece.reverse() for piece in pieces if not piece.is_empty]
    return turned[0] if len(turned) == 1 else shapely.multipolygons(turned)
