"""The older `tessera:` stores, one a year: (H, W, B) arrays of a zone, chunks of 4 pixels in shards of 256.

    {year}.zarr/utmNN/{embeddings (H, W, B) int8, scales (H, W) float32, easting (W,), northing (H,), band (B,)}

A zone's grid starts at a multiple of 256 pixels. NaN scales say no data. Nothing published has this form today.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, TesseraError, file_lock, read_json, silent, sync_folder, write_atomic
from tessera.embeddings import is_valid
from tessera.geo import EAST, NORTH, PIXEL_SIZE, SOUTH, WEST, Window, parse_area, parse_zone, zone_crs
from tessera.store import parse_year

from .sidecar import about_model, dataset_of, identity_of, model_of, parse_model, parse_pair, version_path
from .sizes import Estimate, window_bytes
from .state import cells_of, state_of
from .tile_import import ImportReport, check_model, clean_scales, embeddings_of, open_target
from .tiles import FALSE_NORTHING, MOST_DIMS

if TYPE_CHECKING:
    from tessera.base import Progress
    from tessera.embeddings import ModelIdentity
    from tessera.store import Dataset, Store

SHARD = 256
CHUNK = 4
"""Sides of a shard and of a chunk in it, pixels, as the convention recommends."""
_STEP = 1024
"""Side of the square that is in memory, pixels: 134 MB of 128 codes."""
_MOST_SHARD = 4096
_DOCUMENT_LIMIT = 4 * 1024**2
_SHARD_BYTES = 1024**3
_CONVENTION = {
    "schema_url": "https://raw.githubusercontent.com/ucam-eo/zarr-convention-tessera/refs/tags/v1/schema.json",
    "spec_url": "https://github.com/ucam-eo/zarr-convention-tessera/blob/v1/README.md",
    "uuid": "e7f90d5f-019e-4a38-802f-9fa695e26c71",
    "name": "tessera:",
    "description": "Quantised geospatial embedding vectors with per-pixel dequantisation scales",
}
"""As its schema wants it, word for word."""
_FORMAT = 1
_ZONE = re.compile(r"utm(\d{2})", re.ASCII)


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
        No such year or area, another name, a path that exists, or a disk that is too small.
    TesseraError
        The store changed meanwhile.
    """
    year = parse_year(year)
    target = Path(out)
    if target.name != f"{year}.zarr":
        raise InputError(f"output {target.name!r}; a year store of {year} has the name {year}.zarr")
    if target.exists():
        raise InputError(f"{target} exists; expected a new path for the year store")
    if year not in store.years:
        raise InputError(f"{store.objects.root} has no year {year}; it has {list(store.years)}")
    windows = zone_windows(store, area)
    cells = cells_of(windows, store.layout.shard)
    state = state_of(store, cells, (year,))
    request = json.dumps(
        {"format": _FORMAT, "state": state, "windows": [[w.zone, *w.bounds] for w in windows]}, sort_keys=True
    )
    estimate_year_store(store, area, year).check(target)
    work = target.with_name(f".{target.name}.part")
    work.mkdir(parents=True, exist_ok=True)
    lock = file_lock(work / "lock", wait=False) if os.name == "posix" else nullcontext()
    try:
        with lock:
            part = _begin(work, request, store, windows, year)
            squares, pixels = _fill(store, part, work / "done", windows, year, progress)
            if state_of(store, cells, (year,)) != state:
                raise TesseraError(f"{store.objects.root} was written to while it was read; run the same command again")
            part.rename(target)
            sync_folder(target.parent)
            shutil.rmtree(work, ignore_errors=True)
    except BlockingIOError:
        raise InputError(f"{target} is being written by another process") from None
    return YearStoreWritten(target, tuple(window.zone for window in windows), squares, pixels)


