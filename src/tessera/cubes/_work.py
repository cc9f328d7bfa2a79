"""A work folder beside what is being made: held by one process, and removed so that no other can be surprised."""

from __future__ import annotations

import shutil
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from tessera.base import InputError, file_lock, writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK = "spool.lock"
WORK = "work.json"
"""Says what is being made; goes first when a folder is emptied."""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a work folder against other processes."""
    path = folder / LOCK
    with ExitStack() as stack:
        with writing(folder):
            if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
                raise InputError(f"{folder} is no folder; expected a work folder or nothing there")
            if folder.exists() and not path.is_file() and any(inner.name != LOCK for inner in folder.iterdir()):
                raise InputError(f"{folder} exists and is no work folder of a cube; expected nothing there")
            try:
                stack.enter_context(file_lock(path, wait=False))
            except BlockingIOError:
                raise InputError(
                    f"another process works in {folder}; expected one at a time, wait until it has ended"
                ) from None
        yield


def empty(folder: Path) -> None:
    """Remove everything but the lock; what says that there is work goes first."""
    with writing(folder):
        (folder / WORK).unlink(missing_ok=True)
        for path in folder.iterdir():
            if path.name == LOCK:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def drop(folder: Path) -> None:
    """Remove an empty work folder; its lock goes last."""
    with writing(folder):
        (folder / LOCK).unlink(missing_ok=True)
        try:
            folder.rmdir()
        except OSError:
            # the next process is there already
            return
