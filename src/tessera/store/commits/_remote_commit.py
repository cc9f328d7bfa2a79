"""How a cell becomes visible in an object store, where there are no locks and no renames, and writers die or dawdle.

The scales of a cell are its register: everything that decides is a conditional put ("swap") on them.

1. Read the register's version, the cell, the versions of its other objects and its record; merge.
2. Stage all new objects and the intent (the new record) under `.tessera/staging/<year>/<cell>/<attempt>/`.
3. Swap the register from the version of 1 to an empty shard that names the attempt. Who loses removes what it staged
   and begins again. From here readers see no data, and whoever comes can finish the commit.
4. Swap codes, prefixes and counts to what is staged, then the record.
5. Swap the register to the new scales. The cell is committed. Remove what was staged.

Whoever finds the register pending finishes that attempt first (4 and 5), after giving its writer some time. Nothing is
ever removed or copied over in place: a removal or copy of a slow helper could take effect long after the commit that it
was meant for, a swap cannot. Why several writers and helpers, each as slow as it likes, cannot harm one another:

- Every object that is put in 3 to 5 ends with a mark of its commit or attempt (`marks`), the record names it, and marks
  are chained: a version that was replaced never comes back, whatever ETags are made of.
- A swap of 4 and 5 names a version that was seen before the register was seen pending for this attempt. While it is
  pending only this attempt's values are put; it ceases to be pending only when all of them were seen in place. So a
  swap that arrives later finds another version than it names and does nothing.
- A swap of 3 succeeds only if nothing was committed since 1, so a merge never loses another's pixels. Of writers that
  race one wins whole; the others see it, and merge with it.
- What was staged goes only when the register no longer names it, and never can. Of a writer that died before 3 it goes
  a day later, and a writer refuses to go from 2 to 3 after six hours.
"""

from __future__ import annotations

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tessera.base import InputError, sha256_hex
from tessera.net import CorruptError, LoadError, MissingError, OversizeError
from tessera.shards import SCALES

