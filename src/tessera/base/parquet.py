"""Untrusted Parquet files within limits: their unpacked size is computed from page headers before they are read."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .errors import InputError
from .machine import raise_if_machine
from .paths import open_regular
from .quoting import shown
from .thrift import page_headers, row_groups

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from .thrift import Chunk, Page

_FILE_LIMIT = 4 * 1024**3
_FOOTER_LIMIT = 16 * 1024**2
_CONTAINER_LIMIT = 20_000
"""Columns, row groups or entries of metadata."""
_COLUMN_LIMIT = 2_000
_PAGE_LIMIT = 256 * 1024**2
_REPEATS_PREFIX = 7
"""DELTA_BYTE_ARRAY, where each text may repeat the previous one."""
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 12}
_TEXT_WIDTH = 16
"""Bytes that a text or its index takes besides its characters."""
_AS_DICTIONARY = (0, 2, 8)
"""Page encodings that pyarrow can keep as dictionaries: plain and dictionary."""
UNPACKED_LIMIT = 1024**3
"""Default limit of a table's bytes in memory."""


class ParquetTable:
    """An opened Parquet file; see `open_parquet_bounded`.

    Attributes
    ----------
    schema : pyarrow.Schema, with the file's metadata
    rows : from its footer
    groups : its row groups, with places and statistics of their columns
    """

    def __init__(self, name: str, file: BinaryIO, size: int, most_rows: int, most_bytes: int) -> None:
        import pyarrow.parquet as pq

        self._name, self._file, self._most = name, file, most_bytes
        if size > _FILE_LIMIT:
            raise InputError(f"{self._name} has {size:,} bytes; at most {_FILE_LIMIT:,} are read")
        ends = file.read(4), b"", 0
        if size >= 12:
            file.seek(size - 8)
            tail = file.read(8)
            ends = ends[0], tail[4:], int.from_bytes(tail[:4], "little")
        if ends[:2] != (b"PAR1", b"PAR1") or not 0 < ends[2] <= size - 12:
            raise InputError(f"{self._name} cannot be read as Parquet: it is truncated, or something else")
        if ends[2] > _FOOTER_LIMIT:
            raise InputError(f"{self._name} has a footer of {ends[2]:,} bytes; at most {_FOOTER_LIMIT:,} are read")
        self._data_end = size - 8 - ends[2]
        file.seek(self._data_end)
        # pyarrow aborts the process on damaged statistics, so the row groups are parsed here instead
        self.groups = row_groups(file.read(ends[2]), self._name)
        file.seek(0)
        self._limits: dict[str, Any] = {
            "thrift_string_size_limit": _FOOTER_LIMIT,
            "thrift_container_size_limit": _CONTAINER_LIMIT,
            "page_checksum_verification": True,
            "pre_buffer": False,
        }
        opened = pq.ParquetFile(file, **self._limits)
        self._about = opened.metadata
        if self._about.num_columns > _COLUMN_LIMIT:
            raise InputError(f"{self._name} has {self._about.num_columns} columns; at most {_COLUMN_LIMIT} are read")
        self.rows = int(self._about.num_rows)
        if not 0 <= self.rows <= most_rows:
            raise InputError(f"{self._name} holds {self.rows:,} rows; at most {most_rows:,} are read")
        self.schema = opened.schema_arrow

    def read(
        self,
        columns: Sequence[str] | None = None,
        *,
        dictionaries: bool = False,
        groups: Sequence[int] | None = None,
    ) -> Any:
        """The table with some or all columns.

        Parameters
        ----------
        columns : names from the schema; None: all
        groups : numbers of the row groups to read; None: all
        dictionaries : keep text columns dictionary-encoded, so that each text is in memory once

        Returns
        -------
        pyarrow.Table

        Raises
        ------
        InputError
            It is damaged, or would take more memory than the limit.
        """
        with _readable(self._name):
            names, chosen, opened = self._opened(columns, groups)
            table = opened.read_row_groups(chosen, columns=names, use_threads=False).select(names)
            rows = self.rows if groups is None else sum(self.groups[index].rows for index in groups)
            if table.num_rows != rows:
                raise InputError(f"{self._name} holds {table.num_rows:,} rows; its footer says {rows:,}")
            return table if dictionaries else self._plain(table)

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[Any]:
        """Yield tables of at most `rows` rows with these columns; errors are those of `read`."""
        import pyarrow as pa

        with _readable(self._name):
            names, groups, opened = self._opened(columns)
            for batch in opened.iter_batches(rows, row_groups=groups, columns=names, use_threads=False):
                yield self._plain(pa.Table.from_batches([batch]).select(names))

    def _opened(
        self, columns: Sequence[str] | None, chosen: Sequence[int] | None = None
    ) -> tuple[list[str], list[int], Any]:
        """Names, row groups and file; texts are read as dictionaries, so that each is in memory once."""
        import pyarrow.parquet as pq

        names = list(self.schema.names if columns is None else columns)
        if len(set(self.schema.names)) < len(self.schema.names):
            raise InputError(f"{self._name} has two columns of one name; expected names that differ")
        groups = [
            index for index, group in enumerate(self.groups) if group.rows and (chosen is None or index in chosen)
        ]
        texts = self._check_pages(groups, set(names))
        self._file.seek(0)
        return names, groups, pq.ParquetFile(self._file, read_dictionary=texts, **self._limits)

    def _plain(self, table: Any) -> Any:
        """Convert the columns of a table back to the types of the schema."""
        if sum(_letters(part) for column in table.columns for part in column.chunks) > self._most:
            raise InputError(f"{self._name} holds more than {self._most:,} bytes of text; at most that many are read")
        for at, name in enumerate(table.column_names):
            wanted = self.schema.field(name)
            if not table.schema.field(at).type.equals(wanted.type):
                table = table.set_column(at, wanted, table.column(at).cast(wanted.type))
        return table

    def _check_pages(self, groups: Sequence[int], names: set[str]) -> list[str]:
        """Check all pages against the limits; returns the text columns that can be read as dictionaries."""
        total = 0
        texts: set[str] = set()
        other: set[str] = set()
        for index in groups:
            group = self.groups[index]
            if len(group.chunks) != self._about.num_columns:
                raise InputError(
                    f"{self._name} has a row group of {len(group.chunks)} columns; expected {self._about.num_columns}"
                )
            for number, chunk in enumerate(group.chunks):
                about = self._about.schema.column(number)
                path = about.path
                if chunk.path != path:
                    raise InputError(f"{self._name} names column {number} {shown(path)} and {shown(chunk.path)}")
                if path.partition(".")[0] not in names:
                    continue
                pages, unpacked = self._pages(chunk, about, group.rows)
                total += unpacked
                if about.physical_type == "BYTE_ARRAY":
                    kept = all(page.encoding in _AS_DICTIONARY for page in pages)
                    (texts if kept else other).add(path)
                    if not kept:
                        # each text of a dictionary will be copied for every value
                        longest = max((page.unpacked for page in pages if page.dictionary), default=0)
                        total += longest * sum(page.values for page in pages if page.encoding in _AS_DICTIONARY[1:])
                if total > self._most:
                    raise InputError(
                        f"{self._name} unpacks to more than {self._most:,} bytes; at most that many are read"
                    )
        if texts & other:
            raise InputError(f"{self._name} has a column of mixed encodings; write it again with the default encoding")
        return sorted(texts)

    def _pages(self, chunk: Chunk, about: Any, rows: int) -> tuple[list[Page], int]:
        """The pages of one column of one row group, and a lower bound of their unpacked bytes."""
        name = f"{self._name}: column {shown(chunk.path)}"
        start, length = chunk.start, chunk.length
        if start < 4 or length < 1 or start + length > self._data_end:
            raise InputError(f"{name} lies at {start} to {start + length}; expected 4 to {self._data_end}")
        if length > self._most:
            # possible in a sparse file; the column is read into memory
            raise InputError(f"{name} has {length:,} bytes; at most {self._most:,} are read")
        self._file.seek(start)
        pages = page_headers(self._file.read(length), name)
        width = _WIDTHS.get(about.physical_type, max(_TEXT_WIDTH, int(about.length or 0)))
        total = 0
        for page in pages:
            if page.unpacked > _PAGE_LIMIT:
                raise InputError(f"{name} has a page of {page.unpacked:,} bytes; at most {_PAGE_LIMIT:,} are read")
            total += max(page.unpacked, page.values * width)
            if page.encoding == _REPEATS_PREFIX and not page.dictionary:
                total += page.values * page.unpacked
        values = sum(page.values for page in pages if not page.dictionary)
        if not about.max_repetition_level and values != rows:
            raise InputError(f"{name} has {values:,} values in {rows:,} rows")
        return pages, total


