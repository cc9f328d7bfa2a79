"""Bytes from a folder or a URL, and one taxonomy of what can go wrong on the way."""

from .errors import (
    ChangedError,
    CorruptError,
    CredentialError,
    LoadError,
    MissingError,
    NetError,
    OversizeError,
    PermanentError,
)
from .objects import Objects, open_objects

__all__ = [
    "ChangedError",
    "CorruptError",
    "CredentialError",
    "LoadError",
    "MissingError",
    "NetError",
    "Objects",
    "OversizeError",
    "PermanentError",
    "open_objects",
]
