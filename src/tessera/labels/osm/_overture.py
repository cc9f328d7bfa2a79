"""Overture's GeoParquet: of each file only the row groups whose boxes meet the area are read, on disk or by URL."""

from __future__ import annotations

import json
import struct
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, open_parquet_bounded, parquet_table, shown
from tessera.net import NetError, RemoteFile, open_remote

from .features import lines_left_out
from .lines import is_under_ground, width_of
from .tags import class_of, keys_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tessera.base import ParquetTable, Progress

    from .features import Found
    from .tags import ClassRule

_MOST_ROWS = 1_000_000_000
_UNPACKED = 2 * 1024**3
_MOST_FILES = 10_000
_FLOATS = {4: "<f", 8: "<d"}
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_MARGIN = 1e-4
"""Degrees, 10 m: boxes are float32."""
_POINTS = frozenset((1, 4))
_LINES = frozenset((2, 5))
_AREAS = frozenset((3, 6))


def read_overture(
    sources: Sequence[str],
    rules: Sequence[ClassRule],
    found: Found,
    *,
    width: float | None,
    points: bool,
    progress: Progress,
) -> None:
    """Collect the features of Overture's files.

    A tag's key is a column (subtype, class), or a key of `source_tags`, the tags of OpenStreetMap.

    Parameters
    ----------
    sources : paths of files or folders, or URLs of files
    width, points : as for `read_pbf`

    Raises
    ------
    InputError
        A file is missing, damaged or none of Overture's.
    """
    files = [file for source in sources for file in _files(source)]
    if len(files) > _MOST_FILES:
        raise InputError(f"{len(files):,} files; at most {_MOST_FILES:,} are read")
    take = _Take(rules, found, width, points)
    groups = read = 0
    for done, file in enumerate(files):
        progress(done, len(files))
        try:
            with _opened(file) as (table, remote):
                chosen = _Layout(table, rules, file).groups(found.area.bounds)
                groups, read = groups + len(table.groups), read + len(chosen)
                for index in chosen:
                    _read(table, remote, index, rules, file, take)
        except NetError as error:
            raise InputError(str(error)) from None
    found.flush()
    progress(len(files), len(files))
    found.notes.append(f"{read} of {groups} row groups in {len(files)} files were read")
    take.tell()


def _files(source: str) -> list[str]:
    if "://" in source:
        if not source.rpartition("/")[2]:
            raise InputError(f"{shown(source, 120)[1:-1]} is a folder on a server; expected URLs of files")
        return [source]
    path = Path(source)
    if not path.is_dir():
        return [source]
    held = sorted(str(file) for file in path.rglob("*.parquet") if file.is_file())
    if not held:
        raise InputError(f"{source} holds no .parquet file; expected files of Overture")
    return held


@contextmanager
def _opened(file: str) -> Iterator[tuple[ParquetTable, RemoteFile | None]]:
    if "://" not in file:
        path = Path(file)
        with open_parquet_bounded(path, what="Overture file", most_rows=_MOST_ROWS, most_bytes=_UNPACKED) as table:
            yield table, None
        return
    with open_remote(file) as remote:
        held: Any = remote
        yield parquet_table(file, held, remote.size, most_rows=_MOST_ROWS, most_bytes=_UNPACKED), remote


class _Layout:
    """Where a file keeps boxes and tags."""

    def __init__(self, table: ParquetTable, rules: Sequence[ClassRule], file: str) -> None:
        names = table.schema.names
        if "geometry" not in names or "bbox" not in names:
            raise InputError(
                f"{file} has columns {', '.join(map(str, names[:12]))}; expected geometry and bbox, as Overture writes "
                "them"
            )
        raw = (table.schema.metadata or {}).get(b"geo", b"{}")
        try:
            crs = json.loads(raw)["columns"]["geometry"].get("crs", {"id": {"code": 4326}})
            code = str((crs or {}).get("id", {}).get("code"))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            code = "4326"
        if code not in ("4326", "CRS84"):
            raise InputError(f"{file} is in CRS {shown(code, 20)}; expected degrees (OGC:CRS84)")
        self._table = table
        keys = keys_of(rules)
        self.keys = [key for key in keys if key in names]
        beside = [key for key in ("width_rules", "road_flags", "source_tags", "sources", "id") if key in names]
        if len(self.keys) < len(keys) and "source_tags" not in names:
            missing = ", ".join(key for key in keys if key not in names)
            raise InputError(
                f"{file} has no column {missing} and no source_tags; expected tags such as class=forest or subtype=road"
            )
        self.columns = [*dict.fromkeys([*self.keys, *beside, "geometry"])]

    def groups(self, bounds: tuple[float, float, float, float]) -> list[int]:
        """Row groups whose boxes meet the bounds; without statistics all."""
        west, south, east, north = bounds
        chosen = []
        for index, group in enumerate(self._table.groups):
            lows = {chunk.path: chunk for chunk in group.chunks}
            box = [_number(lows.get(f"bbox.{side}"), low=side in _SIDES[:2]) for side in _SIDES]
            # no statistics: NaN, which excludes nothing
            apart = (
                box[0] > east + _MARGIN
                or box[1] > north + _MARGIN
                or box[2] < west - _MARGIN
                or box[3] < south - _MARGIN
            )
            if group.rows and not apart:
                chosen.append(index)
        return chosen


