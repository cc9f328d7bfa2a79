"""Small stores over narrow tiles: near the poles 0.1 degree of longitude is 1 to 2 km; 8 dims, shards of 128 px."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec

from tessera.embeddings import Embeddings, ModelIdentity
from tessera.exchange import tile_window
from tessera.geo import Tile, Window, parse_tile
from tessera.shards import Layout
from tessera.store import Store, create_store

MODEL = ModelIdentity("test", "ab" * 32, 8, (2, 8))
LAYOUT = Layout(8, (2,), shard=128, chunk=32)
YEAR = 2024
NORTH_TILE = parse_tile("grid_3.05_83.85")
BESIDE = parse_tile("grid_3.15_83.85")
SOUTH_TILE = parse_tile("grid_33.05_-79.85")
BORDER = parse_tile("grid_5.95_83.85")
BEYOND = parse_tile("grid_6.05_83.85")


def new_store(path: Path, zones: tuple[int, ...] = (31, 32, 36)) -> Store:
    return create_store(path, 8, MODEL, zones=zones, layout=LAYOUT)


def embeddings_over(window: Window, seed: int = 0, no_data: float = 0.2) -> Embeddings:
    rng = np.random.default_rng(seed)
    scales = rng.uniform(0.001, 0.9, window.shape).astype(np.float32)
    scales[rng.random(window.shape) < no_data] = np.nan
    codes = rng.integers(-127, 128, (*window.shape, 8), dtype=np.int8)
    codes[np.isnan(scales)] = 0
    counts = np.zeros((*window.shape, 3), dtype=np.uint16)
    return Embeddings(codes, scales, counts, MODEL, window.grid)


def part_of(tile: Tile, rows: int = 200, down: int = 300) -> Window:
    """A strip of a tile's raster: the rest of the store stays unwritten."""
    whole = tile_window(tile)
    return Window(whole.zone, whole.west, whole.north - down, whole.width, rows)


def filled_store(path: Path, tiles: Sequence[Tile], rows: int = 200) -> Store:
    store = new_store(path)
    for seed, tile in enumerate(tiles):
        store.write(embeddings_over(part_of(tile, rows), seed), YEAR)
    return store


def digest_of(folder: Path, without: str = ".tessera") -> str:
    """SHA-256 over names and contents of all files but bookkeeping."""
    found = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = file.relative_to(folder)
        if name.parts[0] != without:
            found.update(str(name).encode() + b"\0" + file.read_bytes() + b"\0")
    return found.hexdigest()


def about_model(model: ModelIdentity) -> dict[str, Any]:
    """What attributes of an older year store say of a model."""
    return {
        "tessera:model_version": "0.0",
        "tessera:dataset_variant": f"{model.name}-{model.sha256[:12]}",
        "tessera:model": model.to_json(),
    }


def older_year_store(store: Store, windows: Sequence[Window], path: Path) -> Path:
    """The windows of one zone as a `tessera:` year store: chunks of 4 pixels, shards of 256, as it was written once."""
    zone = windows[0].zone
    west, south = (min(values) // 256 * 256 for values in ([w.west for w in windows], [w.south for w in windows]))
    east, north = (-(-max(v) // 256) * 256 for v in ([w.east for w in windows], [w.north for w in windows]))
    about = {"tessera:dataset_version": "v0", "tessera:year": YEAR, **about_model(store.model)}
    place = [10.0, 0.0, west * 10.0, 0.0, -10.0, north * 10.0]
    where = {"tessera:utm_zone": zone, "proj:code": f"EPSG:{32600 + zone}", "spatial:transform": place}
    root = zarr.create_group(store=str(path), zarr_format=3, attributes=about)
    group = root.create_group(f"utm{zone:02d}", attributes={**about, **where})
    packed: Any = BloscCodec(typesize=1, cname="zstd", clevel=3, shuffle="bitshuffle")
    shape, dims = (north - south, east - west), (store.dims,)
    form: dict[str, Any] = {"compressors": packed}
    codes = group.create_array(
        "embeddings", shape=shape + dims, chunks=(4, 4, *dims), shards=(256, 256, *dims), dtype="int8", **form
    )
    scales = group.create_array(
        "scales", shape=shape, chunks=(4, 4), shards=(256, 256), dtype="float32", fill_value=np.nan, **form
    )
    for window in windows:
        held = store.read_window(window, YEAR)
        box = (
            slice(north - window.north, north - window.south),
            slice(window.west - west, window.east - west),
        )
        codes[box] = np.where(held.valid[..., None], held.codes, np.int8(0))
        scales[box] = np.where(held.valid, held.scales, np.float32(np.nan))
    return path
