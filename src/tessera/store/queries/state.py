"""In which state a store's cells are: two runs that find the same state may share what they have read."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError
from tessera.geo import (
    EAST,
    NORTH,
    PIXEL_SIZE,
    SOUTH,
    WEST,
    Cell,
    Window,
    from_lonlat,
    points_in_zones,
    zones_of,
)
from tessera.net import MissingError, NetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from .query import Readable
    from .region import Region

_MOST_ASKED = 4096
"""Cells whose version is asked of a server, one byte each; of more only the store's own document is."""
_DOCUMENTS = ("tessera.json", "zarr.json")
_THREADS = 16
_STRIP = 64 * 1024**2
"""Float32 bytes of the strips whose outlines say which cells a region touches."""


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


def cells_of_region(region: Region) -> set[Cell]:
    """The cells that a region may read, in other CRSs those around its outline's zones."""
    window = region.target.window
    side = region.query.layout.shard
    if window is not None and not region.target.others:
        return cells_of([window], side)
    found: set[Cell] = set()
    for rows in region.strips(limit=_STRIP):
        found |= cells_of(_windows_around(region, rows, range(region.shape[1])), side)
    return found


def _windows_around(region: Region, rows: range, cols: range) -> Iterator[Window]:
    """Windows of every zone that hold the outline of a rectangle of the grid and the reach of a kernel."""
    edges = [
        region.target.lonlat(range(row, row + 1), cols)
        for row in (rows.start, (rows.start + rows.stop) // 2, rows.stop - 1)
    ] + [region.target.lonlat(rows, range(col, col + 1)) for col in (cols.start, cols.stop - 1)]
    lon = np.concatenate([edge[0].reshape(-1) for edge in edges])
    lat = np.concatenate([edge[1].reshape(-1) for edge in edges])
    good = np.isfinite(lon) & np.isfinite(lat)
    lon, lat = lon[good], np.clip(lat[good], -80, 84)
    if not len(lon):
        return
    margin = 4 + int(4 * region.step)
    present = np.unique(zones_of(lon))
    near = {(int(zone) + step - 1) % 60 + 1 for zone in present for step in (-1, 0, 1)}
    for zone in sorted(near.intersection(region.query.zones)):
        px, py = (np.floor(value / PIXEL_SIZE) for value in from_lonlat(lon, lat, zone))
        west, east = max(int(px.min()) - margin, WEST), min(int(px.max()) + margin, EAST)
        south, north = max(int(py.min()) - margin, SOUTH), min(int(py.max()) + margin, NORTH)
        if west < east and south < north:
            yield Window(zone, west, north, east - west, north - south)


def state_of(store: Readable, cells: set[Cell], years: Sequence[int]) -> str:
    """A digest of what was committed to cells of some years: of commit records, by URL of the objects' versions."""
    digest = hashlib.sha256()
    header = store.header
    for value in (store.objects.root, header.model.to_json(), header.layout.to_json(), list(header.years)):
        digest.update(json.dumps(value, sort_keys=True).encode() + b"\0")
    for year in years:
        for line in _commits(store, cells, year):
            digest.update(line.encode() + b"\0")
    return digest.hexdigest()


def _commits(store: Readable, cells: set[Cell], year: int) -> list[str]:
    try:
        there = sorted(cells.intersection(store.cells(year)))
        records = [store.commit(cell, year) for cell in there]
    except InputError:
        return _versions(store, cells, year)
    return [json.dumps(record.to_json(), sort_keys=True) for record in records if record is not None]


def _versions(store: Readable, cells: set[Cell], year: int) -> list[str]:
    """ETags and sizes of the scales' objects, which every commit replaces, and of the store's own document."""
    keys = list(_DOCUMENTS)
    if len(cells) <= _MOST_ASKED:
        layout, years = store.header.layout, store.header.years
        keys += [layout.key(layout.arrays[-1], cell, years.index(year)) for cell in sorted(cells)]

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
