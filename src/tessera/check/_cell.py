"""One cell and year: its record, its objects, its values, and what a writer may have left of it."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from tessera.base import InputError, TesseraError, file_size, raise_if_machine, safe_path
from tessera.geo import Window
from tessera.shards import CRC_BYTES, SCALES, lattice_source
from tessera.store import (
    BOOKKEEPING,
    MARK_BYTES,
    cell_lock_path,
    commit_path,
    is_pending,
    read_commit,
    read_intent,
    sha256_of,
)

from ._values import Values, check_values
from .report import Kind, Problem, Severity, Tally

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tessera.geo import Cell
    from tessera.net import Objects
    from tessera.shards import ArraySpec, Header, ShardedSource
    from tessera.store import Commit

_PACKED_MOST = 1024


@dataclass(frozen=True)
class Subject:
    """A store in a folder that is checked."""

    objects: Objects  # where its bytes lie
    folder: Path
    header: Header  # what its tessera.json says now

    @cached_property
    def source(self) -> ShardedSource:
        """What reads its pixels."""
        return lattice_source(self.objects, self.header.layout, self.header.zones)


@dataclass
class CellCheck:
    """Findings on one cell and year."""

    cell: Cell
    year: int
    problems: list[Problem] = field(default_factory=list)
    pixels: Tally = field(default_factory=Tally)
    readable: bool = False

    def add(self, kind: Kind, text: str, severity: Severity = "error") -> None:
        """Note a problem."""
        self.problems.append(Problem(self.year, self.cell.name, kind, severity, text))

    @property
    def broken(self) -> bool:
        """Whether there is an error."""
        return any(problem.severity == "error" for problem in self.problems)


def check_cell(subject: Subject, cell: Cell, year: int) -> CellCheck:
    """Check a cell while no writer is at work on it; otherwise report only that one is."""
    lock = cell_lock_path(subject.folder, year, cell)
    for _ in range(2):
        with no_writer(lock) as free:
            if free is False:
                found = CellCheck(cell, year)
                found.add("busy", "a writer is at work on it; it was not checked", "note")
                return found
            found = examine(subject, cell, year)
        if free or not found.problems or not lock.exists():
            break
        # the first writer of a copied store may have come meanwhile
    return found


@contextmanager
def no_writer(lock: Path, *, wait: bool = False) -> Iterator[bool | None]:
    """Keep writers out; True where that is so, False where one is at work, None where nothing can be locked.

    Nothing is written for it: a store may be checked that can only be read.
    """
    try:
        import fcntl

        handle = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (ModuleNotFoundError, AttributeError, OSError):
        yield None
        return
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            yield None
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(handle)


def examine(subject: Subject, cell: Cell, year: int, *, as_it_is: bool = False) -> CellCheck:
    """Check a cell, whatever is staged of it where `as_it_is`; the caller keeps writers out."""
    found = CellCheck(cell, year)
    if not as_it_is and _is_pending(subject, found):
        return found
    record = _record(subject, found)
    index = subject.header.years.index(year)
    layout = subject.header.layout
    there, refused = _sizes(subject, found, index)
    if record is None:
        if there and not any(problem.kind == "record" for problem in found.problems):
            found.add("orphan", f"it has objects ({', '.join(there)}) and no commit record")
        return found
    _check_record(subject, found, record)
    _check_objects(subject, found, record, there, refused, index)
    if SCALES.name in there or not (refused or record.objects):
        specs = [spec for spec in layout.arrays if there.get(spec.name, 0) in range(1, _most_bytes(subject, spec) + 1)]
        values = check_values(subject.source, layout, cell, index, specs)
        _compare(found, record, values, {spec.name for spec in layout.arrays})
        found.readable = not values.damage
    return found


def _sizes(subject: Subject, found: CellCheck, index: int) -> tuple[dict[str, int], set[str]]:
    """Array name -> bytes of its object where there is one; and the arrays whose object is no file in the store."""
    layout, there, refused = subject.header.layout, {}, set()
    for spec in layout.arrays:
        try:
            size = file_size(subject.folder, subject.folder / layout.key(spec, found.cell, index))
        except InputError as error:
            found.add("object", str(error))
            refused.add(spec.name)
            continue
        if size is not None:
            there[spec.name] = size
    return there, refused


def _is_pending(subject: Subject, found: CellCheck) -> bool:
    """Whether a killed writer's commit can be finished, so that what lies there is not yet what it will be."""
    folder, cell, year = subject.folder, found.cell, found.year
    staging = folder / BOOKKEEPING / "staging" / str(year) / cell.name
    try:
        safe_path(folder, staging)
        if is_pending(folder, year, cell):
            record, _ = read_intent(folder, year, cell, subject.header.layout)
            if record.model != subject.header.model.sha256:
                raise InputError(f"its pending commit is of model {record.model[:12]!r}, not the store's")
            found.add("pending", "a writer was killed; the next write or a repair finishes its commit", "note")
            return True
    except TesseraError as error:
        found.add("pending", f"what a killed writer left cannot be finished: {error}")
        return False
    if staging.is_symlink() or staging.exists() or any(_parts(folder, year, cell)):
        found.add("pending", "a writer was killed before its commit; the next write or a repair sweeps up", "note")
    return False


