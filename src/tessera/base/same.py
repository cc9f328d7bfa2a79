"""Whether two files or folders hold the same bytes under the same names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .errors import InputError
from .files import staging
from .outputs import check_folder
from .paths import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_STEP = 1 << 20


def same_tree(one: Path, two: Path) -> bool:
    """Whether two folders have the same files, byte by byte; a link or a pipe counts as a difference."""
    names = [sorted(str(path.relative_to(top)) for path in top.rglob("*")) for top in (one, two)]
    return names[0] == names[1] and all(_same(one / name, two / name) for name in names[0])


def _same(one: Path, two: Path) -> bool:
    if one.is_symlink() or two.is_symlink():
        return False
    if one.is_dir() or two.is_dir():
        return one.is_dir() and two.is_dir()
    try:
        with open_regular(one, what="file") as first, open_regular(two, what="file") as second:
            if os.fstat(first.fileno()).st_size != os.fstat(second.fileno()).st_size:
                return False
            while block := first.read(_STEP):
                if second.read(_STEP) != block:
                    return False
    except InputError:
        return False
    return True


def make_or_find(target: Path, what: str, looks: Callable[[Path], object], make: Callable[[Path], object]) -> bool:
    """Make a folder, or accept an existing one with the same bytes, as after a kill that followed the last rename.

    Parameters
    ----------
    target : the folder
    what : its kind in messages
    looks : raises `InputError` or returns False if an existing path cannot be such a folder; then nothing is made
    make : writes the folder to a new path; the same call gives the same bytes

    Returns
    -------
    Whether it already existed.

    Raises
    ------
    InputError
        Something else exists there, or the path cannot be a folder.
    """
    check_folder(target, what)
    if not target.exists():
        make(target)
        return False
    other = InputError(f"{target} exists and is not this {what}; expected a new path, as no folder is replaced")
    try:
        fits = looks(target) is not False
    except InputError:
        fits = False
    if not fits:
        raise other
    with staging(target) as folder:
        make(folder / target.name)
        if not same_tree(folder / target.name, target):
            raise other
    return True
