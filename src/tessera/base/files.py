"""Files that are either whole or not there, whatever happens to the process that writes them."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .errors import InputError, TesseraError
from .parts import part_beside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from _typeshed import ReadableBuffer as Buffer


_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def sha256_hex(data: Buffer) -> str:
    """SHA-256 of `data` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomic(path: Path, data: Buffer) -> None:
    """Write `data` to `path` so that a reader finds the old file or the new one, never a part.

    Raises
    ------
    OSError
        The disk is full or the folder cannot be written; `path` is then as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with part_beside(path) as part:
        # a link that a stranger's folder has in this place is not followed
        with os.fdopen(os.open(part, _NEW_FILE, 0o666), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    sync_folder(path.parent)


@contextmanager
def staging(target: Path) -> Iterator[Path]:
    """A hidden folder beside `target`, on the same disk, gone afterwards; what dead processes left there goes first."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with part_beside(target) as folder:
        folder.mkdir()
        yield folder


@contextmanager
def new_folder(target: Path, what: str) -> Iterator[Path]:
    """A folder to fill, which becomes `target` when all went well and is gone when not.

    Raises
    ------
    InputError
        `target` exists.
    """
    if target.exists():
        raise InputError(f"{target} exists; expected a new path for {what}")
    with staging(target) as folder:
        part = folder / target.name
        part.mkdir()
        yield part
        part.rename(target)
    sync_folder(target.parent)


@contextmanager
def file_lock(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold an exclusive lock on `path` among the processes of this machine; the lock dies with its holder.

    Raises
    ------
    BlockingIOError
        Somebody else holds it and `wait` is False.
    TesseraError
        The system has no such locks (Windows, which only reads).
    """
    try:
        import fcntl
    except ModuleNotFoundError:
        raise TesseraError(
            f"writing {path.parent} needs file locks of Linux or macOS; this system only reads"
        ) from None
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(handle)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn what a disk says, while resumable work in `folder` is written, into one line.

    Raises
    ------
    TesseraError
        In place of any `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise TesseraError(
            f"cannot write {folder}: {error.strerror or error}; what is finished there is kept, run the same again"
        ) from None
