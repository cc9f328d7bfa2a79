"""The older `tessera:` stores, one a year: (H, W, B) arrays of a zone, chunks of 4 pixels in shards of 256.

    {year}.zarr/utmNN/{embeddings (H, W, B) int8, scales (H, W) float32, easting (W,), northing (H,), band (B,)}

A zone's grid starts at a multiple of 256 pixels. NaN scales say no data. Nothing published has this form today.
"""

from __future__ import annotations

import json
import math
import os
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import (
    Folder,
    InputError,
    TesseraError,
    check_folder,
    place_folder,
    read_json,
    sha256_hex,
    silent,
    write_atomic,
)
from tessera.embeddings import is_valid
from tessera.geo import PIXEL_SIZE, Window, parse_area, zone_crs
from tessera.shards import parse_year

from ._sidecar import about_model, dataset_of, version_path
from ._state import cells_of, state_of
from .sizes import Estimate, window_bytes

if TYPE_CHECKING:
    from tessera.base import Progress
    from tessera.store import Store

SHARD = 256
CHUNK = 4
"""Sides of a shard and of a chunk in it, pixels, as the convention recommends."""
STEP = 1024
"""Side of the square that is in memory, pixels: 134 MB of 128 codes."""
_CONVENTION = {
    "schema_url": "https://raw.githubusercontent.com/ucam-eo/zarr-convention-tessera/refs/tags/v1/schema.json",
    "spec_url": "https://github.com/ucam-eo/zarr-convention-tessera/blob/v1/README.md",
    "uuid": "e7f90d5f-019e-4a38-802f-9fa695e26c71",
    "name": "tessera:",
    "description": "Quantised geospatial embedding vectors with per-pixel dequantisation scales",
}
"""As its schema wants it, word for word."""
_FORMAT = 1
_MARK = "tessera:export"
"""Attribute of the root by which the same request knows its own store."""


@dataclass(frozen=True)
class YearStoreWritten:
    """What an export of a year store did.

    Attributes
    ----------
    path : the store
    zones : which it has
    squares, pixels : how many squares and pixels have data
    """

    path: Path
    zones: tuple[int, ...]
    squares: int
    pixels: int


