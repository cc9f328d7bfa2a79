"""What can go wrong with a stored object, told apart by what helps."""

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
    """Base of the taxonomy; each text names the object.

    What this machine cannot do (too many open files, no memory, a full or failing disk) is a `MachineError`, which is
    none of these on purpose: whoever takes a NetError for an object that is lost must not catch it.
    """


class LoadError(NetError):
    """The server is busy or the line broke: try again later, more slowly.

    Attributes
    ----------
    retry_after : seconds that the server asks to wait; None where it does not say
    reached : whether there was a server at all; where not, waiting for minutes rarely helps
    broken : whether the line broke before there was an answer
    """

    def __init__(
        self, message: str, retry_after: float | None = None, *, reached: bool = True, broken: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after, self.reached, self.broken = retry_after, reached, broken


class ChangedError(LoadError):
    """The object was replaced between two reads of it: read it from its beginning."""


class CredentialError(NetError):
    """The server asks for other credentials: renew them."""


class MissingError(NetError):
    """There is no such object: often simply no data."""


class CorruptError(NetError):
    """The bytes are not what was written: take another copy, or write it again."""


class OversizeError(NetError):
    """The answer is larger than what may be read: ask for less."""


class PermanentError(NetError):
    """Trying again will not help."""
