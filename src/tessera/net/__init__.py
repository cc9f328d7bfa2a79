"""Bytes from a folder or a URL, and one taxonomy of errors."""

from .cache import DiskCache, default_cache, disk_cache
from .errors import (
    ChangedError,
    CorruptError,
    CredentialError,
    LoadError,
    MachineError,
    MissingError,
    NetError,
    OversizeError,
    PermanentError,
)
from .objects import Objects, is_strong, open_objects
from .objects_write import SCHEMES, ObjectsWriter, Version, open_writer, writer_of
from .ranges import Run, join_ranges
from .remote_file import RemoteFile, open_remote
from .settled import settled_reads
from .web import SEE_DOCTOR, Answer, Web

__all__ = [
    "SCHEMES",
    "SEE_DOCTOR",
    "Answer",
    "ChangedError",
    "CorruptError",
    "CredentialError",
    "DiskCache",
    "LoadError",
    "MachineError",
    "MissingError",
    "NetError",
    "Objects",
    "ObjectsWriter",
    "OversizeError",
    "PermanentError",
    "RemoteFile",
    "Run",
    "Version",
    "Web",
    "default_cache",
    "disk_cache",
    "is_strong",
    "join_ranges",
    "open_objects",
    "open_remote",
    "open_writer",
    "settled_reads",
    "writer_of",
]
