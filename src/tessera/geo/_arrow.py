"""Columns of Arrow tables, from Parquet and GDAL, as arrays with exactly the same values."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, open_parquet_bounded, shown

from ._wkb import from_wkb
from .crs import to_degrees
from .table import ANYTHING, VectorTable, Wanted, listed, of_columns, position_names, refuse_twice

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_UNPACKED = 2 * 1024**3
_NESTED = 1024**3
"""Most bytes of a nested column, counting every repetition of a text."""


def read_parquet(path: Path, source: str, wanted: Wanted = ANYTHING) -> VectorTable:
    """GeoParquet, or Parquet with columns of longitude and latitude."""
    with open_parquet_bounded(path, what="vector file", most_rows=wanted.most, most_bytes=_UNPACKED) as opened:
        schema = opened.schema
        refuse_twice(schema.names, source)
        raw = (schema.metadata or {}).get(b"geo")
        geometry = crs = None
        if raw is None:
            if position_names(schema.names, wanted.crs) is None:
                raise InputError(
                    f"{source} is Parquet without GeoParquet metadata, with columns {listed(schema.names)}; expected a "
                    "geometry column, or lon and lat"
                )
        else:
            geometry, crs = _about(raw, schema.names, source)
        fields = [field.name for field in schema if field.name == geometry or not _is_bytes(field.type)]
        # equal texts share one object
        table = opened.read(fields, dictionaries=True)
    left_out = [name for name in schema.names if name not in fields]
    notes = (f"{source}: columns of bytes are left out: {listed(left_out)}",) if left_out else ()
    if geometry is None:
        return of_columns(columns_of(table, source), source, notes=notes, crs=wanted.crs)
    return with_geometry(table, geometry, wanted.crs_of(crs, source), source, notes)


def _about(raw: bytes, names: list[str], source: str) -> tuple[str, object]:
    """The name of the geometry column in GeoParquet's metadata, and its CRS."""
    try:
        meta = json.loads(raw)
        name = meta["primary_column"]
        about = meta["columns"][name]
        encoding, crs = about.get("encoding", "WKB"), about.get("crs", "EPSG:4326")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{source}: GeoParquet metadata cannot be read ({shown(repr(error))[1:-1]})") from None
    if name not in names or encoding != "WKB":
        raise InputError(
            f"{source}: GeoParquet geometry {shown(name)} in {shown(encoding)} cannot be read; expected WKB"
        )
    return name, crs


def with_geometry(table: Any, geometry: str, crs: object, source: str, notes: tuple[str, ...] = ()) -> VectorTable:
    """Features in degrees from an Arrow table with a column of well-known binary."""
    import pyarrow as pa

    column = table[geometry]
    if not _is_bytes(column.type):
        raise InputError(f"{source}: GeoParquet geometry cannot be read (it is {column.type}); expected WKB")
    parts = [np.empty(0, dtype=object)]
    for chunk in column.chunks:
        if pa.types.is_dictionary(chunk.type):
            distinct = from_wkb(chunk.dictionary.to_pylist(), source)
            parts.append(_taken(distinct, chunk.indices))
        else:
            parts.append(from_wkb(chunk.to_pylist(), source))
    geometries = to_degrees(np.concatenate(parts), crs, source)
    return VectorTable(geometries, columns_of(table.drop_columns([geometry]), source), source, notes=notes)


def columns_of(table: Any, source: str) -> dict[str, NDArray[Any]]:
    """The columns of an Arrow table, without columns of bytes."""
    refuse_twice(table.column_names, source)
    return {
        name: _column(table[name], f"{source}, column {shown(name)}")
        for name in table.column_names
        if not _is_bytes(table[name].type)
    }


def _is_bytes(kind: Any) -> bool:
    import pyarrow as pa

    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
    return any(test(kind) for test in tests)


def _column(column: Any, what: str) -> NDArray[Any]:
    import pyarrow as pa

    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type)
        kind = column.type
    try:
        if pa.types.is_dictionary(kind):
            parts = [np.empty(0, dtype=object)]
            parts += [_taken(_objects(chunk.dictionary.to_pylist()), chunk.indices) for chunk in column.chunks]
            return np.concatenate(parts)
        if pa.types.is_integer(kind) and not column.null_count:
            return np.asarray(column.combine_chunks().to_numpy(zero_copy_only=False))
        if pa.types.is_floating(kind):
            return np.asarray(column.combine_chunks().to_numpy(zero_copy_only=False))
        if pa.types.is_timestamp(kind) and kind.unit == "ns":
            column = column.cast(pa.timestamp("us", kind.tz), safe=False)
        if pa.types.is_nested(kind) and sum(_expanded(chunk) for chunk in column.chunks) > _NESTED:
            raise InputError(f"{what} unpacks to more than {_NESTED:,} bytes; expected plain values")
        return _objects(column.to_pylist())
    except (pa.ArrowException, ValueError, OverflowError, UnicodeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{what} of {kind} cannot be read: {shown(error)[1:-1]}") from None


def _objects(values: list[Any]) -> NDArray[np.object_]:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


def _taken(distinct: NDArray[np.object_], indices: Any) -> NDArray[np.object_]:
    """Values by index, None where the index is null; equal values share one object."""
    numbers = indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return np.asarray(np.append(distinct, np.array([None], dtype=object))[numbers], dtype=object)


def _expanded(array: Any) -> int:
    """Upper bound of an array's bytes, counting every repetition of a text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if pa.types.is_struct(kind):
        return sum(_expanded(array.field(index)) for index in range(kind.num_fields))
    if pa.types.is_map(kind):
        return _expanded(array.keys) + _expanded(array.items)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return 8 * len(array) + _expanded(array.values)
    if pa.types.is_dictionary(kind):
        longest = pc.max(pc.binary_length(array.dictionary)).as_py() if len(array.dictionary) else 0
        return len(array) * (64 + (longest or 0))
    return int(array.nbytes) + 64 * len(array)
