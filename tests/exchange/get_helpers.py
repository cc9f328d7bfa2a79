"""Small stores for tests of `tessera get`: 128 px shards, 8 dims."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from tessera.embeddings import Embeddings
from tessera.geo import Cell, Window, to_lonlat
from tessera.store import Store
from tessera.testing import random_embeddings
from tessera.testing import small_store as empty_store

WINDOW = Window(31, Cell(31, 500, 4300, 128).window.west + 70, Cell(31, 500, 4300, 128).window.north + 40, 330, 300)


def embeddings_of(window: Window, seed: int = 0, no_data: float = 0.2) -> Embeddings:
    return random_embeddings(window, seed, no_data)


def small_store(path: Path, years: tuple[int, ...] = (2023, 2024), zones: tuple[int, ...] = (31,)) -> Store:
    store = empty_store(path, zones=zones)
    for year in years:
        store.write(embeddings_of(WINDOW, year), year)
    return store


def lonlat_of(window: Window, x: float, y: float) -> tuple[float, float]:
    """Degrees of a place in pixels from a window's upper left corner."""
    lon, lat = to_lonlat((window.west + x) * 10, (window.north - y) * 10, window.zone)
    return float(lon), float(lat)


def bbox_of(window: Window, x0: float, y0: float, x1: float, y1: float) -> tuple[float, float, float, float]:
    corners = np.array([lonlat_of(window, x, y) for x in (x0, x1) for y in (y0, y1)])
    west, south = corners.min(axis=0).tolist()
    east, north = corners.max(axis=0).tolist()
    return west, south, east, north


def digest(path: Path) -> str:
    """SHA-256 over a file, or over names and contents of a folder."""
    found = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
        found.update(str(file.relative_to(path)).encode() + b"\0" + file.read_bytes() + b"\0")
    return found.hexdigest()
