"""The documents of a store in an object store: created once, and grown by a year, by writers that race and die.

`tessera.json` is the register: a year has its place on the time axis once it is in there by a conditional put, in order
of arrival. The Zarr documents follow from it. Each only ever grows: who finds fewer years in one than it knows of puts
those that it knows, if nobody was faster; so all writers together end at the longest. `time` goes first in all zones,
then each array, the root last, so that stock readers see a year when all is there.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError
from tessera.net import CorruptError, OversizeError
from tessera.shards import DOCUMENT, DOCUMENT_LIMIT, MOST_YEARS, Header, store_documents, unpack_blosc, year_documents

from .commit import BOOKKEEPING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tessera.net import ObjectsWriter, Version

_CLAIM = f"{BOOKKEEPING}/create.json"
_ROOT = "zarr.json"
_LIMIT = 64 * 1024**2
_THREADS = 16


def read_remote_header(writer: ObjectsWriter) -> tuple[Header, Version]:
    """The header as it is now, and the version of its document."""
    try:
        found = writer.read(DOCUMENT, limit=DOCUMENT_LIMIT)
    except OversizeError as error:
        raise InputError(str(error)) from None
    if found is None:
        raise InputError(f"{writer.root} is no store: it has no {DOCUMENT}")
    return Header.decode(found[0], f"{writer.root}/{DOCUMENT}"), found[1]


def create_remote(writer: ObjectsWriter, header: Header) -> None:
    """Create a store where there is nothing; without `tessera.json` there is none, and for stock readers without root.

    The same call finishes what a killed one left.
    """
    claim = header.encode()
    exists = InputError(f"{writer.root} exists; expected a new URL for the store")
    found = writer.read(_CLAIM, limit=DOCUMENT_LIMIT)
    if found is None:
        if any(not item.key.startswith(f"{BOOKKEEPING}/probe/") for item in writer.list_all("")):
            raise exists
        writer.prove_conditions()
        if not writer.swap(_CLAIM, [claim], None):
            found = writer.read(_CLAIM, limit=DOCUMENT_LIMIT)
        elif writer.head(DOCUMENT) is not None:
            writer.delete([_CLAIM])
            raise exists
    if found is not None and found[0] != claim:
        raise InputError(
            f"{writer.root} was begun as another store; expected the same dims, model, zones and layout, or remove "
            f"{_CLAIM} there"
        )
    parts = dict(store_documents(header))
    del parts[DOCUMENT]
    root = parts.pop(_ROOT)
    _each(parts.items(), lambda key, data: _create(writer, key, data))
    _create(writer, DOCUMENT, claim)
    if read_remote_header(writer)[0] != header:
        raise exists
    _create(writer, _ROOT, root)
    writer.delete([_CLAIM])


def _create(writer: ObjectsWriter, key: str, data: bytes) -> None:
    """Put a document unless it is there: then it is the same, or has years by now."""
    writer.swap(key, [data], None)


def ensure_remote_year(writer: ObjectsWriter, year: int, *, complete: tuple[int, ...] = ()) -> Header:
    """Append a year to the time axis of every zone, unless it is there; all documents have those in `complete`."""
    while True:
        header, version = read_remote_header(writer)
        if year in header.years:
            break
        if len(header.years) == MOST_YEARS:
            raise InputError(f"{writer.root} holds {MOST_YEARS} years already, the most there can be; {year} is new")
        writer.swap(DOCUMENT, [replace(header, years=(*header.years, year)).encode()], version)
    if complete[: len(header.years)] == header.years:
        return header
    root = writer.read(_ROOT, limit=_LIMIT)
    if root is None or _years_of(_ROOT, root[0]) < len(header.years):
        stages: tuple[list[tuple[str, bytes]], ...] = [], [], [], []
        for key, data in year_documents(header):
            if key != DOCUMENT:
                stages[_stage_of(key)].append((key, data))
        for stage in stages:
            _each(stage, lambda key, data: _grow(writer, key, data))
    return header


def _stage_of(key: str) -> int:
    """When a document may grow: the years, their number, the arrays, the root."""
    if key.endswith("/time/c/0"):
        return 0
    return 1 if key.endswith("/time/zarr.json") else 3 if key == _ROOT else 2


def _each(items: Iterable[tuple[str, bytes]], work: Callable[[str, bytes], None]) -> None:
    with ThreadPoolExecutor(_THREADS) as pool:
        for job in [pool.submit(work, key, data) for key, data in items]:
            job.result()


def _grow(writer: ObjectsWriter, key: str, data: bytes) -> None:
    """Put a document unless the one that is there has as many years or more."""
    years = _years_of(key, data)
    while True:
        found = writer.read(key, limit=_LIMIT)
        if found is not None and (found[0] == data or _years_of(key, found[0]) >= years):
            return
        if writer.swap(key, [data], found[1] if found else None):
            return


def _years_of(key: str, data: bytes) -> int:
    """How many years a document knows of, -1 where it cannot be read or has none to know."""
    try:
        if key.endswith("/time/c/0"):
            return _years_of_chunk(data)
        node = json.loads(data)
        if key == _ROOT:
            return len(node["attributes"]["tessera:years"])
        return int(node["shape"][0]) if node["node_type"] == "array" else -1
    except (ValueError, KeyError, TypeError, IndexError, RecursionError, RuntimeError):
        return -1


def _years_of_chunk(data: bytes) -> int:
    """Years in a chunk of the time axis, which is packed by blosc and padded with zeros."""
    try:
        return int(np.count_nonzero(np.frombuffer(unpack_blosc(data, 4 * MOST_YEARS, "years"), dtype="<i4")))
    except CorruptError:
        return -1
