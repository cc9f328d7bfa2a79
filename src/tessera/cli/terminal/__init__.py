"""What all commands print: tables, JSON, progress, numbers; and options that several share."""

from .numbers import prepare
from .options import (
    WHERE,
    AoiOption,
    BboxOption,
    BlockOption,
    DryRunOption,
    FolderArgument,
    JsonOption,
    KindOption,
    OverwriteOption,
    StoreArgument,
    TileOption,
    area_of,
    one_of,
)
from .show import (
    bytes_in_words,
    now_and_then,
    pixels_in_words,
    print_json,
    print_table,
    step,
    tell_line,
    time_in_words,
)

__all__ = [
    "WHERE",
    "AoiOption",
    "BboxOption",
    "BlockOption",
    "DryRunOption",
    "FolderArgument",
    "JsonOption",
    "KindOption",
    "OverwriteOption",
    "StoreArgument",
    "TileOption",
    "area_of",
    "bytes_in_words",
    "now_and_then",
    "one_of",
    "pixels_in_words",
    "prepare",
    "print_json",
    "print_table",
    "step",
    "tell_line",
    "time_in_words",
]
