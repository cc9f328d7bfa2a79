"""A small store to serve."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tessera.embeddings import Embeddings, ModelIdentity
from tessera.geo import Cell, Window
from tessera.shards import Layout
from tessera.store import Store, create_store

MODEL = ModelIdentity("test", "cd" * 32, 8, (2, 8))
WINDOW = Cell(31, 500, 4300, 128).window


def small_store(path: Path) -> Store:
    """A store of one zone and 8 dims with a cell of 2023."""
    store = create_store(path, 8, MODEL, zones=(31,), layout=Layout(8, (2,), shard=128, chunk=32))
    store.write(random_embeddings(WINDOW), 2023)
    return store


def random_embeddings(window: Window) -> Embeddings:
    rng = np.random.default_rng(5)
    scales = rng.uniform(0.001, 0.9, window.shape).astype(np.float32)
    codes = rng.integers(-127, 128, (*window.shape, 8), dtype=np.int8)
    return Embeddings(codes, scales, np.ones((*window.shape, 3), np.uint16), MODEL, window.grid, {})
