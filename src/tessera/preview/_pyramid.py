"""The global pyramid: false colours of a year in degrees, each level half the size of the one before."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import Folder, InputError, read_regular, sha256_hex, silent
from tessera.geo import EAST, NORTH, SOUTH, WEST, from_lonlat, parse_cell, zones_of
from tessera.net import CorruptError
from tessera.shards import array_node, group_node, node_bytes

from ._falsecolour import RGB
from ._globe import FINEST, FOLDER, LAST, SIDE, ChunkIndex, Scale, halve
from ._levels import FINE, FULL, Box, read_box, rgb_of
from ._levels import FOLDER as DERIVED
from ._records import read_record, recorded_units

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.base import Progress
    from tessera.geo import Cell
    from tessera.store import Store

    from ._colours import Colours
    from ._levels import Level

_CONVENTION = {
    "uuid": "d35379db-88df-4056-af3a-620245f8e347",
    "name": "multiscales",
    "description": "Multiscale layout of zarr datasets",
}
_ZSTD = 3
_CHUNK_LIMIT = 2 * SIDE * SIDE * 4
_STATE_LIMIT = 1024**2
"""Largest document, bytes: a row of the finest level has 440 chunks."""


def update_pyramid(
    store: Store, root: Path, year: int, colours: Colours, *, full: bool = False, progress: Progress = silent
) -> int:
    """Update the pyramid with the colours of a year. Returns the number of chunks that were written or removed."""
    finest = 0 if full else FINEST
    _declare(root, year, colours, finest)
    sources = _sources(root, year, full=full)
    cells: dict[ChunkIndex, list[Cell]] = {}
    scale = Scale(FINEST)
    for name in sorted(sources):
        cell = parse_cell(name, store.layout.shard)
        for place in scale.touched(cell):
            cells.setdefault(place, []).append(cell)
    states = _States(root, FINEST)
    before, index, count = states.digests, store.years.index(year), 0
    places = sorted(cells.keys() | before.keys())
    for done, place in enumerate(places):
        progress(done, len(places))
        inside = cells.get(place, [])
        named = [[cell.name, *sources[cell.name]] for cell in inside]
        digest = sha256_hex(json.dumps([year, colours.digest, full, named]).encode()) if named else None
        if before.get(place) == digest:
            continue
        zones = {cell.zone for cell in inside}
        count += _put(root, scale, place, _sampled(store, scale, place, zones, index, FINE) if inside else None)
        if full or (root / f"{FOLDER}/0").exists():
            count += _finer(store, root, place, inside if full else [], index)
        states.set(place, digest)
    progress(len(places), len(places))
    for number in range(FINEST + 1, LAST + 1):
        count += _coarser(root, number)
    return count


def _sources(root: Path, year: int, *, full: bool) -> dict[str, list[str]]:
    """Name of each coloured cell -> digests of what it was made from."""
    found: dict[str, list[str]] = {}
    for level in (FINE, FULL) if full else (FINE,):
        for unit in recorded_units(root, RGB[level], year):
            for name, source in read_record(root, RGB[level], year, unit).cells.items():
                found.setdefault(name, []).append(f"{level.name}:{source}")
    return found


def _sampled(
    store: Store, scale: Scale, place: ChunkIndex, zones: set[int], index: int, level: Level
) -> NDArray[np.uint8]:
    """(512, 512, 4): the nearest UTM pixel for each pixel of a chunk, of its own zone or else of a neighbour."""
    lon, lat = scale.centres(place)
    out = np.zeros((SIDE, SIDE, 4), dtype=np.uint8)
    rows, cols = (array.reshape(-1) for array in np.mgrid[:SIDE, :SIDE])
    inside = (lon[cols] < 180) & (lat[rows] > -90)
    rows, cols = rows[inside], cols[inside]
    own = zones_of(lon)[cols]
    for turn in (0, 1, -1):
        missing = out[rows, cols, 3] == 0
        wanted = (own - 1 + turn) % 60 + 1
        for zone in sorted(zones):
            chosen = missing & (wanted == zone)
            if chosen.any():
                r, c = rows[chosen], cols[chosen]
                out[r, c] = _nearest(store, zone, index, level, lon[c], lat[r])
    return out


def _nearest(
    store: Store, zone: int, index: int, level: Level, lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """(N, 4): colours of a zone at places, 0 outside its lattice."""
    found = np.zeros((len(lon), 4), dtype=np.uint8)
    x, y = from_lonlat(lon, lat, zone)
    with np.errstate(invalid="ignore"):
        there = (x >= WEST * 10) & (x < EAST * 10) & (y >= SOUTH * 10) & (y < NORTH * 10)
    if not there.any():
        return found
    col = ((x[there] / 10 - WEST) // level.factor).astype(np.int64)
    row = np.minimum(((NORTH - y[there] / 10) // level.factor).astype(np.int64), level.shape[0] - 1)
    box = Box(int(row.min()), int(col.min()), int(np.ptp(row)) + 1, int(np.ptp(col)) + 1)
    layer = rgb_of(level)
    picture = read_box(store.objects, (layer,), zone, index, box)[layer.name]
    found[there] = picture[row - box.row, col - box.col]
    return found


def _finer(store: Store, root: Path, place: ChunkIndex, cells: list[Cell], index: int) -> int:
    """Write levels 0 to 3 under a chunk of level 4: level 0 from 10 m pixels, the others from the level before."""
    count = 0
    for number in range(FINEST):
        scale, side = Scale(number), 2 ** (FINEST - number)
        zones: dict[ChunkIndex, set[int]] = {}
        for cell in cells:
            for touched in scale.touched(cell):
                zones.setdefault(touched, set()).add(cell.zone)
        for row in range(place[0] * side, (place[0] + 1) * side):
            for col in range(place[1] * side, (place[1] + 1) * side):
                here = (row, col)
                if here not in zones:
                    count += _put(root, scale, here, None)
                elif number == 0:
                    count += _put(root, scale, here, _sampled(store, scale, here, zones[here], index, FULL))
                else:
                    count += _put(root, scale, here, _from_children(root, number, here))
    return count


def _coarser(root: Path, number: int) -> int:
    """Update a level from the level before, where that changed."""
    states, count = _States(root, number), 0
    before = states.digests
    parents: dict[ChunkIndex, list[str]] = {}
    for (row, col), child in sorted(_States(root, number - 1).digests.items()):
        parents.setdefault((row // 2, col // 2), []).append(f"{row} {col} {child}")
    for place in sorted(parents.keys() | before.keys()):
        digest = sha256_hex("\n".join(parents[place]).encode()) if place in parents else None
        if before.get(place) != digest:
            count += _put(root, Scale(number), place, _from_children(root, number, place) if digest else None)
            states.set(place, digest)
    return count


def _from_children(root: Path, number: int, place: ChunkIndex) -> NDArray[np.uint8]:
    out, half = np.zeros((SIDE, SIDE, 4), dtype=np.uint8), SIDE // 2
    for down in (0, 1):
        for right in (0, 1):
            child = 2 * place[0] + down, 2 * place[1] + right
            if (root / Scale(number - 1).key(child)).exists():
                part = slice(down * half, (down + 1) * half), slice(right * half, (right + 1) * half)
                out[part] = halve(read_chunk(root, Scale(number - 1), child))
    return out


def read_chunk(root: Path, scale: Scale, place: ChunkIndex) -> NDArray[np.uint8]:
    """Read a chunk (512, 512, 4), all 0 if there is none."""
    from numcodecs import zstd

    path = root / scale.key(place)
    try:
        data = read_regular(path, what="chunk", limit=_CHUNK_LIMIT, inside=root)
    except FileNotFoundError:
        return np.zeros((SIDE, SIDE, 4), dtype=np.uint8)
    try:
        # decoded into memory of the right length, whatever length the file claims
        body = zstd.Zstd().decode(data, np.zeros(SIDE * SIDE * 4, dtype=np.uint8))
        return np.asarray(body, dtype=np.uint8).reshape(SIDE, SIDE, 4)
    except (RuntimeError, ValueError) as error:
        raise CorruptError(f"{path} cannot be unpacked: {error}; remove {root / FOLDER} and make it anew") from None


def _put(root: Path, scale: Scale, place: ChunkIndex, picture: NDArray[np.uint8] | None) -> int:
    """Write a chunk, or remove it if it has no data. Returns 1 if a file changed."""
    from numcodecs import zstd

    door = Folder(root)
    if picture is None or not picture.any():
        return int(door.remove(scale.key(place)))
    door.write(scale.key(place), bytes(zstd.Zstd(level=_ZSTD).encode(np.ascontiguousarray(picture))))
    return 1


@dataclass(frozen=True)
class PyramidState:
    """What the pyramid shows."""

    year: int  # whose colours
    finest: int  # number of its finest level
    colours: str  # digest


def read_pyramid(root: Path) -> PyramidState | None:
    """Content of a store's pyramid, None if there is none."""
    door, path = Folder(root), root / FOLDER / "zarr.json"
    if door.size(path) is None:
        return None
    try:
        about = door.json(path, what="pyramid", limit=_STATE_LIMIT)["attributes"]
        finest = int(about["tessera:finest"])
        if not 0 <= finest <= FINEST:
            raise ValueError(finest)
        return PyramidState(int(about["tessera:year"]), finest, str(about["tessera:colours"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is no pyramid of ours: {error!r}; remove {root / FOLDER}") from None


def _declare(root: Path, year: int, colours: Colours, finest: int) -> None:
    levels = [Scale(number) for number in range(finest, LAST + 1)]
    nodes: dict[str, Any] = {}
    layout: list[dict[str, Any]] = []
    for scale in levels:
        transform = [scale.step, 0.0, -180.0, 0.0, -scale.step, 90.0]
        step: dict[str, Any] = {"asset": f"{scale.number}/rgb"}
        if layout:
            step["derived_from"] = layout[-1]["asset"]
        step["transform"] = {"scale": [2.0, 2.0] if layout else [1.0, 1.0], "translation": [0.0, 0.0]}
        layout.append({**step, "spatial:shape": list(scale.shape), "spatial:transform": transform})
        nodes[str(scale.number)] = group_node(
            {"proj:code": "EPSG:4326", "spatial:dimensions": ["lat", "lon"], "spatial:transform": transform}
        )
        codecs = [{"name": "bytes"}, {"name": "zstd", "configuration": {"level": _ZSTD, "checksum": False}}]
        shape, chunks = (*scale.shape, 4), (SIDE, SIDE, 4)
        nodes[f"{scale.number}/rgb"] = array_node(shape, chunks, "uint8", 0, ("lat", "lon", "rgba"), codecs)
    door = Folder(root)
    for path, node in nodes.items():
        door.settle(f"{FOLDER}/{path}/zarr.json", node_bytes(node))
    attributes = {
        "zarr_conventions": [_CONVENTION],
        "multiscales": {"layout": layout, "resampling_method": "average"},
        "proj:code": "EPSG:4326",
        "spatial:dimensions": ["lat", "lon"],
        "spatial:bbox": [-180.0, -90.0, 180.0, 90.0],
        "tessera:year": year,
        "tessera:finest": finest,
        "tessera:colours": colours.digest,
    }
    door.settle(f"{FOLDER}/zarr.json", node_bytes(group_node(attributes, nodes)))


class _States:
    """Digests of what each chunk of a level was made from, one small file for a row of chunks."""

    def __init__(self, root: Path, number: int) -> None:
        self.door = Folder(root)
        self.folder = self.door.inner(f"{DERIVED}/state/global/{number}")
        self.rows: dict[int, dict[int, str]] = {}
        for path in sorted(self.folder.glob("*.json")):
            try:
                held = self.door.json(path, what="record", limit=_STATE_LIMIT)
                self.rows[int(path.stem)] = {int(col): str(digest) for col, digest in held.items()}
            except (InputError, ValueError):
                continue

    @property
    def digests(self) -> dict[ChunkIndex, str]:
        """Chunk -> digest."""
        return {(row, col): digest for row, held in self.rows.items() for col, digest in held.items()}

    def set(self, place: ChunkIndex, digest: str | None) -> None:
        """Record the digest of a chunk, or None if it was removed."""
        row = self.rows.setdefault(place[0], {})
        if digest is None:
            row.pop(place[1], None)
        else:
            row[place[1]] = digest
        path = self.folder / f"{place[0]}.json"
        if row:
            self.door.write(path, json.dumps({str(col): row[col] for col in sorted(row)}).encode())
        else:
            self.door.remove(path)
