"""What a command or a function may overwrite.

An output is never one of the inputs, and never replaces a folder, a link, a pipe, a device, or a file that is not an
earlier output of the same kind, unless the caller sets `overwrite`. This is checked before any work starts.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import InputError
from .marks import is_png
from .paths import kind_of
from .quoting import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_WHOLE = ("zarr.json", ".zgroup", "tessera.json", "bands.npy", "a00000001.gdbtable")
"""Files that identify a folder as one dataset: a Zarr group, a store, a d-pixel cube, a file geodatabase."""
_SHAPEFILE = frozenset((".shp", ".shx", ".dbf", ".prj", ".cpg"))
_LONGEST = 255
"""Bytes of a name on the usual file systems."""


def check_output(
    path: str | Path,
    what: str,
    *,
    inputs: Iterable[object] = (),
    ours: Callable[[Path], bool] | None = None,
    overwrite: bool = False,
) -> Path:
    """Check the path of an output file before any work starts. Nothing is changed.

    Parameters
    ----------
    path : the file to write; call again for each file that is written beside it
    what : its kind in messages, such as "head"
    inputs : paths of files and folders that are read; URLs, None and other objects are ignored
    ours : tests whether a regular file is an earlier output of the same kind; see `marks`
    overwrite : whether any other regular file, or a link, may be replaced

    Returns
    -------
    the path

    Raises
    ------
    InputError
        The path cannot be a file, is an input or inside one, cannot be written, or must not be replaced.
    """
    target = _named(path, what)
    about = _lstat(target, what)
    if about is not None and stat.S_ISDIR(about.st_mode):
        raise InputError(f"{what} {_text(target)} is a folder; expected a file to write")
    _check_parents(target, what)
    _refuse_inputs(target, what, inputs)
    if about is None:
        return target
    if stat.S_ISLNK(about.st_mode):
        _check_link(target, what, overwrite=overwrite)
        return target
    kind = kind_of(about.st_mode)
    if kind is not None:
        raise InputError(f"{what} {_text(target)} is {kind}; expected a regular file or a new path")
    if not overwrite and (ours is None or not _is_ours(ours, target)):
        raise InputError(
            f"{what} {_text(target)} exists and is no earlier {what}; expected a new path, or --overwrite "
            "(overwrite=True in Python) to replace it"
        )
    return target


def check_picture(path: str | Path, kind: str, *, inputs: Iterable[object] = (), overwrite: bool = False) -> Path:
    """Check the path of a PNG to be drawn; an earlier one of the same kind may be replaced.

    Parameters
    ----------
    path : ending in .png
    kind : see `png_mark`
    inputs, overwrite : see `check_output`

    Raises
    ------
    InputError
        Another suffix, or what `check_output` refuses.
    """
    if Path(path).suffix.lower() != ".png":
        raise InputError(f"picture {shown(str(path))}; expected a path that ends in .png")
    return check_output(path, "picture", inputs=inputs, ours=is_png(kind), overwrite=overwrite)


def check_folder(path: str | Path, what: str, *, inputs: Iterable[object] = ()) -> Path:
    """Check the path of an output folder before any work starts. Nothing is changed.

    The caller decides whether work in an existing folder may be continued.

    Parameters
    ----------
    path : the folder to make or fill
    what, inputs : see `check_output`

    Raises
    ------
    InputError
        The path cannot be an output folder ("", ".", "/"), is an input or inside one, is a file, a dangling link, a
        pipe or a device, or cannot be written.
    """
    target = _named(path, what)
    about = _lstat(target, what)
    _check_parents(target, what)
    _refuse_inputs(target, what, inputs)
    if about is None:
        return target
    if not target.exists():
        raise InputError(f"{what} {_text(target)} is a link that leads nowhere; expected a new path")
    if not target.is_dir():
        raise InputError(f"{what} {_text(target)} is {kind_of(target.stat().st_mode) or 'a file'}; expected a new path")
    if not _may_write(target):
        raise InputError(f"{what} {_text(target)} is a folder that you may not write to; expected another path")
    return target


def is_input(target: Path, given: object) -> bool:
    """Whether a path is the file or folder `given`, by any name or link, or a part of it.

    Parts are the contents of a folder that is one dataset, such as a Zarr group, and the files of a Shapefile.
    """
    if not isinstance(given, (str, os.PathLike)):
        return False
    text = os.fspath(given)
    if not text or "://" in str(text):
        return False
    try:
        if os.path.realpath(target) == os.path.realpath(text) or (target.exists() and target.samefile(text)):
            return True
        source = Path(str(text))
        if source.suffix.lower() == ".shp" and target.suffix.lower() in _SHAPEFILE:
            beside = source.with_name(f"{source.stem}{target.suffix}")
            return target.stem == source.stem and os.path.realpath(target) == os.path.realpath(beside)
        if not any((source / name).exists() for name in _WHOLE):
            return False
        return os.path.realpath(target).startswith(os.path.realpath(source) + os.sep)
    except (OSError, ValueError):
        return False


def _may_write(folder: Path) -> bool:
    """Whether this process has the rights to create files in a folder."""
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)


def _text(path: Path) -> str:
    return shown(str(path), 120)[1:-1]


def _named(path: str | Path, what: str) -> Path:
    target = Path(path)
    if not str(path) or target.name in ("", ".", "..") or "\0" in str(path):
        raise InputError(f"{what} {shown(str(path))} is no name of its own; expected a path such as folder/name")
    try:
        os.fsencode(target)
    except UnicodeError:
        raise InputError(f"{what} {shown(str(target))} has characters that a path cannot have") from None
    # system folders, where a name such as /dev/stdout would be replaced by a file
    above = Path(os.path.realpath(target.parent)).parts[1:3]
    if os.name == "posix" and above and above[0] in ("dev", "proc", "sys") and above != ("dev", "shm"):
        raise InputError(f"{what} {_text(target)} is a device or a place of the system; expected a file or a new path")
    return target


def _lstat(target: Path, what: str) -> os.stat_result | None:
    try:
        return target.lstat()
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        parent = next(above for above in target.parents if above.exists())
        raise InputError(f"{what} {_text(target)} cannot be written: {_text(parent)} is no folder") from None
    except OSError as error:
        reason = (
            f"its name is longer than {_LONGEST} bytes"
            if error.errno == errno.ENAMETOOLONG
            else error.strerror or str(error)
        )
        raise InputError(f"{what} {shown(str(target))} cannot be written: {reason}") from None


def _check_parents(target: Path, what: str) -> None:
    """Check that the nearest existing folder allows a new name."""
    for parent in target.parents:
        if not os.path.lexists(parent):
            continue
        if not parent.exists():
            raise InputError(f"{what} {_text(target)} cannot be written: {_text(parent)} is a link that leads nowhere")
        if not parent.is_dir():
            raise InputError(f"{what} {_text(target)} cannot be written: {_text(parent)} is no folder")
        if not _may_write(parent):
            raise InputError(f"{what} {_text(target)} cannot be written: you may not write to the folder {parent}")
        return


def _refuse_inputs(target: Path, what: str, inputs: Iterable[object]) -> None:
    for given in inputs:
        if is_input(target, given):
            source = shown(str(given), 120)[1:-1]
            raise InputError(f"{what} {_text(target)} is, or lies in, the input {source}; expected another path")


def _check_link(target: Path, what: str, *, overwrite: bool) -> None:
    """Refuse a link unless `overwrite` is set, and always one to a folder or a device, such as /dev/stdout."""
    if not target.exists():
        raise InputError(f"{what} {_text(target)} is a link that leads nowhere; expected a file or a new path")
    if not target.is_file():
        raise InputError(f"{what} {_text(target)} is a link to no regular file; expected a file or a new path")
    if not overwrite:
        raise InputError(
            f"{what} {_text(target)} is a link to {_text(Path(os.path.realpath(target)))}; expected that path itself, "
            "or --overwrite (overwrite=True in Python) to replace the link"
        )


def _is_ours(ours: Callable[[Path], bool], target: Path) -> bool:
    try:
        return ours(target)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return False
