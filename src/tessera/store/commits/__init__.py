"""How a cell becomes visible: staged, intended, moved, committed, in a folder or an object store."""

from .backend import Ground, create_on_ground, ground_of, is_writable
from .commit import (
    BOOKKEEPING,
    Commit,
    cell_lock_path,
    commit_path,
    is_pending,
    pack_bitmap,
    read_commit,
    read_intent,
    recover_cell,
    sha256_of,
)
from .marks import MARK_BYTES
from .merge import input_of

__all__ = [
    "BOOKKEEPING",
    "MARK_BYTES",
    "Commit",
    "Ground",
    "cell_lock_path",
    "commit_path",
    "create_on_ground",
    "ground_of",
    "input_of",
    "is_pending",
    "is_writable",
    "pack_bitmap",
    "read_commit",
    "read_intent",
    "recover_cell",
    "sha256_of",
]
