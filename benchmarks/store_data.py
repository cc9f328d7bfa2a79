"""What benchmarks/store.py reads: near-incompressible codes in stores of any geometry, and places among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tessera.embeddings import Embeddings, ModelIdentity
from tessera.geo import Window, to_lonlat
from tessera.store import Store, create_store

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.shards import Layout

MODEL = ModelIdentity("random", "0" * 64, 128, (16, 128))
CORNER = Window(31, 15 * 1024 + 4096 * 11, 912 * 1024 - 4096 * 90, 1, 1)
"""North-west pixel of the data: a corner of shards of either geometry."""
YEARS = tuple(range(2017, 2026))
PIXEL = 132
"""Bytes of a pixel: 128 codes and a scale."""
CHUNK = 32
BLOCK = 256
"""Side of the squares that data are drawn in, pixels."""


def codes_of(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.int8]:
    """Gaussian codes of 7.27 bits a code, the entropy of published embeddings: blosc packs them by 4 to 7 %."""
    values = rng.standard_normal((*shape, 128), dtype=np.float32)
    values *= 37.3
    return np.clip(np.rint(values, out=values), -127, 127).astype(np.int8)


def square(row: int, col: int, side: int) -> Embeddings:
    """A square of the data, the same whatever squares it is cut into."""
    window = Window(31, CORNER.west + col, CORNER.north - row, side, side)
    codes = np.empty((*window.shape, 128), np.int8)
    scales = np.empty(window.shape, np.float32)
    for down in range(0, side, BLOCK):
        for right in range(0, side, BLOCK):
            rng = np.random.default_rng([row + down, col + right])
            box = slice(down, down + BLOCK), slice(right, right + BLOCK)
            codes[box] = codes_of((BLOCK, BLOCK), rng)
            scales[box] = rng.uniform(0.03, 0.14, (BLOCK, BLOCK))
    return Embeddings(codes, scales, np.full((*window.shape, 3), 40, np.uint16), MODEL, window.grid)


def write(folder: Path, layout: Layout, side: int, *, zones: tuple[int, ...] | None, years: tuple[int, ...]) -> None:
    """A store with one square of data in its first year."""
    store = create_store(folder, 128, MODEL, zones=zones, layout=layout)
    step = min(side, layout.shard)
    for row in range(0, side, step):
        for col in range(0, side, step):
            store.write(square(row, col, step), years[0])
    none = Embeddings(
        np.zeros((1, 1, 128), np.int8), np.full((1, 1), np.nan, np.float32), np.zeros((1, 1, 3), np.uint16), MODEL,
        CORNER.grid,
    )  # fmt: skip
    for year in years[1:]:
        store.write(none, year)


def lonlat(row: float, col: float) -> tuple[float, float]:
    """A place, in pixels from the corner of the data."""
    lon, lat = to_lonlat((CORNER.west + col + 0.5) * 10, (CORNER.north - row - 0.5) * 10, 31)
    return float(lon), float(lat)


def bbox(store: Store, row: int, col: int, side: int) -> list[float]:
    """A box of degrees whose region is exactly a square of pixels; meridians lean, so it is smaller than the square."""
    (west, north), (east, south) = lonlat(row, col), lonlat(row + side - 1, col + side - 1)
    wanted = Window(31, CORNER.west + col, CORNER.north - row, side, side)
    for _ in range(20):
        got = store.region_grid([west, south, east, north])
        off = wanted.west - got.west, wanted.south - got.south, wanted.east - got.east, wanted.north - got.north
        if not any(off):
            return [west, south, east, north]
        right, up = (east - west) / (got.east - got.west), (north - south) / (got.north - got.south)
        west, south, east, north = (
            west + off[0] * right,
            south + off[1] * up,
            east + off[2] * right,
            north + off[3] * up,
        )
    raise SystemExit(f"no box of degrees for {wanted}")
