"""Paths that stay in a store's folder: a store may come from a stranger, with links and names that lead out of it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from tessera.base import InputError

if TYPE_CHECKING:
    from pathlib import Path


def within(folder: Path, path: Path) -> Path:
    """`path`, whose parent lies in `folder` when all symbolic links are followed; `path` itself may be one.

    Raises
    ------
    InputError
        A link leads out.
    """
    root, parent = os.path.realpath(folder), os.path.realpath(path.parent)
    if parent != root and not parent.startswith(root.rstrip(os.sep) + os.sep):
        raise InputError(f"{path} leads out of the store by a symbolic link; it is left alone")
    return path


def file_size(folder: Path, path: Path) -> int | None:
    """Bytes of a file of the store, None where there is nothing.

    Raises
    ------
    InputError
        It is no file, or it or a folder above it is a symbolic link out of the store.
    """
    within(folder, path)
    try:
        about = path.lstat()
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise InputError(f"{path} cannot be: what lies above it is no folder") from None
    if not stat.S_ISREG(about.st_mode):
        raise InputError(f"{path} is no file; it is left alone")
    return about.st_size
