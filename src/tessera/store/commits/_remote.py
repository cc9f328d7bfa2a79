"""The backend for an object store: a cell is read, merged and committed by conditional puts (see `_remote_commit`)."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.base import InputError, parse_json, sha256_hex
from tessera.geo import parse_cell
from tessera.net import ChangedError, CorruptError, LoadError, OversizeError
from tessera.shards import COUNTS, SCALES

from ._remote_commit import RECORD_LIMIT, STAGING, THREADS, Base, CellCommits, CellObjects, length_of, with_mark
from ._remote_years import ensure_remote_year, read_remote_header
from ._writer import read_pixels, unreadable
from .commit import Commit, record_key
from .marks import Parts, commit_mark, digest
from .merge import blank, covers, draw_up, merge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tessera.embeddings import Embeddings
    from tessera.geo import Cell, Window
    from tessera.net import ObjectsWriter, Version
    from tessera.shards import Header, Layout

    from .merge import Pixels

DEAD_AFTER = 600.0
"""Seconds after which a pending commit of a cell that one does not write is finished too."""
STALE_AFTER = 86_400.0
"""Seconds after which staged objects that no register names are removed."""
_SWEEP_EVERY = 600.0
_MOST_ROUNDS = 200


@dataclass(frozen=True)
class RemoteBackend:
    """See `backend.Backend`."""

    writer: ObjectsWriter
    _memory: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def _commits(self) -> CellCommits:
        return CellCommits(self.writer)

    def read_header(self) -> Header:
        return read_remote_header(self.writer)[0]

    def ensure_year(self, year: int) -> Header:
        if "proven" not in self._memory:
            self.writer.prove_conditions()
            self._memory["proven"] = True
        header = ensure_remote_year(self.writer, year, complete=self._memory.get("years", ()))
        self._memory["years"] = header.years
        return header

    def read_commit(self, cell: Cell, year: int) -> Commit | None:
        key = record_key(year, cell)
        found = self.writer.read(key, limit=RECORD_LIMIT)
        return None if found is None else _parse_record(found[0], f"{self.writer.root}/{key}")

    def cells(self, year: int, layout: Layout) -> Iterator[Cell]:
        names = [Path(item.key).stem for item in self.writer.list_all(f"commits/{year}") if item.key.endswith(".json")]
        for name in sorted(names):
            yield parse_cell(name, layout.shard)

    def scratch(self) -> Path:
        """See `backend.Backend`: a folder of this user's for this URL."""
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return caches / "tessera" / "work" / sha256_hex(self.writer.root.encode())[:24]

    def is_whole(self, header: Header, cell: Cell, record: Commit) -> bool:
        place = CellObjects.of(header, cell, record.year)
        if self._commits.look(place).attempt is not None:
            return False
        return all(_fits(self.writer.head(place.keys[name]), info) for name, info in record.objects.items())

    def write_cell(self, header: Header, cell: Cell, year: int, part: Embeddings, window: Window) -> Commit:
        place = CellObjects.of(header, cell, year)
        for _ in range(_MOST_ROUNDS):
            base = self._base(place)
            covered = covers(cell, window, part)
            if base.register.attempt is not None and not covered:
                # tried in vain just now: told, unless it is done by now
                self._commits.finish_left(place, base.register.attempt)
                continue
            try:
                held = None if covered else self._held(header, place, base)
            except (ChangedError, CorruptError):
                if self._commits.look(place) != base.register:
                    continue
                raise
            record, shards = draw_up(
                header, cell, year, merge(held, cell, window, part), base.before, window, part.provenance
            )
            del held
            done = self._unchanged(place, base, record, shards) or self._commits.commit(place, base, record, shards)
            if done is not None:
                return done
        raise LoadError(f"{self.writer.root}: cell {cell.name} of {year} is written by too many at once, try again")

    def _base(self, place: CellObjects) -> Base:
        """Step 1, without the pixels; a pending attempt is waited for, then finished, unless that cannot be done."""
        register = self._commits.look(place)
        while register.attempt is not None and self._commits.settle(place, register.attempt):
            register = self._commits.look(place)
        with ThreadPoolExecutor(THREADS) as pool:
            versions = pool.map(lambda name: self.writer.head(place.keys[name]), place.moved)
            seen = dict(zip(place.moved, versions, strict=True))
        record = self.writer.read(place.record, limit=RECORD_LIMIT)
        before = None
        if record is not None:
            try:
                before = _parse_record(record[0], f"{self.writer.root}/{place.record}")
            except InputError:
                # made again from the shards
                before = None
        return Base(register, seen, record, before)

    def _held(self, header: Header, place: CellObjects, base: Base) -> Pixels:
        layout = header.layout
        where = f"{self.writer.root}: cell {place.cell.name} of {place.year}"
        try:
            needed = base.before.objects if base.before else {}
            for name in {layout.codes.name, COUNTS.name, SCALES.name} & set(needed):
                if not _fits(base.version(name), needed[name]):
                    raise CorruptError(f"{where} lacks objects that its commit record names")
            if base.register.version is None:
                return blank(layout)
            return read_pixels(self.writer.objects, layout, place.cell, header.years.index(place.year))
        except CorruptError as error:
            raise unreadable(place.cell, error) from None

    def _unchanged(
        self, place: CellObjects, base: Base, record: Commit, shards: dict[str, bytes | bytearray | None]
    ) -> Commit | None:
        """The record that is there, if it is of these very bytes and they are all there."""
        before = base.before
        if before is None or base.register.attempt is not None:
            return None
        if replace(record, objects=before.objects, mark=before.mark) != before:
            return None
        parts = with_mark(place, shards, commit_mark(before.mark) if before.mark else None)
        same = set(parts) == set(before.objects) and all(
            _fits(base.version(name), before.objects[name])
            and before.objects[name]["bytes"] == length_of(pieces)
            and before.objects[name]["sha256"] == digest(pieces)
            for name, pieces in parts.items()
        )
        # damage is healed by writing the same again, so the bytes themselves are looked at
        return before if same and all(self._holds(place, parts, name) for name in parts) else None

    def _holds(self, place: CellObjects, parts: dict[str, Parts], name: str) -> bool:
        try:
            found = self.writer.read(place.keys[name], limit=length_of(parts[name]))
        except OversizeError:
            return False
        return found is not None and digest([found[0]]) == digest(parts[name])

    def recover_all(self, header: Header) -> int:
        """See `backend.Backend`; looked for every ten minutes at most."""
        now = time.monotonic()
        if now - self._memory.get("swept", -_SWEEP_EVERY) < _SWEEP_EVERY:
            return 0
        self._memory["swept"] = now
        return self.sweep_all(header)

    def sweep_all(self, header: Header) -> int:
        """Finish pending commits whose writers seem dead, remove what was staged long ago and is not needed."""
        staged: dict[tuple[str, str, str], list[Any]] = {}
        for item in self.writer.list_all(STAGING):
            parts = item.key.removeprefix(f"{STAGING}/").split("/")
            if len(parts) == 4:
                staged.setdefault((parts[0], parts[1], parts[2]), []).append(item)
        now, finished = datetime.now(UTC), 0
        for (year, name, attempt), items in sorted(staged.items()):
            age = (now - max(item.modified for item in items)).total_seconds()
            if age < DEAD_AFTER:
                continue
            try:
                place = CellObjects.of(header, parse_cell(name, header.layout.shard), int(year))
            except ValueError:
                continue
            try:
                if self._commits.look(place).attempt == attempt:
                    self._commits.finish_left(place, attempt)
                    finished += 1
                elif age > STALE_AFTER:
                    self.writer.delete([item.key for item in items])
            except CorruptError:
                # left to its own next writer, who is told
                continue
        return finished


def _fits(version: Version | None, info: dict[str, Any]) -> bool:
    return version is not None and version.size == info["bytes"]


def _parse_record(data: bytes, where: str) -> Commit:
    try:
        return Commit.from_json(parse_json(data, where), where)
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{where} is no commit record: {error}") from None