def zone_windows(store: Store, area: object) -> list[Window]:
    """A zone's grid for each zone of an area that the store has: around the area, edges at multiples of 256 pixels."""
    found = []
    for part in parse_area(area).parts():
        if part.zone in store.zones:
            window = part.window
            west, south = (value // SHARD * SHARD for value in (window.west, window.south))
            east, north = (-(-value // SHARD) * SHARD for value in (window.east, window.north))
            found.append(Window(part.zone, west, north, east - west, north - south))
    if not found:
        raise InputError(f"the area lies outside the zones of {store.objects.root}: {', '.join(map(str, store.zones))}")
    return found


def estimate_year_store(store: Store, area: object, year: int) -> Estimate:
    """What an export takes, at most."""
    windows = zone_windows(store, area)
    pixels = sum(window.height * window.width for window in windows)
    index = sum(2 * 16 * math.ceil(w.height / CHUNK) * math.ceil(w.width / CHUNK) for w in windows)
    what = f"a year store of {pixels:,} pixels"
    read = window_bytes(store, windows, store.dims, (year,))
    return Estimate(what, 1, store.dims, read, 0, pixels * (store.dims + 4) + index)


def export_year_store(
    store: Store, area: object, year: int, out: str | Path, *, progress: Progress = silent
) -> YearStoreWritten:
    """Write a year of an area as an older `tessera:` store, by zarr-python, square by square.

    Parameters
    ----------
    out : path of the store, whose name is "{year}.zarr"; it appears whole or not at all, and what was stopped goes on
        in the hidden folder beside it
    progress : called with squares done and their total

    Raises
    ------
    InputError
        No such year or area, another name, a path that holds something else, or a disk that is too small.
    TesseraError
        The store changed meanwhile.
    """
    year = parse_year(year)
    target = Path(out)
    if target.name != f"{year}.zarr":
        raise InputError(f"output {target.name!r}; a year store of {year} has the name {year}.zarr")
    check_folder(target, "year store", inputs=(store.objects.root,))
    if year not in store.years:
        raise InputError(f"{store.objects.root} has no year {year}; it has {list(store.years)}")
    windows = zone_windows(store, area)
    store.refuse_empty(area, year)
    cells = cells_of(windows, store.layout.shard)
    state = state_of(store, cells, (year,))
    request = json.dumps(
        {"format": _FORMAT, "state": state, "windows": [[w.zone, *w.bounds] for w in windows]}, sort_keys=True
    )
    digest = sha256_hex(request.encode())
    if target.exists():
        done = _finished(target, digest)
        if done is None:
            raise InputError(f"{target} exists, of another store, state or area; expected a new path")
        _drop_work(target)
        return YearStoreWritten(target, tuple(window.zone for window in windows), *done)
    work = target.with_name(f".{target.name}.part")
    kept = sum(path.stat().st_size for path in work.rglob("*") if path.is_file())
    estimate_year_store(store, area, year).check(target, kept)
    target.parent.mkdir(parents=True, exist_ok=True)
    door = Folder(target.parent)
    door.check(work.name)
    lock = door.lock(work / "lock", wait=False) if os.name == "posix" else nullcontext()
    try:
        with lock:
            part = _begin(work, request, store, windows, year)
            squares, pixels = _fill(store, part, work / "done", windows, year, progress)
            if state_of(store, cells, (year,)) != state:
                raise TesseraError(f"{store.objects.root} was written to while it was read; run the same command again")
            _mark(part, {"request": digest, "squares": squares, "pixels": pixels})
            place_folder(part, target, "the year store")
            door.remove_tree(work)
    except BlockingIOError:
        raise InputError(f"{target} is being written by another process") from None
    return YearStoreWritten(target, tuple(window.zone for window in windows), squares, pixels)


def _finished(target: Path, request: str) -> tuple[int, int] | None:
    """Squares and pixels of a year store that this very request made, None where it is another."""
    try:
        about = read_json(target / "zarr.json", what="year store")["attributes"][_MARK]
        found = about["squares"], about["pixels"]
        return found if about["request"] == request and all(type(number) is int for number in found) else None
    except (InputError, OSError, KeyError, TypeError):
        return None


def _mark(part: Path, about: dict[str, Any]) -> None:
    """Say in the root what was asked for, so that the same command run again knows its own store."""
    path = part / "zarr.json"
    root = read_json(path, what="year store")
    root["attributes"][_MARK] = about
    write_atomic(path, json.dumps(root, indent=2).encode())


def _drop_work(target: Path) -> None:
    """Remove the work folder of a run that was killed after its store had got its place."""
    work, door = target.with_name(f".{target.name}.part"), Folder(target.parent)
    if os.name != "posix" or not (work / "request.json").is_file() or (work / target.name).exists():
        return
    with suppress(BlockingIOError, InputError), door.lock(work / "lock", wait=False):
        door.remove_tree(work)


def _begin(work: Path, request: str, store: Store, windows: list[Window], year: int) -> Path:
    """The store's metadata, new unless a run of the same request left it; call it under the lock."""
    part, mark, door = work / f"{year}.zarr", work / "request.json", Folder(work)
    if door.holds(mark, request.encode()):
        return part
    door.remove(mark)
    for folder in (part, work / "done"):
        door.remove_tree(folder)
    _create(part, store, windows, year)
    door.write(mark, request.encode())
    return part


def _create(part: Path, store: Store, windows: list[Window], year: int) -> None:
    import zarr
    from zarr.codecs import BloscCodec

    version = version_path(dataset_of(store.model))
    both = {"zarr_conventions": [_CONVENTION], "tessera:dataset_version": version, "tessera:year": year}
    about = about_model(store.model)
    root = zarr.create_group(store=str(part), zarr_format=3, attributes={**both, **about})
    packed = BloscCodec(typesize=1, cname="zstd", clevel=3, shuffle="bitshuffle")
    for window in windows:
        left, bottom, right, top = window.bounds
        attributes = {
            **both,
            **about,
            "tessera:utm_zone": window.zone,
            "tessera:n_bands": store.dims,
            "tessera:n_tiles": 0,
            "tessera:has_rgb_preview": False,
            "proj:code": zone_crs(window.zone),
            "spatial:dimensions": ["northing", "easting"],
            "spatial:transform": [float(PIXEL_SIZE), 0.0, left, 0.0, -float(PIXEL_SIZE), top],
            "spatial:shape": list(window.shape),
            "spatial:bbox": [left, bottom, right, top],
            "spatial:registration": "pixel",
        }
        group = root.create_group(f"utm{window.zone:02d}", attributes=attributes)
        names = ("northing", "easting", "band")
        group.create_array(
            "embeddings",
            shape=(*window.shape, store.dims),
            chunks=(CHUNK, CHUNK, store.dims),
            shards=(SHARD, SHARD, store.dims),
            dtype="int8",
            fill_value=0,
            dimension_names=names,
            compressors=packed,
        )
        group.create_array(
            "scales",
            shape=window.shape,
            chunks=(CHUNK, CHUNK),
            shards=(SHARD, SHARD),
            dtype="float32",
            fill_value=np.nan,
            dimension_names=names[:2],
            compressors=packed,
        )
        axes = {
            "easting": left + (np.arange(window.width) + 0.5) * PIXEL_SIZE,
            "northing": top - (np.arange(window.height) + 0.5) * PIXEL_SIZE,
            "band": np.arange(store.dims, dtype=np.int32),
        }
        for name, values in axes.items():
            group.create_array(
                name,
                shape=values.shape,
                chunks=values.shape,
                dtype=values.dtype.name,
                dimension_names=(name,),
                compressors=None,
            )[:] = values


def _squares(window: Window, step: int) -> list[Window]:
    """A window cut into squares at multiples of `step` pixels from the zone's origin."""
    return [
        Window(window.zone, max(west, window.west), min(south + step, window.north), width, height)
        for south in range(window.south // step * step, window.north, step)[::-1]
        for west in range(window.west // step * step, window.east, step)
        for width in [min(west + step, window.east) - max(west, window.west)]
        for height in [min(south + step, window.north) - max(south, window.south)]
    ]


def _fill(
    store: Store, part: Path, done: Path, windows: list[Window], year: int, progress: Progress
) -> tuple[int, int]:
    import zarr

    door = Folder(done)
    root: Any = zarr.open_group(str(part), mode="r+", zarr_format=3)
    squares = [(window, square) for window in windows for square in _squares(window, STEP)]
    counts = []
    progress(0, len(squares))
    for number, (window, square) in enumerate(squares, 1):
        mark = f"{number:08d}.json"
        if door.size(mark) is not None:
            counts.append(int(door.json(mark, what="finished square", limit=4096)["valid"]))
        else:
            counts.append(_write_square(store, root[f"utm{window.zone:02d}"], window, square, year))
            door.write(mark, json.dumps({"valid": counts[-1]}).encode())
        progress(number, len(squares))
    return sum(count > 0 for count in counts), sum(counts)


def _write_square(store: Store, group: Any, window: Window, square: Window, year: int) -> int:
    """Write a square of whole shards; the number of its pixels with data."""
    found = store.read_window(square, year)
    valid = is_valid(found.scales)
    if valid.any():
        box = square.slices_in(window)
        group["embeddings"][box] = np.where(valid[..., None], found.codes, np.int8(0))
        group["scales"][box] = np.where(valid, found.scales, np.float32(np.nan))
    return int(valid.sum())
