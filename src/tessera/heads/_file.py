"""The file of a head: JSON with arrays as base64, of every learner one form; nothing in it is ever run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, parse_json, read_regular, shown, write_atomic
from tessera.embeddings import ModelIdentity
from tessera.labels import CLASSES, KINDS, map_values
from tessera.learners import LEARNERS, SPATIAL
from tessera.validation import Applicability, Trust

from ._metrics import parse_metrics
from ._old import KEYS, as_version_3
from ._packing import pack, unpack
from ._tensors import read_tensors, write_tensors
from .inputs import HeadInput

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tessera.learners import Model

FORMAT = "tessera-head"
VERSION = 3
_KEYS = (
    *("format", "version", "head", "kind", "classes", "values", "colours", "span", "column", "inputs"),
    *("arrays", "trust", "applicability", "metrics", "provenance"),
)
LIMIT = 256 * 1024 * 1024
"""Bytes of a file: a forest of some hundred thousand labels."""
_MOST_VALUES = 2_000_000
"""Values of a file, arrays aside, by its commas: each takes some 100 bytes in memory. Version 1 lists all weights."""
_PROVENANCE = 1_000_000
"""Letters of a provenance as JSON, at most."""


def write_head(path: Path, fields: Mapping[str, Any]) -> None:
    """Write the fields of a `Head`, whole or not at all.

    Raises
    ------
    InputError
        The file cannot be written, or would be larger than can be read back.
    """
    learnt, trust, applicability = fields["learnt"], fields["trust"], fields["applicability"]
    value = {
        "format": FORMAT,
        "version": VERSION,
        "head": fields["head"],
        "kind": KINDS[not learnt.classes],
        "classes": list(fields["classes"]),
        "values": list(map_values(fields["classes"])),
        "colours": list(fields["colours"]),
        "span": fields["span"] and list(fields["span"]),
        "column": fields["column"],
        "inputs": [one.to_json() for one in fields["inputs"]],
        "arrays": pack_model(path, fields["head"], learnt),
        "trust": trust and trust.to_json(),
        "applicability": applicability and pack(applicability.arrays()),
        "metrics": fields["metrics"],
        "provenance": parse_provenance(fields["provenance"]),
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


def pack_model(path: Path, head: str, learnt: Model) -> dict[str, Any]:
    """The "arrays" of a head's file at `path`; those of a large model are written to a file beside it."""
    return write_tensors(path, learnt.arrays()) if head in SPATIAL else pack(learnt.arrays())


def unpack_model(path: Path, head: str, value: Any, classes: int) -> Model:
    """The model whose arrays `pack_model` made plain."""
    if not isinstance(value, dict):
        raise InputError(f"arrays are a {type(value).__name__}; expected an object")
    arrays = read_tensors(path.parent, value) if head in SPATIAL else unpack(value, "arrays")
    return LEARNERS[head].read(arrays, classes)


