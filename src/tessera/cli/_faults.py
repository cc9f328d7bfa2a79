"""Any exception as an exit code and one line."""

from __future__ import annotations

import errno
import sys
import traceback
from pathlib import Path

from tessera.base import InputError, TesseraError, printable, shortened, shown

from . import _streams

_MOST = 400
"""Letters of a line that quotes somebody else's error."""
_MEMORY = ("can't allocate memory", "cannot allocate memory", "out of memory", "bad_alloc")
_HINTS = {
    errno.EACCES: "this user may not",
    errno.EPERM: "this user may not",
    errno.EROFS: "choose another place",
    errno.ENOSPC: "make room and run the same command again",
    errno.EDQUOT: "make room and run the same command again",
    errno.EMFILE: "raise the limit with ulimit -n",
    errno.ENFILE: "close other programs",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "a symbolic link leads back to itself",
    errno.EIO: "the disk or its connection fails",
    errno.ENOMEM: "close other programs, or ask for less at once",
}
_PACKAGE = Path(__file__).resolve().parents[1]


def told(error: BaseException, stopped: list[str]) -> tuple[int, str]:
    """Exit code and line of an exception; the line is empty where nothing is to be said.

    Parameters
    ----------
    stopped : names of signals that came: whatever was raised since is their doing
    """
    try:
        return _told(error, stopped)
    except Exception:
        # an exception whose text cannot be made
        return 1, _unforeseen(error, "")


def trace(error: BaseException) -> None:
    """Print the traceback, other than of a command that was typed wrong."""
    if hasattr(error, "format_message"):
        return
    if not isinstance(error, OSError) or _streams.output_error() is None:
        traceback.print_exception(error, file=sys.stderr)


def short(text: str) -> str:
    """One printable line of at most some hundred letters."""
    return shortened(printable(text), _MOST)


def _told(error: BaseException, stopped: list[str]) -> tuple[int, str]:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Abort" or stopped:
        how = f"ended by {stopped[0]}" if stopped[:1] == ["SIGTERM"] else "interrupted"
        return 130, f"{how}; what is finished is kept, run the same command again to go on"
    if isinstance(error, TesseraError):
        return 2 if isinstance(error, InputError) else 1, str(error)
    usage = getattr(error, "format_message", None)
    if usage is not None and any(base.__name__ == "ClickException" for base in type(error).__mro__):
        # a group without a command has shown its help
        return 2, short(" ".join(_cut(word) for word in str(usage()).split()))
    if isinstance(error, OSError) and (broken := _streams.output_error()) is not None:
        quiet = broken.errno == errno.EPIPE
        return 1, "" if quiet else f"standard output cannot be written: {broken.strerror or broken}"
    return 1, _line(error)


def _cut(word: str) -> str:
    return word if len(word) <= 100 else f"{word[:60]}..."


def _line(error: BaseException) -> str:
    said = str(error)
    if type(error).__name__ == "OutOfMemoryError":
        return f"the GPU is out of memory; close what else uses it, or take --device cpu: {short(said)}"
    if isinstance(error, MemoryError) or any(mark in said.lower() for mark in _MEMORY):
        about = f": {short(said)}" if said else ""
        return f"out of memory{about}; close other programs, or ask for a smaller area or fewer --workers"
    if isinstance(error, RecursionError):
        return _unforeseen(error, "something that was given is nested too deeply")
    if isinstance(error, UnicodeEncodeError) and error.encoding == sys.getfilesystemencoding():
        wrong = error.object[error.start : error.end]
        return (
            f"{shown(wrong)} can be no part of a file name or text in {error.encoding}, the encoding of this system; "
            "rename it, or set PYTHONUTF8=1"
        )
    if isinstance(error, UnicodeError):
        return _unforeseen(error, "text that is no valid Unicode")
    if isinstance(error, ImportError):
        name = error.name or "a package"
        return (
            f"{name} cannot be imported ({short(said)}); the installation is broken: install it again, "
            "such as with pip install --force-reinstall"
        )
    if isinstance(error, OSError):
        return _of_system(error)
    return _unforeseen(error, "")


def _of_system(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    names = [name for name in (error.filename, error.filename2) if name is not None and not isinstance(name, int)]
    where = f" {' and '.join(shown(name, 300) for name in names)}" if names else ""
    hint = f"; {_HINTS[error.errno]}" if error.errno in _HINTS else ""
    return f"{short(reason)}{where}{hint}"


def _unforeseen(error: BaseException, guess: str) -> str:
    """A fault of ours: what it is, where it is, and what to send to whom."""
    try:
        said = short(str(error))
    except Exception:
        said = ""
    about = f"{type(error).__name__}{f': {said}' if said else ''}"
    return (
        f"unforeseen {about}{_place(error)}; {f'{guess}, or ' if guess else ''}this is a fault of tessera: please "
        "report this line and what the same command with --debug shows"
    )


def _place(error: BaseException) -> str:
    """Module and line of ours where it was raised."""
    ours = [
        (Path(frame.filename).resolve(), frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).resolve().is_relative_to(_PACKAGE)
    ]
    if not ours:
        return ""
    path, line = ours[-1]
    return f" (tessera/{path.relative_to(_PACKAGE).as_posix()}, line {line})"
