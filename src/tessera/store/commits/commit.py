"""Commit a cell in a folder, so that its objects become visible together; a kill at any point loses nothing.

A cell is several objects. They are staged first; then an intent with their SHA-256 is written; the old scales are
removed, so that every reader sees no data meanwhile; codes, prefixes and counts are moved into place, the scales last;
then the commit record is written. Whoever comes next rolls a pending intent forward from the staged objects.
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera._version import __version__
from tessera.base import Folder, InputError, Journal, TesseraError, check_format, open_regular, parsing, sha256_hex
from tessera.geo import Cell, parse_cell
from tessera.shards import MOST_YEARS, SCALES, Layout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

BOOKKEEPING = ".tessera"
FORMAT = "tessera-commit"
VERSION = 1
_RECORD = "record.json"
"""The staged record; no array has such a name."""
RECORD_LIMIT = 16 * 1024**2
"""Bytes of a record or an intent that are read; a cell written in a thousand parts has about 1 MB."""
_KEY = re.compile(r"[a-z0-9_]+(/[a-z0-9_]+)+", re.ASCII)


@dataclass(frozen=True)
class Commit:
    """The record of a cell and year.

    Attributes
    ----------
    cell : its name
    year : whose embeddings
    model : SHA-256 identity
    objects : array name -> {"key", "bytes", "sha256"}; an array without any data has no object
    chunks : which chunks hold a written pixel, (side * side) bits in row order as hexadecimal digits
    pixels : how many are valid, without data, not written
    inputs : for each part that was written, in order, its window, its provenance, and whether it is intact (no later
        part touched it)
    mark : what its objects in an object store end with, 64 hexadecimal digits (see `remote_commit`); "" in folders
    """

    cell: str
    year: int
    model: str
    objects: dict[str, dict[str, Any]]
    chunks: str
    pixels: dict[str, int]
    inputs: tuple[dict[str, Any], ...]
    mark: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values, the inverse of `from_json`."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "cell": self.cell,
            "year": self.year,
            "model": self.model,
            "objects": self.objects,
            "chunks": self.chunks,
            "pixels": self.pixels,
            "inputs": list(self.inputs),
            "software": __version__,
            **({"mark": self.mark} if self.mark else {}),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any], where: str) -> Commit:
        """Read what `to_json` wrote.

        Raises
        ------
        InputError
            Another format, or a key is missing or of another type.
        """
        with parsing(f"{where} is no commit record"):
            check_format(value, FORMAT, VERSION, where)
            objects = {
                str(name): {"key": _parse_key(o["key"]), "bytes": int(o["bytes"]), "sha256": str(o["sha256"])}
                for name, o in value["objects"].items()
            }
            return cls(
                str(value["cell"]),
                int(value["year"]),
                str(value["model"]),
                objects,
                str(value["chunks"]),
                {str(key): int(count) for key, count in value["pixels"].items()},
                tuple(_parse_input(part) for part in value["inputs"]),
                _parse_mark(value.get("mark", "")),
            )

    def encode(self) -> bytes:
        """The record's bytes."""
        return json.dumps(self.to_json(), indent=1, sort_keys=True).encode()


def _parse_input(part: Any) -> dict[str, Any]:
    west, north, width, height = (int(number) for number in part["window"])
    return {
        "window": [west, north, width, height],
        "provenance": dict(part["provenance"]),
        "intact": part.get("intact") is True,
    }


def _parse_key(key: object) -> str:
    """Check that a key stays below the store's root."""
    if isinstance(key, str) and _KEY.fullmatch(key):
        return key
    raise ValueError(f"key {str(key)[:200]!r} points outside the store")


def _parse_mark(mark: object) -> str:
    if isinstance(mark, str) and re.fullmatch(r"([0-9a-f]{64})?", mark):
        return mark
    raise ValueError(f"mark {mark!r}")


