"""What every room stands on: errors of one line, files that are whole or absent, optional extras, progress."""

from .errors import InputError, TesseraError
from .extras import require
from .files import file_lock, new_folder, read_json, sha256_hex, staging, sync_folder, write_atomic, writing
from .letters import draw_plainly, font_note, fonts_for
from .marks import is_json, is_png, is_text, is_tiff, png_mark
from .outputs import check_folder, check_output, is_input
from .parquet import opened_parquet
from .paths import file_size, open_regular, read_regular, within
from .progress import Progress, silent
from .quoting import printable, shown

__all__ = [
    "InputError",
    "Progress",
    "TesseraError",
    "check_folder",
    "check_output",
    "draw_plainly",
    "file_lock",
    "file_size",
    "font_note",
    "fonts_for",
    "is_input",
    "is_json",
    "is_png",
    "is_text",
    "is_tiff",
    "new_folder",
    "open_regular",
    "opened_parquet",
    "png_mark",
    "printable",
    "read_json",
    "read_regular",
    "require",
    "sha256_hex",
    "shown",
    "silent",
    "staging",
    "sync_folder",
    "within",
    "write_atomic",
    "writing",
]
