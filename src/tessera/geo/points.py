"""Points in degrees, and the lattice pixel that holds each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError

from .lattice import EAST, NORTH, PIXEL_SIZE, SOUTH, WEST
from .vector import read_vector
from .zones import LAT_MAX, LAT_MIN, from_lonlat, zones_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


def parse_points(points: object) -> NDArray[np.float64]:
    """Longitude and latitude of each point.

    Parameters
    ----------
    points : (N, 2) pairs of longitude and latitude in degrees, one such pair, or what `read_vector` reads: a file,
        GeoJSON, a GeoDataFrame, a DataFrame with columns lon and lat

    Returns
    -------
    (N, 2) float64, degrees

    Raises
    ------
    InputError
        Another shape, a geometry that is missing or no point, a coordinate that is not finite, or a point beyond 80 S
        or 84 N.
    """
    if isinstance(points, (str, Path, dict)) or hasattr(points, "to_crs") or hasattr(points, "columns"):
        import shapely

        table = read_vector(points)
        absent = np.flatnonzero(shapely.is_missing(table.geometries) | shapely.is_empty(table.geometries))
        if len(absent):
            raise InputError(f"{table.source}, feature {absent[0]} has no geometry; expected a point")
        if not (shapely.get_type_id(table.geometries) == shapely.GeometryType.POINT).all():
            raise InputError(f"{table.source} has geometries that are no points; expected points only")
        lonlat = shapely.get_coordinates(table.geometries)
    else:
        try:
            lonlat = np.asarray(points, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError("points that are no numbers; expected pairs of longitude and latitude") from None
        if lonlat.shape == (2,):
            lonlat = lonlat[None]
        if lonlat.size == 0:
            lonlat = lonlat.reshape(0, 2)
        if lonlat.ndim != 2 or lonlat.shape[1] != 2:
            raise InputError(f"points of shape {lonlat.shape}; expected (N, 2), longitude and latitude in degrees")
    _check(lonlat)
    return lonlat


def _check(lonlat: NDArray[np.float64]) -> None:
    lon, lat = lonlat.T
    with np.errstate(invalid="ignore"):
        good = (np.abs(lon) <= 180.0) & (lat >= LAT_MIN) & (lat <= LAT_MAX)
    if not good.all():
        index = int(np.flatnonzero(~good)[0])
        if max(abs(lon[index]), abs(lat[index])) > 360:
            raise InputError(
                f"point {index} is at {lon[index]:.10g}, {lat[index]:.10g}: no degrees, metres perhaps; expected "
                f"longitude and latitude in degrees"
            )
        raise InputError(
            f"point {index} is at longitude {lon[index]:g}, latitude {lat[index]:g}, outside the grid; expected "
            f"longitudes from -180 to 180 and latitudes from -80 to 84"
        )


def points_in_zones(
    lonlat: NDArray[np.float64],
) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """Group points by UTM zone and find the pixel that holds each.

    Parameters
    ----------
    lonlat : (N, 2) float64, degrees, as `parse_points` returns them

    Yields
    ------
    zone, index (M,) of the points in it, px (M,) and py (M,), pixels from the zone's origin
    """
    zones = zones_of(lonlat[:, 0])
    for zone in np.unique(zones):
        index = np.flatnonzero(zones == zone)
        x, y = from_lonlat(lonlat[index, 0], lonlat[index, 1], int(zone))
        px = np.floor(x / PIXEL_SIZE).astype(np.int64)
        py = np.floor(y / PIXEL_SIZE).astype(np.int64)
        yield int(zone), index, np.clip(px, WEST, EAST - 1), np.clip(py, SOUTH, NORTH - 1)
