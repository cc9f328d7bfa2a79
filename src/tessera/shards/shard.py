"""One version of one shard: its index, verified chunks, and pixels by exact ranges."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from concurrent.futures import FIRST_EXCEPTION, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.net import ChangedError, MissingError, is_strong, join_ranges

from .codec import ShardIndex, decode_chunk, decode_index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from tessera.net import DiskCache, Objects, Run

    from .layout import ShardFormat

POINT_GAP = 512
"""Bytes that may lie unused between two pixels of one request: less than what a request's own headers take."""
INDEX_SECONDS = 300.0
"""Time for which an index is used without asking whether the shard is still of its version. A read of bytes notices a
change at once; only a chunk that was absent can be missed for so long."""
INDEX_BYTES = 64 * 1024**2
"""Memory of the indexes of a store."""
FILL_OVER = 1 / 32
"""Share of a run of chunks that may be bytes nobody asked for."""


@dataclass(frozen=True)
class Reading:
    """What the readers of a store share.

    Attributes
    ----------
    objects : where the bytes lie
    cache : of parts of remote objects on disk, None for none
    indexes : of remote shards in memory
    """

    objects: Objects
    cache: DiskCache | None = None
    indexes: IndexCache = field(default_factory=lambda: IndexCache())

    @property
    def is_remote(self) -> bool:
        """Whether its objects are read over a network."""
        return self.objects.folder is None


