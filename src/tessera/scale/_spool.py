"""Finished blocks of a cell that is not finished: files beside the store that a later run takes up."""

from __future__ import annotations

import hashlib
import json
import math
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import Folder, Kept, TesseraError
from tessera.embeddings import STREAMS
from tessera.encode import Block

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
        """Keep a block.

        Raises
        ------
        TesseraError
            The disk is full or refuses.
        """
        try:
            self._kept.put(_name(block.start), {"codes": block.codes, "scales": block.scales, "counts": block.counts})
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
        most = sum(math.prod(shape) * np.dtype(kind).itemsize for kind, shape in shapes.values())
        parts = self._kept.get(_name(start), most)
        if parts is None or set(parts) != set(shapes):
            return None
        for name, (dtype, shape) in shapes.items():
            if parts[name].dtype != dtype or parts[name].shape != shape:
                return None
        return Block(start, stop, **parts)

    @property
    def _kept(self) -> Kept:
        return Kept(self.folder)


def _name(start: int) -> str:
    return f"rows_{start:05}.block"


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


def has_begun(scratch: Path) -> bool:
    """Whether an earlier run kept blocks of any piece of work."""
    return scratch.is_dir() and any(path.name not in ("cubes", "scenes") for path in scratch.iterdir())


def finished_rows(scratch: Path, work: dict[str, Any]) -> set[int]:
    """First rows of the blocks that an earlier run kept of a piece of work."""
    names = (path.name for path in (scratch / _key(work)).glob("rows_*.block"))
    return {int(name[5:-6]) for name in names if name[5:-6].isdecimal()}


def _key(work: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()[:24]
