"""Points in degrees, and the lattice pixel of each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError

from .degrees import TURN, wrapped
from .lattice import EAST, NORTH, PIXEL_SIZE, SOUTH, WEST
from .vector import VectorTable, read_vector
from .zones import LAT_MAX, LAT_MIN, from_lonlat, zones_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


def parse_points(points: object) -> NDArray[np.float64]:
    """Longitude and latitude of each point.

    Parameters
    ----------
    points : (N, 2) pairs of longitude and latitude in degrees, one such pair, or what `read_vector` reads: a file,
        GeoJSON, a GeoDataFrame, a DataFrame with columns lon and lat. A longitude beyond 180 is wrapped

    Returns
    -------
    (N, 2) float64, degrees, longitudes from -180 to 180

    Raises
    ------
    InputError
        The shape is another one, a geometry is missing or not a point, a coordinate is not finite, or a point is beyond
        80 S or 84 N.
    """
    if isinstance(points, (str, Path, dict, VectorTable)) or hasattr(points, "to_crs") or hasattr(points, "columns"):
        lonlat = lonlat_of(read_vector(points))
    else:
        try:
            lonlat = np.asarray(points, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError("points that are not numbers; expected pairs of longitude and latitude") from None
        if lonlat.shape == (2,):
            lonlat = lonlat[None]
        if lonlat.size == 0:
            lonlat = lonlat.reshape(0, 2)
        if lonlat.ndim != 2 or lonlat.shape[1] != 2:
            raise InputError(f"points of shape {lonlat.shape}; expected (N, 2), longitude and latitude in degrees")
    lonlat = wrapped(lonlat)
    _check(lonlat)
    return lonlat


def lonlat_of(table: VectorTable) -> NDArray[np.float64]:
    """Longitude and latitude (N, 2) of features that are one point each; a multipoint of one point counts.

    Raises
    ------
    InputError
        A feature has no geometry, several points, or another geometry.
    """
    import shapely

    kinds = shapely.get_type_id(table.geometries)
    several = kinds == shapely.GeometryType.MULTIPOINT
    alone = (kinds == shapely.GeometryType.POINT) | (several & (shapely.get_num_geometries(table.geometries) == 1))
    wrong = np.flatnonzero(~alone | shapely.is_empty(table.geometries))
    if len(wrong):
        index = int(wrong[0])
        shape = table.geometries[index]
        if shape is None or shape.is_empty:
            said = "has no geometry; expected a point"
        elif several[index]:
            said = f"is {len(shape.geoms)} points; expected one point a feature"
        else:
            said = f"is a {shape.geom_type}; expected points only"
        raise InputError(f"{table.source}, feature {index} {said}")
    return np.asarray(shapely.get_coordinates(table.geometries), dtype=np.float64)


def _check(lonlat: NDArray[np.float64]) -> None:
    lon, lat = lonlat.T
    with np.errstate(invalid="ignore"):
        good = (np.abs(lon) <= 180.0) & (lat >= LAT_MIN) & (lat <= LAT_MAX)
    if not good.all():
        index = int(np.flatnonzero(~good)[0])
        if max(abs(lon[index]), abs(lat[index])) > TURN:
            raise InputError(
                f"point {index} is at {lon[index]:.10g}, {lat[index]:.10g}: not degrees, perhaps metres; expected "
                f"longitude and latitude in degrees"
            )
        turned = "; does latitude come first?" if 90 < abs(lat[index]) <= 180 and abs(lon[index]) <= 90 else ""
        raise InputError(
            f"point {index} is at longitude {lon[index]:g}, latitude {lat[index]:g}, outside the grid{turned}; "
            "expected longitudes from -180 to 180 and latitudes from -80 to 84"
        )


def points_in_zones(
    lonlat: NDArray[np.float64],
) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """Group points by UTM zone and find the pixel of each.

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
