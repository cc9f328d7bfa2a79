"""Read rows of a manifest, by path or URL, for an area and a year. All of it is checked before use."""

from __future__ import annotations

import io
import json
import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tessera.base import InputError, check_format, page_headers, row_groups, shown
from tessera.geo import EAST, NORTH, SOUTH, WEST, parse_area
from tessera.net import CorruptError, MissingError, OversizeError, join_ranges
from tessera.shards import parse_year

from ._records import is_key
from ._schema import FORMAT, MANIFEST, MULTIHASH, REPEATED, VERSION, array_names, schema

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow
    from numpy.typing import NDArray

    from tessera.base import Chunk, Group
    from tessera.store import Store

Told = TypeVar("Told")
FILE_LIMIT = 8 * 1024**3
"""Largest manifest, bytes: nine years of the planet take 5 GB."""
_FOOTER_LIMIT = 16 * 1024**2
READ_LIMIT = 512 * 1024**2
"""Most bytes that are read at once, and that they may unpack to."""
_ROW_LIMIT = 2_000_000
"""Most rows that are read at once: a year of the planet's land."""
_PAGE_LIMIT = 64 * 1024**2
_DICTIONARY_LIMIT = 128 * 1024
"""Largest dictionary page, bytes: columns of few values have one, and its values multiply."""
_BATCH = 1024
_RUN_GAP = 64 * 1024
"""Largest gap, bytes, between columns that are read in one request."""
_RUN_BYTES = 16 * 1024**2

COLUMNS = (
    *("id", "cell", "year", "zone", "west", "north", "size", "valid", "no_data", "not_written", "chunks"),
    *("intact", "partial", "model_sha256", "bbox", "assets"),
)
"""Columns that are read. Provenance and STAC columns are for other readers."""
_CHECKSUM = re.compile(MULTIHASH + "[0-9a-f]{64}")


@dataclass(frozen=True)
class Manifest:
    """Rows of a manifest.

    Attributes
    ----------
    where : path or URL
    table : the columns `COLUMNS`, a row per cell and year, sorted by year, zone, north to south, west to east
    """

    where: str
    table: pyarrow.Table

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def column(self, name: str) -> NDArray[Any]:
        """A column of numbers as an array."""
        return np.asarray(self.table[name].to_numpy())


def read_manifest(store: Store, area: object = None, year: int | None = None) -> Manifest:
    """Read the rows of a year whose bbox meets that of an area.

    Only row groups that can hold them are fetched, by byte range. At most 512 MB are fetched and unpacked, and every
    row must fit the store.

    Parameters
    ----------
    area : anything that `tessera.geo.parse_area` reads; None for all rows
    year : None for all years

    Raises
    ------
    InputError
        There is no manifest, it belongs to another store, or a row has impossible values.
    OversizeError
        Too many rows to read at once: give an area or a year.
    CorruptError
        It is truncated, or no Parquet file.
    NetError
        The network or the server failed.
    """
    import pyarrow as pa

    where = f"{store.objects.root}/{MANIFEST}"
    boxes = _boxes(area)
    wanted = None if year is None else parse_year(year)
    try:
        table = _read(store, where, boxes, wanted)
    except MissingError:
        raise InputError(f"{store.objects.root} has no {MANIFEST}; tessera store catalogue writes it") from None
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        reason = str(error).strip().partition("\n")[0][:200]
        raise CorruptError(f"{where} cannot be read as Parquet: {reason}") from None
    _check(store, table, where)
    return Manifest(where, table.filter(_meets(table, boxes, wanted)))


def _boxes(area: object) -> NDArray[np.float64] | None:
    """(N, 4) west, south, east, north of an area's polygons."""
    import shapely

    if area is None:
        return None
    parsed = parse_area(area)
    return np.asarray(shapely.bounds(shapely.get_parts(parsed.geometry)), dtype=np.float64).reshape(-1, 4)