def _begin(work: Path, request: str, store: Store, windows: list[Window], year: int) -> Path:
    """The store's metadata, new unless a run of the same request left it; call it under the lock."""
    part, mark = work / f"{year}.zarr", work / "request.json"
    if mark.is_file() and mark.read_bytes() == request.encode():
        return part
    mark.unlink(missing_ok=True)
    for folder in (part, work / "done"):
        shutil.rmtree(folder, ignore_errors=True)
    _create(part, store, windows, year)
    write_atomic(mark, request.encode())
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

    root: Any = zarr.open_group(str(part), mode="r+", zarr_format=3)
    squares = [(window, square) for window in windows for square in _squares(window, _STEP)]
    counts = []
    progress(0, len(squares))
    for number, (window, square) in enumerate(squares, 1):
        mark = done / f"{number:08d}.json"
        if mark.is_file():
            counts.append(int(read_json(mark, what="finished square", limit=4096)["valid"]))
        else:
            counts.append(_write_square(store, root[f"utm{window.zone:02d}"], window, square, year))
            write_atomic(mark, json.dumps({"valid": counts[-1]}).encode())
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


@dataclass(frozen=True)
class _Zone:
    """A zone of a year store whose metadata passed.

    Attributes
    ----------
    folder : its group
    window : its grid on the lattice
    dims : length of its vectors
    shards : array name -> side of a shard, pixels
    """

    folder: Path
    window: Window
    dims: int
    shards: dict[str, int]


def import_year_store(
    path: str | Path,
    store: str | Path | Store,
    year: int | None = None,
    *,
    dataset: str | None = None,
    progress: Progress = silent,
) -> ImportReport:
    """Write an older `tessera:` store of one year to a store, square by square in bounded memory.

    A square whose shards' digest is in the commit records already is left alone, so that what was stopped goes on.

    Parameters
    ----------
    path : folder "{year}.zarr"
    store : a Store, or the path or URL of one, created with all zones where there is none
    year : must be the store's own where given
    dataset : which published dataset it is of, where it does not say so
    progress : called with squares done and their total

    Raises
    ------
    InputError
        No such store, metadata that does not fit the convention, another model or year, or no dataset.
    """
    folder = Path(path)
    about = _document(folder, folder)
    held = about.get("tessera:year")
    if not isinstance(held, int) or isinstance(held, bool):
        raise InputError(f"{folder} has the tessera:year {held!r}; expected a year")
    held = parse_year(held)
    if year is not None and year != held:
        raise InputError(f"{folder} holds {held}, not {year}")
    zones = [_zone(folder, child, held) for child in sorted(folder.iterdir()) if _ZONE.fullmatch(child.name)]
    if not zones:
        raise InputError(f"{folder} has no zone, a folder utm01 to utm60")
    named = _named(about, str(folder))
    if named is None:
        _check_version(about, dataset, str(folder))
    kind, model = identity_of(named, dataset, str(folder))
    one = model_of(kind, model, zones[0].dims, str(zones[0].folder))
    for zone in zones:
        model_of(kind, one, zone.dims, str(zone.folder))
    opened = open_target(store, one)
    check_model(opened, one)
    report = ImportReport(opened.objects.root)
    squares = [(zone, square) for zone in zones for square in _squares_with_data(zone)]
    progress(0, len(squares))
    for number, (zone, square) in enumerate(squares, 1):
        try:
            _import_square(opened, zone, square, held, kind, report)
        except InputError as error:
            report.failed.append(
                f"{zone.folder.name}, square at {square.bounds[0]:.0f}, {square.bounds[3]:.0f}: {error}"
            )
        progress(number, len(squares))
    return report


def _document(folder: Path, node: Path) -> dict[str, Any]:
    """Attributes of a group."""
    return _attributes(_node(folder, node), node)


def _node(folder: Path, node: Path) -> dict[str, Any]:
    path = node / "zarr.json"
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{path} is a link out of {folder}")
    return read_json(path, what="Zarr metadata", limit=_DOCUMENT_LIMIT)


def _attributes(value: dict[str, Any], node: Path) -> dict[str, Any]:
    about = value.get("attributes")
    if value.get("zarr_format") != 3 or value.get("node_type") != "group" or not isinstance(about, dict):
        raise InputError(f"{node} is no Zarr v3 group with attributes")
    return about


def _named(about: dict[str, Any], where: str) -> tuple[Dataset, ModelIdentity | None] | None:
    """The dataset of attributes that we wrote; others' name a version alone, which is no identity."""
    if "tessera:dataset_variant" not in about:
        return None
    dataset = parse_pair(about.get("tessera:model_version"), about["tessera:dataset_variant"], where)
    return dataset, parse_model(about.get("tessera:model"), dataset, where)


