"""Small stores for tests: 128 px shards, 8 dims, one or two zones; and a static server with ranges on loopback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tessera.geo import Cell, Window, to_lonlat
from tessera.store import Store
from tessera.testing import SMALL_LAYOUT as LAYOUT
from tessera.testing import SMALL_MODEL as MODEL
from tessera.testing import FolderHandler, random_embeddings, serve_folder, small_store
from tessera.testing import same_embeddings as equal

CELL = Cell(31, 500, 4300, 128)
BASE = CELL.window
ACROSS = Window(31, BASE.west + 70, BASE.north + 40, 150, 130)


def new_store(path: Path, zones: tuple[int, ...] = (31,)) -> Store:
    return small_store(path, zones=zones)


class Counting:
    """A source that notes what is asked of it."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self.windows: list[Window] = []
        self.points: list[int] = []

    def read_window(self, window: Window, *rest: Any) -> Any:
        self.windows.append(window)
        return self.source.read_window(window, *rest)

    def read_points(self, lonlat: Any, *rest: Any, **options: Any) -> Any:
        self.points.append(len(lonlat))
        return self.source.read_points(lonlat, *rest, **options)


def centre_of(window: Window, row: int, col: int) -> tuple[float, float]:
    lon, lat = to_lonlat((window.west + col + 0.5) * 10, (window.north - row - 0.5) * 10, window.zone)
    return float(lon), float(lat)


serving = serve_folder

__all__ = ["LAYOUT", "MODEL", "FolderHandler", "equal", "random_embeddings", "serving"]