def pack_bitmap(chunks: NDArray[np.bool_]) -> str:
    """(side, side) bool as hexadecimal digits, row order, first chunk in the highest bit."""
    return np.packbits(chunks.reshape(-1)).tobytes().hex()


def commit_path(folder: Path, year: int, cell: Cell) -> Path:
    """Where a cell's record lies."""
    return folder / record_key(year, cell)


def record_key(year: int, cell: Cell) -> str:
    """Key of a cell's record, from the store's root."""
    return f"commits/{year}/{cell.name}.json"


def read_commit(folder: Path, year: int, cell: Cell) -> Commit | None:
    """The record of a cell, None where it was never committed.

    Raises
    ------
    InputError
        The record cannot be read, or is another cell's.
    """
    door, path = Folder(folder), commit_path(folder, year, cell)
    if door.size(path) is None:
        return None
    record = Commit.from_json(door.json(path, what="commit record", limit=RECORD_LIMIT), str(path))
    if (record.cell, record.year) != (cell.name, year):
        raise InputError(f"{path} is the record of cell {record.cell[:40]!r} and year {record.year}")
    return record


def committed_cells(folder: Path, year: int, layout: Layout) -> Iterator[Cell]:
    """The cells of a year that have a record, in order of their names."""
    records = Folder(folder).inner(f"commits/{year}")
    if records.is_dir():
        for path in sorted(records.glob("utm*.json")):
            yield parse_cell(path.stem, layout.shard)


def cell_lock_path(folder: Path, year: int, cell: Cell) -> Path:
    """The file whose lock makes one writer a cell."""
    return folder / BOOKKEEPING / "locks" / f"{year}-{cell.name}.lock"


def _journal(folder: Path, year: int, cell: Cell) -> Journal:
    return Journal(folder, folder / BOOKKEEPING / "staging" / str(year) / cell.name)


def put_cell(
    folder: Path,
    cell: Cell,
    record: Commit,
    shards: dict[str, bytes | bytearray | None],
    keys: dict[str, str],
    layout: Layout,
    before: Commit | None,
) -> Commit:
    """Commit a cell's shards; call it under the cell's lock. What was committed before stays where the disk refuses.

    `objects` of `record` is filled in here. `shards` and `keys` go by array name; a shard without data is None.
    `before` is the record that the cell has, None where there is none that can be read.
    """
    record = replace(
        record,
        objects={
            name: {"key": keys[name], "bytes": len(data), "sha256": sha256_hex(data)}
            for name, data in shards.items()
            if data is not None
        },
    )
    if before == record and _are_intact(folder, record):
        return record
    check_targets(folder, cell, record.year, keys)
    journal = _journal(folder, record.year, cell)
    staged: dict[str, bytes | bytearray] = {
        spec.name: shards[spec.name] or b"" for spec in layout.arrays if spec.name in record.objects
    }
    staged[_RECORD] = record.encode()
    try:
        journal.stage(
            staged, (*keys.values(), record_key(record.year, cell)), {"record": record.to_json(), "keys": keys}
        )
    except OSError as error:
        raise TesseraError(
            f"cell {cell.name} of {record.year} was not written ({error.strerror}); the store is as it was before"
        ) from None
    try:
        _finish(journal, cell, record, layout, keys)
    except OSError as error:
        raise TesseraError(
            f"cell {cell.name} of {record.year} is staged but not in place ({error.strerror}); it shows no data until "
            f"the next write finishes it"
        ) from None
    return record


def _finish(journal: Journal, cell: Cell, record: Commit, layout: Layout, keys: dict[str, str]) -> None:
    steps = [(keys[spec.name], spec.name if spec.name in record.objects else None) for spec in layout.arrays]
    journal.finish([*steps, (record_key(record.year, cell), _RECORD)], {keys[SCALES.name]})


def check_targets(folder: Path, cell: Cell, year: int, keys: dict[str, str]) -> None:
    """Refuse a store whose folders are links that lead out of it, before anything is moved."""
    _journal(folder, year, cell).check((record_key(year, cell), *keys.values()))


