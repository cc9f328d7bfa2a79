"""Atomic files and folders: complete or absent, even if the writing process is killed."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ._parts import part_beside
from .errors import InputError, TesseraError
from .outputs import check_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from _typeshed import ReadableBuffer as Buffer


_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


_LOCK_ATTEMPTS = 100
"""Attempts to create a lock whose folder another process keeps removing."""


def sha256_hex(data: Buffer) -> str:
    """SHA-256 of `data` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sync_folder(folder: Path) -> None:
    """Flush renames inside `folder` to disk, so that they survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomic(path: Path, data: Buffer) -> None:
    """Write `data` to `path` atomically: a reader finds the old file or the new one, never a part.

    Raises
    ------
    OSError
        The disk is full or the folder cannot be written; `path` is then unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with part_beside(path) as part:
        # a link in an untrusted folder is not followed
        with os.fdopen(os.open(part, _NEW_FILE, 0o666), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    sync_folder(path.parent)


@contextmanager
def staging(target: Path) -> Iterator[Path]:
    """A hidden folder beside `target`, on the same disk, removed afterwards; leftovers of dead processes go first."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with part_beside(target) as folder:
        folder.mkdir()
        yield folder


class TakenError(InputError):
    """The output already exists; another process may have made it a moment ago."""


@contextmanager
def new_folder(target: Path, what: str) -> Iterator[Path]:
    """A folder to fill, which is renamed to `target` on success and removed on failure.

    Raises
    ------
    TakenError
        `target` exists, or appeared meanwhile.
    InputError
        It cannot be a folder; see `check_folder`.
    """
    if target.exists():
        raise TakenError(f"{target} exists; expected a new path for {what}")
    check_folder(target, what)
    with staging(target) as folder:
        part = folder / target.name
        part.mkdir()
        yield part
        place_folder(part, target, what)


def place_folder(part: Path, target: Path, what: str) -> None:
    """Rename a finished folder to its final name, which must be free.

    Raises
    ------
    TakenError
        The name is taken.
    """
    try:
        # a rename would replace an empty folder
        if os.path.lexists(target):
            raise FileExistsError
        part.rename(target)
    except OSError as error:
        if not isinstance(error, NotADirectoryError) and error.errno not in (None, errno.EEXIST, errno.ENOTEMPTY):
            raise
        raise TakenError(
            f"{target} appeared while {what} was made, by another process; expected a new path, one process at a time"
        ) from None
    sync_folder(target.parent)


@contextmanager
def file_lock(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold an exclusive lock on `path` among the processes of this machine; the system frees it if the holder dies.

    Raises
    ------
    BlockingIOError
        Another process holds it and `wait` is False.
    InputError
        `path` is a symbolic link, or not a file.
    TesseraError
        The system has no such locks (Windows, where stores are read-only).
    """
    try:
        import fcntl
    except ModuleNotFoundError:
        raise TesseraError(
            f"writing {path.parent} needs file locks of Linux or macOS; this system only reads"
        ) from None
    while True:
        handle = _open_lock(path)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            # its last holder may have removed it with its folder
            if not _has_name(handle, path):
                continue
            yield
            return
        finally:
            os.close(handle)


def _open_lock(path: Path) -> int:
    """Open a lock file, creating it if missing; one of another user may be read-only, which is enough."""
    flags = os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0) | os.O_NONBLOCK
    for _ in range(_LOCK_ATTEMPTS):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, FileNotFoundError):
            # removed between two calls, unless something else has the name
            if path.parent.exists() and not path.parent.is_dir():
                raise
            continue
        refused: OSError | None = None
        for how in (os.O_RDWR | os.O_CREAT, os.O_RDWR, os.O_RDONLY):
            try:
                handle = os.open(path, how | flags, 0o666)
            except FileNotFoundError:
                continue
            except PermissionError as error:
                refused = error
                continue
            except OSError as error:
                if path.is_symlink():
                    raise InputError(f"{path} is a symbolic link; expected a lock") from None
                raise error from None
            if stat.S_ISREG(os.fstat(handle).st_mode):
                return handle
            os.close(handle)
            raise InputError(f"{path} is no regular file; expected a lock")
        if refused is not None:
            raise refused
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def _has_name(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn errors of the disk, while resumable work in `folder` is written, into one-line errors.

    Raises
    ------
    TesseraError
        In place of any `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise TesseraError(
            f"cannot write {folder}: {error.strerror or error}; what is finished is kept, run the same command again"
        ) from None
