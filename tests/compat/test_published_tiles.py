"""The published client reads the tiles that we export, offline and bit by bit, and its tool makes a store of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from compat_helpers import ask, published_python
from pyproj import Transformer

from tessera.embeddings import Embeddings, ModelIdentity, is_valid
from tessera.exchange import export_tiles, tile_window
from tessera.geo import Tile, Window, parse_tile, to_lonlat
from tessera.shards import Layout
from tessera.store import Store, create_store, dataset_identity, open_store, parse_dataset

YEAR = 2024
TILES = [parse_tile(name) for name in ("grid_5.85_83.85", "grid_5.95_83.85", "grid_33.05_-79.85")]
"""Narrow ones: two that touch, one of them at a zone's border, and one in the south."""
OWN = ModelIdentity("v2-nano", "0f" * 32, 128, (16, 128))


def embeddings_over(window: Window, model: ModelIdentity, seed: int) -> Embeddings:
    rng = np.random.default_rng(seed)
    scales = rng.uniform(0.01, 0.2, window.shape).astype(np.float32)
    scales[rng.random(scales.shape) < 0.05] = np.nan
    codes = rng.integers(-127, 128, (*window.shape, 128), dtype=np.int8)
    codes[np.isnan(scales)] = 0
    return Embeddings(codes, scales, np.zeros((*window.shape, 3), np.uint16), model, window.grid)


def filled_store(path: Path, model: ModelIdentity, tiles: list[Tile]) -> Store:
    layout = Layout(128, shard=256, chunk=32)
    store = create_store(path, 128, model, zones=(31, 32, 36), layout=layout)
    for seed, tile in enumerate(tiles):
        whole = tile_window(tile)
        # a part of the first stays unwritten
        window = Window(whole.zone, whole.west, whole.north - 200 * (not seed), whole.width, whole.height - 400)
        store.write(embeddings_over(window, model, seed), YEAR)
    return store


@pytest.mark.parametrize("name", ["v1.1-cambridge", None], ids=["published", "own"])
def test_the_published_client_reads_our_tiles(name: str | None, tmp_path: Path) -> None:
    python = published_python()
    model = OWN if name is None else dataset_identity(parse_dataset(name), 128)
    store = filled_store(tmp_path / "store.zarr", model, TILES)
    out = tmp_path / "tiles"
    for tile in TILES:
        made = export_tiles(store, tile.name, YEAR, out)
        assert made.written == 1
    points = []
    for tile in TILES:
        window = tile_window(tile)
        west, south, east, north = tile.bounds
        rows, cols = np.arange(20, window.height - 20, 61), np.resize(np.arange(8, window.width - 8, 13), 40)
        lon, lat = to_lonlat(
            (window.west + cols[: len(rows)] + 0.5) * 10, (window.north - rows - 0.5) * 10, window.zone
        )
        inside = (lon > west) & (lon < east) & (lat > south) & (lat < north)
        points += list(zip(lon[inside].tolist(), lat[inside].tolist(), strict=True))
    question = {
        "kind": "tiles",
        "version": "1.1" if name else "0.0",
        "variant": "cambridge" if name else "v2-nano-0f0f0f0f0f0f",
        "folder": str(out),
        "registry": str(out),
        "year": YEAR,
        "tiles": [(round(tile.lon10 / 10 + 0.05, 2), round(tile.lat10 / 10 + 0.05, 2)) for tile in TILES],
        "points": points,
    }
    answers = ask(python, tmp_path, {"tiles": question})
    for number, tile in enumerate(TILES):
        window = tile_window(tile)
        held = store.read_window(window, YEAR)
        values = held.values()
        if tile.lon10 == 59:
            # its corner over the border has no data in either zone, so that both say NaN there
            assert not is_valid(held.scales).all()
        assert np.array_equal(answers[f"tiles/tile{number}"], values, equal_nan=True)
        assert np.isfinite(values[..., 0]).mean() > 0.4
        epsg = (32700 if tile.lat10 < 0 else 32600) + window.zone
        assert str(answers[f"tiles/crs{number}"]) == f"EPSG:{epsg}"
        shift = 10_000_000 * (tile.lat10 < 0)
        transform = (10, 0, window.west * 10, 0, -10, window.north * 10 + shift)
        assert tuple(answers[f"tiles/transform{number}"].tolist()) == transform
        lon, lat = to_lonlat(window.west * 10, window.north * 10, window.zone)
        x, y = Transformer.from_crs("EPSG:4326", f"EPSG:{epsg}", always_xy=True).transform(lon, lat)
        assert (x, y) == pytest.approx((transform[2], transform[5]), abs=1e-3)
    mine = store.sample_points(points, YEAR)
    assert np.array_equal(answers["tiles/points"], mine, equal_nan=True)
    assert np.isfinite(mine[:, 0]).mean() > 0.4


def test_the_published_tool_places_our_tiles_where_they_were(tmp_path: Path) -> None:
    python = published_python()
    model = dataset_identity(parse_dataset("v1.1-cambridge"), 128)
    store = filled_store(tmp_path / "store.zarr", model, TILES[::2])
    out, theirs = tmp_path / "tiles", tmp_path / "published.zarr"
    for tile in TILES[::2]:
        export_tiles(store, tile.name, YEAR, out)
    writing = {"kind": "write", "folder": str(out), "out": str(theirs), "year": YEAR, "shard": 256, "options": []}
    ask(python, tmp_path, {"write": writing})
    read = open_store(theirs, dataset="v1.1-cambridge")
    assert read.model == ModelIdentity(model.name, model.sha256, 128)
    for tile in TILES[::2]:
        whole = tile_window(tile)
        # their raster rounds the size of the box where ours goes outwards: the last row and column may be missing
        window = Window(whole.zone, whole.west, whole.north, whole.width - 1, whole.height - 1)
        one, other = store.read_region(window, YEAR).values, read.read_region(window, YEAR).values
        assert np.array_equal(one, other, equal_nan=True)
        assert np.isfinite(one[..., 0]).mean() > 0.4
