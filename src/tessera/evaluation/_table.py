"""A Parquet file as a table of pixel-years, or one line on what it is instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tessera.base import InputError, open_parquet_bounded
from tessera.cubes import S1_BANDS, S2_BANDS

if TYPE_CHECKING:
    from pathlib import Path

MAX_ROWS = 5_000_000
"""Rows read at most: about 2 GB in memory."""
_MOST_BYTES = 2 * 1024**3
_REQUIRED = ("sample_id", "date", "label")
_OPTIONAL = ("valid", "orbit", "group", "lon", "lat", "test", *S1_BANDS)
_NAMED = 12
"""Columns that a message lists."""


def read_table(file: Path) -> Any:
    """The columns of pixel-years, texts as dictionaries.

    Raises
    ------
    InputError
        No such file, no Parquet, other columns, or more rows than `MAX_ROWS`.
    """
    if not file.is_file():
        raise InputError(f"no file {file}; expected a Parquet table of pixel-years")
    if not _is_parquet(file):
        raise InputError(
            f"{file} is no Parquet table of pixel-years; for places: tessera evaluate STORE {file} --column NAME, "
            "or tessera.read_labels"
        )
    with open_parquet_bounded(file, what="table of pixel-years", most_rows=MAX_ROWS, most_bytes=_MOST_BYTES) as opened:
        names = opened.schema.names
        if len(set(names)) < len(names):
            raise InputError(f"{file} has two columns of one name; expected names that differ")
        _check_names(file, names, b"geo" in (opened.schema.metadata or {}))
        if not opened.rows:
            raise InputError(f"{file} has 0 rows; expected 1 to {MAX_ROWS}")
        # a dictionary holds each text once
        wanted = [*_REQUIRED, *S2_BANDS, *(name for name in _OPTIONAL if name in names)]
        return opened.read(wanted, dictionaries=True)


def _is_parquet(file: Path) -> bool:
    """Whether a file begins as Parquet does, whatever its name; one that cannot be opened is left to its reader."""
    try:
        with file.open("rb") as stream:
            return stream.read(4) == b"PAR1"
    except OSError:
        return True


def _check_names(file: Path, names: list[str], places: bool) -> None:
    missing = [name for name in (*_REQUIRED, *S2_BANDS) if name not in names]
    if not missing:
        return
    known = {*_REQUIRED, *_OPTIONAL, *S2_BANDS}
    other = [name for name in names if name not in known]
    if not {"date", *S2_BANDS} & set(names):
        how = f"tessera evaluate STORE {file} --column NAME" if places else "CSV or GeoParquet, and a store"
        raise InputError(
            f"{file} holds no observations (columns {_list(names)}); expected a row a pixel and date; for places: {how}"
        )
    if missing == ["label"]:
        held = f", but {_list(other)}" if other else ""
        raise InputError(
            f"{file} has no column label{held}; expected the class or number of a pixel under the name label"
        )
    raise InputError(f"{file} lacks {', '.join(missing)}; expected a row a pixel and date")


def _list(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