def all_there(folder: Path, record: Commit, names: set[str] | None = None) -> bool:
    """Whether a record's objects, or those of some arrays, are there, of its lengths; their bytes are not read."""
    objects = {name: info for name, info in record.objects.items() if names is None or name in names}
    try:
        return all(Folder(folder).size(str(info["key"])) == info["bytes"] for info in objects.values())
    except InputError:
        return False


def _are_intact(folder: Path, record: Commit) -> bool:
    """Whether a record's objects are the ones that it names; all are read."""
    if not all_there(folder, record):
        return False
    return all(sha256_of(folder, folder / str(info["key"])) == info["sha256"] for info in record.objects.values())


def sha256_of(folder: Path, path: Path) -> str:
    """SHA-256 of an object in a store's folder, 64 hexadecimal digits."""
    with open_regular(path, what="object", inside=folder) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_pending(folder: Path, year: int, cell: Cell) -> bool:
    """Whether a commit of a cell is pending: its writer is at work, or died."""
    return _journal(folder, year, cell).is_pending


def read_intent(folder: Path, year: int, cell: Cell, layout: Layout) -> tuple[Commit, dict[str, str]]:
    """The record of a pending commit and the key of each array's object; what is staged is read and is as intended.

    Raises
    ------
    TesseraError
        A staged object is not the one that the intent names, or the intent is for another cell, year or layout.
    """
    journal = _journal(folder, year, cell)
    door, staging, path = journal.folder, journal.staging, journal.intent
    intent = door.json(path, what="commit intent", limit=RECORD_LIMIT)
    with parsing(f"{path} is no commit intent"):
        record = Commit.from_json(intent["record"], str(path))
        given = {str(name): _parse_key(key) for name, key in intent["keys"].items()}
    possible = ({spec.name: layout.key(spec, cell, index) for spec in layout.arrays} for index in range(MOST_YEARS))
    named = {name: info["key"] for name, info in record.objects.items()}
    if given not in possible or not named.items() <= given.items() or (record.cell, record.year) != (cell.name, year):
        raise InputError(f"{path} is for another cell, year or layout")
    for name, info in record.objects.items():
        source, target = staging / name, folder / given[name]
        found = target if door.size(source) is None else source
        if door.size(found) != info["bytes"] or sha256_of(folder, found) != info["sha256"]:
            raise TesseraError(
                f"cell {cell.name} of {year}: the staged object {found} is not the one intended; write the cell again "
                f"after removing {staging}"
            )
    return record, given


def recover_cell(folder: Path, year: int, cell: Cell, layout: Layout) -> bool:
    """Finish or discard the pending commit of a killed writer; call it under the cell's lock.

    Returns
    -------
    Whether a pending commit was rolled forward.

    Raises
    ------
    TesseraError
        A staged object is not the one that the intent names.
    """
    journal = _journal(folder, year, cell)
    if not journal.is_pending:
        journal.forget()
        return False
    record, keys = read_intent(folder, year, cell, layout)
    check_targets(folder, cell, year, keys)
    # the record is moved like the rest; one that was moved already, or is not the one intended, is staged again
    journal.folder.settle(journal.staging / _RECORD, record.encode())
    _finish(journal, cell, record, layout, keys)
    return True


def recover_all(folder: Path, layout: Layout) -> int:
    """Recover every cell that no living writer holds; the number of pending commits rolled forward.

    A cell whose staged objects are damaged is left to its own next writer, who is told.
    """
    rolled = 0
    door = Folder(folder)
    for staging in sorted(door.inner(f"{BOOKKEEPING}/staging").glob("[0-9]*/utm*")):
        with suppress(BlockingIOError, TesseraError, ValueError):
            year, cell = int(staging.parent.name), parse_cell(staging.name, layout.shard)
            with door.lock(cell_lock_path(folder, year, cell), wait=False):
                rolled += recover_cell(folder, year, cell, layout)
    return rolled
