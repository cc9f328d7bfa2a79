"""Finished blocks of a cell that is not finished: files beside the store that a later run takes up."""

from __future__ import annotations

import hashlib
import io
import json
import math
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import Folder, TesseraError, parse_npz, raise_if_machine, read_regular
from tessera.embeddings import STREAMS
from tessera.encode import Block

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DIGEST = hashlib.sha256().digest_size
_HEADERS = 4096


@dataclass(frozen=True)
class Spool:
    """The blocks of one piece of work, a file each.

    Attributes
    ----------
    folder : of this piece of work alone
    width, dims : of its blocks
    """

    folder: Path
    width: int
    dims: int

    def put(self, block: Block) -> None:
        """Keep a block, whole or not at all, behind its digest.

        Raises
        ------
        TesseraError
            The disk is full or refuses.
        """
        data = io.BytesIO()
        np.savez(data, codes=block.codes, scales=block.scales, counts=block.counts)
        content = data.getvalue()
        try:
            Folder(self.folder).write(self._path(block.start), hashlib.sha256(content).digest() + content)
        except OSError as error:
            raise TesseraError(
                f"a block was not kept in {self.folder} ({error.strerror}); finished blocks are kept, "
                "run the same command again"
            ) from None

    def get(self, start: int, stop: int) -> Block | None:
        """A block that was kept; None where there is none, or one that is damaged or of another shape."""
        shapes: dict[str, tuple[Any, tuple[int, ...]]] = {
            "codes": (np.int8, (stop - start, self.width, self.dims)),
            "scales": (np.float32, (stop - start, self.width)),
            "counts": (np.uint16, (stop - start, self.width, len(STREAMS))),
        }
        try:
            # an array's header and the zip's entries take less than what is added
            most = (
                _DIGEST + _HEADERS + sum(math.prod(shape) * np.dtype(kind).itemsize for kind, shape in shapes.values())
            )
            data = read_regular(self._path(start), what="block", limit=most, inside=self.folder)
            if hashlib.sha256(data[_DIGEST:]).digest() != data[:_DIGEST]:
                return None
            content = parse_npz(data[_DIGEST:], "a kept block")
            parts = {name: content[name] for name in shapes}
        except (OSError, ValueError, KeyError, MemoryError) as error:
            raise_if_machine(error, self._path(start))
            return None
        for name, (dtype, shape) in shapes.items():
            if parts[name].dtype != dtype or parts[name].shape != shape:
                return None
        return Block(start, stop, **parts)

    def _path(self, start: int) -> Path:
        return self.folder / f"rows_{start:05}.block"


@contextmanager
def spool(scratch: Path, work: dict[str, Any], width: int, dims: int) -> Iterator[Spool]:
    """The spool of a piece of work, held against other processes; removed when the work ends well.

    Parameters
    ----------
    scratch : folder for unfinished work
    work : plain values that say all that the blocks depend on
    """
    key, door = _key(work), Folder(scratch.parent)
    with door.lock(f"locks/work-{key}.lock"):
        folder = door.make(scratch / key)
        yield Spool(folder, width, dims)
        door.remove_tree(folder)


def discard(scratch: Path, work: dict[str, Any]) -> None:
    """Remove what a run left of a piece of work that it had done when it was killed; not what another process holds."""
    key, door = _key(work), Folder(scratch.parent)
    if (scratch / key).exists():
        with suppress(BlockingIOError), door.lock(f"locks/work-{key}.lock", wait=False):
            door.remove_tree(scratch / key)


def finished_rows(scratch: Path, work: dict[str, Any]) -> set[int]:
    """First rows of the blocks that an earlier run kept of a piece of work."""
    names = (path.name for path in (scratch / _key(work)).glob("rows_*.block"))
    return {int(name[5:-6]) for name in names if name[5:-6].isdecimal()}


def _key(work: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()[:24]
