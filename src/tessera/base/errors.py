"""The errors that users see: one line with what was received and what was expected."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from .quoting import bounded, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

_MISFITS = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, RecursionError)
"""What Python raises where values of a file have another form than was expected."""


class TesseraError(Exception):
    """Base class of all errors that tessera raises. The message is one printable line of at most 1,000 characters.

    Examples
    --------
    >>> import tessera
    >>> try:
    ...     tessera.open_store("nothing.zarr")
    ... except tessera.TesseraError as error:
    ...     print(error)
    store not found: nothing.zarr is no folder
    """

    def __init__(self, message: str) -> None:
        super().__init__(bounded(printable(message)))


class InputError(TesseraError, ValueError):
    """An input does not fit: a file, an array, an area, a name or an option.

    The message says what was received and what was expected. `InputError` is also a `ValueError`. The commands exit
    with code 2 on it.

    Examples
    --------
    >>> import tessera
    >>> tessera.open_store("store.zarr").cells(2019)
    Traceback (most recent call last):
        ...
    tessera.base.errors.InputError: store.zarr has no year 2019; it has 2023
    """


@contextmanager
def parsing(what: str, advice: str = "") -> Iterator[None]:
    """Raise `InputError`, "<what>: <error><advice>", if values of a file have another form; our own errors pass."""
    try:
        yield
    except TesseraError:
        raise
    except _MISFITS as error:
        raise InputError(f"{what}: {error!r}{advice}") from None
