"""The published client reads the tiles that we export, offline, as it reads its own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from compat_helpers import MODEL, ask, lonlat, published_python, random_embeddings

from tessera.exchange import export_tiles, tile_window
from tessera.geo import Window, parse_tile
from tessera.store import Layout, create_store

YEAR = 2024
TILES = tuple(map(parse_tile, ("grid_3.05_82.95", "grid_33.05_-79.35")))


def strip_of(window: Window) -> Window:
    """A part of a tile's raster, across all columns: the rest of it is never written."""
    return Window(window.zone, window.west, window.north - 430, window.width, 90)


def test_the_published_client_reads_the_tiles_that_we_export(tmp_path: Path) -> None:
    pytest.importorskip("rasterio", reason="tiles need the extra geo")
    python = published_python()
    store = create_store(tmp_path / "ours.zarr", 128, MODEL, zones=(31, 36), layout=Layout(128, (16,), 128, 32))
    windows = [tile_window(tile) for tile in TILES]
    for seed, window in enumerate(windows):
        store.write(random_embeddings(strip_of(window), seed), YEAR)
    out = tmp_path / "tiles"
    for tile in TILES:
        assert export_tiles(store, tile.name, YEAR, out).written == 1
    centres = [(round(tile.lon10 / 10 + 0.05, 2), round(tile.lat10 / 10 + 0.05, 2)) for tile in TILES]
    pixels = [(432 + 8 * number, 40 + 5 * number) for number in range(11)]
    points = [lonlat(window, *pixel) for window in windows for pixel in pixels]
    about = json.loads((out / "tessera_metadata.json").read_text())
    asked = {
        "kind": "tiles",
        "folder": str(out),
        "registry": str(out),
        "version": about["dataset_version"],
        "variant": about["dataset_variant"],
        "year": YEAR,
        "tiles": centres,
        "points": points,
    }
    answers = ask(python, tmp_path, {"tiles": asked})
    for number, (window, (_, lat)) in enumerate(zip(windows, centres, strict=True)):
        mine = store.read_window(window, YEAR).values()
        assert np.isfinite(mine).any()
        assert np.array_equal(answers[f"tiles/tile{number}"], mine, equal_nan=True)
        # the client's rasters in the south are in the southern CRS
        south = lat < 0
        assert str(answers[f"tiles/crs{number}"]) == f"EPSG:{(32700 if south else 32600) + window.zone}"
        a, b, west, d, e, north = answers[f"tiles/transform{number}"].tolist()
        assert (a, b, d, e) == (10, 0, 0, -10)
        assert (west, north - 10_000_000 * south) == (window.west * 10, window.north * 10)
    sampled = store.sample_points(points, YEAR)
    assert np.isfinite(sampled[:, 0]).sum() > 10
    assert np.array_equal(answers["tiles/points"], sampled, equal_nan=True)
