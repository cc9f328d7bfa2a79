"""Read commit records into rows of the manifest."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import Folder, InputError, read_regular, sha256_hex
from tessera.geo import Cell, parse_cell, zone_crs

from ._outline import outlines
from ._schema import COLLECTION, EXTENSIONS, MULTIHASH, SHARD_TYPE, STAC_VERSION, array_names, schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import pyarrow

    from tessera.store import Store

RECORD_LIMIT = 16 * 1024**2
"""Largest commit record, bytes: a thousand parts with the dates of a year each."""
_KEY = re.compile(r"[\w.-]+(/[\w.-]+){1,12}", re.ASCII)
_ATTEMPTS = 3
"""How often a record that a writer keeps replacing is read."""
_DATES = {"s2_dates": "s2_dates", "s1_ascending_dates": "s1_asc_dates", "s1_descending_dates": "s1_desc_dates"}
"""Column -> list of dates in the provenance of a cube."""


@dataclass(frozen=True)
class RecordFile:
    """The file of a commit record: its path, cell, year, size in bytes and time of writing."""

    path: Path
    cell: Cell
    year: int
    size: int
    mtime_ns: int  # when it was written


@dataclass(frozen=True)
class Row:
    """A record: its file, the columns that it fills, the SHA-256 of its bytes."""

    file: RecordFile
    values: dict[str, Any]
    sha256: str


def find_records(store: Store, folder: Path) -> Iterator[RecordFile | str]:
    """The records of a local store, or a message where a name is no cell."""
    for year in sorted(store.years):
        records = Folder(folder).inner(f"commits/{year}")
        if not records.is_dir():
            continue
        for path in records.glob("utm*.json"):
            try:
                cell = parse_cell(path.stem, store.layout.shard)
                about = path.lstat()
            except FileNotFoundError:
                continue
            except (InputError, OSError) as error:
                yield f"{path}: {_words(error)}"
                continue
            yield RecordFile(path, cell, year, about.st_size, about.st_mtime_ns)


def read_record(store: Store, file: RecordFile) -> Row:
    """Read a record."""
    folder = store.objects.folder
    for _ in range(_ATTEMPTS):
        try:
            data = read_regular(file.path, what="commit record", limit=RECORD_LIMIT, inside=folder)
            commit = store.commit(file.cell, file.year)
        except OSError as error:
            raise InputError(f"{file.path}: {_words(error)}") from None
        if commit is None:
            break
        try:
            raw = json.loads(data)
        except (ValueError, RecursionError):
            continue
        said = commit.to_json()
        if isinstance(raw, dict) and all(raw.get(key) == value for key, value in said.items() if key != "software"):
            try:
                return Row(file, _values(store, file, said, raw.get("software"), data), sha256_hex(data))
            except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
                raise InputError(f"{file.path}: {_words(error)}") from None
    raise InputError(f"{file.path}: gone, replaced while it was read, or not as it is written")


def _words(error: BaseException) -> str:
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return repr(error)[:200]


def _values(store: Store, file: RecordFile, said: dict[str, Any], software: object, data: bytes) -> dict[str, Any]:
    """The columns that a record fills, except geometry and bbox."""
    cell, year, size, window = file.cell, file.year, store.layout.shard, file.cell.window
    if (said["cell"], said["year"]) != (cell.name, year):
        raise InputError(f"a record of {said['cell']} {said['year']}; expected {cell.name} {year}")
    chunks = bytes.fromhex(said["chunks"])
    if len(chunks) != (store.layout.side**2 + 7) // 8:
        raise InputError(f"a bitmap of {len(chunks)} bytes; expected {(store.layout.side**2 + 7) // 8}")
    pixels = [said["pixels"][name] for name in ("valid", "no_data", "not_written")]
    if min(pixels) < 0 or sum(pixels) != size**2:
        raise InputError(f"pixels {pixels}; expected {size**2} in all")
    parts = [_part(part) for part in said["inputs"]]
    provenances = [part["provenance"] for part in said["inputs"]]
    return {
        "id": f"{cell.name}_{year}",
        "collection": collection_id(store),
        "stac_version": STAC_VERSION,
        "stac_extensions": list(EXTENSIONS),
        "links": [{"href": COLLECTION, "rel": "collection", "type": "application/json"}],
        "assets": {name: _asset(name, said["objects"].get(name)) for name in array_names(store)},
        "datetime": None,
        "start_datetime": dt.datetime(year, 1, 1, tzinfo=dt.UTC),
        "end_datetime": dt.datetime(year, 12, 31, 23, 59, 59, tzinfo=dt.UTC),
        "proj:code": zone_crs(cell.zone),
        "proj:shape": [size, size],
        "proj:transform": list(window.grid.transform),
        "cell": cell.name,
        "year": year,
        "zone": cell.zone,
        "west": window.west,
        "north": window.north,
        "size": size,
        "valid": pixels[0],
        "no_data": pixels[1],
        "not_written": pixels[2],
        "chunks": chunks,
        "intact": all(part["intact"] for part in parts),
        "partial": pixels[2] > 0,
        "model": store.model.name if said["model"] == store.model.sha256 else None,
        "model_sha256": said["model"],
        "software": software if isinstance(software, str) else None,
        "inputs_sha256": _distinct(part["inputs_sha256"] for part in parts),
        "statistics_sha256": _distinct(part["statistics_sha256"] for part in parts),
        **{name: _total(part[name] for part in parts) for name in ("scenes_found", "scenes_used", "scenes_lost")},
        **_sensing(provenances),
        "parts": parts,
        "record_bytes": len(data),
        "record_sha256": sha256_hex(data),
    }


def collection_id(store: Store) -> str:
    """Id of a store's STAC collection, from its model and dims."""
    return f"tessera-{store.model.name}-{store.dims}d-{store.model.sha256[:12]}"


