"""The file of a head: JSON with arrays as base64, of every learner one form; nothing in it is ever run."""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, parse_json, read_regular, shown, write_atomic
from tessera.embeddings import ModelIdentity
from tessera.labels import CLASSES, KINDS
from tessera.learners import LEARNERS, SPATIAL

from ._metrics import parse_metrics
from ._tensors import read_tensors, write_tensors
from .inputs import HeadInput

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

FORMAT = "tessera-head"
VERSION = 2
_SAME = ("format", "version", "kind", "classes", "colours", "column", "year", "dims", "model", "metrics")
_KEYS = {1: (*_SAME, "weights", "bias", "mean", "std"), 2: (*_SAME, "head", "span", "arrays")}
LIMIT = 256 * 1024 * 1024
"""Bytes of a file: a forest of some hundred thousand labels."""
_MOST_VALUES = 2_000_000
"""Values of a file, arrays aside, by its commas: each takes some 100 bytes in memory. Version 1 lists all weights."""
_TYPES = {name: np.dtype(f"<{code}") for name, code in (("int16", "i2"), ("int32", "i4"), ("int64", "i8"))} | {
    "float32": np.dtype("<f4"),
    "float64": np.dtype("<f8"),
}
_BLOCK_KM_1 = 0.32
"""Side of a block in the reports of version 1."""


def write_head(path: Path, fields: Mapping[str, Any]) -> None:
    """Write the fields of a `Head`, whole or not at all.

    Raises
    ------
    InputError
        The file cannot be written, or would be larger than can be read back.
    """
    learnt = fields["learnt"]
    value = {
        "format": FORMAT,
        "version": VERSION,
        "head": fields["head"],
        "kind": KINDS[not learnt.classes],
        "classes": list(fields["classes"]),
        "span": fields["span"] and list(fields["span"]),
        "colours": list(fields["colours"]),
        "column": fields["column"],
        "year": fields["inputs"][0].year,
        "dims": learnt.dims,
        "model": fields["inputs"][0].model.to_json(),
        "metrics": fields["metrics"],
        "arrays": (
            write_tensors(path, learnt.arrays())
            if fields["head"] in SPATIAL
            else {name: _packed(array) for name, array in learnt.arrays().items()}
        ),
    }
    data = (json.dumps(value, allow_nan=False, ensure_ascii=False) + "\n").encode()
    if len(data) > LIMIT:
        raise InputError(
            f"a head of {len(data) / 1e6:,.0f} MB; expected at most {LIMIT / 1e6:,.0f} MB: fit on fewer labels, or "
            "head linear or mlp, whose size does not grow with them"
        )
    try:
        write_atomic(path, data)
    except OSError as error:
        raise InputError(f"cannot write the head {path}: {error.strerror or error}") from None


def read_head(path: Path) -> dict[str, Any]:
    """The fields of a `Head` that `write_head` wrote, or version 1 before it.

    Raises
    ------
    InputError
        The file is missing, of another format or version, or holds sizes or numbers that no head has.
    """
    try:
        data = read_regular(path, what="head", limit=LIMIT)
    except FileNotFoundError:
        raise InputError(f"head not found: {path}") from None
    except OSError as error:
        raise InputError(f"cannot read the head {path}: {error.strerror or error}") from None
    if data.count(b",") > _MOST_VALUES:
        raise InputError(f"head {path} holds {data.count(b','):,} values; expected at most {_MOST_VALUES:,}")
    is_object = data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")
    value = parse_json(data, f"head {path}") if is_object else {}
    if "format" not in value:
        raise InputError(f"{path} is no head file; expected one that tessera fit or Head.save wrote (.json)")
    if value.get("format") != FORMAT:
        raise InputError(f"{path} has format {shown(value.get('format'))}; expected {FORMAT!r}")
    version = value.get("version")
    if isinstance(version, bool) or version not in (1, VERSION):
        raise InputError(f"head {path} has version {shown(version)}; this release reads 1 to {VERSION}")
    try:
        return _fields(value, _KEYS[version], path.parent)
    except InputError as error:
        raise InputError(f"head {path}: {error}") from None


