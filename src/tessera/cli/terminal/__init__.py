"""What all commands print: tables, JSON, progress, numbers; and options that several share."""

from .numbers import keep_in_range
from .show import (
    TELL_EVERY,
    BlockOption,
    KindOption,
    OverwriteOption,
    bytes_in_words,
    now_and_then,
    one_of,
    pixels_in_words,
    print_json,
    print_table,
    step,
    tell_line,
    time_in_words,
)

__all__ = [
    "TELL_EVERY",
    "BlockOption",
    "KindOption",
    "OverwriteOption",
    "bytes_in_words",
    "keep_in_range",
    "now_and_then",
    "one_of",
    "pixels_in_words",
    "print_json",
    "print_table",
    "step",
    "tell_line",
    "time_in_words",
]
