"""Text tables such as CSV: every cell stays text, except coordinates."""

from __future__ import annotations

import codecs
import csv
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, encoding_of, open_regular, shown

from ._kinds import HEAD
from .table import ANYTHING, MISSING, VectorTable, Wanted, of_columns, position_names, refuse_twice

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_SEPARATORS = ",;\t|"
_HEADER = 1024 * 1024
_BLOCK = 16 * 1024 * 1024
"""Bytes parsed at a time; a row must fit."""


def read_delimited(path: Path, source: str, wanted: Wanted = ANYTHING) -> VectorTable:
    """Points of a CSV, TSV or similar table with columns of longitude and latitude, degrees.

    The separator is a comma, semicolon, tab or bar. The text is UTF-8, UTF-16 with a byte order mark, or else
    Windows-1252.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv as arrow

    encoding, notes = _encoding(path, source)
    separator, names, skipped = _header(path, encoding, source, wanted.crs)
    refuse_twice(names, source)
    positions = position_names(names, wanted.crs)
    if positions is None:
        # raises the error
        return of_columns(dict.fromkeys(names, np.empty(0, dtype=object)), source, crs=wanted.crs)
    text = arrow.ConvertOptions(
        column_types=dict.fromkeys(names, "string"),
        strings_can_be_null=True,
        null_values=[""],
        quoted_strings_can_be_null=False,
    )

    def read(options: Any) -> Any:
        with open_regular(path, what="vector file") as file:
            return arrow.read_csv(
                file,
                read_options=arrow.ReadOptions(encoding=encoding, block_size=_BLOCK, skip_rows=skipped),
                parse_options=arrow.ParseOptions(delimiter=separator, newlines_in_values=True),
                convert_options=options,
            )

    try:
        table = read(text)
        wanted.check(table.num_rows, source)
        if table.column_names != names:
            raise InputError(f"{source} is not a CSV table: its header cannot be read; expected distinct names")
        _refuse_open_quote(path, table, separator, encoding, source)
        columns: dict[str, NDArray[Any]] = {}
        for name in names:
            columns[name] = _numbers(table[name]) if name in positions else _texts(table[name])
        missing = pa.array(MISSING)
        others = [name for name in names if columns[name].dtype == object]
        blank = {name: pc.is_in(pc.utf8_lower(table[name]), value_set=missing).to_numpy() for name in others}
        suspects = [name for name in others if blank[name].any()]
        absent: dict[str, NDArray[np.bool_]] = {}
        if suspects:
            text.include_columns = suspects
            # in quotes they are text
            spelt = {
                one for name in suspects for one in pc.unique(table[name].filter(pa.array(blank[name]))).to_pylist()
            }
            text.null_values = ["", *sorted(spelt)]
            again = read(text)
            for name in suspects:
                bare = again[name].is_null().to_numpy() & blank[name]
                if bare.any():
                    absent[name] = bare
    except UnicodeDecodeError:
        raise InputError(f"{source} holds bytes that are not {encoding}; expected a CSV table in UTF-8") from None
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{source} is not a CSV table: {shown(error, 160)[1:-1]}") from None
    return of_columns(columns, source, typed=False, absent=absent, notes=notes, crs=wanted.crs)


def _refuse_open_quote(path: Path, table: Any, separator: str, encoding: str, source: str) -> None:
    """Raise InputError where a quote never closes, or closes in a later row, so that one cell would hold whole rows."""
    import pyarrow.compute as pc

    if not any(pc.any(pc.match_substring_regex(table[name], "[\r\n]")).as_py() for name in table.column_names):
        return
    longest = csv.field_size_limit(_BLOCK)
    try:
        with open_regular(path, what="vector file") as file, io.TextIOWrapper(file, encoding, newline="") as text:
            rows = csv.reader(text, delimiter=separator, strict=True)
            while True:
                line = rows.line_num + 1
                try:
                    if next(rows, None) is None:
                        return
                except csv.Error as error:
                    # text after a closing quote in the same line is accepted
                    if rows.line_num > line or "end of data" in str(error):
                        raise InputError(
                            f"{source}, line {line} has a quote that never closes, or closes inside the text of a "
                            "later line; expected a pair of quotes around a cell"
                        ) from None
    finally:
        csv.field_size_limit(longest)


def _numbers(column: Any) -> NDArray[Any]:
    """A column of degrees as float64, or as text where a cell is not a number, such as one with a decimal comma."""
    import pyarrow as pa
    import pyarrow.compute as pc

    held = pc.if_else(
        pc.is_in(pc.utf8_lower(column), value_set=pa.array(MISSING)), pa.scalar(None, pa.string()), column
    )
    try:
        numbers = pc.cast(pc.utf8_trim_whitespace(held), pa.float64())
    except pa.ArrowInvalid:
        return _texts(column)
    return np.asarray(numbers.to_numpy(), dtype=np.float64)


def _texts(column: Any) -> NDArray[np.object_]:
    """A column of text; equal cells share one object."""
    coded = column.dictionary_encode()
    parts = [np.empty(0, dtype=object)]
    for chunk in coded.chunks:
        distinct = np.array([*chunk.dictionary.to_pylist(), None], dtype=object)
        parts.append(distinct[chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False)])
    return np.concatenate(parts)


def _encoding(path: Path, source: str) -> tuple[str, tuple[str, ...]]:
    with open_regular(path, what="vector file") as file:
        head = file.read(HEAD)
        named = encoding_of(head)
        if named is not None:
            return named, ()
        decoder = codecs.getincrementaldecoder("utf-8")()
        windows = codecs.getincrementaldecoder("cp1252")()
        is_utf8, is_windows = True, True
        data = head
        while data and (is_utf8 or is_windows):
            if b"\0" in data:
                raise InputError(f"{source} is not a CSV table: it has zero bytes; expected text in UTF-8")
            is_utf8 = is_utf8 and _decodes(decoder, data)
            is_windows = is_windows and _decodes(windows, data)
            data = file.read(_BLOCK)
    if is_utf8 and _decodes(decoder, b"", final=True):
        return "utf-8", ()
    if not is_windows:
        raise InputError(f"{source} is neither UTF-8 nor Windows-1252; expected a CSV table in UTF-8")
    return "cp1252", (f"{source} is not UTF-8 and is read as Windows-1252 (Western European)",)


def _decodes(decoder: codecs.IncrementalDecoder, data: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(data, final)
    except UnicodeDecodeError:
        return False
    return True


def _header(path: Path, encoding: str, source: str, crs: str | None) -> tuple[str, list[str], int]:
    """The separator, the column names, and the number of lines before the header."""
    with open_regular(path, what="vector file") as file:
        data = file.read(_HEADER)
    text = data.decode(encoding, "ignore")
    first, _, rest = text.partition("\n")
    skipped = 0
    if first.strip().lower().startswith("sep=") and len(first.strip()) <= 5:
        text, skipped = rest, 1
    text = text.lstrip("\r\n")
    found: list[tuple[bool, int, str, list[str]]] = []
    for separator in _SEPARATORS:
        try:
            names = next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])
        except csv.Error:
            continue
        found.append((position_names(names, crs) is not None, len(names), separator, names))
    if not found or not max(count for _, count, _, _ in found):
        raise InputError(f"{source} is not a CSV table: its first line is empty; expected names of columns")
    _, _, separator, names = max(found, key=lambda item: item[:2])
    return separator, names, skipped
