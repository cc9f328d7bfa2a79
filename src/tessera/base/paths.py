"""Safe access to untrusted files: paths stay inside their folder, files are regular, and sizes have a limit."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import InputError
from .quoting import shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BufferedReader

_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def kind_of(mode: int) -> str | None:
    """What a path is if not a regular file, such as "a pipe"; None for a regular file."""
    return None if stat.S_ISREG(mode) else next((name for test, name in _KINDS if test(mode)), "no file")


def safe_path(folder: Path, path: Path) -> Path:
    """Return `path` if its parent, with all symbolic links followed, is in `folder`; `path` itself may be a link.

    Raises
    ------
    InputError
        A link leads out.
    """
    if not _lies_in(folder, path.parent):
        raise InputError(f"{path} leads out of {folder} by a symbolic link; it is left alone")
    return path


def _lies_in(folder: Path, path: Path) -> bool:
    root, place = os.path.realpath(folder), os.path.realpath(path)
    return place == root or place.startswith(root.rstrip(os.sep) + os.sep)


def file_size(folder: Path, path: Path) -> int | None:
    """Bytes of a file in `folder`, None if it is missing.

    Raises
    ------
    InputError
        It is not a file, or it or a folder above it is a symbolic link out of `folder`.
    """
    safe_path(folder, path)
    try:
        about = path.lstat()
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise InputError(f"{path} cannot be: what lies above it is no folder") from None
    if not stat.S_ISREG(about.st_mode):
        raise InputError(f"{path} is no file; it is left alone")
    return about.st_size


def open_regular(path: Path, *, what: str, inside: Path | None = None) -> BufferedReader:
    """Open a regular file for reading; never blocks on a pipe or a device.

    Parameters
    ----------
    what : kind of the file in messages, such as "commit record"
    inside : folder that must contain the file after all symbolic links are followed; None: links may lead anywhere

    Raises
    ------
    FileNotFoundError
        There is no file at `path`.
    InputError
        It is a folder, pipe, socket or device, or a link leads out of `inside`.
    """
    if inside is not None:
        safe_path(inside, path)
        if path.is_symlink() and not _lies_in(inside, path):
            raise InputError(f"{what} {path} leads out of {inside} by a symbolic link; it is left alone")
    try:
        handle = os.open(path, _READ)
    except (IsADirectoryError, PermissionError):
        if path.is_dir():
            raise InputError(f"{what} {shown(str(path))} is a folder; expected a file") from None
        raise
    except ValueError:
        raise InputError(f"{what} {shown(str(path))} cannot be a path; expected the path of a file") from None
    except OSError as error:
        # a socket cannot be opened at all
        if path.is_socket():
            raise InputError(f"{what} {shown(str(path))} is a socket; expected a regular file") from None
        raise error from None
    try:
        kind = kind_of(os.fstat(handle).st_mode)
        if kind is not None:
            raise InputError(f"{what} {shown(str(path))} is {kind}; expected a regular file")
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def exists(path: str | Path) -> bool:
    """Whether a path exists; False for text that cannot be a path, such as very long text."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


def read_regular(path: Path, *, what: str, limit: int, inside: Path | None = None) -> bytes:
    """The bytes of a regular file; reading stops at `limit` bytes. Other arguments are those of `open_regular`.

    Raises
    ------
    FileNotFoundError
        There is no file at `path`.
    InputError
        It is not a regular file, is larger than `limit`, or a link leads out of `inside`.
    """
    with open_regular(path, what=what, inside=inside) as file:
        size = os.fstat(file.fileno()).st_size
        data = b"" if size > limit else file.read(limit + 1)
    if max(size, len(data)) > limit:
        raise InputError(f"{what} {shown(str(path))} has {max(size, len(data)):,} bytes; at most {limit:,} are read")
    return data
