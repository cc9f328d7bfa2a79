"""Untrusted spreadsheets: the size of their expanded cells, computed before a library expands them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tessera.base import InputError

from .xml import walk_xml

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from zipfile import ZipFile

MOST_TEXT = 512 * 1024**2
_CELL = 16
"""Bytes that a cell takes besides its text, at least."""


def check_sheets(archive: ZipFile, kind: str, source: Path | str) -> None:
    """Raise InputError if the cells of a spreadsheet, "xlsx" or "ods", expand to more than `MOST_TEXT` bytes.

    In .xlsx many cells share one text; in .ods cells and rows have repeat counts.
    """
    names = archive.namelist()
    total = 0
    if kind == "ods":
        total = _ods(archive.read("content.xml"), source) if "content.xml" in names else 0
    else:
        texts: list[int] = []
        for name in names:
            if name.lower().endswith("sharedstrings.xml"):
                _shared(archive.read(name), texts, source)
        for name in names:
            if name.endswith(".xml") and not name.lower().endswith("sharedstrings.xml"):
                total += _xlsx(archive.read(name), texts, source)
    if total > MOST_TEXT:
        raise InputError(f"{source} expands to cells of {total:,} bytes; at most {MOST_TEXT:,} are read")


def _parse(
    data: bytes,
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None],
    text: Callable[[str], None],
    source: Path | str,
) -> None:
    def plain(name: str, given: dict[str, str]) -> None:
        start(name, {key.rpartition(":")[2]: value for key, value in given.items()})

    walk_xml(data, plain, end, text, source=source, fault="cannot be read as a spreadsheet")


def _shared(data: bytes, texts: list[int], source: Path | str) -> None:
    """Lengths of the texts that cells share."""

    def start(name: str, _: dict[str, str]) -> None:
        if name == "si":
            texts.append(0)

    def text(data: str) -> None:
        if texts:
            texts[-1] += len(data)

    _parse(data, start, lambda _: None, text, source)


def _xlsx(data: bytes, texts: list[int], source: Path | str) -> int:
    total = 0
    shares = inside = False
    held: list[str] = []

    def start(name: str, given: dict[str, str]) -> None:
        nonlocal shares, inside, total
        if name == "c":
            shares = given.get("t") == "s"
            total += _CELL
        inside = name == "v"
        held.clear()

    def text(data: str) -> None:
        if inside and shares:
            held.append(data)

    def end(name: str) -> None:
        nonlocal inside, total
        if name == "v" and shares:
            number = "".join(held).strip()
            if number.isascii() and number.isdigit() and len(number) < 10 and int(number) < len(texts):
                total += texts[int(number)]
        inside = False

    _parse(data, start, end, text, source)
    return total


def _ods(data: bytes, source: Path | str) -> int:
    total = row = cell = 0
    rows = cells = 1

    def start(name: str, given: dict[str, str]) -> None:
        nonlocal row, cell, rows, cells
        if name == "table-row":
            rows, row = _repeated(given.get("number-rows-repeated")), 0
        elif name in ("table-cell", "covered-table-cell"):
            # empty cells at the end of a row or sheet often repeat up to its edge; they are not read
            cells, cell = _repeated(given.get("number-columns-repeated")), _CELL if "value-type" in given else 0
            cell += sum(len(value) for value in given.values()) if cell else 0

    def text(data: str) -> None:
        nonlocal cell
        cell += len(data)

    def end(name: str) -> None:
        nonlocal total, row
        if name in ("table-cell", "covered-table-cell"):
            row += cells * cell
        elif name == "table-row":
            total += rows * row

    _parse(data, start, end, text, source)
    return total


def _repeated(given: str | None) -> int:
    return int(given) if given is not None and given.isascii() and given.isdigit() and len(given) < 19 else 1
