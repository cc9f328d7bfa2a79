"""Small stores with a manifest, and a static server with ranges on loopback."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tessera.embeddings import Embeddings
from tessera.geo import Cell, Window, from_lonlat
from tessera.store import Store
from tessera.testing import SMALL_MODEL as MODEL
from tessera.testing import random_embeddings, serve_folder, small_store

SIDE = 128
CELL = Cell(31, 500, 4300, SIDE)
BASE = CELL.window
_X, _Y = from_lonlat(-179.9995, -17.0, 1)
DATE_LINE = Cell.at(1, int(_X // 10), int(_Y // 10), SIDE).window
serving = serve_folder


def new_store(path: Path, zones: tuple[int, ...] = (1, 31)) -> Store:
    return small_store(path, zones=zones)


def some(window: Window, seed: int = 0, holes: float = 0.0, **provenance: Any) -> Embeddings:
    """Embeddings with no data in a fifth of the pixels and, in a share of them, nothing written."""
    return random_embeddings(window, seed, 0.2, not_written=holes, **provenance)


def settle(store: Store, ago: int = 100) -> None:
    """Make every commit record look old, as those of earlier runs do."""
    assert store.objects.folder is not None
    for path in store.objects.folder.glob("commits/*/*.json"):
        then = path.stat().st_mtime_ns - ago * 10**9
        os.utime(path, ns=(then, then))


__all__ = ["MODEL"]
