"""Places that are known not to have changed, and places whose class is known in both years."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, shown
from tessera.geo import PIXEL_SIZE, check_degrees, lonlat_of, read_vector, to_zone
from tessera.labels import NO_DATA, class_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.geo import Window
    from tessera.heads import Head

    from ._asked import ChangeSource

_MOST_POLYGONS = 200_000
_HALF = PIXEL_SIZE / 2


def shapes_of(source: object, window: Window, what: str) -> tuple[NDArray[np.object_], Any]:
    """Polygons in metres of a window's CRS, and their table; points become the square of the pixel that holds them.

    Raises
    ------
    InputError
        Lines, no feature, or too many.
    """
    import shapely

    table = read_vector(source)
    if not 0 < len(table) <= _MOST_POLYGONS:
        raise InputError(f"{table.source} holds {len(table):,} {what}; expected 1 to {_MOST_POLYGONS:,}")
    out = np.empty(len(table), dtype=object)
    for row, geometry in enumerate(table.geometries.tolist()):
        if geometry is None or geometry.is_empty:
            out[row] = shapely.Polygon()
            continue
        if geometry.geom_type not in ("Point", "MultiPoint", "Polygon", "MultiPolygon"):
            raise InputError(f"{table.source}, feature {row}, is a {geometry.geom_type}; expected polygons or points")
        check_degrees(shapely.get_coordinates(geometry), f"{table.source}, feature {row}")
        metres = to_zone(geometry, window.zone)
        if "Point" in geometry.geom_type:
            centres = (np.floor(shapely.get_coordinates(metres) / PIXEL_SIZE) + 0.5) * PIXEL_SIZE
            metres = shapely.union_all(shapely.box(*(centres - _HALF).T, *(centres + _HALF).T))
        out[row] = shapely.make_valid(metres)
    return out, table


def read_reference(
    source: object, columns: tuple[str, str], head: Head, store: ChangeSource, years: tuple[int, int], dims: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """A sample of points whose class is known in two years.

    Parameters
    ----------
    columns : with the class in the first year and in the second

    Returns
    -------
    mapped and true classes (n, 2) of points with data in both years, and how many have none

    Raises
    ------
    InputError
        No such columns, classes that the head does not know, or no point with data.
    """
    table = read_vector(source)
    lonlat = lonlat_of(table)
    index = {name: number for number, name in enumerate(head.classes)}
    truth = np.empty((len(table), 2), dtype=np.int64)
    for side, column in enumerate(columns):
        for row, value in enumerate(table.column(column).tolist()):
            name = class_text(str(int(value)) if isinstance(value, float) and value.is_integer() else str(value))
            if name not in index:
                raise InputError(
                    f"{table.source}, column {shown(column)}, row {row + 1}: {shown(name, 40)} is no class of the "
                    f"head; it has {', '.join(head.classes[:12])}"
                )
            truth[row, side] = index[name]
    kept = None if dims == store.dims else dims
    lookup = np.full(256, -1, dtype=np.int64)
    lookup[list(head.values)] = np.arange(len(head.classes))
    lookup[NO_DATA] = -1
    mapped = np.stack([lookup[head.predict_codes(store.sample_codes(lonlat, year, kept))] for year in years], axis=1)
    good = (mapped >= 0).all(axis=1)
    if not good.any():
        raise InputError(f"no point of {table.source} has data in {years[0]} and {years[1]}")
    return mapped[good], truth[good], int((~good).sum())
