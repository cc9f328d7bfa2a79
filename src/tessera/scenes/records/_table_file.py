"""A table of scenes as GeoParquet 1.1: columns, bytes, and safe reading of untrusted files."""

from __future__ import annotations

import datetime as dt
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, check_format, page_headers, raise_if_machine, read_regular, row_groups, shown
from tessera.net import CorruptError

from .check import BANDS, SCENES_LIMIT
from .footprints import outline_of
from .scene import Asset, Scene

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pyarrow

    from tessera.base import Group

FORMAT = "tessera-scenes"
VERSION = 1
_FILE_LIMIT = 256 * 1024**2
"""Bytes of a file: a scene takes about 100."""
_FOOTER_LIMIT = 8 * 1024**2
_UNPACKED_LIMIT = 2 * 1024**3
"""Bytes of all columns: a scene takes about 2,000."""
_PAGE_LIMIT = 64 * 1024**2
_PLAIN = 0
"""PLAIN encoding: with any other, a page may unpack to more values than its bytes hold."""
_GROUP_ROWS = 4096
_PAGE_ROWS = 64
"""Scenes after which a page may end, so that no page exceeds the limit: the largest outline takes 420 kB."""
_BATCH_ROWS = 256
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_TEXTS = {
    "s2:processing_baseline": "baseline",
    "sat:orbit_state": "orbit",
    "platform": "platform",
    "s2:datatake_id": "datatake",
    "tile": "tile",
}
"""Column -> field of a scene; the value is "" where the scene has none."""


def _schema() -> pyarrow.Schema:
    import pyarrow as pa

    def required(name: str, kind: Any) -> pyarrow.Field:
        return pa.field(name, kind, nullable=False)

    asset = pa.struct([required("href", pa.string()), required("offset", pa.bool_())])
    return pa.schema(
        [
            required("id", pa.string()),
            required("collection", pa.string()),
            required("source", pa.string()),
            required("datetime", pa.timestamp("us", tz="UTC")),
            required("geometry", pa.binary()),
            required("bbox", pa.struct([required(side, pa.float64()) for side in _SIDES])),
            required("footprint", pa.binary()),
            pa.field("eo:cloud_cover", pa.float64()),
            *(required(name, pa.string()) for name in _TEXTS),
            required("assets", pa.struct([pa.field(band, asset) for band in BANDS])),
            required("position", pa.int64()),
        ]
    )


def encode(scenes: tuple[Scene, ...], query: Mapping[str, Any], left_out: Mapping[str, int], sha256: str) -> bytes:
    """The bytes of a file."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import shapely

    outlines = np.array([_outline(scene.footprint) for scene in scenes], dtype=object)
    boxes = np.asarray(shapely.bounds(outlines), dtype=np.float64).reshape(-1, 4)
    corners = [shapely.multipoints(np.array(scene.footprint, dtype=np.float64)) for scene in scenes]
    rows = [
        {
            "id": scene.id,
            "collection": scene.collection,
            "source": scene.source,
            "datetime": scene.moment,
            "geometry": shapely.to_wkb(outline, byte_order=1),
            "bbox": dict(zip(_SIDES, box, strict=True)),
            "footprint": shapely.to_wkb(points, byte_order=1),
            "eo:cloud_cover": None if scene.cloud_cover is None else float(scene.cloud_cover),
            **{name: getattr(scene, of) for name, of in _TEXTS.items()},
            "assets": {
                band: {"href": asset.href, "offset": asset.offset} for band, asset in sorted(scene.assets.items())
            },
            "position": scene.position,
        }
        for scene, outline, box, points in zip(scenes, outlines, boxes.tolist(), corners, strict=True)
    ]
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": sorted({outline.geom_type for outline in outlines}),
        "edges": "planar",
        "covering": {"bbox": {side: ["bbox", side] for side in _SIDES}},
    }
    if rows:
        column["bbox"] = [*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()]
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    own = {
        "format": FORMAT,
        "version": VERSION,
        "query": query,
        "left_out": left_out,
        "scenes": len(scenes),
        "sha256": sha256,
    }
    schema = _schema().with_metadata(
        {"geo": json.dumps(geo, sort_keys=True), "tessera": json.dumps(own, sort_keys=True)}
    )
    written = pa.Table.from_pylist(rows, schema=schema)
    if written.nbytes > _UNPACKED_LIMIT:
        raise InputError(
            f"{len(scenes)} scenes of {written.nbytes} bytes; expected at most {_UNPACKED_LIMIT} in a table"
        )
    sink = pa.BufferOutputStream()
    pq.write_table(
        written,
        sink,
        row_group_size=_GROUP_ROWS,
        write_batch_size=_PAGE_ROWS,
        compression="zstd",
        compression_level=9,
        use_dictionary=False,
        write_page_checksum=True,
    )
    data = bytes(sink.getvalue().to_pybytes())
    if len(data) > _FILE_LIMIT:
        raise InputError(f"{len(scenes)} scenes take {len(data)} bytes; expected at most {_FILE_LIMIT} in a table")
    return data


def _outline(footprint: tuple[tuple[float, float], ...]) -> Any:
    """The polygon through the corners, else their convex hull; in two parts where it crosses the date line."""
    import shapely
    from shapely.affinity import translate

    shape = outline_of(footprint)
    if shape.bounds[2] <= 180.0:
        return shape
    world, kind = shapely.box(-180, -90, 180, 90), shapely.get_dimensions(shape)
    parts = [part for turn in (0, -360) for part in shapely.get_parts(translate(shape, turn).intersection(world))]
    # a shape that only touches the date line has no part beyond it
    return shapely.union_all([part for part in parts if shapely.get_dimensions(part) == kind] or parts)


def decode(path: Path) -> tuple[tuple[Scene, ...], dict[str, Any]]:
    """Unchecked scenes and the file's metadata; see `read_scenes`."""
    import pyarrow as pa

    try:
        data = read_regular(path, what="table of scenes", limit=_FILE_LIMIT)
    except FileNotFoundError:
        raise InputError(f"table of scenes not found: {path}") from None
    except OSError as error:
        raise_if_machine(error, path)
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    footer = int.from_bytes(data[-8:-4], "little")
    if len(data) < 12 or data[:4] != b"PAR1" or data[-4:] != b"PAR1" or not 0 < footer <= len(data) - 12:
        raise InputError(f"{path} does not begin and end as a Parquet file does; it is truncated, or something else")
    if footer > _FOOTER_LIMIT:
        raise InputError(f"{path} has a footer of {footer} bytes; a table of scenes has at most {_FOOTER_LIMIT}")
    try:
        own, table = _unpack(data, data[-8 - footer : -8])
        return tuple(_scene(row) for row in table.to_pylist()), own
    except (InputError, CorruptError) as error:
        raise InputError(f"{path}: {error}") from None
    except (pa.ArrowException, OSError, ValueError, OverflowError, TypeError, KeyError, MemoryError) as error:
        raise_if_machine(error, path)
        reason = str(error).strip().partition("\n")[0][:160]
        raise InputError(f"{path} cannot be read as a table of scenes: {reason}") from None