def _fields(value: dict[str, Any], keys: tuple[str, ...], folder: Path) -> dict[str, Any]:
    if set(value) != set(keys):
        lacking, strange = sorted(set(keys) - set(value)), sorted(set(value) - set(keys))
        raise InputError(f"lacks {lacking} and has {shown(strange)} besides; expected {', '.join(keys)}")
    year, dims = value["year"], value["dims"]
    for number, what in ((year, "year"), (dims, "dims")):
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise InputError(f"{what} {shown(number)}; expected a whole number above 0")
    classes, colours = _texts(value["classes"], "classes"), _texts(value["colours"], "colours")
    if value["version"] == 1:
        value = _as_version_2(value, dims, len(classes))
    head, kind = value["head"], value["kind"]
    if not isinstance(head, str) or head not in LEARNERS:
        raise InputError(f"head {shown(head)}; this release reads {', '.join(LEARNERS)}")
    if kind not in KINDS or (kind == CLASSES) != bool(classes):
        raise InputError(f"kind {shown(kind)} with {len(classes)} classes; expected {' or '.join(KINDS)}")
    if not isinstance(value["column"], str):
        raise InputError(f"column {shown(value['column'])}; expected text")
    try:
        model = ModelIdentity.from_json(value["model"])
    except (ValueError, OverflowError) as error:
        raise InputError(f"model: {error}") from None
    arrays = value["arrays"]
    if not isinstance(arrays, dict):
        raise InputError(f"arrays are a {type(arrays).__name__}; expected an object")
    if head in SPATIAL:
        unpacked = read_tensors(folder, arrays)
    else:
        unpacked = {name: _unpacked(name, packed) for name, packed in arrays.items()}
    learnt = LEARNERS[head].read(unpacked, len(classes))
    if learnt.dims != dims:
        raise InputError(f"arrays of {learnt.dims} dims; expected {dims}")
    return {
        "head": head,
        "learnt": learnt,
        "classes": classes,
        "span": _span(value["span"], numbers=not classes),
        "column": value["column"],
        "inputs": (HeadInput(year, dims, model),),
        "colours": colours,
        "metrics": parse_metrics(value["metrics"], classes),
    }


def _as_version_2(value: dict[str, Any], dims: int, classes: int) -> dict[str, Any]:
    """Version 1 held linear heads of classes alone, with lists of numbers."""
    if value["kind"] != "linear":
        raise InputError(f"of kind {shown(value['kind'])}; version 1 has 'linear'")
    if not isinstance(value["weights"], list) or len(value["weights"]) != classes:
        raise InputError(f"weights that are no list of {classes} rows, one a class")
    arrays = {name: _vector(value[name], dims, name) for name in ("mean", "std")}
    arrays["bias"] = _vector(value["bias"], classes, "bias")
    arrays["weights"] = np.array([_vector(row, dims, "weights") for row in value["weights"]], np.float32)
    metrics = value["metrics"]
    if isinstance(metrics, dict) and metrics.get("split") == "spatial":
        metrics = {**metrics, "block_km": _BLOCK_KM_1}
    packed = {name: _packed(array.reshape(-1, dims) if name == "weights" else array) for name, array in arrays.items()}
    return {**value, "head": "linear", "kind": CLASSES, "span": None, "arrays": packed, "metrics": metrics}


def _span(value: Any, *, numbers: bool) -> tuple[float, float] | None:
    if not numbers:
        if value is not None:
            raise InputError("a span of numbers and classes; expected one of both")
        return None
    if not isinstance(value, list) or len(value) != 2:
        raise InputError(f"span {shown(value)}; expected the least and the greatest number")
    low, high = _vector(value, 2, "span").astype(np.float64).tolist()
    if not low < high:
        raise InputError(f"span {shown(value)}; expected a least below a greatest number")
    return float(value[0]), float(value[1])


def _packed(array: NDArray[Any]) -> dict[str, Any]:
    name = array.dtype.name
    data = np.ascontiguousarray(array, dtype=_TYPES[name]).tobytes()
    return {"dtype": name, "shape": list(array.shape), "data": base64.b64encode(data).decode()}


def _unpacked(name: str, value: Any) -> NDArray[Any]:
    what = f"array {shown(name, 40)}"
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data"}:
        raise InputError(f"{what} is no object of dtype, shape and data")
    dtype, shape, text = value["dtype"], value["shape"], value["data"]
    if not isinstance(dtype, str) or dtype not in _TYPES:
        raise InputError(f"{what} of {shown(dtype)}; expected one of {', '.join(_TYPES)}")
    if not isinstance(shape, list) or not 1 <= len(shape) <= 2 or not all(type(n) is int and n >= 0 for n in shape):
        raise InputError(f"{what} of shape {shown(shape)}; expected one or two whole numbers")
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (AttributeError, ValueError):
        raise InputError(f"{what} holds data that are no base64") from None
    # beside a side of 0 any other one has no bytes
    if math.prod(shape) * _TYPES[dtype].itemsize != len(data) or max(shape) > LIMIT:
        raise InputError(f"{what} of {dtype} {shown(shape)} with {len(data):,} bytes")
    return np.frombuffer(data, dtype=_TYPES[dtype]).reshape(shape).astype(dtype)


def _texts(value: Any, what: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise InputError(f"{what} are no list of texts")
    return tuple(value)


def _vector(value: Any, size: int, what: str) -> NDArray[np.float32]:
    if not isinstance(value, list) or len(value) != size:
        raise InputError(f"{what} with {len(value) if isinstance(value, list) else 0} numbers; expected {size}")
    if not all(isinstance(item, (int, float)) and not isinstance(item, bool) for item in value):
        raise InputError(f"{what} with an entry that is no number")
    limit = float(np.finfo(np.float32).max)
    if not all(-limit <= item <= limit for item in value):
        raise InputError(f"{what} with a number that is not finite in float32")
    return np.array(value, dtype=np.float32)
