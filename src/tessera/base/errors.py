"""The errors that a user meets: one line that says what was received and what was expected."""

from __future__ import annotations

from .quoting import printable


class TesseraError(Exception):
    """Base of every error that this package raises on purpose; its text is one printable line."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class InputError(TesseraError, ValueError):
    """What was given does not fit: a file, an array, an area, a name, an option."""