def _number(chunk: Any, *, low: bool) -> float:
    data = None if chunk is None else chunk.low if low else chunk.high
    if data is None or len(data) not in _FLOATS:
        return float("nan")
    return float(struct.unpack(_FLOATS[len(data)], data)[0])


def _read(
    table: ParquetTable,
    remote: RemoteFile | None,
    index: int,
    rules: Sequence[ClassRule],
    file: str,
    take: _Take,
) -> None:
    layout = _Layout(table, rules, file)
    if remote is not None:
        wanted = [chunk for chunk in table.groups[index].chunks if chunk.path.split(".")[0] in layout.columns]
        remote.prefetch([chunk.start for chunk in wanted], [chunk.start + chunk.length for chunk in wanted])
    rows = table.read(layout.columns, groups=[index])
    take.rows(rows, layout.keys, Path(file))


class _Take:
    """Turns rows into features, and counts what is left out."""

    def __init__(self, rules: Sequence[ClassRule], found: Found, width: float | None, points: bool) -> None:
        self._rules, self._found, self._width, self._points = rules, found, width, points
        self._wanted = set(keys_of(rules))
        self.under = 0
        self.without: dict[str, int] = {}

    def rows(self, rows: Any, keys: Sequence[str], file: Path) -> None:
        names = rows.column_names
        held = {name: rows[name].to_pylist() for name in names if name not in ("geometry", "sources")}
        tags_of = held.get("source_tags")
        kind = next((part.removeprefix("type=") for part in file.parts if part.startswith("type=")), "feature")
        for row, wkb in enumerate(rows["geometry"].to_pylist()):
            if wkb is None or len(wkb) < 5:
                continue
            tags = {key: str(held[key][row]) for key in keys if held[key][row] is not None}
            own = dict(tags_of[row] or ()) if tags_of else {}
            tags = {**{key: str(value) for key, value in own.items() if value is not None}, **tags}
            match = class_of(self._rules, tags)
            if match is None:
                continue
            number, tag = match
            code = int.from_bytes(wkb[1:5], "little" if wkb[0] else "big") % 1000
            wide = float("nan")
            if code in _LINES:
                if _tunnel(held.get("road_flags", ()), row) or is_under_ground(tags):
                    self.under += 1
                    continue
                ruled = _ruled(held.get("width_rules", ()), row)
                known = {**tags, "highway": tags.get("class", "")} if "class" in tags else tags
                like = f"highway={tags['class']}" if tag.startswith(("class=", "subtype=")) and "class" in tags else tag
                if ruled is not None:
                    known = {**known, "width": f"{ruled:.4g}"}
                metres = width_of(known, like, self._rules[number].width, self._width)
                if metres is None:
                    self.without[tag] = self.without.get(tag, 0) + 1
                    continue
                wide = metres
            elif (code in _POINTS and not self._points) or code not in _POINTS | _AREAS:
                continue
            also = any(rule.match(tags) is not None for rule in self._rules[number + 1 :])
            name = held["id"][row] if "id" in held else None
            self._found.add(number, tag, kind, name, wide, wkb, also=also)
        if "sources" in names:
            self._datasets(rows["sources"])

    def _datasets(self, column: Any) -> None:
        import pyarrow.compute as pc

        flat = pc.list_flatten(column)
        for value in pc.unique(pc.struct_field(flat, "dataset")).to_pylist():
            if isinstance(value, str) and len(self._found.datasets) < 50:
                self._found.datasets.add(value)

    def tell(self) -> None:
        self._found.notes += lines_left_out(self.under, self.without)


def _ruled(rules: Sequence[Any], row: int) -> float | None:
    """The width of a segment that has one along all of it."""
    held = rules[row] if len(rules) else None
    if not isinstance(held, list) or len(held) != 1 or not isinstance(held[0], dict) or held[0].get("between"):
        return None
    value = held[0].get("value")
    return float(value) if isinstance(value, (int, float)) and np.isfinite(value) else None


def _tunnel(flags: Sequence[Any], row: int) -> bool:
    held = flags[row] if len(flags) else None
    return isinstance(held, list) and any(
        isinstance(flag, dict) and not flag.get("between") and "is_tunnel" in (flag.get("values") or ())
        for flag in held
    )
