"""We read a store that the published registry tool wrote from tiles, which the published client reads as they are."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compat_helpers import ask, lonlat, published_python
from pyproj import Transformer

from tessera.exchange import import_tiles
from tessera.geo import Window
from tessera.store import create_store, open_store

Tile = tuple[float, float]
Tile3 = tuple[Any, Any, Any]
YEAR = 2024
TILES = ((3.05, 82.95), (3.15, 82.95), (33.05, -79.35))
"""Narrow ones: 0.1 degree of longitude is 1 to 2 km there. Two that touch, one in the south."""

INNER = [(row, 60 + 3 * number) for number, row in enumerate(range(400, 700, 37))]
"""Rows and columns of pixels that no other tile has."""


def raster_of(lon: float, lat: float) -> tuple[int, float, float, int, int]:
    """EPSG, west and north edges (metres), height and width of a tile, as the published code works them out."""
    epsg = (32700 if lat < 0 else 32600) + int((lon + 180) // 6) + 1
    project = Transformer.from_crs("EPSG:4326", f"EPSG:{epsg}", always_xy=True)
    west, east, south, north = lon - 0.05, lon + 0.05, lat - 0.05, lat + 0.05
    x, y = project.transform([west, east, west, east], [north, north, south, south])
    left, top = min(x[0], x[2]), max(y[0], y[1])
    return epsg, left, top, round((top - min(y[2], y[3])) / 10), round((max(x[1], x[3]) - left) / 10)


def window_of(lon: float, lat: float) -> Window:
    """The lattice window that the published tool gives a tile: it floors columns and rows, so west and north."""
    epsg, left, top, height, width = raster_of(lon, lat)
    shift = 1_000_000 * (epsg > 32700)
    return Window(epsg % 100, math.floor(left / 10), math.ceil(top / 10) - shift, width, height)


def inner_points(lon: float, lat: float) -> list[tuple[float, float]]:
    """Centres of a tile's own pixels, which do not lie on the lattice."""
    epsg, left, top, _, _ = raster_of(lon, lat)
    back = Transformer.from_crs(f"EPSG:{epsg}", "EPSG:4326", always_xy=True)
    return [back.transform(left + 10 * col + 5, top - 10 * row - 5) for row, col in INNER]


def vectors_at(windows: dict[Tile, Window], made: dict[Tile, Tile3], near: Window, px: int, py: int) -> list[Any]:
    """What the tiles of a zone that have a pixel hold there, masked."""
    found = []
    for tile, window in windows.items():
        row, col = window.north - 1 - py, px - window.west
        if window.zone == near.zone and 0 <= row < window.height and 0 <= col < window.width:
            codes, scales, land = made[tile]
            found.append(codes[row, col] * (scales[row, col] if land[row, col] else np.float32(np.nan)))
    return found


def write_tiles(folder: Path) -> dict[Tile, Tile3]:
    """A folder as the published client keeps it: tiles, landmasks and their registries; codes, scales, land by tile."""
    import pandas as pd
    import rasterio

    rng = np.random.default_rng(4)
    made, sizes, masks = {}, [], []
    for lon, lat in TILES:
        name = f"grid_{lon:.2f}_{lat:.2f}"
        epsg, left, top, height, width = raster_of(lon, lat)
        codes = rng.integers(-127, 128, (height, width, 128), dtype=np.int8)
        scales = rng.uniform(0.01, 0.2, (height, width)).astype(np.float32)
        scales[rng.random(scales.shape) < 0.05] = np.nan
        tile = folder / "global_0.1_degree_representation" / str(YEAR) / name
        tile.mkdir(parents=True)
        np.save(tile / f"{name}.npy", codes)
        np.save(tile / f"{name}_scales.npy", scales)
        mask = folder / "global_0.1_degree_tiff_all" / f"{name}.tiff"
        mask.parent.mkdir(exist_ok=True)
        land = np.ones((height, width), np.uint8)
        land[:9] = 0
        profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": height, "width": width}
        transform = rasterio.Affine(10, 0, left, 0, -10, top)
        with rasterio.open(mask, "w", crs=f"EPSG:{epsg}", transform=transform, **profile) as out:
            out.write(land, 1)
        made[lon, lat] = codes, scales, land
        files = [tile / f"{name}{end}" for end in (".npy", "_scales.npy")]
        sizes.append((YEAR, lon, lat, *(file.stat().st_size for file in files), "1.1", "cambridge"))
        masks.append((lon, lat, mask.stat().st_size))
    columns = ["year", "lon", "lat", "grid_size", "scales_size", "version", "variant"]
    pd.DataFrame(sizes, columns=columns).to_parquet(folder / "manifest.parquet")
    pd.DataFrame(masks, columns=["lon", "lat", "file_size"]).to_parquet(folder / "landmasks.parquet")
    sidecar = {"dataset_version": "1.1", "dataset_version_path": "v1.1", "dataset_variant": "cambridge"}
    (folder / "tessera_metadata.json").write_text(json.dumps(sidecar))
    return made


