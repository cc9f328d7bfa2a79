"""Tables of vectors: CSV and GeoParquet, written batch by batch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError
from tessera.geo import numbers_of
from tessera.shards import parse_year

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.geo import VectorTable

BATCH = 16_384
"""Rows of a table that are held at a time."""
VALUE_TEXT = 12
"""Characters of a float32 in CSV, about."""


def years_of(year: object) -> tuple[int, ...]:
    """The years of one number or a sequence of them."""
    given: Any = year if is_several(year) else [year]
    return tuple(parse_year(value) for value in given)


def is_several(year: object) -> bool:
    """Whether years are given as a sequence."""
    return isinstance(year, (list, tuple, range, np.ndarray))


def vector_names(dims: int) -> list[str]:
    """Columns of vectors: e0, e1, ..."""
    return [f"e{band}" for band in range(dims)]


def own_columns(table: VectorTable, lonlat: NDArray[np.float64]) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """The columns of points beside lon and lat, and what was renamed because it says something else than the points.

    A column lon or lat that the points were made of, or that holds the same numbers, is not written twice; another one
    is kept as own_lon or own_lat.
    """
    kept, notes = {}, []
    for name, column in table.columns.items():
        if name not in ("lon", "lat"):
            kept[name] = column
            continue
        numbers = numbers_of(column)
        place = lonlat[:, ("lon", "lat").index(name)]
        if name not in table.positions and (numbers is None or not np.array_equal(numbers[0], place)):
            kept[f"own_{name}"] = column
            notes.append(f"column {name} says something else than the points and is kept as own_{name}")
            if f"own_{name}" in table.columns:
                raise InputError(f"{table.source} has columns {name} and own_{name}; expected another name for one")
    return kept, notes


def geometry_name(path: Path) -> list[str]:
    """The column that GeoParquet holds geometries in; CSV has none."""
    return [] if path.suffix.lower() == ".csv" else ["geometry"]


def refuse_taken(columns: dict[str, Any], names: list[str], what: str) -> None:
    taken = sorted(columns.keys() & set(names))
    if taken:
        raise InputError(f"the {what} have columns {', '.join(taken[:3])}, as the vectors have; expected other names")


def write_table(
    path: Path,
    leading: dict[str, NDArray[Any]],
    years: tuple[int, ...],
    values: NDArray[np.float32],
    counts: dict[str, NDArray[Any]],
    trailing: dict[str, NDArray[Any]],
    geometry: tuple[NDArray[np.object_], dict[str, Any]],
    kind: str,
) -> None:
    """Write a table batch by batch; `values` is (N, Y, D), the others have N or N x Y rows; Parquet says its kind."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    is_csv = path.suffix.lower() == ".csv"
    columns = {name: _arrow(column) for name, column in leading.items()}
    each = values.shape[1]
    writer: Any = None
    for start in [*range(0, len(values), BATCH)] or [0]:
        rows = slice(start, start + BATCH)
        flat = np.asarray(values[rows]).reshape(-1, values.shape[-1])
        wide = slice(rows.start * each, rows.stop * each)
        number = np.repeat(np.arange(len(values))[rows], each)
        held: dict[str, Any] = {name: column.take(pa.array(number)) for name, column in columns.items()}
        if years:
            held["year"] = np.tile(np.array(years, dtype=np.int32), len(flat) // each)
        held |= {name: column.reshape(-1)[wide] for name, column in counts.items()}
        held |= {f"e{band}": flat[:, band] for band in range(flat.shape[1])}
        held |= {name: pa.array(column.reshape(-1)[wide].tolist(), pa.string()) for name, column in trailing.items()}
        if not is_csv:
            import shapely

            held["geometry"] = pa.array(shapely.to_wkb(geometry[0][number]).tolist(), pa.binary())
        table = pa.table(held)
        if writer is None:
            if not is_csv:
                table = table.replace_schema_metadata({"geo": json.dumps(_geo(geometry)), "writer": f"tessera {kind}"})
            writer = csv.CSVWriter(path, table.schema) if is_csv else parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
    writer.close()


def _geo(geometry: tuple[NDArray[np.object_], dict[str, Any]]) -> dict[str, Any]:
    """GeoParquet's metadata; without a CRS it says longitude and latitude (OGC:CRS84)."""
    import shapely

    shapes, about = geometry
    column: dict[str, Any] = {"encoding": "WKB", **about}
    if len(shapes) and np.isfinite(bounds := shapely.total_bounds(shapes)).all():
        column["bbox"] = [float(value) for value in bounds]
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}


def _arrow(column: NDArray[Any]) -> Any:
    """A column of one type; what Arrow cannot hold or CSV cannot write becomes text."""
    import pyarrow as pa

    if column.dtype.kind in "iufb":
        return pa.array(column)
    values = column.tolist()
    try:
        array = pa.array(values)
    except (pa.ArrowException, OverflowError, ValueError, TypeError):
        array = None
    if array is None or pa.types.is_nested(array.type):
        array = pa.array([None if value is None else str(value) for value in values])
    return array