def _read(store: Store, where: str, boxes: NDArray[np.float64] | None, year: int | None) -> pyarrow.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    objects = store.objects
    end = objects.edge(MANIFEST, 8, at_end=True)
    if end is None or end.data[4:] != b"PAR1":
        raise CorruptError(f"{where} does not end as a Parquet file does; it is truncated, or something else")
    length, size = int.from_bytes(end.data[:4], "little"), end.size
    if size > FILE_LIMIT or not 0 < length <= min(_FOOTER_LIMIT, size - 12):
        raise OversizeError(f"{where} has {size} bytes and a footer of {length}; expected at most {_FOOTER_LIMIT}")
    footer = objects.range(MANIFEST, size - 8 - length, size - 8, etag=end.etag)
    limits = {"thrift_string_size_limit": _FOOTER_LIMIT, "thrift_container_size_limit": 200_000}
    about = pq.ParquetFile(pa.BufferReader(b"PAR1" + footer + end.data), **limits).metadata
    found = about.schema.to_arrow_schema()
    _check_schema(store, found, about.metadata or {}, where)
    columns = [name for name in COLUMNS if name in found.names]
    # pyarrow ends the process on a column whose statistics are damaged
    told = _told(row_groups, footer, where)
    groups = [number for number, group in enumerate(told) if group.rows and _may_hold(group, boxes, year)]
    rows = sum(told[number].rows for number in groups)
    if rows > _ROW_LIMIT:
        raise OversizeError(f"{where} has {rows} rows to read; at most {_ROW_LIMIT} are read at once: give an area")
    kept = pa.schema([found.field(name) for name in columns])
    if not groups:
        return kept.empty_table()
    spans = [
        (chunk.start, chunk.length, chunk.path, told[number].rows)
        for number in groups
        for chunk in told[number].chunks
        if chunk.path.partition(".")[0] in columns
    ]
    source = _Segments(size, _fetch(store, where, spans, size - 8 - length, end.etag))
    _check_pages(source, spans, where)
    file = pq.ParquetFile(
        pa.PythonFile(source, mode="r"), metadata=about, pre_buffer=False, page_checksum_verification=True, **limits
    )
    batches, held = [], 0
    for batch in file.iter_batches(_BATCH, row_groups=groups, columns=columns, use_threads=False):
        batches.append(batch)
        held += batch.nbytes
        if held > READ_LIMIT:
            raise OversizeError(f"{where} unpacks to more than {READ_LIMIT} bytes; at most that many are read")
    return pa.Table.from_batches(batches, schema=batches[0].schema if batches else kept).select(columns)


def _check_schema(store: Store, found: pyarrow.Schema, said: dict[bytes, bytes], where: str) -> None:
    try:
        own = json.loads(said.get(b"tessera", b"{}"))
    except (ValueError, RecursionError):
        own = None
    check_format(own if isinstance(own, dict) else {}, FORMAT, VERSION, where)
    expected = schema(array_names(store))
    for name in COLUMNS:
        if name not in found.names or not found.field(name).type.equals(expected.field(name).type):
            kind = found.field(name).type if name in found.names else "missing"
            raise InputError(
                f"{where}: column {name} is {str(kind)[:80]}; expected {str(expected.field(name).type)[:80]}"
            )
    if found.names.count("year") != 1 or len(set(found.names)) != len(found.names):
        raise InputError(f"{where} has a column twice; expected each once")


def _told(read: Callable[[bytes, str], list[Told]], data: bytes, name: str) -> list[Told]:
    try:
        return read(data, name)
    except InputError as error:
        raise CorruptError(str(error)) from None


def _ends(chunk: Chunk, form: str) -> tuple[Any, Any] | None:
    """Least and greatest value of a column, None if unknown."""
    size = struct.calcsize(form)
    if chunk.low is None or chunk.high is None or len(chunk.low) != size or len(chunk.high) != size:
        return None
    return struct.unpack(form, chunk.low)[0], struct.unpack(form, chunk.high)[0]


def _may_hold(group: Group, boxes: NDArray[np.float64] | None, year: int | None) -> bool:
    """Whether a row group may hold a wanted row, by its statistics."""
    ends: dict[str, tuple[Any, Any]] = {}
    for chunk in group.chunks:
        # int16 is stored as int32
        form = "<i" if chunk.path == "year" else "<d" if chunk.path.startswith("bbox.") else ""
        found = _ends(chunk, form) if form else None
        if found is not None:
            ends[chunk.path] = found
    if year is not None and "year" in ends and not ends["year"][0] <= year <= ends["year"][1]:
        return False
    if boxes is None or not {f"bbox.{side}" for side in ("xmin", "ymin", "xmax", "ymax")} <= set(ends):
        return True
    west, south = ends["bbox.xmin"][0], ends["bbox.ymin"][0]
    east, north = ends["bbox.xmax"][1], ends["bbox.ymax"][1]
    return bool(((boxes[:, 0] <= east) & (boxes[:, 2] >= west) & (boxes[:, 1] <= north) & (boxes[:, 3] >= south)).any())


def _fetch(
    store: Store, where: str, spans: list[tuple[int, int, str, int]], end: int, etag: str | None
) -> dict[int, bytes]:
    """Fetch columns, neighbours in one request: start -> bytes."""
    total = 0
    for start, length, name, _ in sorted(spans):
        if start < 4 or length < 1 or start + length > end:
            raise CorruptError(f"{where}: column {name} lies at {start} to {start + length}; expected 4 to {end}")
        total += length
    if total > READ_LIMIT:
        raise OversizeError(f"{where} has {total} bytes to read; at most {READ_LIMIT} are read at once: give an area")
    starts, lengths = np.array([span[:2] for span in spans], dtype=np.int64).reshape(-1, 2).T
    runs = join_ranges(starts, starts + lengths, gap=_RUN_GAP, limit=_RUN_BYTES, disjoint=True)
    return {run.start: store.objects.range(MANIFEST, run.start, run.stop, etag=etag) for run in runs}


