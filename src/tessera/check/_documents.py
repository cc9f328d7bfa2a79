"""Compare a store's Zarr metadata and coordinate chunks with its tessera.json."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tessera.base import Folder, InputError
from tessera.net import CorruptError
from tessera.shards import DOCUMENT, store_documents, unpack_blosc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tessera.shards import Header

_SLACK = 1024**2
"""Bytes by which a document may be longer than ours: others may add attributes."""
_VERSION = "geoemb:build_version"
_OPEN = "/attributes"


def damaged_documents(folder: Path, header: Header) -> Iterator[tuple[str, bytes, str]]:
    """Key, right bytes, and what is wrong, of each document that is missing or does not say what it must.

    Attributes, and nodes of the root's consolidated metadata, that we do not write may be there; the version of the
    software that wrote them may be another.
    """
    for key, data in store_documents(header):
        wrong = _compare(folder, key, data)
        if wrong is not None:
            yield key, data, wrong


def _compare(folder: Path, key: str, data: bytes) -> str | None:
    path = folder / key
    try:
        size = Folder(folder).size(path)
        if size is None:
            return f"{key} is missing"
        if size > len(data) + _SLACK:
            return f"{key} has {size} bytes; expected about {len(data)}"
        found = Folder(folder).read(path, what="document", limit=len(data) + _SLACK)
    except InputError as error:
        return str(error)
    except FileNotFoundError:
        return f"{key} is missing"
    if found == data:
        return None
    if "/c/" in key:
        return None if _same_numbers(found, data) else f"{key} is not the coordinates expected"
    try:
        value = json.loads(found)
    except (ValueError, RecursionError):
        return f"{key} is not JSON"
    where = _difference(json.loads(data), value, _OPEN if key == DOCUMENT else "")
    return None if where is None else f"{key} is not as {DOCUMENT} has it, at {where}"


@lru_cache(maxsize=32)
def _same_numbers(found: bytes, expected: bytes) -> bool:
    """Whether blosc packed the same: older versions left its blocks in any order. All zones share a few chunks."""
    return _unpacked(found, expected) == _unpacked(expected, expected)


def _unpacked(data: bytes, expected: bytes) -> bytes | None:
    """What blosc packed, None where it claims another length than `expected`."""
    try:
        return unpack_blosc(data, int.from_bytes(expected[4:8], "little"), "chunk")
    except CorruptError:
        return None


def _difference(expected: Any, found: Any, where: str) -> str | None:
    """The first place where a document is not as expected; None where it is."""
    if not (isinstance(expected, dict) and isinstance(found, dict)):
        return None if expected == found else where or "/"
    may_have_more = where.endswith((_OPEN, "/consolidated_metadata/metadata"))
    for name in sorted(set(found) - set(expected)):
        # Zarr: what says so may be overlooked
        if not (may_have_more or (isinstance(found[name], dict) and found[name].get("must_understand") is False)):
            return f"{where}/{name[:60]}"
    for name, value in expected.items():
        if name not in found:
            return f"{where}/{name}"
        inside = None if name == _VERSION else _difference(value, found[name], f"{where}/{name}")
        if inside is not None:
            return inside
    return None
