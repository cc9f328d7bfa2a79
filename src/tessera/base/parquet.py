"""Parquet files of strangers: what they claim to unpack to is bounded before it is unpacked."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .errors import InputError
from .paths import open_regular
from .quoting import shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAGIC = b"PAR1"


@contextmanager
def opened_parquet(path: Path, *, what: str, rows: int, values: int, unpacked: int) -> Iterator[Any]:
    """A `pyarrow.parquet.ParquetFile` that reads texts and bytes as dictionaries, so that each is held once.

    Parameters
    ----------
    what : what the file is, for a message
    rows : most rows
    values : most values, those of nested columns included
    unpacked : most bytes of pages when they are unpacked; a page may hold one text for millions of rows

    Raises
    ------
    FileNotFoundError
        There is nothing at `path`.
    InputError
        It is no regular file or no Parquet, holds more, or breaks while it is read.
    """
    import pyarrow as pa
    from pyarrow import parquet

    with open_regular(path, what=what) as file:
        try:
            about = parquet.read_metadata(file)
            groups = [about.row_group(index) for index in range(about.num_row_groups)]
            chunks = [group.column(index) for group in groups for index in range(group.num_columns)]
            held = sum(group.num_rows for group in groups)
            for number, most, unit in (
                (max(held, about.num_rows), rows, "rows"),
                (sum(chunk.num_values for chunk in chunks), values, "values"),
                (sum(chunk.total_uncompressed_size for chunk in chunks), unpacked, "bytes when unpacked"),
            ):
                if not 0 <= number <= most:
                    raise InputError(f"{what} {path} holds {number:,} {unit}; at most {most:,} are read")
            if any(chunk.num_values < 0 or chunk.total_uncompressed_size < 0 for chunk in chunks):
                raise InputError(f"{what} {path} claims sizes below 0; expected a Parquet file")
            schema = about.schema
            columns = [schema.column(index) for index in range(len(schema))]
            coded = [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]
            yield parquet.ParquetFile(file, read_dictionary=coded)
        except InputError:
            raise
        except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
            raise InputError(f"{what} {path} cannot be read as Parquet: {shown(error, 200)[1:-1]}") from None
