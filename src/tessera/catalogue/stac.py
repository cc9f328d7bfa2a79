"""The STAC catalogue of a store: a collection, a catalogue for each year and zone, an item for each cell.

It is made from the commit records. Items are small JSON files, for browsers and crawlers. The manifest, an asset of the
collection, holds the same items in Parquet and is faster for many cells.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tessera.base import Folder, TesseraError, silent, staging, sync_folder
from tessera.geo import PIXEL_SIZE, box_around
from tessera.store import open_store

from ._records import collection_id
from ._schema import COLLECTION, EXTENSIONS, FILE_EXTENSION, MANIFEST, STAC_VERSION, array_names
from .manifest import gather, local_folder, work_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow

    from tessera.base import Progress
    from tessera.store import Store

_PARQUET = "application/vnd.apache.parquet"
_JSON, _GEOJSON = "application/json", "application/geo+json"
_BLOCK = 2048


@dataclass(frozen=True)
class StacWritten:
    """Result of `write_stac`.

    Attributes
    ----------
    path : the collection
    items : number of items
    changed : files that were written or removed; the others were up to date
    left_out : a message for each record that cannot be read
    """

    path: Path
    items: int
    changed: int
    left_out: tuple[str, ...]


def write_stac(store: Store, *, progress: Progress = silent) -> StacWritten:
    """Write `stac/collection.json`, `stac/<year>/<zone>/catalog.json` and `stac/<year>/<zone>/<cell>.json`.

    Only files that change are written; items of cells that are gone are removed. Items are written before the
    catalogues that link to them, so a killed run leaves no broken link.

    Parameters
    ----------
    progress : called with items done and their total

    Raises
    ------
    InputError
        A store by URL.
    TesseraError
        The disk is full or refuses.
    """
    folder = local_folder(store, "STAC")
    door = Folder(folder)
    root = door.inner("stac")
    door.check("stac")
    with door.lock(work_folder(store) / "stac.lock"):
        gathered = gather(store)
        store = open_store(folder)
        try:
            changed = _write(door, root, _items(store, gathered.table, progress))
            catalogues = dict(_catalogues(store, gathered.table))
            changed += _write(door, root, iter(sorted(catalogues.items(), key=lambda pair: -pair[0].count("/"))))
            changed += _remove_others(door, root, gathered.table, catalogues)
        except OSError as error:
            raise TesseraError(f"{root} is not complete ({error.strerror}); run the same command again") from None
    return StacWritten(folder / COLLECTION, gathered.table.num_rows, changed, gathered.left_out)


def _write(door: Folder, root: Path, files: Iterator[tuple[str, bytes]]) -> int:
    """Write files block by block; all of a block are on disk before the first gets its name."""
    changed = 0
    block: list[tuple[str, bytes]] = []

    def flush() -> None:
        nonlocal changed
        if not block:
            return
        parents = {door.make((root / key).parent) for key, _ in block}
        with staging(root / "new") as part:
            for number, (_, data) in enumerate(block):
                with (part / str(number)).open("wb") as file:
                    file.write(data)
            os.sync()
            for number, (key, _) in enumerate(block):
                (part / str(number)).replace(root / key)
        for parent in parents:
            sync_folder(parent)
        changed += len(block)
        block.clear()

    for key, data in files:
        if not door.holds(root / key, data):
            block.append((key, data))
        if len(block) == _BLOCK:
            flush()
    flush()
    return changed


def _remove_others(door: Folder, root: Path, table: pyarrow.Table, catalogues: dict[str, bytes]) -> int:
    """Remove items and catalogues of cells that are gone, and no other files."""
    zones = zip(table["year"].to_pylist(), table["zone"].to_pylist(), table["cell"].to_pylist(), strict=True)
    right = {f"{year}/utm{zone:02d}/{cell}.json" for year, zone, cell in zones} | set(catalogues)
    gone = 0
    for pattern in ("[0-9]*/utm*/utm*.json", "[0-9]*/utm*/catalog.json", "[0-9]*/catalog.json"):
        for path in list(root.glob(pattern)):
            if path.relative_to(root).as_posix() not in right:
                door.remove(path)
                gone += 1
                if not any(path.parent.iterdir()):
                    path.parent.rmdir()
    return gone


def _dump(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _link(rel: str, href: str, kind: str = _JSON) -> dict[str, str]:
    return {"rel": rel, "href": href, "type": kind}


def _items(store: Store, table: pyarrow.Table, progress: Progress) -> Iterator[tuple[str, bytes]]:
    total = table.num_rows
    for start in range(0, total, _BLOCK):
        for row in table.slice(start, _BLOCK).to_pylist():
            yield f"{row['year']}/utm{row['zone']:02d}/{row['cell']}.json", _dump(_item(store, row))
        progress(min(start + _BLOCK, total), total)


def _item(store: Store, row: dict[str, Any]) -> dict[str, Any]:
    import shapely

    shape = shapely.from_wkb(row["geometry"])
    up = "../../.."
    left, top = row["west"] * PIXEL_SIZE, row["north"] * PIXEL_SIZE
    side = row["size"] * PIXEL_SIZE
    counts = {name: row[name] for name in ("valid", "no_data", "not_written", "intact", "partial")}
    optional = (
        *("software", "inputs_sha256", "statistics_sha256", "scenes_found", "scenes_used", "scenes_lost"),
        *("s2_dates", "s1_ascending_dates", "s1_descending_dates"),
    )
    return {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": list(EXTENSIONS),
        "id": row["id"],
        "collection": row["collection"],
        "geometry": shapely.geometry.mapping(shape),
        "bbox": list(_geojson_box(shape)),
        "properties": {
            "datetime": None,
            "start_datetime": _moment(row["start_datetime"]),
            "end_datetime": _moment(row["end_datetime"]),
            "gsd": PIXEL_SIZE,
            "proj:code": row["proj:code"],
            "proj:shape": row["proj:shape"],
            "proj:transform": row["proj:transform"],
            "proj:bbox": [left, top - side, left + side, top],
            "geoemb:model": f"urn:tessera:model:{store.model.name}:{row['model_sha256']}",
            "tessera:cell": row["cell"],
            "tessera:year": row["year"],
            **{f"tessera:{name}": value for name, value in counts.items()},
            **{f"tessera:{name}": row[name] for name in optional if row[name] not in (None, [])},
            **{f"tessera:{name}": row[name].isoformat() for name in ("first_date", "last_date") if row[name]},
        },
        "links": [
            _link("root", "../../collection.json"),
            _link("parent", "catalog.json"),
            _link("collection", "../../collection.json"),
        ],
        "assets": {
            name: {**asset, "href": f"{up}/{asset['href']}"}
            for name, asset in row["assets"].items()
            if asset is not None
        },
    }


def _geojson_box(shape: Any) -> tuple[float, float, float, float]:
    """West, south, east, north; west > east over the date line (RFC 7946, 5.2)."""
    west, south, east, north = shape.bounds
    if shape.geom_type == "MultiPolygon" and east - west > 180:
        west = min(part.bounds[0] for part in shape.geoms if part.bounds[0] > 0)
        east = max(part.bounds[2] for part in shape.geoms if part.bounds[2] < 0)
    return float(west), float(south), float(east), float(north)


def _moment(moment: Any) -> str:
    return str(moment.strftime("%Y-%m-%dT%H:%M:%SZ"))


def _catalogues(store: Store, table: pyarrow.Table) -> Iterator[tuple[str, bytes]]:
    """All documents that link to others, from the zones up."""
    held: dict[int, dict[int, list[str]]] = {}
    columns = (table[name].to_pylist() for name in ("year", "zone", "cell"))
    for year, zone, cell in zip(*columns, strict=True):
        held.setdefault(year, {}).setdefault(zone, []).append(cell)
    base = collection_id(store)
    for year, zones in held.items():
        for zone, cells in zones.items():
            yield (
                f"{year}/utm{zone:02d}/catalog.json",
                _dump(
                    {
                        "type": "Catalog",
                        "stac_version": STAC_VERSION,
                        "id": f"{base}-{year}-utm{zone:02d}",
                        "description": f"Cells of {year} in UTM zone {zone}",
                        "links": [
                            _link("root", "../../collection.json"),
                            _link("parent", "../catalog.json"),
                            *(_link("item", f"{cell}.json", _GEOJSON) for cell in cells),
                        ],
                    }
                ),
            )
        yield (
            f"{year}/catalog.json",
            _dump(
                {
                    "type": "Catalog",
                    "stac_version": STAC_VERSION,
                    "id": f"{base}-{year}",
                    "description": f"Embeddings of {year}",
                    "links": [
                        _link("root", "../collection.json"),
                        _link("parent", "../collection.json"),
                        *(_link("child", f"utm{zone:02d}/catalog.json") for zone in zones),
                    ],
                }
            ),
        )
    yield "collection.json", _dump(_collection(store, table, sorted(held)))


def _collection(store: Store, table: pyarrow.Table, years: list[int]) -> dict[str, Any]:
    model, layout = store.model, store.layout
    spans = [[f"{year}-01-01T00:00:00Z", f"{year}-12-31T23:59:59Z"] for year in years]
    whole = [spans[0][0], spans[-1][1]] if spans else [None, None]
    words = f"Embeddings of 10 m pixels by {model.name}: {layout.dims} int8 codes and a float32 scale each."
    return {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "stac_extensions": [FILE_EXTENSION],
        "id": collection_id(store),
        "title": f"TESSERA embeddings, {model.name}",
        "description": f"{words} An item is a cell of {layout.shard} x {layout.shard} pixels and a year; its "
        "assets are shards of the Zarr arrays of the store.",
        "license": "other",
        "keywords": ["embeddings", "Sentinel-1", "Sentinel-2", "Zarr"],
        "extent": {
            "spatial": {"bbox": [_extent(table)]},
            "temporal": {"interval": [whole] if len(spans) < 2 else [whole, *spans]},
        },
        "summaries": {"gsd": [PIXEL_SIZE], "proj:code": sorted(set(table["proj:code"].to_pylist()))},
        "item_assets": {
            name: {
                "title": {"embeddings": "codes", "observation_counts": "observations of each stream"}.get(name, name),
                "type": "application/octet-stream",
            }
            for name in array_names(store)
        },
        "geoemb:type": "pixel",
        "geoemb:dimensions": layout.dims,
        "geoemb:model": f"urn:tessera:model:{model.name}:{model.sha256}",
        "geoemb:source_data": ["sentinel-2-l2a", "sentinel-1-rtc"],
        "geoemb:data_type": "int8",
        "geoemb:gsd": float(PIXEL_SIZE),
        "geoemb:spatial_layout": "utm_zones",
        "geoemb:quantization": {
            "method": "per_pixel_scale",
            "original_dtype": "float32",
            "quantized_dtype": "int8",
            "scale": {"type": "array", "array_name": "scales", "nodata": "+inf"},
        },
        "assets": {
            "store": {
                "href": "..",
                "type": "application/vnd.zarr; version=3",
                "roles": ["data"],
                "title": "The store, a Zarr group a UTM zone",
            },
            "manifest": {
                "href": f"../{MANIFEST}",
                "type": _PARQUET,
                "roles": ["metadata", "collection-mirror"],
                "title": "All items in one GeoParquet file, with provenance",
            },
        },
        "links": [
            _link("root", "collection.json"),
            *(_link("child", f"{year}/catalog.json") for year in years),
        ],
    }


def _extent(table: pyarrow.Table) -> list[float]:
    """West, south, east, north of all cells, west > east over the date line; the world where there is none."""
    import numpy as np
    import shapely

    if not table.num_rows:
        return [-180.0, -90.0, 180.0, 90.0]
    return list(
        box_around(np.array([_geojson_box(shape) for shape in shapely.from_wkb(table["geometry"].to_pylist())]))
    )
