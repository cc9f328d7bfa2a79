"""A small store to serve."""

from __future__ import annotations

from pathlib import Path

from tessera.embeddings import Embeddings
from tessera.geo import Cell, Window
from tessera.store import Store
from tessera.testing import random_embeddings as of_any_codes
from tessera.testing import small_store as empty_store

WINDOW = Cell(31, 500, 4300, 128).window


def small_store(path: Path) -> Store:
    """A store of one zone and 8 dims with a cell of 2023."""
    store = empty_store(path)
    store.write(random_embeddings(WINDOW), 2023)
    return store


def random_embeddings(window: Window) -> Embeddings:
    return of_any_codes(window, 5, 0.0)
