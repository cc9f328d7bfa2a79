"""An area as Arrow record batches, one row a valid pixel, streamed block by block for DuckDB, Polars and pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import prefetched
from tessera.embeddings import STREAMS, is_valid
from tessera.geo import PIXEL_SIZE, Window, ZonePart, parse_area, to_lonlat
from tessera.shards import COUNTS, SCALES

from .query import parse_query

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from numpy.typing import NDArray

    from .query import Query, Readable

_BLOCK = 512
"""Side of what is read at a time, pixels: 34 MB of codes at 128 dims."""
_BATCH = 65_536
"""Rows of a batch: 8 MB of codes at 128 dims."""


def record_batches(store: Readable, area: object, year: object, dims: int | None) -> Any:
    """A pyarrow.RecordBatchReader; see `Store.arrow`."""
    import pyarrow as pa
    import shapely

    query = parse_query(store, year, dims)
    parts = [ZonePart(area.zone, shapely.box(*area.bounds))] if isinstance(area, Window) else parse_area(area).parts()
    if not any(part.zone in query.zones for part in parts):
        query.header.check_zone(parts[0].zone, query.root)
    fields: list[tuple[str, Any]] = [
        ("zone", pa.int16()),
        ("x", pa.float64()),
        ("y", pa.float64()),
        ("lon", pa.float64()),
        ("lat", pa.float64()),
        ("year", pa.int16()),
        ("codes", pa.list_(pa.int8(), query.dims)),
        ("scale", pa.float32()),
        *((name, pa.uint16()) for name in STREAMS),
    ]
    about = {"model": query.model.name, "model_sha256": query.model.sha256, "value": "codes x scale"}
    schema = pa.schema(fields, metadata=about)
    return pa.RecordBatchReader.from_batches(schema, _batches(query, parts, schema))


def _batches(query: Query, parts: list[ZonePart], schema: Any) -> Generator[Any, None, None]:
    """Batches of at most `_BATCH` rows; the next block is read by a thread meanwhile."""
    import pyarrow as pa

    blocks = prefetched(_read(query, parts))
    try:
        for columns in blocks:
            for start in range(0, len(columns["scale"]), _BATCH):
                rows = slice(start, start + _BATCH)
                arrays = [_arrow(columns[field.name][rows], field.type) for field in schema]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)
    finally:
        blocks.close()


def _read(query: Query, parts: list[ZonePart]) -> Iterator[dict[str, NDArray[Any]]]:
    for year, index in zip(query.years, query.indexes, strict=True):
        for part in parts:
            if part.zone not in query.zones:
                continue
            for block in _blocks(part.window):
                found = _pixels(query, part, block, index)
                if found is not None:
                    yield {**found, "year": np.full(len(found["scale"]), year, dtype=np.int16)}


def _blocks(window: Window) -> Iterator[Window]:
    """Squares of the lattice that cover a window, from north to south, and then from west to east."""
    top, left = -(-window.north // _BLOCK) * _BLOCK, window.west // _BLOCK * _BLOCK
    for north in range(top, window.south, -_BLOCK):
        for west in range(left, window.east, _BLOCK):
            block = Window(window.zone, west, north, _BLOCK, _BLOCK).intersection(window)
            if block is not None:
                yield block


def _pixels(query: Query, part: ZonePart, block: Window, index: int) -> dict[str, NDArray[Any]] | None:
    """The valid pixels of a block whose centre lies inside; None if there are none."""
    scales = query.scales(block, index)
    kept = is_valid(scales)
    if kept.any():
        kept &= part.mask(block)
    rows, cols = np.nonzero(kept)
    if not len(rows):
        return None
    window = Window(
        block.zone,
        block.west + int(cols.min()),
        block.north - int(rows.min()),
        int(np.ptp(cols)) + 1,
        int(np.ptp(rows)) + 1,
    )
    found = query.source.read_window(window, index, (query.spec, SCALES, COUNTS))
    inner = rows - rows.min(), cols - cols.min()
    x = (block.west + cols + 0.5) * PIXEL_SIZE
    y = (block.north - rows - 0.5) * PIXEL_SIZE
    lon, lat = to_lonlat(x, y, block.zone)
    counts = found[COUNTS.name][inner]
    return {
        "zone": np.full(len(rows), block.zone, dtype=np.int16),
        "x": x,
        "y": y,
        "lon": lon,
        "lat": lat,
        "codes": found[query.spec.name][..., : query.dims][inner],
        "scale": found[SCALES.name][inner],
        **{name: counts[:, number] for number, name in enumerate(STREAMS)},
    }


def _arrow(values: NDArray[Any], kind: Any) -> Any:
    import pyarrow as pa

    if values.ndim == 1:
        return pa.array(values, kind)
    flat = pa.array(np.ascontiguousarray(values).reshape(-1), pa.int8())
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
