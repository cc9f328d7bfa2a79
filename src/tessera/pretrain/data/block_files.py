"""Pixel-years on disk as blocks of fixed records, shuffled once, so that every block is a fair sample.

    pixels/
        block-00000.bin     a page of 4096 bytes that describes the block, then records; padded to a whole page
        block-00001.bin
        index.json          content, sizes and SHA-256 of the blocks; written last

Pixel-years are in the order of a hash of their number and the seed. While they are written:

    pixels.part/            beside the final folder
        lock                held while a process works here
        work.json           settings of the work
        parts/000012.run    the records of a finished part: keys, then records, both in the order of the keys
        parts/000012.json   its digest, size and name; written after it
        blocks/             finished blocks, each with its SHA-256 beside it until the index is written; becomes pixels/
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import (
    InputError,
    check_folder,
    file_lock,
    open_regular,
    read_json,
    silent,
    sync_folder,
    write_atomic,
    writing,
)

from ._index import FORMAT, INDEX, PAGE, VERSION, Index, block_name, file_bytes, header
from ._records import Layout, unpack
from ._shuffle import source_digest, spool_parts, write_sorted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from tessera.base import Progress
    from tessera.cubes import PixelSeries

    from ._shuffle import Part


S2_ROOM, S1_ROOM = 96, 128
"""Observations that a record has room for by default: clear dates and radar passes of nearly any year."""
BLOCK_BYTES = 128 * 1024 * 1024
MEMORY = 256 * 1024 * 1024
"""Bytes of records that are sorted at a time."""


def write_blocks(
    parts: Iterable[Part],
    folder: str | Path,
    *,
    seed: int,
    records: int | None = None,
    s2: int = S2_ROOM,
    s1: int = S1_ROOM,
    targets: int = 0,
    memory: int = MEMORY,
    progress: Progress = silent,
) -> Blocks:
    """Write pixel-years as blocks of fixed records, all shuffled once by a hash of their number and the seed.

    After an interruption the same call continues: finished parts are not read again (functions of finished parts are
    not called), finished blocks are not written again, and the bytes are the same as those of one run. If only the
    work folder was left to remove, it returns the blocks. Memory is one part plus about three times `memory`, for any
    source. The disk holds the records twice while the blocks are written.

    Parameters
    ----------
    parts : tables, or functions that make them, or pairs of a name and such a function; each pixel-year with any number
        of observations. An interrupted run only continues with parts of the same names.
    folder : new folder
    seed : of the order, and of the subsets that years with too many observations keep
    records : pixel-years a block; by default as many as fit into 128 MB
    s2, s1 : observations that a record has room for; a year with more keeps a random subset, in order
    targets : truths a pixel-year; a part without any gets unknown ones (NaN)
    memory : bytes of records that are sorted together
    progress : called with finished parts and 0, then with finished blocks and their number

    Raises
    ------
    InputError
        `folder` exists, another process works on it, the interrupted run had other parts, there are no pixel-years, or
        a part has another number of targets.
    TesseraError
        The folder cannot be written, for example because the disk is full.
    """
    target = Path(folder)
    # "" and "/" have no name that a work folder beside them could take
    if not target.name:
        check_folder(target, "blocks")
    layout = Layout(s2, s1, targets)
    size = layout.dtype.itemsize
    held = max(1, (BLOCK_BYTES - PAGE) // size) if records is None else records
    if held < 1 or memory < 1 or not 0 <= seed < 2**63:
        raise InputError(f"{held} records, {memory} bytes, seed {seed}; expected at least 1, 1 and a seed below 2**63")
    work = target.with_name(f"{target.name}.part")
    if target.exists() and not work.exists():
        raise InputError(f"{target} exists; expected a new path for the blocks")
    if not target.exists():
        check_folder(target, "blocks")
    with _held(work):
        if target.exists():
            whole = False
            if not (work / "blocks").exists():
                # the writer was stopped after the blocks appeared
                whole = _is_of(target, work, parts, layout, held, seed)
                with writing(work):
                    _clear(work)
            if not whole:
                raise InputError(f"{target} exists; expected a new path for the blocks")
            return open_blocks(target)
        _begin(work, {"records": held, "seed": seed, **asdict(layout)})
        begun = any((work / "blocks").iterdir())
        done = spool_parts(parts, work / "parts", layout, seed, progress, closed=begun)
        pixels = sum(part["pixels"] for part in done)
        if not pixels:
            with writing(work):
                _clear(work)
            raise InputError(
                f"0 pixel-years for {target}, or none with the observations asked for; expected at least one"
            )
        with writing(work):
            sha = write_sorted(work, layout, pixels, held, memory, progress)
            index = Index(layout, pixels, held, seed, source_digest(done), tuple(sha))
            names = {block_name(number) for number in range(len(sha))}
            for path in (work / "blocks").iterdir():
                # notes and leftovers of a killed process
                if path.name not in names:
                    path.unlink()
            write_atomic(work / "blocks" / INDEX, (json.dumps(index.to_json(), indent=1) + "\n").encode())
            (work / "blocks").rename(target)
            sync_folder(target.parent)
            _clear(work)
    return open_blocks(target)


class Blocks:
    """A folder of blocks, read on demand; see `open_blocks`.

    It can replace a `PixelSeries` in `Batches`, and can be sent to other processes, which open it again.

    Attributes
    ----------
    folder : of the blocks
    index : their content
    """

    def __init__(self, folder: Path, index: Index) -> None:
        self.folder, self.index = folder, index
        self._size = index.layout.dtype.itemsize
        self._maps: list[NDArray[np.uint8]] = []
        for number in range(len(index.sha256)):
            self._maps.append(self._map(number))

    def __len__(self) -> int:
        return self.index.pixels

    def __reduce__(self) -> tuple[Any, ...]:
        return Blocks, (self.folder, self.index)

    @property
    def records(self) -> int:
        """Pixel-years a block."""
        return self.index.records

    def digest(self) -> str:
        """SHA-256 of the index, which includes those of the blocks and so covers every value."""
        return hashlib.sha256(json.dumps(self.index.to_json(), sort_keys=True).encode()).hexdigest()

    def take(self, pixels: NDArray[np.integer[Any]]) -> PixelSeries:
        """The pixel-years at these indices, in this order; indices may repeat.

        Raises
        ------
        InputError
            An index is out of range, or a record is damaged.
        """
        chosen = np.asarray(pixels, dtype=np.int64)
        if chosen.size and not (chosen.min() >= 0 and chosen.max() < len(self)):
            raise InputError(f"pixel-years {chosen.min()} to {chosen.max()} of {self.folder}, which has {len(self)}")
        block, row = np.divmod(chosen, self.index.records)
        order = np.argsort(block, kind="stable")
        numbers, first = np.unique(block[order], return_index=True)
        raw = np.empty((len(chosen), self._size), dtype=np.uint8)
        for number, start, stop in zip(numbers, first, np.append(first[1:], len(chosen)), strict=False):
            np.take(self._maps[number], row[order[start:stop]], axis=0, out=raw[start:stop], mode="clip")
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        try:
            return unpack(raw.view(self.index.layout.dtype)[:, 0], self.index.layout, place)
        except InputError as error:
            raise InputError(f"{self.folder}: {error}; it is damaged, open_blocks(verify=True) says where") from None

    def close(self) -> None:
        """Unmap the files; nothing can be read afterwards."""
        self._maps.clear()

    def verify(self) -> None:
        """Read all and compare with the SHA-256 of the index.

        Raises
        ------
        InputError
            A block has changed.
        """
        for number, expected in enumerate(self.index.sha256):
            path = self.folder / block_name(number)
            with open_regular(path, what="block") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != expected:
                raise InputError(
                    f"{path} has SHA-256 {found[:16]}...; expected {expected[:16]}... of {self.folder / INDEX}"
                )

    def _map(self, number: int) -> NDArray[np.uint8]:
        path, held = self.folder / block_name(number), self.index.held(number)
        expected = file_bytes(self.index.layout, held)
        try:
            with open_regular(path, what="block") as file:
                size = file.seek(0, 2)
                file.seek(0)
                if size != expected:
                    raise InputError(f"{path} has {size} bytes; expected {expected} by {self.folder / INDEX}")
                if file.read(PAGE) != header(self.index.layout, number, held):
                    raise InputError(f"{path} does not begin as block {number} of {self.folder / INDEX} must")
                mapped = mmap.mmap(file.fileno(), expected, access=mmap.ACCESS_READ)
        except OSError as error:
            raise InputError(f"cannot read {path} of {self.folder / INDEX}: {error.strerror or error}") from None
        flat = np.frombuffer(mapped, dtype=np.uint8, count=held * self._size, offset=PAGE)
        return flat.reshape(held, self._size)


def open_blocks(folder: str | Path, verify: bool = False) -> Blocks:
    """Open a folder of `write_blocks`, memory-mapped.

    Parameters
    ----------
    folder : with index.json
    verify : read everything and compare with the SHA-256 of the index

    Raises
    ------
    InputError
        There is no index, or a block is missing, truncated, changed or does not belong here.
    """
    path = Path(folder)
    index = Index.from_json(read_json(path / INDEX, what="index of blocks"), path / INDEX)
    blocks = Blocks(path, index)
    if verify:
        blocks.verify()
    return blocks


def _begin(work: Path, about: dict[str, Any]) -> None:
    """Continue the work of an interrupted run, or remove that of a run with other settings."""
    about = {"format": f"{FORMAT}-work", "version": VERSION, **about}
    with writing(work):
        same = (work / "work.json").exists() and read_json(work / "work.json", what="work file") == about
        # without blocks/ the parts are not complete either: it became the final folder, which was then removed
        if not same or not (work / "blocks").exists():
            for name in ("work.json", "parts", "blocks", "gone"):
                _remove(work / name)
            write_atomic(work / "work.json", json.dumps(about, indent=1).encode())
        for name in ("parts", "blocks"):
            (work / name).mkdir(exist_ok=True)


@contextlib.contextmanager
def _held(work: Path) -> Iterator[None]:
    if work.is_symlink() or (work.exists() and not (work / "lock").exists() and any(work.iterdir())):
        raise InputError(f"{work} is no work folder of blocks; expected one, or nothing there")
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(file_lock(work / "lock", wait=False))
        except BlockingIOError:
            raise InputError(f"another process works in {work}; expected one at a time") from None
        yield


def _is_of(target: Path, work: Path, parts: Iterable[Part], layout: Layout, records: int, seed: int) -> bool:
    """Whether blocks have these settings and, if the work folder still records them, these parts."""
    try:
        index = open_blocks(target).index
        if (index.layout, index.records, index.seed) != (layout, records, seed):
            return False
        if not (work / "parts").exists():
            return True
        return source_digest(spool_parts(parts, work / "parts", layout, seed, silent, closed=True)) == index.source
    except InputError:
        return False


def _clear(work: Path) -> None:
    """Remove the work folder in an order that lets the next call finish after a kill."""
    for path in (work / "parts").glob("*.run"):
        path.unlink()
    if (work / "parts").exists():
        # a rename, so that the records of all parts disappear at once
        (work / "parts").rename(work / "gone")
    for path in sorted(work.iterdir(), key=lambda path: path.name == "lock"):
        _remove(path)
    work.rmdir()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
