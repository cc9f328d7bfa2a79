"""How a cell becomes visible: staged, intended, moved, committed; a kill at any point loses nothing.

A cell is several objects. They are staged first; then an intent with their SHA-256 is written; the old scales are
removed, so that every reader sees no data meanwhile; codes, prefixes and counts are moved into place, the scales last;
then the commit record is written. Whoever comes next rolls a pending intent forward from the staged objects.
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera._version import __version__
from tessera.base import InputError, TesseraError, file_lock, read_json, sha256_hex, sync_folder, write_atomic
from tessera.geo import Cell, parse_cell

from .layout import SCALES, Layout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

BOOKKEEPING = ".tessera"
FORMAT = "tessera-commit"
VERSION = 1


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
    """

    cell: str
    year: int
    model: str
    objects: dict[str, dict[str, Any]]
    chunks: str
    pixels: dict[str, int]
    inputs: tuple[dict[str, Any], ...]

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
        }

    @classmethod
    def from_json(cls, value: dict[str, Any], where: str) -> Commit:
        """Read what `to_json` wrote.

        Raises
        ------
        InputError
            Another format, or a key is missing or of another type.
        """
        try:
            if value["format"] != FORMAT or value["version"] != VERSION:
                raise InputError(f"{where} has format {value['format']!r} {value['version']!r}; expected {FORMAT!r} 1")
            objects = {
                str(name): {"key": str(o["key"]), "bytes": int(o["bytes"]), "sha256": str(o["sha256"])}
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
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{where} is no commit record: {error!r}") from None

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


def pack_bitmap(chunks: NDArray[np.bool_]) -> str:
    """(side, side) bool as hexadecimal digits, row order, first chunk in the highest bit."""
    return np.packbits(chunks.reshape(-1)).tobytes().hex()


def commit_path(folder: Path, year: int, cell: Cell) -> Path:
    """Where a cell's record lies."""
    return folder / "commits" / str(year) / f"{cell.name}.json"


def read_commit(folder: Path, year: int, cell: Cell) -> Commit | None:
    """The record of a cell, None where it was never committed.

    Raises
    ------
    InputError
        The record cannot be read.
    """
    path = commit_path(folder, year, cell)
    if not path.exists():
        return None
    return Commit.from_json(read_json(path, what="commit record"), str(path))


def committed_cells(folder: Path, year: int, layout: Layout) -> Iterator[Cell]:
    """The cells of a year that have a record, in order of their names."""
    records = folder / "commits" / str(year)
    if records.is_dir():
        for path in sorted(records.glob("utm*.json")):
            yield parse_cell(path.stem, layout.shard)


def cell_lock_path(folder: Path, year: int, cell: Cell) -> Path:
    """The file whose lock makes one writer a cell."""
    return folder / BOOKKEEPING / "locks" / f"{year}-{cell.name}.lock"


def _staging(folder: Path, year: int, cell: Cell) -> Path:
    return folder / BOOKKEEPING / "staging" / str(year) / cell.name


def put_cell(
    folder: Path,
    cell: Cell,
    record: Commit,
    shards: dict[str, bytes | None],
    keys: dict[str, str],
    layout: Layout,
    before: Commit | None,
) -> Commit:
    """Commit a cell's shards; call it under the cell's lock.

    Parameters
    ----------
    record : its `objects` are filled in here
    shards : array name -> bytes, None for an array without data
    keys : array name -> key of its object
    before : the record that it has, None where there is none that can be read

    Raises
    ------
    TesseraError
        The disk is full or refuses; what was committed before is as it was.
    """
    record = replace(
        record,
        objects={
            name: {"key": keys[name], "bytes": len(data), "sha256": sha256_hex(data)}
            for name, data in shards.items()
            if data is not None
        },
    )
    if before == record and all_there(folder, record):
        return record
    staging = _staging(folder, record.year, cell)
    try:
        for spec in layout.arrays:
            data = shards[spec.name]
            if data is not None:
                write_atomic(staging / spec.name, data)
        intent = {"record": record.to_json(), "keys": keys}
        write_atomic(staging / "intent.json", json.dumps(intent, sort_keys=True).encode())
    except OSError as error:
        shutil.rmtree(staging, ignore_errors=True)
        raise TesseraError(
            f"cell {cell.name} of {record.year} was not written ({error.strerror}); the store is as it was before"
        ) from None
    _roll_forward(folder, cell, record, layout, keys)
    return record


def all_there(folder: Path, record: Commit, names: set[str] | None = None) -> bool:
    """Whether a record's objects, or those of some arrays, are there, of its lengths; their bytes are not read."""
    objects = {name: info for name, info in record.objects.items() if names is None or name in names}
    paths = [(folder / str(info["key"]), info["bytes"]) for info in objects.values()]
    return all(path.is_file() and path.stat().st_size == size for path, size in paths)


def _roll_forward(folder: Path, cell: Cell, record: Commit, layout: Layout, keys: dict[str, str]) -> None:
    staging = _staging(folder, record.year, cell)
    scales = folder / keys[SCALES.name]
    if (staging / SCALES.name).exists() or SCALES.name not in record.objects:
        scales.unlink(missing_ok=True)
        if scales.parent.is_dir():
            sync_folder(scales.parent)
    for spec in layout.arrays:
        target, source = folder / keys[spec.name], staging / spec.name
        if spec.name not in record.objects:
            target.unlink(missing_ok=True)
        elif source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
            sync_folder(target.parent)
    write_atomic(commit_path(folder, record.year, cell), record.encode())
    shutil.rmtree(staging, ignore_errors=True)


def is_pending(folder: Path, year: int, cell: Cell) -> bool:
    """Whether a writer is at work on a cell, or died on it."""
    return (_staging(folder, year, cell) / "intent.json").exists()


def recover_cell(folder: Path, year: int, cell: Cell, layout: Layout) -> bool:
    """Finish or forget what a killed writer left of a cell; call it under the cell's lock.

    Returns
    -------
    Whether a pending commit was rolled forward.

    Raises
    ------
    TesseraError
        A staged object is not the one that the intent names.
    """
    staging = _staging(folder, year, cell)
    if not (staging / "intent.json").exists():
        shutil.rmtree(staging, ignore_errors=True)
        return False
    intent = read_json(staging / "intent.json", what="commit intent")
    try:
        record = Commit.from_json(intent["record"], str(staging / "intent.json"))
        given = {str(name): str(key) for name, key in intent["keys"].items()}
    except (KeyError, AttributeError) as error:
        raise InputError(f"{staging / 'intent.json'} is no commit intent: {error!r}") from None
    expected = {spec.name for spec in layout.arrays}
    if set(given) != expected or (record.cell, record.year) != (cell.name, year):
        raise InputError(f"{staging / 'intent.json'} is for another cell, year or layout")
    for key in given.values():
        if Path(key).is_absolute() or ".." in Path(key).parts:
            raise InputError(f"{staging / 'intent.json'} names the object {key!r}, outside the store")
    for name, info in record.objects.items():
        source, target = staging / name, folder / given[name]
        found = source if source.exists() else target
        if not found.exists() or sha256_hex(found.read_bytes()) != info["sha256"]:
            raise TesseraError(
                f"cell {cell.name} of {year}: the staged object {found} is not the one intended; write the cell again "
                f"after removing {staging}"
            )
    _roll_forward(folder, cell, record, layout, given)
    return True


def recover_all(folder: Path, layout: Layout) -> int:
    """Recover every cell that no living writer holds; the number of pending commits rolled forward.

    A cell whose staged objects are damaged is left to its own next writer, who is told.
    """
    rolled = 0
    for staging in sorted((folder / BOOKKEEPING / "staging").glob("[0-9]*/utm*")):
        with suppress(BlockingIOError, TesseraError, ValueError):
            year, cell = int(staging.parent.name), parse_cell(staging.name, layout.shard)
            with file_lock(cell_lock_path(folder, year, cell), wait=False):
                rolled += recover_cell(folder, year, cell, layout)
    return rolled
