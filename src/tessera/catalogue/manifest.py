"""The manifest: a store's commit records in one GeoParquet file, updated record by record."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import Folder, InputError, TesseraError, open_regular, read_parquet_bounded, silent
from tessera.store import open_store

from ._records import RecordFile, find_records, read_record, rows_table
from ._schema import MANIFEST, array_names, encode, metadata, schema

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow

    from tessera.base import Progress
    from tessera.store import Store

_BLOCK = 1024
"""Records that are read before they are turned into columns."""
_SLACK, _ROW_BYTES, _MORE = 1024**2, 4096, 4
"""Bounds of a manifest that is reused: bytes beyond its records, bytes per record, and a factor on both."""
MANY = 1000
"""From so many records on, the state of their files is kept; fewer are read in 0.3 s."""
_SETTLED_NS = 2_000_000_000
"""A record younger than this is read again next time: a successor may have the same time of writing."""


@dataclass(frozen=True)
class Written:
    """Result of `write_manifest`.

    Attributes
    ----------
    path : the manifest
    rows : rows in it, one per cell and year
    read : records that were read; the other rows were up to date
    left_out : a message for each record that cannot be read
    """

    path: Path
    rows: int
    read: int
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Gathered:
    """A store's records as a table, with the number that was read, what was left out, and the state of each file."""

    table: pyarrow.Table
    read: int
    left_out: tuple[str, ...]
    seen: pyarrow.Table


def write_manifest(store: Store, *, progress: Progress = silent) -> Written:
    """Compact the commit records of a local store into `manifest.parquet`.

    The same records give the same bytes. A killed run leaves the old manifest. From a thousand records on, unchanged
    ones are not read again.

    Parameters
    ----------
    progress : called with records done and their total

    Raises
    ------
    InputError
        A store by URL.
    TesseraError
        The disk is full or refuses; the old manifest stays.
    """
    folder = local_folder(store, "writing its manifest")
    door = Folder(folder)
    with door.lock(work_folder(store) / "lock"):
        gathered = gather(store, progress=progress)
        data = encode(store, gathered.table)
        path = folder / MANIFEST
        try:
            # unchanged bytes are not written, so that caches stay valid
            door.settle(path, data)
            if gathered.table.num_rows >= MANY:
                _keep_seen(store, gathered.seen, hashlib.sha256(data).hexdigest())
        except OSError as error:
            raise TesseraError(f"{path} could not be written ({error.strerror}); the old one stays") from None
    return Written(path, gathered.table.num_rows, gathered.read, gathered.left_out)


def local_folder(store: Store, what: str) -> Path:
    """A local store's folder."""
    if store.objects.folder is None:
        raise InputError(
            f"{store.objects.root} is read by URL; {what} needs its commit records: give the path of a local store"
        )
    return store.objects.folder


def gather(store: Store, *, progress: Progress = silent) -> Gathered:
    """Read a local store's records as the sorted table of a manifest, without writing it."""
    import pyarrow as pa

    folder = local_folder(store, "its manifest")
    store = open_store(folder)
    now = time.time_ns()
    files: list[RecordFile] = []
    left_out: list[str] = []
    for found in find_records(store, folder):
        if isinstance(found, RecordFile):
            files.append(found)
        else:
            left_out.append(f"left out: {found}")
    files.sort(key=lambda file: (file.year, file.cell.zone, -file.cell.north, file.cell.east))
    old, places = _known(store, folder, files)
    kept = [(index, place) for index, file in enumerate(files) if (place := places.get(_look(file))) is not None]
    seen = [(*_look(files[index]), sha256) for index, (_, sha256) in kept]
    order = [index for index, _ in kept]
    tables = [old.take(pa.array([row for _, (row, _) in kept], pa.int64()))] if old is not None and kept else []
    known = set(order)
    new = [index for index in range(len(files)) if index not in known]
    for start in range(0, len(new), _BLOCK):
        progress(len(known) + start, len(files))
        rows = []
        for index in new[start : start + _BLOCK]:
            file = files[index]
            try:
                row = read_record(store, file)
            except InputError as error:
                left_out.append(f"left out: {error}")
                continue
            rows.append(row)
            order.append(index)
            if file.mtime_ns < now - _SETTLED_NS:
                seen.append((*_look(file), row.sha256))
        if rows:
            tables.append(rows_table(store, rows))
    progress(len(files), len(files))
    columns = schema(array_names(store))
    table = pa.concat_tables([table.cast(columns) for table in tables]) if tables else columns.empty_table()
    if order != sorted(order):
        table = table.take(pa.array(np.argsort(order), pa.int64()))
    look = pa.Table.from_pylist([dict(zip(_SEEN, line, strict=True)) for line in seen], schema=_seen_schema())
    return Gathered(table.replace_schema_metadata(metadata(store, table)), len(new), tuple(left_out), look)