def _check_version(about: dict[str, Any], dataset: str | None, where: str) -> None:
    """A store that names a version must name that of the dataset that it is said to be."""
    version = about.get("tessera:dataset_version")
    if dataset is None or not isinstance(version, str):
        return
    asked = identity_of(None, dataset, where)[0]
    if version not in (version_path(asked), f"v{asked.version}", asked.version):
        raise InputError(f"{where} is of version {version[:40]!r}; {asked.name} was given")


def _zone(folder: Path, node: Path, year: int) -> _Zone:
    about = _document(folder, node)
    zone = parse_zone(int(node.name[3:]))
    if about.get("tessera:utm_zone", zone) != zone or about.get("tessera:year", year) != year:
        raise InputError(f"{node} says zone {about.get('tessera:utm_zone')!r}, year {about.get('tessera:year')!r}")
    codes, scales = (_node(folder, node / name) for name in ("embeddings", "scales"))
    shape, shard = _array(codes, node / "embeddings", "int8", 3)
    same, scale_shard = _array(scales, node / "scales", "float32", 2)
    if shape[:2] != same:
        raise InputError(f"{node} has embeddings of {shape[:2]} pixels and scales of {same}")
    if not 1 <= shape[2] <= MOST_DIMS:
        raise InputError(f"{node} has vectors of {shape[2]}; expected at most {MOST_DIMS}")
    window = _window(about, zone, same, node)
    return _Zone(node, window, shape[2], {"embeddings": shard, "scales": scale_shard})


