"""Foundations of every room: one-line errors, atomic files, safe reading, optional extras, progress."""

from .arguments import check_fields, checked, only_year
from .arrays import parse_npy, parse_npz
from .crew import Crew
from .documents import check_format, decode_text, encoding_of, parse_json, read_json, read_text
from .errors import InputError, TesseraError, parsing
from .extras import install_line, require
from .files import (
    TakenError,
    file_lock,
    new_folder,
    place_folder,
    sha256_hex,
    staging,
    sync_folder,
    write_atomic,
    writing,
)
from .folder import Folder
from .journal import Journal
from .kept import Kept
from .machine import MachineError, is_out_of_memory, machine_failure, memory_bytes, raise_if_machine, system_hint
from .marks import is_json, is_parquet, is_png, is_text, is_tiff, png_mark
from .mixing import STEP, mix_in_place
from .outputs import check_folder, check_output, check_picture, is_input
from .parquet import ParquetTable, open_parquet_bounded, parquet_table, read_parquet_bounded
from .paths import exists, file_size, open_regular, read_regular, safe_path
from .prefetch import prefetched
from .progress import Progress, silent
from .quoting import printable, shortened, shown
from .same import make_or_find, same_tree
from .spool import Arrays, Spool, drop_spool, request_digest, spooled_bytes, spooling, was_placed
from .tables import TURNING, cell_text, csv_text, safe_cell
from .thrift import Chunk, Group, Page, page_headers, row_groups

__all__ = [
    "STEP",
    "TURNING",
    "Arrays",
    "Chunk",
    "Crew",
    "Folder",
    "Group",
    "InputError",
    "Journal",
    "Kept",
    "MachineError",
    "Page",
    "ParquetTable",
    "Progress",
    "Spool",
    "TakenError",
    "TesseraError",
    "cell_text",
    "check_fields",
    "check_folder",
    "check_format",
    "check_output",
    "check_picture",
    "checked",
    "csv_text",
    "decode_text",
    "drop_spool",
    "encoding_of",
    "exists",
    "file_lock",
    "file_size",
    "install_line",
    "is_input",
    "is_json",
    "is_out_of_memory",
    "is_parquet",
    "is_png",
    "is_text",
    "is_tiff",
    "machine_failure",
    "make_or_find",
    "memory_bytes",
    "mix_in_place",
    "new_folder",
    "only_year",
    "open_parquet_bounded",
    "open_regular",
    "page_headers",
    "parquet_table",
    "parse_json",
    "parse_npy",
    "parse_npz",
    "parsing",
    "place_folder",
    "png_mark",
    "prefetched",
    "printable",
    "raise_if_machine",
    "read_json",
    "read_parquet_bounded",
    "read_regular",
    "read_text",
    "request_digest",
    "require",
    "row_groups",
    "safe_cell",
    "safe_path",
    "same_tree",
    "sha256_hex",
    "shortened",
    "shown",
    "silent",
    "spooled_bytes",
    "spooling",
    "staging",
    "sync_folder",
    "system_hint",
    "was_placed",
    "write_atomic",
    "writing",
]
