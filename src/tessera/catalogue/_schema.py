"""The manifest's columns and bytes: GeoParquet 1.1 whose rows are STAC items.

Columns have the names of a STAC item where it has such a field, so that the file mirrors the collection.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow

    from tessera.store import Store

MANIFEST = "manifest.parquet"
"""Key of the manifest in a store."""
FORMAT = "tessera-manifest"
VERSION = 1
COLLECTION = "stac/collection.json"
"""Key of the STAC collection."""
STAC_VERSION = "1.1.0"
FILE_EXTENSION = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
PROJECTION_EXTENSION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
EXTENSIONS = (FILE_EXTENSION, PROJECTION_EXTENSION)
MULTIHASH = "1220"
"""Start of a multihash of SHA-256: code 0x12, 0x20 bytes."""
SHARD_TYPE = "application/octet-stream"
_GROUP_ROWS = 2048
"""Rows of a row group: about 30 cells of a zone's height, so that a bbox leaves most groups out."""
_MOST_GROUPS = 256
"""Most row groups: each adds some 5 kB to the footer."""
_BATCH_ROWS = 64
"""Values between two checks of a page's size; few, since provenance is long."""


def array_names(store: Store) -> tuple[str, ...]:
    """Names of a store's arrays, sorted."""
    return tuple(sorted(spec.name for spec in store.layout.arrays))


def schema(arrays: tuple[str, ...]) -> pyarrow.Schema:
    """The columns of a manifest; `assets` has a field for each array."""
    import pyarrow as pa

    text, whole = pa.string(), pa.int32()
    moment = pa.timestamp("ms", tz="UTC")
    asset = pa.struct(
        [
            ("href", text),
            ("type", text),
            ("roles", pa.list_(text)),
            ("file:size", pa.int64()),
            ("file:checksum", text),
        ]
    )
    part = pa.struct(
        [
            ("west", whole),
            ("north", whole),
            ("width", whole),
            ("height", whole),
            ("intact", pa.bool_()),
            ("inputs_sha256", text),
            ("statistics_sha256", text),
            ("scenes_found", whole),
            ("scenes_used", whole),
            ("scenes_lost", whole),
            ("provenance", text),
        ]
    )
    return pa.schema(
        [
            ("id", text),
            ("collection", text),
            ("stac_version", text),
            ("stac_extensions", pa.list_(text)),
            ("geometry", pa.binary()),
            ("bbox", pa.struct([(name, pa.float64()) for name in ("xmin", "ymin", "xmax", "ymax")])),
            ("links", pa.list_(pa.struct([("href", text), ("rel", text), ("type", text)]))),
            ("assets", pa.struct([(name, asset) for name in arrays])),
            ("datetime", moment),
            ("start_datetime", moment),
            ("end_datetime", moment),
            ("proj:code", text),
            ("proj:shape", pa.list_(whole)),
            ("proj:transform", pa.list_(pa.float64())),
            ("cell", text),
            ("year", pa.int16()),
            ("zone", pa.int16()),
            ("west", whole),
            ("north", whole),
            ("size", whole),
            ("valid", whole),
            ("no_data", whole),
            ("not_written", whole),
            ("chunks", pa.binary()),
            ("intact", pa.bool_()),
            ("partial", pa.bool_()),
            ("model", text),
            ("model_sha256", text),
            ("software", text),
            ("inputs_sha256", pa.list_(text)),
            ("statistics_sha256", pa.list_(text)),
            ("scenes_found", whole),
            ("scenes_used", whole),
            ("scenes_lost", whole),
            ("s2_dates", whole),
            ("s1_ascending_dates", whole),
            ("s1_descending_dates", whole),
            ("first_date", pa.date32()),
            ("last_date", pa.date32()),
            ("parts", pa.list_(part)),
            ("record_bytes", pa.int64()),
            ("record_sha256", text),
        ]
    )


PIXEL_COLUMNS = ("year", "zone", "west", "north", "size", "valid", "no_data", "not_written", "chunks", "bbox")
"""The columns that coverage needs."""
REPEATED = (
    *("collection", "stac_version", "stac_extensions.list.element", "proj:code", "model", "model_sha256", "software"),
    *("links.list.element.href", "links.list.element.rel", "links.list.element.type"),
    *("year", "zone", "west", "north", "size", "start_datetime", "end_datetime"),
)
"""Columns of few values, stored with a dictionary."""
_FILTERED = ("year", "zone", "bbox.xmin", "bbox.ymin", "bbox.xmax", "bbox.ymax")
"""Columns with statistics in each row group."""


def metadata(store: Store, table: pyarrow.Table) -> dict[bytes, bytes]:
    """Metadata of the file: `geo` of GeoParquet, and `tessera` about the store."""
    import pyarrow.compute as pc

    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": _geometry_types(table),
        "orientation": "counterclockwise",
        "edges": "planar",
        "covering": {"bbox": {name: ["bbox", name] for name in ("xmin", "ymin", "xmax", "ymax")}},
    }
    if table.num_rows:
        sides = (("xmin", pc.min), ("ymin", pc.min), ("xmax", pc.max), ("ymax", pc.max))
        column["bbox"] = [end(pc.struct_field(table["bbox"], name)).as_py() for name, end in sides]
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    own = {
        "format": FORMAT,
        "version": VERSION,
        "model_sha256": store.model.sha256,
        "size": store.layout.shard,
        "chunk": store.layout.chunk,
    }
    return {b"geo": json.dumps(geo).encode(), b"tessera": json.dumps(own).encode()}


def _geometry_types(table: pyarrow.Table) -> list[str]:
    import pyarrow.compute as pc

    # bytes 1 to 4 of WKB: 3 polygon, 6 multipolygon, little-endian
    kinds = pc.unique(pc.binary_slice(table["geometry"], 1, 2)).to_pylist()
    return [name for code, name in ((b"\x03", "Polygon"), (b"\x06", "MultiPolygon")) if code in kinds]


def encode(store: Store, table: pyarrow.Table) -> bytes:
    """The bytes of a manifest: the same rows give the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    rows = max(_GROUP_ROWS, -(-table.num_rows // _MOST_GROUPS))
    pq.write_table(
        table.replace_schema_metadata(metadata(store, table)),
        sink,
        row_group_size=rows,
        compression="zstd",
        compression_level=6,
        use_dictionary=list(REPEATED),
        write_statistics=list(_FILTERED),
        write_batch_size=_BATCH_ROWS,
        write_page_checksum=True,
    )
    data: bytes = sink.getvalue().to_pybytes()
    return data