def test_we_read_what_the_published_tool_wrote(tmp_path: Path) -> None:
    python = published_python()
    made = write_tiles(tmp_path / "tiles")
    out = tmp_path / "published.zarr"
    writing = {"kind": "write", "folder": str(tmp_path / "tiles"), "out": str(out), "year": YEAR, "shard": 512}
    points, held = [], []
    windows = {tile: window_of(*tile) for tile in TILES}
    for window in windows.values():
        rows = np.arange(12, window.height - 12, 53)
        for row, col in zip(rows, np.resize(np.arange(8, window.width - 8, 17), len(rows)), strict=True):
            points.append(lonlat(window, int(row), int(col)))
            held.append(vectors_at(windows, made, window, window.west + int(col), window.north - 1 - int(row)))
    asking = {
        "kind": "zarr",
        "store": str(out),
        "year": YEAR,
        "points": points,
        "probes": [(3.1, 82.95)],
        "bbox": [3.08, 82.92, 3.12, 82.98],
        "depth": None,
    }
    tiles = {
        "kind": "tiles",
        "folder": str(tmp_path / "tiles"),
        "registry": str(tmp_path / "tiles"),
        "version": "v1.1",
        "variant": "cambridge",
        "year": YEAR,
        "tiles": list(TILES),
        "points": [point for tile in TILES for point in inner_points(*tile)],
    }
    answers = ask(python, tmp_path, {"write": writing | {"options": []}, "zarr": asking, "tiles": tiles})
    for number, (tile, (codes, scales, _)) in enumerate(made.items()):
        epsg, left, top, _, _ = raster_of(*tile)
        values = codes * np.where(np.isfinite(scales), scales, np.nan)[..., None]
        assert np.array_equal(answers[f"tiles/tile{number}"], values, equal_nan=True)
        assert str(answers[f"tiles/crs{number}"]) == f"EPSG:{epsg}"
        assert answers[f"tiles/transform{number}"].tolist() == [10, 0, left, 0, -10, top]
        sampled = answers["tiles/points"][number * len(INNER) : (number + 1) * len(INNER)]
        assert np.array_equal(sampled, [values[pixel] for pixel in INNER], equal_nan=True)
        assert np.isfinite(sampled).any()
    store = open_store(out, dataset="v1.1-cambridge")
    assert store.years == (YEAR,)
    assert store.zones == (31, 36)
    assert store.header.nan_is_water
    mine = store.sample_points(asking["points"], YEAR)
    assert np.array_equal(mine, answers["zarr/points"], equal_nan=True)
    assert np.isfinite(mine[:, 0]).mean() > 0.8
    _, _, west, _, _, north = answers["zarr/transform"].tolist()
    height, width = answers["zarr/codes"].shape[:2]
    window = Window(31, round(west / 10), round(north / 10), width, height)
    region = store.read_region(window, YEAR).values
    assert np.array_equal(region, answers["zarr/region"], equal_nan=True)
    assert np.isfinite(region[..., 0]).mean() > 0.5
    # and both are what the tiles hold in that place, one of them where two overlap
    for row, choices in zip(mine, held, strict=True):
        assert any(np.array_equal(row, choice, equal_nan=True) for choice in choices)
    # and the same tiles, imported by us, answer the same but where two overlap, which one alone decides
    ours = create_store(tmp_path / "imported.zarr", 128, store.model, zones=(31, 36))
    imported = import_tiles(tmp_path / "tiles", ours)
    assert (imported.written, imported.failed) == (len(TILES), [])
    own = ours.sample_points(points, YEAR)
    alone = np.asarray([len(choices) == 1 for choices in held])
    assert alone.mean() > 0.5
    assert np.array_equal(own[alone], mine[alone], equal_nan=True)
    with pytest.raises(Exception, match="year 2020"):
        store.sample_points(asking["points"], 2020)
