"""In which state a store's cells are: two runs that find the same state may share what they have read."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError
from tessera.geo import Cell, points_in_zones
from tessera.net import MissingError, NetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from tessera.geo import Window
    from tessera.store import Store

_MOST_ASKED = 4096
"""Cells whose version is asked of a server, one byte each; of more only the store's own document is."""
_DOCUMENTS = ("tessera.json", "zarr.json")
_THREADS = 16


def cells_of(windows: Iterable[Window], side: int) -> set[Cell]:
    """The cells that windows touch."""
    return {cell for window in windows for cell in window.cells(side)}


def cells_at(lonlat: NDArray[np.float64], side: int) -> set[Cell]:
    """The cells that hold points, degrees within the grid."""
    found = set()
    for zone, _, px, py in points_in_zones(lonlat):
        corners = np.unique(np.stack([px // side * side, py // side * side], axis=1), axis=0)
        found |= {Cell.at(zone, px, py, side) for px, py in corners.tolist()}
    return found


def state_of(store: Store, cells: set[Cell], years: Sequence[int]) -> str:
    """A digest of what was committed to cells of some years: of commit records, by URL of the objects' versions."""
    digest = hashlib.sha256()
    for value in (store.objects.root, store.model.to_json(), store.layout.to_json(), list(store.years)):
        digest.update(json.dumps(value, sort_keys=True).encode() + b"\0")
    for year in years:
        for line in _commits(store, cells, year):
            digest.update(line.encode() + b"\0")
    return digest.hexdigest()


def _commits(store: Store, cells: set[Cell], year: int) -> list[str]:
    try:
        there = sorted(cells.intersection(store.cells(year)))
        records = [store.commit(cell, year) for cell in there]
    except InputError:
        return _versions(store, cells, year)
    return [json.dumps(record.to_json(), sort_keys=True) for record in records if record is not None]


def _versions(store: Store, cells: set[Cell], year: int) -> list[str]:
    """ETags and sizes of the scales' objects, which every commit replaces, and of the store's own document."""
    keys = list(_DOCUMENTS)
    if len(cells) <= _MOST_ASKED:
        scales = store.layout.arrays[-1]
        keys += [store.layout.key(scales, cell, store.years.index(year)) for cell in sorted(cells)]

    def ask(key: str) -> str:
        try:
            piece: Any = store.objects.edge(key, 1)
        except MissingError:
            return f"{key} absent"
        except NetError as error:
            return f"{key} {type(error).__name__}"
        return f"{key} {piece.etag} {piece.size}"

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(ask, keys))
