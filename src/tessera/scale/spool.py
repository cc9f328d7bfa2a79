"""Finished blocks of a cell that is not finished: files beside the store that a later run takes up."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import file_lock, write_atomic
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
        """Keep a block, whole or not at all."""
        data = io.BytesIO()
        np.savez(data, codes=block.codes, scales=block.scales, counts=block.counts)
        write_atomic(self._path(block.start), data.getvalue())

    def get(self, start: int, stop: int) -> Block | None:
        """A block that was kept; None where there is none, or one that is damaged or of another shape."""
        shapes: dict[str, tuple[Any, tuple[int, ...]]] = {
            "codes": (np.int8, (stop - start, self.width, self.dims)),
            "scales": (np.float32, (stop - start, self.width)),
            "counts": (np.uint16, (stop - start, self.width, len(STREAMS))),
        }
        try:
            with np.load(self._path(start), allow_pickle=False) as content:
                parts = {name: content[name] for name in shapes}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        for name, (dtype, shape) in shapes.items():
            if parts[name].dtype != dtype or parts[name].shape != shape:
                return None
        return Block(start, stop, **parts)

    def _path(self, start: int) -> Path:
        return self.folder / f"rows_{start:05}.npz"


@contextmanager
def spool(scratch: Path, work: dict[str, Any], width: int, dims: int) -> Iterator[Spool]:
    """The spool of a piece of work, held against other processes; removed when the work ends well.

    Parameters
    ----------
    scratch : folder for unfinished work
    work : plain values that say all that the blocks depend on
    """
    key = hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()[:24]
    folder = scratch / key
    with file_lock(scratch / f"{key}.lock"):
        folder.mkdir(parents=True, exist_ok=True)
        yield Spool(folder, width, dims)
        shutil.rmtree(folder, ignore_errors=True)
    (scratch / f"{key}.lock").unlink(missing_ok=True)
