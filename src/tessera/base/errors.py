"""The errors that a user meets: one line that says what was received and what was expected."""

from __future__ import annotations

from .quoting import bounded, printable


class TesseraError(Exception):
    """Base of every error that this package raises; its text is one printable line of at most 1000 letters."""

    def __init__(self, message: str) -> None:
        super().__init__(bounded(printable(message)))


class InputError(TesseraError, ValueError):
    """What was given does not fit: a file, an array, an area, a name, an option."""
