"""Errors of reading and writing objects, one class for each remedy."""

from __future__ import annotations

from tessera.base import MachineError, TesseraError

__all__ = [
    "ChangedError",
    "CorruptError",
    "CredentialError",
    "LoadError",
    "MachineError",
    "MissingError",
    "NetError",
    "OversizeError",
    "PermanentError",
]


class NetError(TesseraError):
    """An object of a store, or a file of a provider, could not be read or written. Each message names it.

    What this machine cannot do (too many open files, no memory, a full or failing disk) is a `MachineError` instead, so
    that it is never mistaken for a lost object.
    """


class LoadError(NetError):
    """The server is busy, or the connection broke. Try again later.

    Attributes
    ----------
    retry_after : seconds that the server asks to wait; None if it does not say
    reached : whether there was a server at all. If not, waiting for minutes rarely helps
    broken : whether the connection broke before there was an answer
    """

    def __init__(
        self, message: str, retry_after: float | None = None, *, reached: bool = True, broken: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after, self.reached, self.broken = retry_after, reached, broken


class ChangedError(LoadError):
    """The object was replaced between two reads of it: read it from its beginning."""


class CredentialError(NetError):
    """The server asks for other credentials. Renew them."""


class MissingError(NetError):
    """There is no such object. Often this simply means no data."""


class CorruptError(NetError):
    """The bytes differ from those that were written. Use another copy, or write them again."""


class OversizeError(NetError):
    """The answer is larger than what may be read. Ask for less."""


class PermanentError(NetError):
    """The server refuses for good. Trying again does not help."""
