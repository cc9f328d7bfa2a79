"""What every room stands on: errors of one line, files that are whole or absent, optional extras, progress."""

from .errors import InputError, TesseraError
from .extras import require
from .files import file_lock, new_folder, read_json, sha256_hex, staging, sync_folder, write_atomic, writing
from .progress import Progress, silent

__all__ = [
    "InputError",
    "Progress",
    "TesseraError",
    "file_lock",
    "new_folder",
    "read_json",
    "require",
    "sha256_hex",
    "silent",
    "staging",
    "sync_folder",
    "write_atomic",
    "writing",
]
