"""Published 0.1 degree tiles out of a store: npy, scales, landmasks and registries, as geotessera 0.11 reads them."""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import Folder, InputError, check_folder, sha256_hex, silent
from tessera.embeddings import is_valid
from tessera.geo import (
    EAST,
    NORTH,
    PIXEL_SIZE,
    SOUTH,
    WEST,
    Window,
    from_lonlat,
    parse_area,
    parse_tile,
    tiles_of,
    to_lonlat,
    zones_of,
)
from tessera.shards import parse_year
from tessera.store import cells_of, parse_dataset, state_of

from ._registry import KINDS, FileFacts, TileRow, write_registries
from ._sidecar import SIDECAR, dataset_of, read_sidecar, sidecar_bytes
from .sizes import Estimate, window_bytes
from .tiles import EMBEDDINGS, LANDMASKS, TileFiles, landmask_bytes, npy_bytes, tile_window

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.base import Progress
    from tessera.geo import Tile
    from tessera.store import Store

_JOURNAL = ".tessera-tiles"
_RECORD_LIMIT = 1024**2
_FORMAT = 1


@dataclass(frozen=True)
class TilesWritten:
    """What an export of tiles did.

    Attributes
    ----------
    written : tiles that were made
    kept : tiles that were there from before, of the same state of the store
    empty : tiles of the area without any data, which have no files
    """

    written: int
    kept: int
    empty: int


def tiles_of_area(area: object) -> list[Tile]:
    """The tiles whose box shares ground with an area, from south to north, then from west to east."""
    import shapely

    geometry = parse_area(area).geometry
    shapely.prepare(geometry)
    found = {
        tile
        for part in shapely.get_parts(geometry)
        for tile in tiles_of(*part.bounds)
        if -1800 <= tile.lon10 < 1800
        and shapely.intersects(geometry, shapely.box(*tile.bounds))
        and not shapely.touches(geometry, shapely.box(*tile.bounds))
    }
    return sorted(found, key=lambda tile: (tile.lat10, tile.lon10))


def estimate_tiles(store: Store, area: object, year: int) -> Estimate:
    """What an export of an area's tiles takes, at most: tiles of cells that were never written count nothing."""
    windows = [tile_window(tile) for tile in _candidates(store, area, year)]
    pixels = sum(window.height * window.width for window in windows)
    what = f"{len(windows):,} tiles of {pixels:,} pixels"
    return Estimate(
        what, 1, store.dims, window_bytes(store, windows, store.dims, (year,)), 0, pixels * (store.dims + 5)
    )


def export_tiles(
    store: Store, area: object, year: int, out: Path, *, dataset: str | None = None, progress: Progress = silent
) -> TilesWritten:
    """Write the 0.1 degree tiles that an area touches into a folder which geotessera 0.11 reads offline.

    A tile's raster is `tile_window`; its pixels come from the zone of its centre. Where that zone has no data and the
    pixel lies over the zone's border, it is the one of the neighbouring zone that holds its centre. Landmasks say land
    everywhere: a pixel without data has the scale NaN. Tiles of other areas and years may be added to the folder. A
    tile that is there, of the same state of the store, is left alone.

    Parameters
    ----------
    out : a new folder, or one that this function made
    dataset : what the store must be of, a published name; else told by its model
    progress : called with tiles done and their total

    Raises
    ------
    InputError
        No such year or area, a folder of something else or of another dataset, a disk that is too small, or rasterio
        is not installed.
    """
    year = parse_year(year)
    if year not in store.years:
        raise InputError(
            f"{store.objects.root} has no year {year}; it has {', '.join(map(str, store.years)) or 'none'}"
        )
    tells = dataset_of(store.model)
    if dataset is not None and parse_dataset(dataset) != tells:
        raise InputError(f"{store.objects.root} holds {store.model.name}, {tells.name} as tiles; not {dataset}")
    check_folder(out, "folder of tiles", inputs=(store.objects.root,))
    everything = tiles_of_area(area)
    tiles = _candidates(store, area, year)
    if not tiles:
        store.refuse_empty(area, year)
    _refuse_others(store, out)
    missing = [tile for tile in tiles if not TileFiles(out, tile, year).codes.exists()]
    _size(store, missing).check(out)
    out.mkdir(parents=True, exist_ok=True)
    door = Folder(out)
    door.check(_JOURNAL, EMBEDDINGS, LANDMASKS)
    lock = door.lock(f"{_JOURNAL}/lock", wait=False) if os.name == "posix" else nullcontext()
    try:
        with lock:
            door.write(SIDECAR, sidecar_bytes(store.model))
            done = []
            progress(0, len(tiles))
            for number, tile in enumerate(tiles, 1):
                done.append(_export_tile(store, TileFiles(out, tile, year)))
                progress(number, len(tiles))
            write_registries(out, _journal(out), tells)
    except BlockingIOError:
        raise InputError(f"{out} is being written by another process") from None
    empty = len(everything) - len(tiles) + done.count("empty")
    return TilesWritten(done.count("written"), done.count("kept"), empty)


def _size(store: Store, tiles: list[Tile]) -> Estimate:
    pixels = sum(window.height * window.width for window in map(tile_window, tiles))
    return Estimate(f"{len(tiles):,} tiles", 1, store.dims, 0, 0, pixels * (store.dims + 5))


def _candidates(store: Store, area: object, year: int) -> list[Tile]:
    """The tiles of an area that lie in the store's zones, without those of cells that were never written."""
    try:
        there = set(store.cells(year))
    except InputError:
        there = None
    found = []
    for tile in tiles_of_area(area):
        window = tile_window(tile)
        if window.zone in store.zones and (there is None or cells_of([window], store.layout.shard) & there):
            found.append(tile)
    return found