_SEEN = ("year", "cell", "size", "mtime_ns", "sha256")


def _look(file: RecordFile) -> tuple[int, str, int, int]:
    """Values that change when a record's file is replaced."""
    return file.year, file.cell.name, file.size, file.mtime_ns


def _seen_schema() -> pyarrow.Schema:
    import pyarrow as pa

    types = (pa.int16(), pa.string(), pa.int64(), pa.int64(), pa.string())
    return pa.schema(list(zip(_SEEN, types, strict=True)))


def work_folder(store: Store) -> Path:
    """Folder of locks and of the state of the last run; without it, a run only takes longer."""
    return store.scratch().parent / "catalogue"


def _keep_seen(store: Store, seen: pyarrow.Table, digest: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    seen = seen.replace_schema_metadata({b"manifest": digest.encode()})
    pq.write_table(seen, sink, compression="zstd", use_dictionary=False)
    Folder(local_folder(store, "its manifest")).write(work_folder(store) / "seen.parquet", sink.getvalue().to_pybytes())


def _known(
    store: Store, folder: Path, files: list[RecordFile]
) -> tuple[pyarrow.Table | None, dict[tuple[int, str, int, int], tuple[int, str]]]:
    """The old manifest and, for each state of a record, its row and SHA-256; nothing if it cannot be reused."""
    import pyarrow as pa

    try:
        # neither is larger than what it was made from
        limits: dict[str, Any] = {
            "most_rows": _MORE * len(files) + MANY,
            "most_bytes": _MORE * (_SLACK + sum(file.size for file in files) + _ROW_BYTES * len(files)),
            "inside": folder,
        }
        seen = work_folder(store) / "seen.parquet"
        look = read_parquet_bounded(seen, what="list of what was seen", **limits)
        said = (look.schema.metadata or {}).get(b"manifest", b"").decode()
        if _digest(folder, limits["most_bytes"]) != said:
            return None, {}
        old = read_parquet_bounded(folder / MANIFEST, what="manifest", **limits)
        if not old.schema.equals(schema(array_names(store))):
            return None, {}
        if old.schema.metadata != metadata(store, old):
            return None, {}
    except (OSError, pa.ArrowException, ValueError, KeyError):
        return None, {}
    names = zip(old["year"].to_pylist(), old["cell"].to_pylist(), strict=True)
    rows = dict(zip(names, enumerate(old["record_sha256"].to_pylist()), strict=True))
    places = {}
    for year, cell, size, mtime, sha256 in zip(*(look[name].to_pylist() for name in _SEEN), strict=True):
        place = rows.get((year, cell))
        if place is not None and place[1] == sha256:
            places[year, cell, size, mtime] = place
    return old, places


def _digest(folder: Path, most: int) -> str:
    """SHA-256 of the old manifest; "-" if it is too long."""
    with open_regular(folder / MANIFEST, what="manifest", inside=folder) as file:
        if os.fstat(file.fileno()).st_size > most:
            return "-"
        return hashlib.file_digest(file, "sha256").hexdigest()