def read_head(path: Path) -> dict[str, Any]:
    """The fields of a `Head` that `write_head` wrote, or versions 1 and 2 before it.

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
    return parse_head(data, path)


def parse_head(data: bytes, path: Path) -> dict[str, Any]:
    """The fields of a `Head` from the bytes of its file; `path` names it in messages.

    Raises
    ------
    InputError
        It has another format or version, or holds sizes or numbers that no head has.
    """
    if data.count(b",") > _MOST_VALUES:
        raise InputError(f"head {path} holds {data.count(b','):,} values; expected at most {_MOST_VALUES:,}")
    is_object = data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")
    value = parse_json(data, f"head {path}") if is_object else {}
    if "format" not in value:
        raise InputError(f"{path} is no head file; expected one that tessera fit or Head.save wrote (.json)")
    if value.get("format") != FORMAT:
        raise InputError(f"{path} has format {shown(value.get('format'))}; expected {FORMAT!r}")
    version = value.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= VERSION:
        raise InputError(f"head {path} has version {shown(version)}; this release reads 1 to {VERSION}")
    try:
        _expect_keys(value, KEYS.get(version, _KEYS))
        return _fields(path, value if version == VERSION else as_version_3(value))
    except InputError as error:
        raise InputError(f"head {path}: {error}") from None


def _expect_keys(value: dict[str, Any], keys: tuple[str, ...]) -> None:
    if set(value) != set(keys):
        lacking, strange = sorted(set(keys) - set(value)), sorted(set(value) - set(keys))
        raise InputError(f"lacks {lacking} and has {shown(strange)} besides; expected {', '.join(keys)}")


def _fields(path: Path, value: dict[str, Any]) -> dict[str, Any]:
    classes, colours = _texts(value["classes"], "classes"), _texts(value["colours"], "colours")
    head, kind = value["head"], value["kind"]
    if not isinstance(head, str) or head not in LEARNERS:
        raise InputError(f"head {shown(head)}; this release reads {', '.join(LEARNERS)}")
    if kind not in KINDS or (kind == CLASSES) != bool(classes):
        raise InputError(f"kind {shown(kind)} with {len(classes)} classes; expected {' or '.join(KINDS)}")
    if not isinstance(value["column"], str):
        raise InputError(f"column {shown(value['column'])}; expected text")
    inputs = value["inputs"]
    if not isinstance(inputs, list) or not inputs:
        raise InputError(f"inputs {shown(inputs)}; expected a list of one input or more")
    learnt = unpack_model(path, head, value["arrays"], len(classes))
    values = list(map_values(classes))
    if value["values"] != values:
        raise InputError(f"values {shown(value['values'])}; expected {shown(values)}, which the classes' names give")
    trust, applicability = value["trust"], value["applicability"]
    return {
        "head": head,
        "learnt": learnt,
        "classes": classes,
        "span": _span(value["span"], numbers=not classes),
        "column": value["column"],
        "inputs": tuple(_input(one) for one in inputs),
        "colours": colours,
        "metrics": parse_metrics(value["metrics"], classes),
        "trust": None if trust is None else Trust.from_json(trust),
        "applicability": None
        if applicability is None
        else Applicability.from_arrays(unpack(applicability, "arrays of the applicability")),
        "provenance": parse_provenance(value["provenance"]),
    }


def _input(value: Any) -> HeadInput:
    if not isinstance(value, dict) or set(value) != {"year", "dims", "model", "store"}:
        raise InputError("an input that is no object of year, dims, model and store")
    for what in ("year", "dims"):
        number = value[what]
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise InputError(f"{what} {shown(number)}; expected a whole number above 0")
    if not isinstance(value["store"], str):
        raise InputError(f"store {shown(value['store'])}; expected text")
    try:
        model = ModelIdentity.from_json(value["model"])
    except (ValueError, OverflowError) as error:
        raise InputError(f"model: {error}") from None
    return HeadInput(value["year"], value["dims"], model, value["store"])


def parse_provenance(value: Any) -> dict[str, Any]:
    """Plain values as they are.

    Raises
    ------
    InputError
        Not an object, or with something that JSON does not hold, or too large.
    """
    if not isinstance(value, dict):
        raise InputError(f"provenance is a {type(value).__name__}; expected an object")
    try:
        size = len(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        raise InputError("provenance with a number that is not finite, or no plain value") from None
    if size > _PROVENANCE:
        raise InputError(f"provenance of {size:,} letters; expected at most {_PROVENANCE:,}")
    return value


def _span(value: Any, *, numbers: bool) -> tuple[float, float] | None:
    if not numbers:
        if value is not None:
            raise InputError("a span of numbers and classes; expected one of both")
        return None
    limit = float(np.finfo(np.float32).max)
    plain = isinstance(value, list) and len(value) == 2 and all(type(one) in (int, float) for one in value)
    if not plain or not -limit <= value[0] < value[1] <= limit:
        raise InputError(f"span {shown(value)}; expected the least and a greater greatest number, finite in float32")
    return float(value[0]), float(value[1])


def _texts(value: Any, what: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise InputError(f"{what} are no list of texts")
    return tuple(value)