def _refuse_others(store: Store, out: Path) -> None:
    """A folder that is there must be of this dataset and made by us: its registries are made from our journal."""
    if not out.exists():
        return
    if not out.is_dir() or (any(out.iterdir()) and not (out / _JOURNAL).is_dir()):
        raise InputError(f"{out} exists and is no folder of exported tiles; expected a new one")
    named = read_sidecar(out)
    if named is not None and (named[0] != dataset_of(store.model) or named[1] not in (None, store.model)):
        held = named[0].name if named[1] is None else named[1].name
        raise InputError(f"{out} holds tiles of {held}; the store is of {store.model.name}")


def _export_tile(store: Store, files: TileFiles) -> str:
    window = tile_window(files.tile)
    windows = [window, *_windows_beyond(store, window)]
    state = state_of(store, cells_of(windows, store.layout.shard), (files.year,))
    record = files.folder / _JOURNAL / str(files.year) / f"{files.tile.name}.json"
    if _is_kept(record, files, state):
        return "kept" if files.codes.exists() else "empty"
    codes, scales = read_tile(store, window, files.year)
    paths = {"codes": files.codes, "scales": files.scales, "landmask": files.landmask}
    door = Folder(files.folder)
    door.remove(record)
    facts: dict[str, list[Any]] = {}
    if is_valid(scales).any():
        made: dict[str, bytes | memoryview] = {
            "landmask": landmask_bytes(files.tile, window),
            "scales": npy_bytes(scales),
            "codes": npy_bytes(codes),
        }
        for kind, data in made.items():
            door.write(paths[kind], data)
            facts[kind] = [len(data), sha256_hex(data)]
    else:
        door.remove(files.codes)
        door.remove(files.scales)
    text = json.dumps({"format": _FORMAT, "state": state, "files": facts}, sort_keys=True)
    door.write(record, text.encode())
    return "written" if facts else "empty"


def _is_kept(record: Path, files: TileFiles, state: str) -> bool:
    door = Folder(files.folder)
    if door.size(record) is None:
        return False
    about = door.json(record, what="record of a tile", limit=_RECORD_LIMIT)
    if (about.get("format"), about.get("state")) != (_FORMAT, state):
        return False
    paths = {"codes": files.codes, "scales": files.scales, "landmask": files.landmask}
    facts = about["files"]
    return all(door.size(path) == facts[kind][0] for kind, path in paths.items() if kind in facts)


def _journal(out: Path) -> list[TileRow]:
    rows = []
    for path in sorted((out / _JOURNAL).glob("[0-9]*/grid_*.json")):
        facts = Folder(out).json(path, what="record of a tile", limit=_RECORD_LIMIT)["files"]
        if facts:
            files = {kind: FileFacts(*facts[kind]) for kind in KINDS}
            rows.append(TileRow(parse_tile(path.stem), int(path.parent.name), files))
    return rows


def read_tile(store: Store, window: Window, year: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Codes (H, W, D) and scales (H, W) of a tile's raster, NaN and zeros where there is no data."""
    found = store.read_window(window, year)
    codes, scales = np.array(found.codes), np.array(found.scales)
    if _windows_beyond(store, window):
        _fill_beyond(store, window, year, codes, scales)
    empty = ~is_valid(scales)
    scales[empty] = np.nan
    codes[empty] = 0
    return codes, scales


def _fill_beyond(store: Store, window: Window, year: int, codes: NDArray[np.int8], scales: NDArray[np.float32]) -> None:
    """Pixels over the zone's border that the zone lacks, from the neighbour's pixel that holds their centre."""
    rows, cols = np.nonzero(~is_valid(scales))
    x, y = (window.west + cols + 0.5) * PIXEL_SIZE, (window.north - rows - 0.5) * PIXEL_SIZE
    lon, lat = to_lonlat(x, y, window.zone)
    zones = zones_of((lon + 180) % 360 - 180)
    for zone in sorted(set(zones.tolist()) & set(store.zones) - {window.zone}):
        mine = np.flatnonzero(zones == zone)
        px, py = (np.floor(value / PIXEL_SIZE).astype(np.int64) for value in from_lonlat(lon[mine], lat[mine], zone))
        on = (px >= WEST) & (px < EAST) & (py >= SOUTH) & (py < NORTH)
        mine, px, py = mine[on], px[on], py[on]
        if not len(mine):
            continue
        west, north = int(px.min()), int(py.max()) + 1
        box = Window(zone, west, north, int(px.max()) + 1 - west, north - int(py.min()))
        other = store.read_window(box, year)
        down, right = north - 1 - py, px - west
        codes[rows[mine], cols[mine]] = other.codes[down, right]
        scales[rows[mine], cols[mine]] = other.scales[down, right]


def _windows_beyond(store: Store, window: Window) -> list[Window]:
    """Where a raster's corners reach over its zone's border, in the neighbouring zones that the store has."""
    left, bottom, right, top = window.bounds
    lon, lat = to_lonlat([left, left, right, right], [bottom, top, bottom, top], window.zone)
    zones = zones_of((lon + 180) % 360 - 180)
    found = []
    for zone in sorted(set(zones.tolist()) & set(store.zones) - {window.zone}):
        px, py = (np.floor(value / PIXEL_SIZE).astype(np.int64) for value in from_lonlat(lon, lat, zone))
        west, east = max(int(px.min()) - 1, WEST), min(int(px.max()) + 2, EAST)
        south, north = max(int(py.min()) - 1, SOUTH), min(int(py.max()) + 2, NORTH)
        if west < east and south < north:
            found.append(Window(zone, west, north, east - west, north - south))
    return found
