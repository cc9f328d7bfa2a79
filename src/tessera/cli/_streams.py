"""Standard streams that are closed, full or gone, or whose encoding lacks letters."""

from __future__ import annotations

import errno
import io
import os
import sys
import unicodedata
from contextlib import suppress
from typing import Any

_JOINERS = "\u200c\u200d"
"""Invisible letters that are parts of words and emoji."""


class Output(io.TextIOWrapper):
    """A standard stream that escapes control characters and remembers its last error.

    Control characters in a file's text could clear the terminal or set its title, so they are printed as escapes such
    as \\x1b. Rich, which draws bars and help, may write them.

    Attributes
    ----------
    failed : the last error of writing, which callers could not tell from an error of a file
    needed : whether to raise it; work continues without standard error
    """

    failed: OSError | None = None
    needed = True

    def write(self, text: str, /) -> int:
        if not sys._getframe(1).f_globals.get("__name__", "").startswith("rich."):
            text = harmless(text)
        try:
            return super().write(text)
        except OSError as error:
            self.failed = error
            if self.needed:
                raise
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self.failed = error
            if self.needed:
                raise


def harmless(text: str) -> str:
    """`text` with escapes for characters that are not printable, except line ends, tabs and spaces."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(letter if _is_harmless(letter) else repr(letter)[1:-1] for letter in text)


def _is_harmless(letter: str) -> bool:
    return letter.isprintable() or letter in "\n\t" or letter in _JOINERS or unicodedata.category(letter) == "Zs"


def open_all() -> None:
    """Open the null device for closed standard streams.

    Otherwise the next file that is opened takes the stream's number, and a library's message to standard error is
    written into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # open takes the lowest free number, which is this one
            os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(number, True)
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115
        _watch(name)


def _watch(name: str) -> None:
    """Replace a standard stream by an `Output`."""
    stream = getattr(sys, name)
    if type(stream) is not io.TextIOWrapper:
        return
    options: dict[str, Any] = {
        "encoding": stream.encoding,
        "errors": stream.errors,
        "line_buffering": stream.line_buffering,
        "write_through": stream.write_through,
    }
    watched = Output(stream.detach(), **options)
    watched.needed = name == "stdout"
    setattr(sys, name, watched)
    setattr(sys, f"__{name}__", watched)


def forgive() -> None:
    """Print letters that the encoding lacks as escapes, such as \\u0141."""
    for stream in (sys.stdout, sys.stderr):
        change = getattr(stream, "reconfigure", None)
        if change is not None:
            with suppress(ValueError, OSError):
                change(errors="backslashreplace")


def flush() -> None:
    """Flush standard output.

    Raises
    ------
    OSError
        It is full, or its reader is gone.
    """
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()


def output_error() -> OSError | None:
    """The error of standard output, None if it can be written."""
    failed: OSError | None = getattr(sys.stdout, "failed", None)
    try:
        flush()
    except OSError as error:
        return error
    except ValueError:
        return None
    return failed


def say(line: str, code: int) -> int:
    """Print the last line to standard error, and release streams that cannot be written.

    Returns
    -------
    `code`, or 1 instead of 0 if standard output could not be written
    """
    failed = _let_go(sys.stdout)
    if failed is not None and failed.errno != errno.EPIPE and not line:
        line = f"tessera: standard output cannot be written: {failed.strerror or failed}"
    with suppress(OSError, ValueError, AttributeError):
        if line:
            sys.stderr.write(f"{line}\n")
    _let_go(sys.stderr)
    return code or int(failed is not None)


def _let_go(stream: Any) -> OSError | None:
    """Flush a stream. If that fails, point it at the null device, since Python flushes again at exit."""
    try:
        if getattr(stream, "failed", None) is not None:
            raise stream.failed
        if stream is not None and not stream.closed:
            stream.flush()
    except OSError as error:
        with suppress(OSError, ValueError, AttributeError):
            null = os.open(os.devnull, os.O_WRONLY)
            try:
                os.dup2(null, stream.fileno())
            finally:
                os.close(null)
            stream.flush()
        return error
    return None
