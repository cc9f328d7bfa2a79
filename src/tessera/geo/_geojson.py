"""GeoJSON as a table: a collection, a feature, a geometry, or one feature a line."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, decode_text, parse_json, shown

from ._wkb import depth_checked
from .crs import to_degrees
from .table import ANYTHING, VectorTable, Wanted, as_column, refuse_broken_text

if TYPE_CHECKING:
    from collections.abc import Callable

_URN = re.compile(r"(?:urn:ogc:def:crs:)?(EPSG|ESRI):[\d.]*:?(\d+)")


def load_json(data: str | bytes, source: str) -> dict[str, Any]:
    """A JSON object; features written one a line become a collection."""
    try:
        text = data if isinstance(data, str) else decode_text(data, source)
        text = text.lstrip("\ufeff\x1e \t\r\n")
        value = _objects(text) if _several(text) else parse_json(text, source)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"{source} holds a JSON {type(value).__name__}; expected GeoJSON")
    return value


def _several(text: str) -> bool:
    """Whether the first line is a complete feature and others follow."""
    line, _, rest = text.partition("\n")
    if not rest.strip() or not line.rstrip().endswith("}"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _objects(text: str) -> dict[str, Any]:
    lines = (line.strip("\x1e \t\r") for line in text.split("\n"))
    return {"type": "FeatureCollection", "features": [json.loads(line) for line in lines if line]}


def from_geojson(value: dict[str, Any], source: str, wanted: Wanted = ANYTHING) -> VectorTable:
    """A GeoJSON object as a table."""
    crs = wanted.crs_of(_crs(value, source), source)
    kind = value.get("type")
    if kind == "FeatureCollection":
        features = value.get("features")
    elif kind == "Feature":
        features = [value]
    elif isinstance(kind, str) and ("coordinates" in value or "geometries" in value):
        features = [{"geometry": value, "properties": {}}]
    else:
        raise InputError(f"{source} has type {shown(kind)}; expected a FeatureCollection, Feature or geometry")
    if not isinstance(features, list) or not all(isinstance(feature, dict) for feature in features):
        raise InputError(f"{source} has no list of features; expected a FeatureCollection with `features`")
    from shapely.geometry import shape

    geometries = np.empty(len(features), dtype=object)
    properties = []
    for index, feature in enumerate(features):
        geometries[index] = _geometry(feature, f"{source}, feature {index}", shape)
        row = feature.get("properties")
        if not isinstance(row, dict | None):
            raise InputError(f"{source}, feature {index}: properties are a {type(row).__name__}; expected an object")
        properties.append(row or {})
    names = list(dict.fromkeys(name for row in properties for name in row))
    columns = {name: as_column([row.get(name) for row in properties]) for name in names}
    refuse_broken_text(names, columns, source)
    wanted.check(len(geometries), source)
    return VectorTable(geometries if crs is None else to_degrees(geometries, crs, source), columns, source)


def _geometry(feature: dict[str, Any], what: str, shape: Callable[[Any], Any]) -> Any:
    import shapely

    try:
        geometry = feature["geometry"]
        if geometry is None:
            return None
        with np.errstate(invalid="ignore"):
            return shape(depth_checked(geometry, what))
    except InputError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise InputError(f"{what}: no readable geometry ({shown(error, 160)[1:-1]})") from None
    except shapely.errors.ShapelyError as error:
        raise InputError(f"{what}: no readable geometry ({shown(error, 160)[1:-1]})") from None


def _crs(value: dict[str, Any], source: str) -> str | None:
    """The CRS that GeoJSON of before 2016 may name; None where it has none and so is in degrees."""
    crs = value.get("crs")
    if crs is None:
        return None
    about = crs.get("properties") if isinstance(crs, dict) else None
    name = str(about.get("name", "")) if isinstance(about, dict) else str(crs)
    if name.endswith(("CRS84", "EPSG::4326", "EPSG:4326")):
        return "EPSG:4326"
    found = _URN.fullmatch(name)
    if found is None:
        raise InputError(f"{source} declares the CRS {shown(name)}; GeoJSON is read in degrees (EPSG:4326)")
    return f"{found[1]}:{found[2]}"
