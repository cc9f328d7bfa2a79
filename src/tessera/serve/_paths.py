"""From a request's path to an open file that is certainly inside the served folder."""

from __future__ import annotations

import errno
import os
import re
import stat
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import unquote_to_bytes

from ._request import Refused

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NEVER = re.compile(rb"[\x00-\x1f\x7f\\]")
"""Control characters and the backslash, which some systems treat as a slash."""
_LINK_SIGNS = (errno.ELOOP, errno.ENOTDIR, errno.EMLINK)
"""Errors of systems that meet a link where none may be followed."""
_BUSY_SIGNS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


@dataclass(frozen=True)
class Opened:
    """An open file or folder, with its state when it was opened."""

    handle: int  # file descriptor
    is_folder: bool  # else a regular file
    inode: int  # inode, mtime_ns, size: its version; size in bytes
    mtime_ns: int
    size: int

    @property
    def is_unchanged(self) -> bool:
        """Whether the file was not written to since it was opened; replacing it by another file does not count."""
        now = os.fstat(self.handle)
        return (now.st_mtime_ns, now.st_size) == (self.mtime_ns, self.size)

    def close(self) -> None:
        """Close the handle, once."""
        os.close(self.handle)


def parse_path(target: str) -> tuple[str, ...]:
    """The names in a target's path, decoded once, without its query.

    Refused with 400: a broken escape, a control character, a backslash; 404: a hidden name, including `.` and `..`.
    """
    path = target.partition("?")[0]
    if _BROKEN_ESCAPE.search(path):
        raise Refused(HTTPStatus.BAD_REQUEST, "a % in the path without two hexadecimal digits")
    raw = unquote_to_bytes(path)
    if _NEVER.search(raw):
        raise Refused(HTTPStatus.BAD_REQUEST, "a control character or backslash in the path")
    names = tuple(os.fsdecode(name) for name in raw.split(b"/") if name)
    _check_shown(names)
    return names


def open_inside(root: str, names: tuple[str, ...]) -> Opened:
    """Open the file or folder `names` below `root`, a real path.

    Every step is opened relative to the previous one and never through a symbolic link, so no part can be exchanged
    meanwhile. If there are links, the path is resolved once, compared with the root, and opened in the same way.

    Refused with 404: missing, hidden, outside, or neither file nor folder; 403: no permission; 503: too many open
    files.
    """
    try:
        try:
            handle = _walk(root, names)
        except OSError as error:
            if error.errno not in _LINK_SIGNS:
                raise
            handle = _walk(root, _resolved(root, names))
        return _opened(handle)
    except OSError as error:
        if error.errno in _BUSY_SIGNS:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "too many files are open, try again") from None
        if error.errno in (errno.EACCES, errno.EPERM):
            raise Refused(HTTPStatus.FORBIDDEN, "the file may not be read") from None
        if error.errno in (errno.EIO, errno.ESTALE):
            raise Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "the disk failed") from None
        raise _missing() from None


def _walk(root: str, names: tuple[str, ...]) -> int:
    folder = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY
    handle = os.open(root, folder)
    for number, name in enumerate(names, 1):
        # O_NONBLOCK: a pipe without a writer would block the thread
        how = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY if number == len(names) else folder
        try:
            inner = os.open(name, how | os.O_NOFOLLOW, dir_fd=handle)
        finally:
            os.close(handle)
        handle = inner
    return handle


def _resolved(root: str, names: tuple[str, ...]) -> tuple[str, ...]:
    real = os.path.realpath(os.path.join(root, *names), strict=True)  # noqa: PTH118 - names are checked
    inside = root.rstrip("/") + "/"
    if real != root and not real.startswith(inside):
        raise _missing()
    found = tuple(name for name in real[len(inside) :].split("/") if name)
    _check_shown(found)
    return found


def _opened(handle: int) -> Opened:
    try:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode) and not stat.S_ISDIR(about.st_mode):
            raise _missing()
    except BaseException:
        os.close(handle)
        raise
    return Opened(handle, stat.S_ISDIR(about.st_mode), about.st_ino, about.st_mtime_ns, about.st_size)


def _check_shown(names: tuple[str, ...]) -> None:
    if any(name.startswith(".") for name in names):
        raise _missing()


def _missing() -> Refused:
    return Refused(HTTPStatus.NOT_FOUND, "no such file")