def _unpack(data: bytes, footer: bytes) -> tuple[dict[str, Any], pyarrow.Table]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(
        io.BytesIO(data),
        page_checksum_verification=True,
        thrift_string_size_limit=_FOOTER_LIMIT,
        thrift_container_size_limit=200_000,
    )
    own = _own((file.metadata.metadata or {}).get(b"tessera"))
    found, expected = file.schema_arrow, _schema()
    for column in expected:
        if found.names.count(column.name) != 1:
            raise InputError(f"column {column.name} is missing or twice; expected it once")
        if not found.field(column.name).type.equals(column.type):
            kind = str(found.field(column.name).type)[:80]
            raise InputError(f"column {column.name} is {kind}; expected {str(column.type)[:80]}")
    rows = file.metadata.num_rows
    if not 0 <= rows <= SCENES_LIMIT:
        raise InputError(f"it claims {rows} scenes; a table has at most {SCENES_LIMIT}")
    # pyarrow aborts the process when it reads a column with damaged statistics
    _check_pages(data, row_groups(footer, "its footer"))
    batches, held, count = [], 0, 0
    for batch in file.iter_batches(_BATCH_ROWS, columns=expected.names, use_threads=False):
        batches.append(batch)
        held, count = held + batch.nbytes, count + batch.num_rows
        if held > _UNPACKED_LIMIT or count > SCENES_LIMIT:
            raise InputError(f"it unpacks to more than {_UNPACKED_LIMIT} bytes or {SCENES_LIMIT} scenes")
    if count != rows or own.get("scenes") != count:
        raise InputError(f"it has {count} scenes; its metadata say {own.get('scenes')!r}")
    return own, pa.Table.from_batches(batches, found).select(expected.names)


def _check_pages(data: bytes, groups: list[Group]) -> None:
    """Refuse columns that would unpack to too much, by their page headers; sizes in the footer are not trusted."""
    unpacked = 0
    for group in (group for group in groups if group.rows):
        for column in group.chunks:
            name = f"column {shown(column.path)}"
            start, length = column.start, column.length
            if start < 4 or length < 1 or start + length > len(data) or column.dictionary:
                raise InputError(
                    f"{name} lies at {start} to {start + length} or has a dictionary; expected plain pages"
                )
            values = 0
            for page in page_headers(data[start : start + length], name):
                values, unpacked = values + page.values, unpacked + page.unpacked
                if page.dictionary or page.encoding != _PLAIN:
                    raise InputError(f"{name} has a page of encoding {page.encoding}; expected plain pages")
                if page.unpacked > _PAGE_LIMIT or unpacked > _UNPACKED_LIMIT:
                    raise InputError(f"{name} unpacks to {page.unpacked} bytes, all to {unpacked}; expected less")
            if values != group.rows:
                raise InputError(f"{name} has {values} values in {group.rows} rows")


def _own(raw: bytes | None) -> dict[str, Any]:
    if raw is None:
        raise InputError("this is Parquet, but no table of scenes (it lacks the metadata `tessera`)")
    try:
        own = json.loads(raw)
    except (ValueError, RecursionError):
        own = None
    if not isinstance(own, dict) or own.get("format") != FORMAT:
        raise InputError("this is Parquet, but no table of scenes")
    check_format(own, FORMAT, VERSION, "this table of scenes")
    return own


def _scene(row: dict[str, Any]) -> Scene:
    import shapely

    name = row["id"]
    for column, value in row.items():
        if value is None and column != "eo:cloud_cover":
            raise InputError(f"scene {name}: {column} is null; expected a value")
    try:
        points = shapely.get_coordinates(shapely.from_wkb(row["footprint"]))
    except shapely.errors.ShapelyError:
        raise InputError(f"scene {name}: footprint is no WKB") from None
    return Scene(
        id=name,
        collection=row["collection"],
        source=row["source"],
        moment=row["datetime"].astimezone(dt.UTC),
        footprint=tuple((lon, lat) for lon, lat in points.tolist()),
        cloud_cover=row["eo:cloud_cover"],
        **{of: row[column] for column, of in _TEXTS.items()},
        assets={
            band: Asset(asset["href"], asset["offset"]) for band, asset in row["assets"].items() if asset is not None
        },
        position=row["position"],
    )
