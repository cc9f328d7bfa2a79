"""We read a store that the published registry tool wrote from tiles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compat_helpers import ask, published_python
from pyproj import Transformer

from tessera.geo import Window, to_lonlat
from tessera.store import open_store

YEAR = 2024
TILES = ((3.05, 82.95), (3.15, 82.95), (33.05, -79.35))
"""Narrow ones: 0.1 degree of longitude is 1 to 2 km there. Two that touch, one in the south."""


def raster_of(lon: float, lat: float) -> tuple[int, float, float, int, int]:
    """EPSG, west and north edges (metres), height and width of a tile, as the published code works them out."""
    epsg = (32700 if lat < 0 else 32600) + int((lon + 180) // 6) + 1
    project = Transformer.from_crs("EPSG:4326", f"EPSG:{epsg}", always_xy=True)
    west, east, south, north = lon - 0.05, lon + 0.05, lat - 0.05, lat + 0.05
    x, y = project.transform([west, east, west, east], [north, north, south, south])
    left, top = min(x[0], x[2]), max(y[0], y[1])
    return epsg, left, top, round((top - min(y[2], y[3])) / 10), round((max(x[1], x[3]) - left) / 10)


def write_tiles(folder: Path) -> dict[tuple[float, float], tuple[Any, Any]]:
    """A folder as the published client keeps it: tiles, landmasks and their registries; codes and scales by tile."""
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
        made[lon, lat] = codes, np.where(land > 0, scales, np.nan)
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
    writing = {"kind": "write", "folder": str(tmp_path / "tiles"), "out": str(out), "year": YEAR, "shard": 256}
    points = {}
    for (lon, lat), (codes, _) in made.items():
        epsg, left, top, height, width = raster_of(lon, lat)
        zone, shift = epsg % 100, 1_000_000 * (epsg > 32700)
        rows = np.arange(12, height - 12, 53)
        cols = np.resize(np.arange(8, width - 8, 17), len(rows))
        places = np.stack([rows, cols])
        west, north = int(left // 10), int(top // 10) - shift
        found = [to_lonlat((west + c + 0.5) * 10, (north - r - 0.5) * 10, zone) for r, c in places.T.tolist()]
        points[lon, lat] = [(float(x), float(y)) for x, y in found]
        assert codes.shape[:2] == (height, width)
    asking = {
        "kind": "zarr",
        "store": str(out),
        "year": YEAR,
        "points": [point for found in points.values() for point in found],
        "probes": [(3.1, 82.95)],
        "bbox": [3.08, 82.92, 3.12, 82.98],
        "depth": None,
    }
    answers = ask(python, tmp_path, {"write": writing | {"options": []}, "zarr": asking})
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
    # and both are what the tiles hold: every vector at a point is one of its tile's
    start = 0
    for key, found in points.items():
        codes, scales = made[key]
        values = codes.astype(np.float32) * scales[..., None]
        rows = mine[start : start + len(found)]
        start += len(found)
        for row in rows[np.isfinite(rows[:, 0])]:
            near = np.flatnonzero(np.abs(values[..., 0] - row[0]).reshape(-1) < 1e-9)
            assert any(np.array_equal(values.reshape(-1, 128)[place], row) for place in near.tolist())
    with pytest.raises(Exception, match="year 2020"):
        store.sample_points(asking["points"], 2020)
