"""Tables as CSV that any program may open: names of a stranger neither run as formulas nor turn a line around."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Letters that turn the direction of the text after them, also of other cells and lines."""
_FORMULA = re.compile(r"'*[=+\-@]")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]|\\\\(?=x[0-9a-f]{2}|u[0-9a-f]{4})")
_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4}))")


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """Rows as CSV, lines ending in \\n. None is an empty cell, text goes through `safe_cell`."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    for row in rows:
        writer.writerow([safe_cell(value) if isinstance(value, str) else value for value in row])
    return out.getvalue()


def safe_cell(text: str) -> str:
    """Text that a spreadsheet shows and does not run; `cell_text` gives it back.

    An apostrophe goes before what begins like a formula and is no number. Control letters, and letters that turn the
    direction of text, become `\\x1b` or `\\u202e`.
    """
    flat = _HIDDEN.sub(lambda found: _escaped(found[0]), text)
    return f"'{flat}" if _FORMULA.match(flat) and not _NUMBER.fullmatch(flat) else flat


def cell_text(cell: str) -> str:
    """The text that `safe_cell` made a cell of."""
    flat = cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
    return _ESCAPE.sub(lambda found: chr(int(found[1] or found[2], 16)), flat)


def _escaped(letter: str) -> str:
    number = ord(letter)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"
