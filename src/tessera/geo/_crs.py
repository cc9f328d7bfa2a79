"""From the CRS that a file declares to degrees."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9_]*:[A-Za-z0-9_.]+")
_WKT = re.compile(r"\s*[A-Z][A-Z_0-9]*\s*\[", re.IGNORECASE)


def to_degrees(geometries: NDArray[np.object_], crs: object, source: str) -> NDArray[np.object_]:
    """Geometries of a CRS in degrees (EPSG:4326); those of EPSG:4326 itself are kept bit for bit.

    Parameters
    ----------
    crs : "EPSG:3035" or the like, WKT, or PROJJSON as a mapping. A PROJ string is refused: it can name files

    Raises
    ------
    InputError
        None, or one that cannot be read.
    """
    import shapely
    from pyproj import CRS, Transformer
    from pyproj.exceptions import ProjError

    if crs is None:
        raise InputError(f"{source} has no CRS; expected one, or degrees (EPSG:4326)")
    try:
        if isinstance(crs, dict):
            parsed = CRS.from_json_dict(crs)
        elif isinstance(crs, str) and (_AUTHORITY.fullmatch(crs.strip()) or _WKT.match(crs)):
            parsed = CRS.from_user_input(crs.strip())
        else:
            raise InputError(f"{source}: CRS {shown(crs)}; expected an authority's code, WKT or PROJJSON")
        # x is the longitude in every vector format, whatever order of axes the CRS itself declares
        if parsed.equals(CRS.from_epsg(4326), ignore_axis_order=True):
            return geometries
        transformer = Transformer.from_crs(parsed, "EPSG:4326", always_xy=True)
    except (ProjError, TypeError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{source}: CRS cannot be read ({shown(error, 160)[1:-1]})") from None

    def move(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(transformer.transform(points[:, 0], points[:, 1]))

    return np.asarray(shapely.transform(geometries, move), dtype=object)