@dataclass(frozen=True)
class Shard:
    """A shard that exists: key, format, index and version (ETag; None where the server gives none)."""

    reading: Reading
    key: str
    form: ShardFormat
    index: ShardIndex
    etag: str | None

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return f"{self.reading.objects.root}/{self.key}"

    def read_chunks(
        self, numbers: NDArray[np.int64], take: Callable[[int, NDArray[Any]], None], pool: Executor
    ) -> None:
        """Call `take` with number and verified values (chunk, chunk, bands) of each numbered chunk that exists."""
        there = numbers[self.index.offsets[numbers] >= 0]
        cache = self._cache
        lacking = []
        for number in there.tolist():
            kept = None if cache is None else cache.get(*self._entry(number))
            if kept is None:
                lacking.append(number)
            else:
                take(number, decode_chunk(kept, self.form, self.name))
        wanted = np.asarray(lacking, dtype=np.int64)
        # our chunks lie in row order without gaps; those of others in another, where a small gap is worth it
        gap = 0 if self.form.compressor is None else self.form.chunk_bytes
        starts = self.index.offsets[wanted]
        runs = join_ranges(starts, starts + self.index.lengths[wanted], gap=gap, waste=FILL_OVER)

        def read(run: Run) -> None:
            data = memoryview(self.reading.objects.range(self.key, run.start, run.stop, etag=self.etag))
            for number in wanted[list(run.members)].tolist():
                start = int(self.index.offsets[number]) - run.start
                part = data[start : start + int(self.index.lengths[number])]
                take(number, decode_chunk(part, self.form, self.name))
                if cache is not None:
                    cache.put(bytes(part), *self._entry(number))

        in_parallel(pool, read, runs)
        if len(there) and not runs:
            self._confirm()

    def read_box(self, inside: tuple[slice, slice], out: NDArray[Any], pool: Executor) -> None:
        """Copy a rectangle of the shard into `out` (height, width, bands) or (height, width); what is absent stays."""
        rows, cols = inside
        side, chunk = self.form.side, self.form.chunk
        chunk_rows = np.arange(rows.start // chunk, (rows.stop - 1) // chunk + 1)
        chunk_cols = np.arange(cols.start // chunk, (cols.stop - 1) // chunk + 1)

        def take(number: int, values: NDArray[Any]) -> None:
            top, left = number // side * chunk, number % side * chunk
            r0, r1 = max(rows.start, top), min(rows.stop, top + chunk)
            c0, c1 = max(cols.start, left), min(cols.stop, left + chunk)
            part = values[r0 - top : r1 - top, c0 - left : c1 - left]
            into = (slice(r0 - rows.start, r1 - rows.start), slice(c0 - cols.start, c1 - cols.start))
            out[into] = part if out.ndim == 3 else part[..., 0]

        self.read_chunks((chunk_rows[:, None] * side + chunk_cols).reshape(-1), take, pool)

    def _confirm(self) -> None:
        """Ask whether the shard is still of this version, as every read of its bytes does by itself."""
        form, objects = self.form, self.reading.objects
        if objects.edge(self.key, form.index_bytes, at_end=form.index_at_end, known=self.etag) is not None:
            raise ChangedError(f"{self.name} was replaced since it was kept")

    def read_pixels(
        self, rows: NDArray[np.int64], cols: NDArray[np.int64], length: int, pool: Executor
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Read the first `length` bytes of pixels by exact ranges: which exist (M,), and their bytes (M, length).

        `rows` and `cols` (N,) count from the shard's corner; its format must be exact.
        """
        form = self.form
        offsets = self.index.offsets[(rows // form.chunk) * form.side + cols // form.chunk]
        there = np.flatnonzero(offsets >= 0)
        inside = ((rows % form.chunk) * form.chunk + cols % form.chunk)[there]
        starts = offsets[there] + inside * form.pixel_bytes
        values = np.empty((len(there), length), dtype=np.uint8)

        def read(run: Run) -> None:
            data = np.frombuffer(
                self.reading.objects.range(self.key, run.start, run.stop, etag=self.etag), dtype=np.uint8
            )
            for number in run.members:
                start = int(starts[number]) - run.start
                values[number] = data[start : start + length]

        in_parallel(pool, read, join_ranges(starts, starts + length, gap=POINT_GAP))
        return there, values

    def read_verified_pixels(
        self, rows: NDArray[np.int64], cols: NDArray[np.int64], length: int, pool: Executor
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Like `read_pixels`, but reads whole chunks and verifies their checksums where they have any."""
        form = self.form
        which = (rows // form.chunk) * form.side + cols // form.chunk
        values = np.empty((len(rows), length), dtype=np.uint8)
        found = np.zeros(len(rows), dtype=np.bool_)

        def take(number: int, chunk: NDArray[Any]) -> None:
            inside = np.flatnonzero(which == number)
            pixels = np.ascontiguousarray(chunk[rows[inside] % form.chunk, cols[inside] % form.chunk])
            values[inside] = pixels.view(np.uint8)[:, :length]
            found[inside] = True

        self.read_chunks(np.unique(which), take, pool)
        there = np.flatnonzero(found)
        return there, values[there]

    @property
    def _cache(self) -> DiskCache | None:
        """The cache on disk, None where the version is not told."""
        return self.reading.cache if is_strong(self.etag) and self.reading.is_remote else None

    def _entry(self, number: int) -> tuple[object, ...]:
        return (self.name, self.etag, int(self.index.offsets[number]), int(self.index.lengths[number]))


def in_parallel(pool: Executor, work: Callable[[Any], None], items: list[Any]) -> None:
    """Run work on each item in the pool, a single item in this thread; after an error no further item starts."""
    if len(items) == 1:
        work(items[0])
        return
    jobs = [pool.submit(work, item) for item in items]
    wait(jobs, return_when=FIRST_EXCEPTION)
    for job in jobs:
        # after an error the others would only find the same
        job.cancel()
    wait(jobs)
    for job in jobs:
        if not job.cancelled():
            job.result()


class IndexCache:
    """A least-recently-used cache of the indexes of remote shards."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, Shard]] = OrderedDict()
        self._bytes = 0

    def get(self, key: str) -> tuple[bool, Shard | None]:
        """Whether the entry is fresh enough to use without a request, and the shard as last seen."""
        with self._lock:
            if key not in self._kept:
                return False, None
            self._kept.move_to_end(key)
            asked, shard = self._kept[key]
        return time.monotonic() - asked < INDEX_SECONDS, shard

    def put(self, shard: Shard) -> None:
        """Keep what was just seen."""
        with self._lock:
            self._drop(shard.key)
            self._kept[shard.key] = (time.monotonic(), shard)
            self._bytes += shard.index.offsets.nbytes + shard.index.lengths.nbytes
            while self._bytes > INDEX_BYTES and len(self._kept) > 1:
                self._drop(next(iter(self._kept)))

    def drop(self, keys: Iterable[str]) -> None:
        """Forget shards that were found changed."""
        with self._lock:
            for key in keys:
                self._drop(key)

    def _drop(self, key: str) -> None:
        if key in self._kept:
            _, shard = self._kept.pop(key)
            self._bytes -= shard.index.offsets.nbytes + shard.index.lengths.nbytes


def open_shard(reading: Reading, key: str, form: ShardFormat, *, trust: bool) -> Shard | None:
    """Open a shard and read its index; None where there is no such shard. One request, or none for a cached index.

    Parameters
    ----------
    trust : whether an index that was seen lately may be used without asking

    Raises
    ------
    CorruptError
        Truncated, or its checksum or an entry does not fit.
    """
    name = f"{reading.objects.root}/{key}"
    fresh, seen = reading.indexes.get(key)
    if trust and fresh and seen is not None:
        return seen
    cache = reading.cache if reading.is_remote else None
    kept = None if seen is not None or cache is None else _kept_index(cache, name, form)
    known = seen.etag if seen is not None else None if kept is None else kept[1]
    try:
        piece = reading.objects.edge(key, form.index_bytes, at_end=form.index_at_end, known=known)
    except MissingError:
        return None
    if piece is None:
        if seen is None:
            assert kept is not None  # noqa: S101 - nothing else names a version to ask for
            seen = Shard(reading, key, form, decode_index(kept[0], kept[2], form, name), kept[1])
        reading.indexes.put(seen)
        return seen
    shard = Shard(reading, key, form, decode_index(piece.data, piece.size, form, name), piece.etag)
    # without any chunk it may be a cell that is just being written
    if reading.is_remote and is_strong(piece.etag) and (shard.index.offsets >= 0).any():
        reading.indexes.put(shard)
        if cache is not None:
            head = f"{piece.etag}\n{piece.size}\n".encode()
            cache.put(head + piece.data, name, "index")
    return shard


def _kept_index(cache: DiskCache, name: str, form: ShardFormat) -> tuple[bytes, str, int] | None:
    """Bytes, version and object size of an index on disk, None where there is none."""
    entry = cache.get(name, "index")
    if entry is None or len(entry) <= form.index_bytes:
        return None
    try:
        etag, size, _ = entry[: -form.index_bytes].decode().split("\n")
        return entry[-form.index_bytes :], etag, int(size)
    except ValueError:
        return None
