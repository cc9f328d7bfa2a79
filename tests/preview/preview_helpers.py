"""Small stores for previews: cells of 128 pixels, eight dims."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tessera.embeddings import Embeddings
from tessera.geo import Cell, Window, to_lonlat
from tessera.shards import Layout
from tessera.store import Store
from tessera.testing import SMALL_LAYOUT as LAYOUT
from tessera.testing import SMALL_MODEL as MODEL
from tessera.testing import random_embeddings as of_any_codes
from tessera.testing import serve_folder, small_store

CELL = Cell(31, 500, 4300, 128)
YEAR = 2024
serving = serve_folder


def new_store(path: Path, zones: tuple[int, ...] = (31,), layout: Layout = LAYOUT) -> Store:
    return small_store(path, zones=zones, layout=layout)


def embeddings(window: Window, codes: Any, scales: Any) -> Embeddings:
    counts = np.zeros((*window.shape, 3), np.uint16)
    return Embeddings(np.asarray(codes, np.int8), np.asarray(scales, np.float32), counts, MODEL, window.grid)


def random_embeddings(window: Window, seed: int = 0, no_data: float = 0.2, not_written: float = 0.1) -> Embeddings:
    return of_any_codes(window, seed, no_data, not_written=not_written)


def field(window: Window, wave: float = 0.6) -> Embeddings:
    """Values that are smooth functions of longitude and latitude, the same in every zone."""
    x = (np.arange(window.west, window.east) + 0.5) * 10
    y = (np.arange(window.north - 1, window.south - 1, -1) + 0.5) * 10
    grid_x, grid_y = np.meshgrid(x, y)
    lon, lat = to_lonlat(grid_x, grid_y, window.zone)
    lon = lon % 360
    waves = [np.sin(lon / wave), np.cos(lat / wave), np.sin((lon + lat) / wave), np.cos((lon - lat) / wave)]
    values = np.stack([*waves, *(0.5 * part for part in waves)], axis=-1)
    return embeddings(window, np.rint(100 * values), np.full(window.shape, 0.01))


def files_of(folder: Path) -> dict[str, bytes]:
    """Everything derived of a store, key -> bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for name in ("overviews", "global_rgb")
        for path in sorted((folder / name).rglob("*"))
        if path.is_file()
    }