def _array(value: dict[str, Any], node: Path, dtype: str, axes: int) -> tuple[tuple[int, ...], int]:
    """Shape of an array and side of its shards.

    Raises
    ------
    InputError
        Metadata of anything else than this convention's arrays, or of sizes that no such store has.
    """
    try:
        shape = tuple(_whole(side) for side in value["shape"])
        grid = value["chunk_grid"]
        shard = tuple(_whole(side) for side in grid["configuration"]["chunk_shape"])
        encoding = value["chunk_key_encoding"]
        plain = encoding["name"] == "default" and encoding.get("configuration", {}).get("separator", "/") == "/"
        regular = (value["zarr_format"], value["node_type"], grid["name"]) == (3, "array", "regular")
        inner = shard
        for codec in value["codecs"]:
            if codec["name"] == "sharding_indexed":
                inner = tuple(_whole(side) for side in codec["configuration"]["chunk_shape"])
        found = value["data_type"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{node} has metadata that cannot be read: {str(error)[:80]!r}") from None
    if found != dtype or not (plain and regular) or value.get("storage_transformers"):
        raise InputError(f"{node} holds {str(found)[:40]!r} in some other layout; expected regular {dtype}")
    if not (len(shape) == len(shard) == len(inner) == axes) or shape[0] > NORTH - SOUTH or shape[1] > EAST - WEST:
        raise InputError(f"{node} has the shape {shape}; expected {axes} axes on the lattice")
    if (
        shard[0] != shard[1]
        or shard[0] > _MOST_SHARD
        or any(size % side for size, side in zip(shard, inner, strict=True))
    ):
        raise InputError(
            f"{node} has shards of {shard} in chunks of {inner}; expected squares of at most {_MOST_SHARD}"
        )
    if shard[2:] != shape[2:]:
        raise InputError(f"{node} has shards of {shard[2:]} bands; expected all {shape[2:]}")
    if math.prod(shard) * np.dtype(dtype).itemsize > _SHARD_BYTES:
        raise InputError(f"{node} has shards of {shard}, more than {_SHARD_BYTES} bytes")
    return shape, shard[0]


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**31:
        raise ValueError(f"size {value!r}")
    return value


def _window(about: dict[str, Any], zone: int, shape: tuple[int, ...], node: Path) -> Window:
    code, transform = about.get("proj:code", zone_crs(zone)), about.get("spatial:transform")
    if code not in (zone_crs(zone), f"EPSG:{32700 + zone}"):
        raise InputError(f"{node} has the CRS {code!r}; expected {zone_crs(zone)} or EPSG:{32700 + zone}")
    numbers = transform if isinstance(transform, list) and len(transform) >= 6 else []
    if not all(isinstance(number, (int, float)) and math.isfinite(number) for number in numbers[:6]) or not numbers:
        raise InputError(f"{node} has the spatial:transform {str(transform)[:80]}; expected six numbers")
    a, b, left, d, e, top = (float(number) for number in numbers[:6])
    if (a, b, d, e) != (PIXEL_SIZE, 0.0, 0.0, -PIXEL_SIZE):
        raise InputError(f"{node} has the spatial:transform {numbers[:6]}; expected north-up pixels of 10 m")
    if code != zone_crs(zone):
        top -= FALSE_NORTHING
    return Window(zone, math.floor(left / PIXEL_SIZE), math.ceil(top / PIXEL_SIZE), shape[1], shape[0])


def _squares_with_data(zone: _Zone) -> list[Window]:
    """The squares that a shard of scales touches: a sparse zone is not walked through."""
    side, window = zone.shards["scales"], zone.window
    found: set[tuple[int, int]] = set()
    root = zone.folder / "scales" / "c"
    for row in _numbers(root, -(-window.height // side)):
        for col in _numbers(root / str(row), -(-window.width // side)):
            north, west = window.north - row * side, window.west + col * side
            south, east = max(north - side, window.south), min(west + side, window.east)
            for down in range(south // _STEP, (north - 1) // _STEP + 1):
                found |= {(down, right) for right in range(west // _STEP, (east - 1) // _STEP + 1)}
    squares = []
    for down, right in sorted(found, key=lambda place: (-place[0], place[1])):
        north, west = min((down + 1) * _STEP, window.north), max(right * _STEP, window.west)
        south, east = max(down * _STEP, window.south), min((right + 1) * _STEP, window.east)
        squares.append(Window(window.zone, west, north, east - west, north - south))
    return squares


def _numbers(folder: Path, count: int) -> list[int]:
    if not folder.is_dir():
        return []
    names = (path.name for path in folder.iterdir())
    return sorted(int(n) for n in names if re.fullmatch(r"0|[1-9]\d{0,6}", n, re.ASCII) and int(n) < count)


def _import_square(
    store: Store, zone: _Zone, square: Window, year: int, dataset: Dataset, report: ImportReport
) -> None:
    provenance = {"source": "year-store", "dataset": dataset.name, "shards_sha256": _digest(zone, square)}
    if store.holds(square, year, provenance):
        report.kept += 1
        return
    codes, scales = _read_square(zone, square)
    cleaned, pixels = clean_scales(scales, report.pixels)
    store.write(embeddings_of(codes, cleaned, store.model, square, provenance, pixels), year)
    report.written += 1


def _digest(zone: _Zone, square: Window) -> str:
    """SHA-256 over names and bytes of the shards that a square touches; none may be larger than its pixels explain."""
    rows, cols = square.slices_in(zone.window)
    found = hashlib.sha256()
    for name, side in zone.shards.items():
        limit = 2 * side * side * (zone.dims if name == "embeddings" else 4) + 64 * side * side + 65_536
        for row in range(rows.start // side, (rows.stop - 1) // side + 1):
            for col in range(cols.start // side, (cols.stop - 1) // side + 1):
                path = zone.folder / name / "c" / str(row) / str(col) / ("0" if name == "embeddings" else "")
                if not path.is_file():
                    continue
                if not path.resolve().is_relative_to(zone.folder.resolve()):
                    raise InputError(f"{path} is a link out of its zone")
                if path.stat().st_size > limit:
                    raise InputError(f"{path} has {path.stat().st_size} bytes; its pixels explain at most {limit}")
                with path.open("rb") as file:
                    found.update(f"{name}/{row}/{col}\0".encode())
                    found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()


def _read_square(zone: _Zone, square: Window) -> tuple[Any, Any]:
    import zarr

    box = square.slices_in(zone.window)
    try:
        arrays: list[Any] = [
            zarr.open_array(str(zone.folder / name), mode="r", zarr_format=3) for name in ("embeddings", "scales")
        ]
        codes, scales = (np.ascontiguousarray(array[box]) for array in arrays)
    except Exception as error:
        # whatever a codec makes of damaged bytes is one line
        raise InputError(f"cannot be read: {type(error).__name__} {str(error)[:100]}") from None
    if codes.shape != (*square.shape, zone.dims) or scales.shape != square.shape:
        raise InputError(f"gives arrays of {codes.shape} and {scales.shape}")
    return codes, np.asarray(scales, np.float32)
