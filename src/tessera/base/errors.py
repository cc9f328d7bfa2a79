"""The errors that users see: one line with what was received and what was expected."""

from __future__ import annotations

from .quoting import bounded, printable


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
