"""The external sort of `write_blocks`: parts into sorted runs, runs into blocks, each written atomically."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, read_json, write_atomic, writing
from tessera.cubes import PixelSeries

from ._index import PAGE, block_name, file_bytes, header
from ._records import Layout, pack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.base import Progress

    Part = PixelSeries | Callable[[], PixelSeries] | tuple[str, Callable[[], PixelSeries]]
    """A table, a function that makes one, or the name of a table and that function."""

_CHUNK, _LEAST = 4096, 16
"""Records that are packed or written together, and the fewest that are sorted together."""


def spool_parts(
    parts: Iterable[Part],
    folder: Path,
    layout: Layout,
    seed: int,
    progress: Progress,
    *,
    closed: bool,
) -> list[dict[str, Any]]:
    """Write each part as a run of sorted records; finished parts are passed over, with `closed` new ones refused."""
    anew = "remove that folder to begin anew"
    done: list[dict[str, Any]] = []
    first = 0
    for number, given in enumerate(parts):
        record = folder / f"{number:06d}.json"
        known = read_json(record, what="record of a part") if record.exists() else None
        name, source = given if isinstance(given, tuple) else (None, given)
        part = source if isinstance(source, PixelSeries) else None
        if known is None:
            if closed:
                raise InputError(
                    f"{number + 1} parts or more, and the interrupted run in {folder.parent} had {number}; {anew}"
                )
            part = source if isinstance(source, PixelSeries) else source()
            known = {"digest": part.digest(), "pixels": len(part), **({} if name is None else {"name": name})}
            with writing(folder.parent):
                _run(part, folder / f"{number:06d}.run", layout, first, seed, number)
                write_atomic(record, json.dumps(known).encode())
        elif known.get("name") != name:
            was, now = (str(told or "a part without a name")[:300] for told in (known.get("name"), name))
            raise InputError(f"part {number} is {now}; in the interrupted run in {folder.parent} it was {was}; {anew}")
        elif part is not None and part.digest() != known["digest"]:
            raise InputError(f"part {number} is not that of the interrupted run in {folder.parent}; {anew}")
        done.append(known)
        first += known["pixels"]
        progress(number + 1, 0)
    if (folder / f"{len(done):06d}.json").exists():
        raise InputError(f"{len(done)} parts, and the interrupted run in {folder.parent} had more; {anew}")
    return done


def source_digest(done: list[dict[str, Any]]) -> str:
    """SHA-256 of all parts."""
    return hashlib.sha256("".join(part["digest"] for part in done).encode()).hexdigest()


def _run(part: PixelSeries, path: Path, layout: Layout, first: int, seed: int, number: int) -> None:
    if part.targets.shape[1] not in (0, layout.targets):
        raise InputError(f"part {number} has {part.targets.shape[1]} targets; expected {layout.targets}")
    if not part.targets.shape[1]:
        unknown = np.full((len(part), layout.targets), np.nan, dtype=np.float32)
        part = PixelSeries(**{**vars(part), "targets": unknown})
    keys = np.empty(len(part), dtype="<u8")
    with path.with_suffix(".tmp").open("wb") as file:
        # first in the order of the part, then sorted by a second pass over the file, which saves memory
        for start in range(0, len(part), _CHUNK):
            chunk = part.take(np.arange(start, min(start + _CHUNK, len(part))))
            keys[start : start + _CHUNK], records = pack(chunk, layout, first + start, seed)
            file.write(records.tobytes())
        file.flush()
    order = np.argsort(keys)
    unsorted = _records(path.with_suffix(".tmp"), 0, len(part), layout)
    with path.open("wb") as file:
        file.write(keys[order].tobytes())
        for start in range(0, len(part), _CHUNK):
            file.write(unsorted.take(order[start : start + _CHUNK], axis=0).tobytes())
        file.flush()
        os.fsync(file.fileno())
    del unsorted
    path.with_suffix(".tmp").unlink()


def _records(path: Path, offset: int, count: int, layout: Layout) -> NDArray[np.uint8]:
    size = layout.dtype.itemsize
    if not count:
        return np.empty((0, size), dtype=np.uint8)
    return np.memmap(path, dtype=np.uint8, mode="r", offset=offset, shape=(count, size))


def _sorted(folder: Path, layout: Layout, pixels: int, memory: int, skip: int) -> Iterator[NDArray[np.uint8]]:
    """Yield all records but the first `skip`, in the order of their keys, in chunks."""
    ranges = -(-pixels // max(_LEAST, memory // layout.dtype.itemsize))
    edges = [index * 2**64 // ranges for index in range(1, ranges)]
    runs = []
    for record in sorted(folder.glob("*.json")):
        count, path = read_json(record, what="record of a part")["pixels"], record.with_suffix(".run")
        expected = count * (8 + layout.dtype.itemsize)
        if path.stat().st_size != expected:
            raise InputError(f"{path} has {path.stat().st_size} bytes; expected {expected} by {record}")
        if count:
            keys = np.memmap(path, dtype="<u8", mode="r", shape=(count,))
            runs.append((path, count, [0, *np.searchsorted(keys, np.array(edges, dtype=np.uint64)).tolist(), count]))
    passed = 0
    for index in range(ranges):
        spans = [(path, count, ends[index], ends[index + 1]) for path, count, ends in runs]
        total = sum(stop - start for *_, start, stop in spans)
        if passed + total <= skip:
            passed += total
            continue
        found = np.concatenate([np.memmap(p, dtype="<u8", mode="r", shape=(n,))[a:b] for p, n, a, b in spans])
        order = np.argsort(found)
        rows = np.concatenate([_records(p, 8 * n, n, layout)[a:b] for p, n, a, b in spans])
        yield rows.take(order[max(0, skip - passed) :], axis=0)
        passed += total


def write_sorted(work: Path, layout: Layout, pixels: int, held: int, memory: int, progress: Progress) -> list[str]:
    """Write the missing blocks; returns the SHA-256 of all."""
    folder, total = work / "blocks", -(-pixels // held)
    sha: list[str] = []
    for number in range(total):
        path = folder / f"{block_name(number)}.json"
        if not path.exists():
            break
        sha.append(read_json(path, what="record of a block")["sha256"])
    source = _sorted(work / "parts", layout, pixels, memory, len(sha) * held)
    rest = np.empty((0, layout.dtype.itemsize), dtype=np.uint8)
    for number in range(len(sha), total):
        count = min(held, pixels - number * held)
        path = folder / block_name(number)
        digest = hashlib.sha256()
        with path.open("wb") as file:

            def put(data: Any, file: Any = file, digest: Any = digest) -> None:
                digest.update(data)
                file.write(data)

            put(header(layout, number, count))
            lacking = count
            while lacking:
                if not len(rest):
                    rest = next(source)
                taken = min(lacking, len(rest), _CHUNK)
                put(rest[:taken].tobytes())
                rest, lacking = rest[taken:], lacking - taken
            put(b"\0" * (file_bytes(layout, count) - PAGE - count * layout.dtype.itemsize))
            file.flush()
            os.fsync(file.fileno())
        sha.append(digest.hexdigest())
        write_atomic(folder / f"{path.name}.json", json.dumps({"sha256": sha[-1]}).encode())
        progress(number + 1, total)
    return sha