def _check_pages(source: _Segments, spans: list[tuple[int, int, str, int]], where: str) -> None:
    unpacked = 0
    for start, length, path, rows in spans:
        name = f"{where}: column {shown(path)}"
        values = 0
        for page in _told(page_headers, source.part(start, length), name):
            unpacked += page.unpacked
            if page.dictionary and (path not in REPEATED or page.unpacked > _DICTIONARY_LIMIT):
                raise OversizeError(f"{name} has a dictionary of {page.unpacked} bytes; expected none, or a small one")
            if page.unpacked > _PAGE_LIMIT or unpacked > READ_LIMIT:
                raise OversizeError(f"{name} unpacks to {page.unpacked} bytes; {READ_LIMIT} in all are read at most")
            values += 0 if page.dictionary else page.values
        if values != rows and ".list" not in path:
            raise CorruptError(f"{name} has {values} values in {rows} rows")
        if values > 16 * rows:
            raise OversizeError(f"{name} has {values} values in {rows} rows; expected a few each")


class _Segments(io.RawIOBase):
    """A file of which only the fetched bytes can be read."""

    def __init__(self, size: int, parts: dict[int, bytes]) -> None:
        self._size, self._parts = size, sorted(parts.items())
        self._at = 0

    def part(self, start: int, length: int) -> bytes:
        """Some bytes of the file."""
        for begin, data in self._parts:
            if begin <= start and start + length <= begin + len(data):
                return data[start - begin : start - begin + length]
        raise OSError(f"bytes {start} to {start + length} are not part of what its footer names")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def size(self) -> int:
        """Size of the whole file, bytes."""
        return self._size

    def read(self, size: int = -1) -> bytes:
        data = self.part(self._at, self._size - self._at if size < 0 else size)
        self._at += len(data)
        return data


def _check(store: Store, table: pyarrow.Table, where: str) -> None:
    """Refuse rows that do not fit the store."""
    layout = store.layout
    number = {
        name: np.asarray(table[name].to_numpy(), dtype=np.float64)
        for name in ("year", "zone", "west", "north", "size", "valid", "no_data", "not_written")
    }
    side = layout.shard
    pixels = number["valid"], number["no_data"], number["not_written"]
    rules = {
        f"size {side}": number["size"] == side,
        "a zone of the store": np.isin(number["zone"], store.zones),
        "a year of the store": np.isin(number["year"], store.years),
        "a window on the lattice": (number["west"] >= WEST)
        & (number["west"] + side <= EAST)
        & (number["north"] - side >= SOUTH)
        & (number["north"] <= NORTH)
        & ((number["west"] - WEST) % side == 0)
        & ((NORTH - number["north"]) % side == 0),
        f"{side**2} pixels": (np.minimum.reduce(pixels) >= 0) & (sum(pixels) == side**2),
        "whole bbox": np.isfinite(_box_of(table)).all(axis=1),
    }
    for rule, good in rules.items():
        if not np.all(good):
            row = int(np.flatnonzero(~np.asarray(good))[0])
            raise InputError(f"{where}: row {row} is {_row_name(table, row)}; expected {rule}")
    length = (layout.side**2 + 7) // 8
    for row, chunks in enumerate(table["chunks"].to_pylist()):
        if chunks is None or len(chunks) != length:
            raise InputError(f"{where}: row {row} has a bitmap of another length; expected {length} bytes")
    for name in array_names(store):
        for row, asset in enumerate(_assets(table, name)):
            if asset is None:
                continue
            key, size, digest = asset
            if key is None or not is_key(key):
                raise InputError(f"{where}: row {row} names the object {str(key)[:80]!r}; expected a key in the store")
            if size is None or size < 0 or digest is None or _CHECKSUM.fullmatch(digest) is None:
                raise InputError(f"{where}: row {row}, {name}: no size or no SHA-256")


def _assets(table: pyarrow.Table, name: str) -> list[tuple[str | None, int | None, str | None] | None]:
    import pyarrow.compute as pc

    held = pc.struct_field(table["assets"], name)
    fields = [pc.struct_field(held, field).to_pylist() for field in ("href", "file:size", "file:checksum")]
    there = pc.is_valid(held).to_pylist()
    return [values if good else None for good, values in zip(there, zip(*fields, strict=True), strict=True)]


def _row_name(table: pyarrow.Table, row: int) -> str:
    values = {name: table[name][row].as_py() for name in ("year", "zone", "west", "north", "valid")}
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _box_of(table: pyarrow.Table) -> NDArray[np.float64]:
    import pyarrow.compute as pc

    sides = [pc.struct_field(table["bbox"], side) for side in ("xmin", "ymin", "xmax", "ymax")]
    return np.stack([np.asarray(side.to_numpy(), dtype=np.float64) for side in sides], axis=1)


def _meets(table: pyarrow.Table, boxes: NDArray[np.float64] | None, year: int | None) -> pyarrow.Array:
    import pyarrow as pa

    good = np.ones(table.num_rows, dtype=np.bool_)
    if year is not None:
        good &= np.asarray(table["year"].to_numpy()) == year
    if boxes is not None:
        own = _box_of(table)
        hit = np.zeros(len(own), dtype=np.bool_)
        for west, south, east, north in boxes:
            hit |= (own[:, 0] <= east) & (own[:, 2] >= west) & (own[:, 1] <= north) & (own[:, 3] >= south)
        good &= hit
    return pa.array(good)