from ._writer import unreadable
from .commit import BOOKKEEPING, Commit, record_key
from .marks import (
    MARK_BYTES,
    Parts,
    commit_mark,
    digest,
    empty_bytes,
    empty_shard,
    mark_place,
    marked,
    pending_attempt,
    pending_mark,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tessera.geo import Cell
    from tessera.net import ObjectsWriter, Version
    from tessera.shards import Header, ShardFormat

PATIENCE = 5.0
"""Seconds that a writer at work is given before another finishes its commit."""
INSTALL_WITHIN = 21_600.0
"""Seconds within which a writer goes from 2 to 3, or begins again."""
RECORD_LIMIT = 64 * 1024**2
STAGING = f"{BOOKKEEPING}/staging"
THREADS = 4
_MOST_TRIES = 200


@dataclass(frozen=True)
class CellObjects:
    """A cell of a year: its objects' keys and formats by array name, its record's key, its register's key."""

    cell: Cell
    year: int
    keys: dict[str, str]
    forms: dict[str, ShardFormat]

    @classmethod
    def of(cls, header: Header, cell: Cell, year: int) -> CellObjects:
        layout, index = header.layout, header.years.index(year)
        return cls(
            cell,
            year,
            {spec.name: layout.key(spec, cell, index) for spec in layout.arrays},
            {spec.name: layout.format(spec) for spec in layout.arrays},
        )

    @property
    def register(self) -> str:
        """Key of its scales."""
        return self.keys[SCALES.name]

    @property
    def record(self) -> str:
        """Key of its record."""
        return record_key(self.year, self.cell)

    @property
    def moved(self) -> tuple[str, ...]:
        """Names of the arrays that step 4 swaps."""
        return tuple(name for name in self.keys if name != SCALES.name)

    def staged(self, attempt: str, name: str) -> str:
        """Key of what an attempt staged."""
        return f"{STAGING}/{self.year}/{self.cell.name}/{attempt}/{name}"

    def longest(self, name: str) -> int:
        """Most bytes that an object of an array can have."""
        form = self.forms[name]
        return empty_bytes(form) + form.side**2 * (form.chunk_bytes + 1024)


@dataclass(frozen=True)
class Register:
    """What the scales' object says: its version, None where there is none, and the attempt that is pending, if any."""

    version: Version | None
    attempt: str | None


@dataclass(frozen=True)
class Base:
    """What a writer found before it merged."""

    register: Register  # the scales'
    seen: dict[str, Version | None]  # versions of the other arrays' objects
    record: tuple[bytes, Version] | None  # bytes of the record and their version
    before: Commit | None  # the record, None where there is none that can be read

    def version(self, name: str) -> Version | None:
        """Of an array's object."""
        return self.register.version if name == SCALES.name else self.seen[name]


@dataclass(frozen=True)
class CellCommits:
    """The steps of the protocol."""

    writer: ObjectsWriter

    def look(self, place: CellObjects) -> Register:
        """The register as it is now."""
        form = place.forms[SCALES.name]
        while True:
            version = self.writer.head(place.register)
            if version is None or version.size != empty_bytes(form):
                return Register(version, None)
            mark = self.writer.read(place.register, limit=MARK_BYTES, part=mark_place(version.size, form), of=version)
            if mark is not None:
                return Register(version, pending_attempt(mark[0]))

    def commit(
        self, place: CellObjects, base: Base, record: Commit, shards: dict[str, bytes | bytearray | None]
    ) -> Commit | None:
        """Steps 2 to 5; None where another won."""
        began, began_at = time.monotonic(), time.time()
        attempt = uuid.uuid4().hex
        # two attempts from one base may have the same mark: only one of them is ever installed
        root = base.record[0] if base.record else b""
        mark = sha256_hex(repr(base.register.version).encode() + root + record.encode())
        parts = with_mark(place, shards, commit_mark(mark))
        objects = {
            array: {"key": place.keys[array], "bytes": length_of(pieces), "sha256": digest(pieces)}
            for array, pieces in parts.items()
        }
        record = replace(record, objects=objects, mark=mark)
        self._stage(place, attempt, parts, record)
        late = max(time.monotonic() - began, time.time() - began_at) > INSTALL_WITHIN
        if late or not self._install(place, base.register.version, attempt):
            self._sweep(place, attempt, record)
            return None
        seen = {**base.seen, "record": base.record[1] if base.record else None}
        self._finish(place, attempt, record, parts.__getitem__, seen)
        return record

    def _stage(self, place: CellObjects, attempt: str, parts: dict[str, Parts], record: Commit) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            jobs = [pool.submit(self.writer.put, place.staged(attempt, name), parts[name]) for name in parts]
            for job in jobs:
                job.result()
        intent = json.dumps({"record": record.to_json()}, sort_keys=True).encode()
        self.writer.put(place.staged(attempt, "intent.json"), [intent])

    def _install(self, place: CellObjects, expected: Version | None, attempt: str) -> bool:
        """Step 3: whether the register is, or was, pending for this attempt."""
        parts = marked(empty_shard(place.forms[SCALES.name]), place.forms[SCALES.name], pending_mark(attempt))
        for _ in range(_MOST_TRIES):
            if self.writer.swap(place.register, parts, expected):
                return True
            register = self.look(place)
            if register.version != expected:
                # put by a request whose answer was lost, or another's; if ours was put and is done, its record tells
                return register.attempt == attempt
        raise LoadError(f"{self.writer.root}/{place.register} refuses what it should take, try again")

    def settle(self, place: CellObjects, attempt: str) -> bool:
        """Wait for a writer at work, then finish its commit; False where that cannot be done."""
        deadline, pause = time.monotonic() + PATIENCE, 0.05
        while time.monotonic() < deadline:
            time.sleep(pause)
            pause = min(2 * pause, 1.0)
            if self.look(place).attempt != attempt:
                return True
        try:
            self.finish_left(place, attempt)
        except CorruptError:
            return False
        return True

    def finish_left(self, place: CellObjects, attempt: str) -> None:
        """Finish an attempt from what is staged; `CorruptError` if that is gone or damaged and the attempt pending."""
        try:
            record = self._read_intent(place, attempt)
            self._finish(place, attempt, record, self._fetcher(place, attempt, record), {})
        except (CorruptError, MissingError, OversizeError, InputError) as error:
            if self.look(place).attempt == attempt:
                raise unreadable(
                    place.cell, CorruptError(f"{error}; it is needed to finish a commit that its writer left")
                ) from None

    def _read_intent(self, place: CellObjects, attempt: str) -> Commit:
        key = place.staged(attempt, "intent.json")
        where = f"{self.writer.root}/{key}"
        found = self.writer.read(key, limit=RECORD_LIMIT)
        if found is None:
            raise MissingError(f"{where} is missing")
        try:
            record = Commit.from_json(json.loads(found[0])["record"], where)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise CorruptError(f"{where} is no commit intent: {error}") from None
        known = {name: {**info, "key": place.keys.get(name)} for name, info in record.objects.items()}
        if (
            (record.cell, record.year) != (place.cell.name, place.year)
            or known != record.objects
            or not (record.mark and SCALES.name in known)
        ):
            raise CorruptError(f"{where} is for another cell, year or layout")
        return record

    def _fetcher(self, place: CellObjects, attempt: str, record: Commit) -> Callable[[str], Parts]:
        def fetch(name: str) -> Parts:
            key = place.staged(attempt, name)
            found = self.writer.read(key, limit=place.longest(name))
            if found is None:
                raise MissingError(f"{self.writer.root}/{key} is missing")
            if sha256_hex(found[0]) != record.objects[name]["sha256"]:
                raise CorruptError(f"the staged object {self.writer.root}/{key} is not the one intended")
            return [found[0]]

        return fetch

    def _finish(
        self,
        place: CellObjects,
        attempt: str,
        record: Commit,
        fetch: Callable[[str], Parts],
        seen: dict[str, Version | None],
    ) -> None:
        """Steps 4 and 5 of an attempt that the register was seen pending for; others may be at the same.

        `seen` are versions, seen before the register was, of array names and of "record".
        """
        for name in place.moved:
            if name in record.objects and not self._bring(place, attempt, record, name, fetch, seen):
                return
        if self._bring_record(place, attempt, record, seen):
            while True:
                register = self.look(place)
                if register.attempt != attempt:
                    break
                if self.writer.swap(place.register, fetch(SCALES.name), register.version):
                    break
            self._sweep(place, attempt, record)

    def _bring(
        self,
        place: CellObjects,
        attempt: str,
        record: Commit,
        name: str,
        fetch: Callable[[str], Parts],
        seen: dict[str, Version | None],
    ) -> bool:
        """Swap an array's object to the attempt's; False where the register is no longer pending for it."""
        key, form, mark = place.keys[name], place.forms[name], commit_mark(record.mark)
        if name in seen and self.writer.swap(key, fetch(name), seen[name]):
            return True
        while True:
            version = self.writer.head(key)
            if version is not None and version.size == record.objects[name]["bytes"]:
                found = self.writer.read(key, limit=MARK_BYTES, part=mark_place(version.size, form), of=version)
                if found is None:
                    continue
                if found[0] == mark:
                    return True
            if self.look(place).attempt != attempt:
                return False
            if self.writer.swap(key, fetch(name), version):
                return True

    def _bring_record(self, place: CellObjects, attempt: str, record: Commit, seen: dict[str, Version | None]) -> bool:
        """Swap the record to the attempt's; False where the register is no longer pending for it."""
        data = record.encode()
        if "record" in seen and self.writer.swap(place.record, [data], seen["record"]):
            return True
        while True:
            found = self.writer.read(place.record, limit=RECORD_LIMIT)
            if found is not None and found[0] == data:
                return True
            if self.look(place).attempt != attempt:
                return False
            if self.writer.swap(place.record, [data], found[1] if found else None):
                return True

    def _sweep(self, place: CellObjects, attempt: str, record: Commit) -> None:
        """Remove what an attempt staged that the register no longer names and never can."""
        self.writer.delete([place.staged(attempt, name) for name in ("intent.json", *record.objects)])


def with_mark(place: CellObjects, shards: dict[str, bytes | bytearray | None], mark: bytes | None) -> dict[str, Parts]:
    """The objects of a cell: shards, with a mark if there is one; then always scales, since they are the register."""
    parts: dict[str, Parts] = {}
    for name, data in shards.items():
        form = place.forms[name]
        if mark is not None and (data is not None or name == SCALES.name):
            parts[name] = marked(empty_shard(form) if data is None else data, form, mark)
        elif data is not None:
            parts[name] = [data]
    return parts


def length_of(parts: Parts) -> int:
    """Bytes in all parts."""
    return sum(len(part) for part in parts)
