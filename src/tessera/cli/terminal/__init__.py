"""What all commands print: tables, JSON, progress, numbers; and options that several share."""

from .numbers import keep_in_range
from .show import (
    TELL_EVERY,
    OverwriteOption,
    Pace,
    bytes_in_words,
    one_of,
    pixels_in_words,
    print_json,
    print_table,
    step,
    time_in_words,
)

__all__ = [
    "TELL_EVERY",
    "OverwriteOption",
    "Pace",
    "bytes_in_words",
    "keep_in_range",
    "one_of",
    "pixels_in_words",
    "print_json",
    "print_table",
    "step",
    "time_in_words",
]