def _letters(array: Any) -> int:
    """Bytes of text of an array after its dictionaries are expanded."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    kind = array.type
    if pa.types.is_dictionary(kind):
        tests = (pa.types.is_string, pa.types.is_binary, pa.types.is_large_string, pa.types.is_large_binary)
        if not any(test(kind.value_type) for test in tests):
            return 0
        lengths = pc.cast(pc.binary_length(array.dictionary), pa.int64())
        return int(pc.sum(lengths.take(array.indices)).as_py() or 0)
    if pa.types.is_struct(kind):
        return sum(_letters(array.field(at)) for at in range(kind.num_fields))
    if pa.types.is_map(kind):
        return _letters(array.keys) + _letters(array.items)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _letters(array.values)
    return 0


@contextmanager
def _readable(name: str) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except InputError:
        raise
    except (pa.ArrowException, OSError, ValueError, OverflowError, KeyError, MemoryError) as error:
        raise_if_machine(error, name)
        reason = str(error).strip().partition("\n")[0][:200]
        raise InputError(f"{name} cannot be read as Parquet: {reason}") from None


@contextmanager
def open_parquet_bounded(
    path: Path, *, what: str, most_rows: int, most_bytes: int = UNPACKED_LIMIT, inside: Path | None = None
) -> Iterator[ParquetTable]:
    """Open an untrusted Parquet file: schema and row count at once, columns when `read` is called.

    Parameters
    ----------
    what : kind of the file in messages, such as "table of places"
    most_rows : limit of rows
    most_bytes : limit of the memory of the columns that are read
    inside : folder that must contain the file after all symbolic links are followed

    Raises
    ------
    InputError
        It is missing, not a regular file, not Parquet, damaged, or beyond a limit.
    MachineError
        This machine has no memory left, or too many open files.
    """
    try:
        file = open_regular(path, what=what, inside=inside)
    except FileNotFoundError:
        raise InputError(f"{what} not found: {path}") from None
    with file:
        size = os.fstat(file.fileno()).st_size
        yield parquet_table(f"{what} {path}", file, size, most_rows=most_rows, most_bytes=most_bytes)


def parquet_table(
    name: str, file: BinaryIO, size: int, *, most_rows: int, most_bytes: int = UNPACKED_LIMIT
) -> ParquetTable:
    """An untrusted Parquet file that is open already, such as one on a server; errors as `open_parquet_bounded`.

    Parameters
    ----------
    name : in messages
    file : read and sought in
    size : bytes of the file
    """
    with _readable(name):
        return ParquetTable(name, file, size, most_rows, most_bytes)


def read_parquet_bounded(
    path: Path,
    *,
    what: str,
    most_rows: int,
    most_bytes: int = UNPACKED_LIMIT,
    columns: Sequence[str] | None = None,
    inside: Path | None = None,
) -> Any:
    """An untrusted Parquet file as a pyarrow.Table; arguments and errors are those of `open_parquet_bounded`."""
    with open_parquet_bounded(path, what=what, most_rows=most_rows, most_bytes=most_bytes, inside=inside) as table:
        return table.read(columns)
