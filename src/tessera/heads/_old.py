"""Files of heads of earlier versions, put into the form of this one."""

from __future__ import annotations

from typing import Any

import numpy as np

from tessera.base import InputError, shown
from tessera.labels import CLASSES, MAX_CLASSES, map_values

from ._packing import pack_one

_SAME = ("format", "version", "kind", "classes", "colours", "column", "year", "dims", "model", "metrics")
KEYS = {1: (*_SAME, "weights", "bias", "mean", "std"), 2: (*_SAME, "head", "span", "arrays")}
_BLOCK_KM_1 = 0.32
"""Side of a block in the reports of version 1."""


def as_version_3(value: dict[str, Any]) -> dict[str, Any]:
    """The content of a file of version 1 or 2, whose keys were checked, as of version 3; not checked further.

    Raises
    ------
    InputError
        Numbers or lists that such a file does not have.
    """
    classes = value["classes"]
    if not isinstance(classes, list) or not all(isinstance(one, str) for one in classes):
        raise InputError("classes are no list of texts")
    if len(classes) > MAX_CLASSES:
        raise InputError(f"{len(classes):,} classes; expected at most {MAX_CLASSES}")
    if value["version"] == 1:
        value = _as_version_2(value, len(classes))
    one = {"year": value["year"], "dims": value["dims"], "model": value["model"], "store": ""}
    kept = ("head", "kind", "classes", "colours", "span", "column", "arrays", "metrics")
    return {
        "format": value["format"],
        "version": 3,
        **{name: value[name] for name in kept},
        "values": list(map_values(tuple(classes))),
        "inputs": [one],
        "trust": None,
        "applicability": None,
        "provenance": {},
    }


def _as_version_2(value: dict[str, Any], classes: int) -> dict[str, Any]:
    """Version 1 held linear heads of classes alone, with lists of numbers."""
    if value["kind"] != "linear":
        raise InputError(f"of kind {shown(value['kind'])}; version 1 has 'linear'")
    dims = value["dims"]
    if not isinstance(value["weights"], list) or len(value["weights"]) != classes:
        raise InputError(f"weights that are no list of {classes} rows, one a class")
    arrays = {name: _vector(value[name], dims, name) for name in ("mean", "std")}
    arrays["bias"] = _vector(value["bias"], classes, "bias")
    arrays["weights"] = np.array([_vector(row, dims, "weights") for row in value["weights"]], np.float32)
    metrics = value["metrics"]
    if isinstance(metrics, dict) and metrics.get("split") == "spatial":
        metrics = {**metrics, "block_km": _BLOCK_KM_1}
    packed = {name: pack_one(array) for name, array in arrays.items()}
    return {**value, "head": "linear", "kind": CLASSES, "span": None, "arrays": packed, "metrics": metrics}


def _vector(value: Any, size: Any, what: str) -> Any:
    if not isinstance(value, list) or len(value) != size or not value:
        raise InputError(f"{what} with {len(value) if isinstance(value, list) else 0} numbers; expected {shown(size)}")
    if not all(isinstance(item, (int, float)) and not isinstance(item, bool) for item in value):
        raise InputError(f"{what} with an entry that is no number")
    limit = float(np.finfo(np.float32).max)
    if not all(-limit <= item <= limit for item in value):
        raise InputError(f"{what} with a number that is not finite in float32")
    return np.array(value, dtype=np.float32)
