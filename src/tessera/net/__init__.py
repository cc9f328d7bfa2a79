"""Bytes from a folder or a URL, and one taxonomy of what can go wrong on the way."""

from .cache import DiskCache, default_cache
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
from .objects import Objects, Piece, open_objects

__all__ = [
    "ChangedError",
    "CorruptError",
    "CredentialError",
    "DiskCache",
    "LoadError",
    "MissingError",
    "NetError",
    "Objects",
    "OversizeError",
    "PermanentError",
    "Piece",
    "default_cache",
    "open_objects",
]