def _asset(name: str, about: dict[str, Any] | None) -> dict[str, Any] | None:
    if about is None:
        return None
    key, digest = about["key"], about["sha256"]
    if not is_key(key) or re.fullmatch("[0-9a-f]{64}", digest) is None or about["bytes"] < 0:
        raise InputError(f"the object {str(about)[:200]}; expected a key inside the store, its bytes and its SHA-256")
    return {
        "href": key,
        "type": SHARD_TYPE,
        "roles": ["metadata"] if name == "observation_counts" else ["data"],
        "file:size": about["bytes"],
        "file:checksum": MULTIHASH + digest,
    }


def is_key(key: str) -> bool:
    """Whether a key names an object in the store."""
    return len(key) <= 300 and _KEY.fullmatch(key) is not None and not any(p.startswith(".") for p in key.split("/"))


def _part(part: dict[str, Any]) -> dict[str, Any]:
    west, north, width, height = part["window"]
    said = part["provenance"]
    return {
        "west": west,
        "north": north,
        "width": width,
        "height": height,
        "intact": part["intact"],
        "inputs_sha256": _text(said.get("cube_sha256")),
        "statistics_sha256": _text(said.get("statistics_sha256")),
        **{name: _count(said.get(name)) for name in ("scenes_found", "scenes_used", "scenes_lost")},
        "provenance": json.dumps(said, sort_keys=True, separators=(",", ":")),
    }


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and len(value) <= 200 else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31 else None


def _distinct(values: Iterable[str | None]) -> list[str]:
    return sorted({value for value in values if value is not None})


def _total(values: Iterable[int | None]) -> int | None:
    """The sum over the parts, None if it is unknown for one of them."""
    known = list(values)
    whole = [value for value in known if value is not None]
    return sum(whole) if known and len(whole) == len(known) else None


def _sensing(provenances: list[dict[str, Any]]) -> dict[str, Any]:
    """Number of days of each stream, first and last day over all parts; None if a part does not record them."""
    found: dict[str, Any] = {}
    every: set[dt.date] = set()
    for column, name in _DATES.items():
        days: set[dt.date] | None = set() if provenances else None
        for said in provenances:
            listed = said.get(name)
            if not isinstance(listed, list) or days is None:
                days = None
                break
            try:
                days |= {dt.date.fromisoformat(day) for day in listed}
            except (TypeError, ValueError):
                days = None
                break
        found[column] = None if days is None else len(days)
        every |= days or set()
    return {**found, "first_date": min(every, default=None), "last_date": max(every, default=None)}


def rows_table(store: Store, rows: list[Row]) -> pyarrow.Table:
    """Rows as a table, with their outlines, in the given order."""
    import pyarrow as pa
    import shapely

    order = sorted(range(len(rows)), key=lambda index: rows[index].file.cell.zone)
    for zone, members in groupby(order, key=lambda index: rows[index].file.cell.zone):
        here = [rows[index] for index in members]
        west = np.array([row.values["west"] for row in here], dtype=np.int64)
        north = np.array([row.values["north"] for row in here], dtype=np.int64)
        shapes, boxes = outlines(zone, west, north, store.layout.shard)
        for row, wkb, box in zip(here, shapely.to_wkb(shapes, byte_order=1), boxes.tolist(), strict=True):
            row.values["geometry"] = bytes(wkb)
            row.values["bbox"] = dict(zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    return pa.Table.from_pylist([row.values for row in rows], schema=schema(array_names(store)))