def _parts(folder: Path, year: int, cell: Cell) -> Iterator[Path]:
    """Records of a cell that were being written."""
    record = commit_path(folder, year, cell)
    yield from record.parent.glob(f".{record.name}.*.part")


def _record(subject: Subject, found: CellCheck) -> Commit | None:
    try:
        return read_commit(subject.folder, found.year, found.cell)
    except InputError as error:
        found.add("record", str(error))
    return None


def _check_record(subject: Subject, found: CellCheck, record: Commit) -> None:
    header, cell = subject.header, found.cell
    if record.model != header.model.sha256:
        found.add(
            "record",
            f"its commit record is of model {record.model[:12]!r}; the store holds {header.model.name[:40]!r} "
            f"({header.model.sha256[:12]})",
        )
    for part in record.inputs:
        try:
            window = Window(cell.zone, *part["window"])
        except InputError:
            window = None
        if window is None or window.intersection(cell.window) != window:
            found.add("record", f"its commit record has a part {str(part['window'])[:100]} that is not inside the cell")
            break


def _most_bytes(subject: Subject, spec: ArraySpec) -> int:
    form = subject.header.layout.format(spec)
    extra = CRC_BYTES if form.compressor is None else _PACKED_MOST
    return form.index_bytes + form.side**2 * (form.chunk_bytes + extra) + MARK_BYTES


def _check_objects(
    subject: Subject, found: CellCheck, record: Commit, there: dict[str, int], refused: set[str], index: int
) -> None:
    """Whether a record's objects are exactly those that are there, byte by byte."""
    layout = subject.header.layout
    for name in sorted(set(record.objects) - {spec.name for spec in layout.arrays}):
        found.add("record", f"its commit record names the array {name[:60]!r}, which the store has not")
    for spec in layout.arrays:
        key, info = layout.key(spec, found.cell, index), record.objects.get(spec.name)
        if info is None:
            if spec.name in there:
                found.add("object", f"{key} is there; its commit record names none")
            continue
        if info["key"] != key:
            found.add("record", f"its commit record names {info['key'][:200]} for {spec.name}; expected {key}")
        size, most = there.get(spec.name), _most_bytes(subject, spec)
        if size is None:
            if spec.name not in refused:
                found.add("object", f"{key} is missing")
        elif size > most:
            found.add("object", f"{key} has {size} bytes; a shard has at most {most}")
        elif size != info["bytes"]:
            found.add("object", f"{key} has {size} bytes; its commit record says {info['bytes']}")
        else:
            try:
                digest = sha256_of(subject.folder, subject.folder / key)
            except OSError as error:
                raise_if_machine(error, key)
                found.add("object", f"{key} cannot be read: {error.strerror}")
                continue
            except InputError as error:
                found.add("object", str(error))
                continue
            found.pixels += Tally(bytes=size)
            if digest != info["sha256"]:
                found.add("object", f"{key} is not what was committed: its SHA-256 does not fit")


def _compare(found: CellCheck, record: Commit, values: Values, names: set[str]) -> None:
    """What was read, with itself and with the record."""
    for text in values.damage:
        found.add("shard", text)
    found.pixels += values.tally
    for text in values.wrong:
        found.add("values", text)
    if values.damage:
        return
    tally = values.tally
    if tally.bad:
        found.add("values", f"{tally.bad} scales are 0 or less, or 1 or more; such as {values.example:g}")
    counted = {"valid": values.finite, "no_data": tally.no_data + values.nonpositive, "not_written": tally.not_written}
    if {name: record.pixels.get(name) for name in counted} != counted:
        said = ", ".join(f"{name} {record.pixels.get(name)}" for name in counted)
        there = ", ".join(f"{name} {count}" for name, count in counted.items())
        found.add("record", f"its commit record counts other pixels ({said}) than there are ({there})")
    if record.chunks != values.chunks:
        found.add("record", "its commit record's bitmap of chunks is not that of the pixels that are written")
    written = values.finite + tally.no_data + values.nonpositive
    expected = {name for name in names if values.finite or not name.startswith("embeddings")} if written else set()
    lacking = expected - set(record.objects)
    if lacking:
        found.add("record", f"its commit record names no object of {', '.join(sorted(lacking))}")
