"""GeoPackage, which is SQLite: only its tables are read, and no code in it can run."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tessera.base import InputError, open_regular, shown

from ._wkb import from_wkb
from .crs import to_degrees
from .table import (
    ANYTHING,
    VectorTable,
    Wanted,
    as_column,
    listed,
    of_columns,
    position_names,
    refuse_broken_text,
    refuse_twice,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENVELOPES = (0, 32, 48, 48, 64)
_CELL = 256 * 1024 * 1024
_LEAST = 64 * 1024 * 1024
_COMPUTED = 64 * 1024
"""Bytes that a computed cell may always have, however many there are in a row."""
_STEPS = 1_000_000
_READS = frozenset((sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE))
_OWN_KEYS = frozenset(("fid", "ogc_fid"))
"""Names of the row number that drivers add, which is not an attribute."""


def read_gpkg(path: Path, source: str, wanted: Wanted = ANYTHING) -> list[tuple[str, VectorTable]]:
    """The layers of a GeoPackage by name, or only one; if it has none, its tables with lon and lat."""
    try:
        with _opened(path) as (database, size):
            return _layers(database, size, source, wanted)
    except (sqlite3.Error, UnicodeError, OverflowError, MemoryError) as error:
        raise InputError(f"{source} cannot be read as a GeoPackage: {shown(error, 160)[1:-1]}") from None


@contextmanager
def _opened(path: Path) -> Iterator[tuple[sqlite3.Connection, int]]:
    """A connection that can only read tables of this file, and the file's size in bytes."""
    with tempfile.TemporaryDirectory(prefix="tessera-") as folder:
        with open_regular(path, what="vector file") as file:
            size = os.fstat(file.fileno()).st_size
        own = Path(os.path.realpath(path))
        log = own.with_name(own.name + "-wal")
        if log.is_file() and log.stat().st_size:
            # a database with a write-ahead log is copied first, so that no file appears beside it
            for part in (own, log):
                with open_regular(part, what="vector file") as source, (Path(folder) / part.name).open("wb") as target:
                    shutil.copyfileobj(source, target)
            address = f"file:{quote(str(Path(folder) / own.name))}"
        else:
            address = f"file:{quote(str(own))}?mode=ro&immutable=1"
        with closing(sqlite3.connect(address, uri=True)) as database:
            database.execute("PRAGMA trusted_schema=OFF")
            database.execute("PRAGMA query_only=ON")
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _CELL)
            database.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
            left = iter(range(50 + 4 * size // _STEPS))
            database.set_progress_handler(lambda: 0 if next(left, None) is not None else 1, _STEPS)
            database.set_authorizer(_only_reads)
            yield database, size


def _only_reads(action: int, first: str | None, *_: str | None) -> int:
    asks = action == sqlite3.SQLITE_PRAGMA and first == "table_info"
    return sqlite3.SQLITE_OK if asks or action in _READS else sqlite3.SQLITE_DENY


def _layers(database: sqlite3.Connection, size: int, source: str, wanted: Wanted) -> list[tuple[str, VectorTable]]:
    tables = dict(database.execute("SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view')").fetchall())
    if "gpkg_contents" not in tables:
        raise InputError(f"{source} is an SQLite database without gpkg_contents; expected a GeoPackage")
    kinds = database.execute("SELECT table_name, data_type FROM gpkg_contents").fetchall()
    shaped: dict[str, tuple[str, int]] = {}
    if "gpkg_geometry_columns" in tables:
        found = database.execute("SELECT table_name, column_name, srs_id FROM gpkg_geometry_columns").fetchall()
        shaped = {name: (column, srs) for name, column, srs in found}
    budget = [max(2 * size, _LEAST)]
    names = [name for name, kind in kinds if kind == "features" and name in shaped and name in tables]
    plain = [name for name, kind in kinds if kind in ("attributes", "aspatial") and name in tables]
    chosen = [name for name in names or plain if wanted.layer in (None, name)]
    out = []
    for name in chosen:
        columns = _table(database, name, budget, source, wanted, is_view=tables[name] == "view")
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _CELL)
        if names:
            out.append((name, _features(database, name, columns, *shaped[name], source, wanted)))
        elif position_names(list(columns), wanted.crs) is not None:
            out.append((name, of_columns(_kept(columns), source, crs=wanted.crs)))
    if not out:
        if wanted.layer is not None:
            raise InputError(f"{source} has no layer {shown(wanted.layer)}; it has {listed(names or plain)}")
        held = f"tables {listed(plain)} without lon and lat" if plain else "no layer of features"
        raise InputError(f"{source} holds {held}; expected points or polygons")
    return out


def _table(
    database: sqlite3.Connection, name: str, budget: list[int], source: str, wanted: Wanted, *, is_view: bool
) -> dict[str, list[Any]]:
    """Columns by name, in the file's own types, without the row number that drivers add."""
    quoted = f'"{name.replace(chr(34), chr(34) * 2)}"'
    about = database.execute(f"PRAGMA table_info({quoted})").fetchall()
    truths = {row[1] for row in about if str(row[2]).upper() == "BOOLEAN"}
    described = database.execute(f"SELECT * FROM {quoted} LIMIT 0").description  # noqa: S608
    if is_view or len(described) != len(about):
        # computed cells may have any length
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(budget[0] // len(described), _COMPUTED))
    rows = database.execute(f"SELECT * FROM {quoted}")  # noqa: S608
    names = [str(column[0]) for column in rows.description]
    refuse_twice(names, source)
    columns: dict[str, list[Any]] = {column: [] for column in names}
    lists = list(columns.values())
    for count, row in enumerate(rows, 1):
        wanted.check(count, source)
        for values, value in zip(lists, row, strict=True):
            budget[0] -= 1 + (len(value) if isinstance(value, (str, bytes)) else 0)
            values.append(value)
        if budget[0] < 0:
            raise InputError(f"{source}, layer {shown(name)} unpacks to more than its file holds; it is not read")
    for column in truths & columns.keys():
        columns[column] = [bool(value) if value in (0, 1) else value for value in columns[column]]
    return {column: values for column, values in columns.items() if column not in _OWN_KEYS}


def _kept(columns: dict[str, list[Any]]) -> dict[str, Any]:
    """Columns as arrays, without columns of bytes."""
    return {
        name: as_column(values)
        for name, values in columns.items()
        if not any(isinstance(value, bytes) for value in values)
    }


def _features(
    database: sqlite3.Connection,
    name: str,
    columns: dict[str, list[Any]],
    geometry: str,
    srs: int,
    source: str,
    wanted: Wanted,
) -> VectorTable:
    if geometry not in columns:
        raise InputError(f"{source}, layer {shown(name)} lacks its geometry column {shown(geometry)}")
    what = f"{source}, layer {shown(name)}"
    shapes = from_wkb([_wkb(blob, f"{what}, row {index}") for index, blob in enumerate(columns.pop(geometry))], what)
    kept = _kept(columns)
    refuse_broken_text(list(kept), kept, source)
    left_out = [column for column in columns if column not in kept]
    notes = (f"{what}: columns of bytes are left out: {listed(left_out)}",) if left_out else ()
    return VectorTable(to_degrees(shapes, wanted.crs_of(_crs(database, srs), what), what), kept, source, notes=notes)


def _crs(database: sqlite3.Connection, srs: int) -> str | None:
    found = database.execute(
        "SELECT organization, organization_coordsys_id, definition FROM gpkg_spatial_ref_sys WHERE srs_id = ?", (srs,)
    ).fetchone()
    if found is None or srs in (-1, 0):
        return None
    organization, code, definition = found
    if str(organization).upper() == "EPSG":
        return f"EPSG:{code}"
    return str(definition)


def _wkb(blob: object, what: str) -> bytes | None:
    """The well-known binary in a GeoPackage geometry, None where there is none."""
    if blob is None:
        return None
    if not isinstance(blob, bytes) or len(blob) < 8 or blob[:2] != b"GP":
        raise InputError(f"{what}: not a GeoPackage geometry; expected points or polygons")
    flags = blob[3]
    envelope = (flags >> 1) & 7
    if flags & 0x20 or envelope >= len(_ENVELOPES):
        raise InputError(f"{what}: an extended geometry type; expected points or polygons")
    start = 8 + _ENVELOPES[envelope]
    if len(blob) < start + 5:
        raise InputError(f"{what}: a truncated geometry; expected points or polygons")
    return blob[start:]
