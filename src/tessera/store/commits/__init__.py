"""Commit cells so that they become visible as a whole, in a folder or an object store."""

from .backend import Backend, backend_of, create_empty, is_writable
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
    "Backend",
    "Commit",
    "backend_of",
    "cell_lock_path",
    "commit_path",
    "create_empty",
    "input_of",
    "is_pending",
    "is_writable",
    "pack_bitmap",
    "read_commit",
    "read_intent",
    "recover_cell",
    "sha256_of",
]
