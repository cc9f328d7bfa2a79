"""Turn any exception into an exit code and one line."""

from __future__ import annotations

import errno
import sys
import traceback
from pathlib import Path

from tessera.base import InputError, TesseraError, is_out_of_memory, printable, shortened, shown, system_hint

from . import _streams

_MOST = 400
"""Most letters that are quoted of the error of a library."""
_PACKAGE = Path(__file__).resolve().parents[1]


def describe(error: BaseException, stopped: list[str]) -> tuple[int, str]:
    """Exit code and line of an exception; the line is empty if there is nothing to say.

    Parameters
    ----------
    stopped : names of signals that were received; every later error counts as their effect
    """
    try:
        return _describe(error, stopped)
    except Exception:
        # its text cannot be made
        return 1, _unexpected(error, "")


def trace(error: BaseException) -> None:
    """Print the traceback, except of a mistyped command or of a broken standard output."""
    if hasattr(error, "format_message"):
        return
    if not isinstance(error, OSError) or _streams.output_error() is None:
        traceback.print_exception(error, file=sys.stderr)


def short(text: str) -> str:
    """One printable line of at most `_MOST` letters."""
    return shortened(printable(text), _MOST)


def _describe(error: BaseException, stopped: list[str]) -> tuple[int, str]:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Abort" or stopped:
        how = f"stopped by {stopped[0]}" if stopped[:1] == ["SIGTERM"] else "interrupted"
        return 130, f"{how}; finished work is kept, run the same command again to continue"
    if isinstance(error, TesseraError):
        return 2 if isinstance(error, InputError) else 1, str(error)
    usage = getattr(error, "format_message", None)
    if usage is not None and any(base.__name__ == "ClickException" for base in type(error).__mro__):
        # empty for a group without a command, which has shown its help
        line = short(" ".join(shortened(word, 100) for word in str(usage()).split()))
        context = getattr(error, "ctx", None)
        return 2, f"{line.removesuffix('.')}; see {context.command_path} --help" if line and context else line
    if isinstance(error, OSError) and (broken := _streams.output_error()) is not None:
        quiet = broken.errno == errno.EPIPE
        return 1, "" if quiet else f"standard output cannot be written: {broken.strerror or broken}"
    return 1, _line(error)


def _line(error: BaseException) -> str:
    said = str(error)
    if type(error).__name__ == "OutOfMemoryError":
        return f"the GPU is out of memory; close other programs that use it, or choose --device cpu: {short(said)}"
    if is_out_of_memory(error):
        about = f": {short(said)}" if said else ""
        return f"out of memory{about}; close other programs, or ask for a smaller area or fewer --workers"
    if isinstance(error, RecursionError):
        return _unexpected(error, "an input is nested too deeply")
    if isinstance(error, UnicodeEncodeError) and error.encoding == sys.getfilesystemencoding():
        wrong = error.object[error.start : error.end]
        return (
            f"{shown(wrong)} cannot be written in {error.encoding}, this system's encoding; rename the file, or set "
            "PYTHONUTF8=1"
        )
    if isinstance(error, UnicodeError):
        return _unexpected(error, "a text is not valid Unicode")
    if isinstance(error, ImportError):
        name = error.name or "a package"
        return (
            f"{name} cannot be imported ({short(said)}); the installation is broken: reinstall it, "
            "for example with pip install --force-reinstall"
        )
    if isinstance(error, OSError):
        return _of_system(error)
    return _unexpected(error, "")


def _of_system(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    names = [name for name in (error.filename, error.filename2) if name is not None and not isinstance(name, int)]
    where = f" {' and '.join(shown(name, 300) for name in names)}" if names else ""
    hint = system_hint(error)
    return f"{short(reason)}{where}{f'; {hint}' if hint else ''}"


def _unexpected(error: BaseException, guess: str) -> str:
    """A bug of tessera: what it is, where it is, and how to report it."""
    try:
        said = short(str(error))
    except Exception:  # the text of an error may itself raise; its type and place are told all the same
        said = ""
    about = f"{type(error).__name__}{f': {said}' if said else ''}"
    return (
        f"unexpected {about}{_place(error)}; {f'{guess}, or ' if guess else ''}this is a bug in tessera: please "
        "report this line, and the output of the same command with --debug"
    )


def _place(error: BaseException) -> str:
    """The last module and line of tessera in the traceback."""
    ours = [
        (Path(frame.filename).resolve(), frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).resolve().is_relative_to(_PACKAGE)
    ]
    if not ours:
        return ""
    path, line = ours[-1]
    return f" (tessera/{path.relative_to(_PACKAGE).as_posix()}, line {line})"
