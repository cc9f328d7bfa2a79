"""Standard streams that are closed, full, gone, or in an encoding that lacks letters."""

from __future__ import annotations

import errno
import io
import os
import sys
import unicodedata
from contextlib import suppress
from typing import Any

_JOINERS = "\u200c\u200d"
"""Without a shape of their own, and part of words and signs."""


class Output(io.TextIOWrapper):
    """A standard stream that a stranger's text cannot command, and that knows what was wrong with it.

    A control letter, which could clear the terminal or set its title, comes out as an escape such as \\x1b. Rich, which
    draws bars and help, writes what it likes. An error of the stream is kept: from deep inside it looks like a file's.

    Attributes
    ----------
    failed : what writing last raised
    needed : whether that is raised; work goes on without a standard error that is full or gone
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
    """`text` with its lines and spaces, every other letter that is not printable escaped."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(letter if _is_harmless(letter) else repr(letter)[1:-1] for letter in text)


def _is_harmless(letter: str) -> bool:
    return letter.isprintable() or letter in "\n\t" or letter in _JOINERS or unicodedata.category(letter) == "Zs"


def open_all() -> None:
    """Give closed standard streams the null device: else the next file that is opened takes the place of one.

    What a library writes to standard error would then be written into that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # the lowest free number is taken, and those below are open
            os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(number, True)
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115
        _watch(name)


def _watch(name: str) -> None:
    """Put an `Output` in place of a standard stream."""
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
    """Have a letter that an encoding lacks come out as an escape, such as \\u0141."""
    for stream in (sys.stdout, sys.stderr):
        change = getattr(stream, "reconfigure", None)
        if change is not None:
            with suppress(ValueError, OSError):
                change(errors="backslashreplace")


def flush() -> None:
    """Write what waits to standard output.

    Raises
    ------
    OSError
        It is full, or nobody reads it any more.
    """
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()


def output_error() -> OSError | None:
    """What is wrong with standard output, None where it can be written."""
    failed: OSError | None = getattr(sys.stdout, "failed", None)
    try:
        flush()
    except OSError as error:
        return error
    except ValueError:
        return None
    return failed


def say(line: str, code: int) -> int:
    """Print the last line to standard error, and let go of streams that cannot be written.

    Returns
    -------
    `code`, or 1 in place of 0 where standard output could not be written
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
    """Flush a stream; one that fails gets the null device to write to, as Python flushes again at its end."""
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
