"""The CRS that an untrusted file declares, and its conversion to degrees."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from tessera.base import InputError, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from pyproj import CRS

_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9_]*:[A-Za-z0-9_.]+")
_WKT = re.compile(r"\s*[A-Z][A-Z_0-9]*\s*\[", re.IGNORECASE)
_FILES = re.compile(
    r"PARAMETER_?FILE|PROJ4_GRIDS|(?:grids|model|file|init|catalog)\s*=(?!\s*@null(?:[\s\"\\]|$))|\"value\": *\"",
    re.IGNORECASE,
)
"""Where WKT and PROJJSON name a grid-shift file, which PROJ would open for a transformation; @null names none."""
_IN_DATA = re.compile(rb"PARAMETER_?FILE|PROJ4_GRIDS|(?:nad|geoid|\+)grids\s*=(?!\s*@null(?:[\s\"]|$))", re.IGNORECASE)
_BLOCK, _OVERLAP = 16 * 1024**2, 256


def refuse_crs_files(file: BinaryIO, most: int | None, source: str) -> None:
    """Raise InputError if a file has a CRS that names another file, because the library that reads it would open that.

    Only the `most` leading bytes can hold a CRS, WKT in ASCII or UTF-16; None: all.
    """
    held, left = b"", most
    while data := file.read(_BLOCK if left is None else min(left, _BLOCK)):
        held = held[-_OVERLAP:] + data.replace(b"\0", b"")
        if _IN_DATA.search(held):
            raise InputError(_names_file(source))
        left = None if left is None else left - len(data)


def _names_file(source: str) -> str:
    return f"{source}: its CRS names a file, which is not opened; expected a CRS without files"


def parse_crs(crs: object, source: str) -> CRS:
    """Parse the CRS of an untrusted file with pyproj.

    Parameters
    ----------
    crs : a code such as "EPSG:3035", WKT, or PROJJSON as a mapping. PROJ strings are refused, as they can open files

    Raises
    ------
    InputError
        It is None or cannot be parsed.
    """
    from pyproj import CRS
    from pyproj.exceptions import ProjError

    if crs is None:
        raise InputError(f"{source} has no CRS; expected one, or degrees (EPSG:4326)")
    is_text = isinstance(crs, str) and (_AUTHORITY.fullmatch(crs.strip()) or _WKT.match(crs))
    if not is_text and not isinstance(crs, dict):
        raise InputError(f"{source}: CRS {shown(crs)}; expected an authority's code, WKT or PROJJSON")
    try:
        return CRS.from_json_dict(crs) if isinstance(crs, dict) else CRS.from_user_input(str(crs).strip())
    except (ProjError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{source}: CRS cannot be read ({shown(error, 160)[1:-1]})") from None


def to_degrees(geometries: NDArray[np.object_], crs: object, source: str) -> NDArray[np.object_]:
    """Transform geometries to degrees (EPSG:4326); those already in EPSG:4326 keep their exact coordinates."""
    import shapely

    move = _mover(crs, source)
    return geometries if move is None else np.asarray(shapely.transform(geometries, move), dtype=object)


def places_of(xy: NDArray[np.float64], crs: object, source: str) -> NDArray[np.float64]:
    """Longitude and latitude of coordinates (N, 2) in the CRS of an untrusted file.

    Raises
    ------
    InputError
        The CRS is None, cannot be parsed, names files, or is not of the Earth.
    """
    move = _mover(crs, source)
    return xy if move is None else move(xy)


def _mover(crs: object, source: str) -> Callable[[NDArray[np.float64]], NDArray[np.float64]] | None:
    """What converts coordinates to degrees; None where they are degrees."""
    from pyproj import CRS, Transformer
    from pyproj.exceptions import ProjError

    parsed = parse_crs(crs, source)
    if _FILES.search(json.dumps(crs) if isinstance(crs, dict) else str(crs)):
        raise InputError(_names_file(source))
    try:
        # x is the longitude in every vector format, whatever axis order the CRS declares
        if parsed.equals(CRS.from_epsg(4326), ignore_axis_order=True):
            return None
        transformer = Transformer.from_crs(parsed, "EPSG:4326", always_xy=True)
    except ProjError as error:
        if "celestial body" in str(error):
            raise InputError(
                f"{source} has the CRS {shown(parsed.name, 60)}, which is not of the Earth; expected one of the Earth"
            ) from None
        raise InputError(f"{source}: CRS cannot be read ({shown(error, 160)[1:-1]})") from None

    def move(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(transformer.transform(points[:, 0], points[:, 1]))

    return move
