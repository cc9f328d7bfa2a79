"""What a class is on a map: its pixel value, and its name as XML, a legend and a table can hold it."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from tessera.base import TURNING, printable, shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

NO_DATA = 255
"""The class index, and the value on a map, of a pixel without data."""
_WHOLE = re.compile(r"0|[1-9][0-9]{0,2}")
_NUMERIC = re.compile(r"[+-]?[0-9]+")
_CELL = 60
"""Letters of a class name in a table."""
_NOTED = 8
"""Classes that a note lists."""


def map_values(classes: Sequence[str]) -> tuple[int, ...]:
    """The value of each class on a map.

    A class that is a whole number from 0 to 254, written without leading zeros, is its own value, whatever stands
    beside it. Every other class takes the least value that is still free, in the order of the classes. 255 is no data
    and never a class.

    Parameters
    ----------
    classes : at most 255 distinct names
    """
    own = {name: int(name) for name in classes if _WHOLE.fullmatch(name) and int(name) < NO_DATA}
    taken = set(own.values())
    free = iter([value for value in range(NO_DATA) if value not in taken])
    return tuple(own[name] if name in own else next(free) for name in classes)


def kept_codes(classes: Sequence[str]) -> bool:
    """Whether every class is its own value, so that no table of values is needed to read the map."""
    return all(name == str(value) for name, value in zip(classes, map_values(classes), strict=True))


def code_note(classes: Sequence[str]) -> str:
    """What to say of classes that look like numbers and are another number on the map; "" where there are none."""
    moved = [
        f"{name} is {value}"
        for name, value in zip(classes, map_values(classes), strict=True)
        if _NUMERIC.fullmatch(name) and name != str(value)
    ]
    if not moved:
        return ""
    more = f" and {len(moved) - _NOTED} more" if len(moved) > _NOTED else ""
    return (
        f"on a map {', '.join(moved[:_NOTED])}{more}: only whole numbers from 0 to 254 without leading zeros stay what "
        "they are, 255 is no data"
    )


def one_line(text: str, most: int | None = None) -> str:
    """Text for XML, tags and pictures, on one line.

    White space is single blanks. Control letters, letters that turn the direction of text, and what XML cannot hold are
    written as `\\x1b`.

    Parameters
    ----------
    most : letters kept; what is longer is cut and ends in an ellipsis
    """
    flat = "".join(letter if _is_plain(letter) else repr(letter)[1:-1] for letter in " ".join(text.split()))
    return flat if most is None or len(flat) <= most else f"{flat[: most - 1]}\N{HORIZONTAL ELLIPSIS}"


def class_labels(classes: Sequence[str], most: int | None = None) -> list[str]:
    """`one_line` of each class; those that would look the same get their value behind."""
    labels = [one_line(name, most) for name in classes]
    return [
        f"{label} ({value})" if labels.count(label) > 1 else label
        for label, value in zip(labels, map_values(classes), strict=True)
    ]


def left_to_right(before: str, name: str, after: str) -> str:
    """A line whose name may be written from right to left and whose numbers stay on its right."""
    mark = "\u200e" if any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in name) else ""
    return f"{mark}{before}{name}{mark}{after}"


def cell(name: str) -> str:
    """A class name in a table on a terminal: printable, and cut where it is very long."""
    return shortened(printable(name), _CELL)


def _is_plain(letter: str) -> bool:
    # Cc: control, Cs: half of a pair; the last two places of each plane are no letters
    hidden = letter in TURNING or unicodedata.category(letter) in ("Cc", "Cs")
    return not hidden and ord(letter) & 0xFFFE != 0xFFFE
