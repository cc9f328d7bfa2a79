"""What every room stands on: errors of one line, files that are whole or absent, optional extras, progress."""

from .errors import InputError, TesseraError
from .extras import require
from .files import file_lock, read_json, sha256_hex, sync_folder, write_atomic
from .progress import Progress, silent

__all__ = [
    "InputError",
    "Progress",
    "TesseraError",
    "file_lock",
    "read_json",
    "require",
    "sha256_hex",
    "silent",
    "sync_folder",
    "write_atomic",
]
