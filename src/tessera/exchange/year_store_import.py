"""Older `tessera:` year stores into a store: metadata checked first, then square by square.

    {year}.zarr/utmNN/{embeddings (H, W, B) int8, scales (H, W) float32, easting (W,), northing (H,), band (B,)}

NaN scales say no data. Nothing published has this form, and it is no longer written.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, open_regular, raise_if_machine, read_json, silent
from tessera.geo import EAST, NORTH, PIXEL_SIZE, SOUTH, WEST, Window, parse_zone, zone_crs
from tessera.net import settled_reads
from tessera.shards import parse_year

from ._sidecar import identity_of, model_of, parse_model, parse_pair, version_path
from ._year_shards import check_shard, parse_form
from .tile_import import YEAR_STORE, ImportReport, check_model, clean_scales, embeddings_of, open_target
from .tiles import FALSE_NORTHING, MOST_DIMS

if TYPE_CHECKING:
    from tessera.base import Progress
    from tessera.embeddings import ModelIdentity
    from tessera.store import Dataset, Store

    from ._year_shards import ShardForm

STEP = 1024
"""Side of the square that is in memory, pixels: 134 MB of 128 codes."""
_MOST_SHARD = 4096
_DOCUMENT_LIMIT = 4 * 1024**2
_SHARD_BYTES = 1024**3
_ZONE = re.compile(r"utm(\d{2})", re.ASCII)


@dataclass(frozen=True)
class _Zone:
    """A zone of a year store whose metadata passed."""

    folder: Path  # its group
    window: Window  # its grid on the lattice
    dims: int  # length of its vectors
    shards: dict[str, ShardForm]  # array name -> form of its shards


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
    return read_json(node / "zarr.json", what="Zarr metadata", limit=_DOCUMENT_LIMIT, inside=folder)


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


def _array(value: dict[str, Any], node: Path, dtype: str, axes: int) -> tuple[tuple[int, ...], ShardForm]:
    """Shape of an array and form of its shards."""
    try:
        shape = tuple(_whole(side) for side in value["shape"])
        grid = value["chunk_grid"]
        shard = tuple(_whole(side) for side in grid["configuration"]["chunk_shape"])
        encoding = value["chunk_key_encoding"]
        plain = encoding["name"] == "default" and encoding.get("configuration", {}).get("separator", "/") == "/"
        regular = (value["zarr_format"], value["node_type"], grid["name"]) == (3, "array", "regular")
        codecs = value["codecs"]
        found = value["data_type"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{node} has metadata that cannot be read: {str(error)[:80]!r}") from None
    if found != dtype or not (plain and regular) or value.get("storage_transformers"):
        raise InputError(f"{node} holds {str(found)[:40]!r} in some other layout; expected regular {dtype}")
    if not (len(shape) == len(shard) == axes) or shape[0] > NORTH - SOUTH or shape[1] > EAST - WEST:
        raise InputError(f"{node} has the shape {shape}; expected {axes} axes on the lattice")
    if shard[0] != shard[1] or shard[0] > _MOST_SHARD:
        raise InputError(f"{node} has shards of {shard}; expected squares of at most {_MOST_SHARD}")
    if shard[2:] != shape[2:]:
        raise InputError(f"{node} has shards of {shard[2:]} bands; expected all {shape[2:]}")
    if math.prod(shard) * np.dtype(dtype).itemsize > _SHARD_BYTES:
        raise InputError(f"{node} has shards of {shard}, more than {_SHARD_BYTES} bytes")
    return shape, parse_form(codecs, shard, np.dtype(dtype).itemsize, node)


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
    side, window = zone.shards["scales"].side, zone.window
    found: set[tuple[int, int]] = set()
    root = zone.folder / "scales" / "c"
    for row in _numbers(root, -(-window.height // side)):
        for col in _numbers(root / str(row), -(-window.width // side)):
            north, west = window.north - row * side, window.west + col * side
            south, east = max(north - side, window.south), min(west + side, window.east)
            for down in range(south // STEP, (north - 1) // STEP + 1):
                found |= {(down, right) for right in range(west // STEP, (east - 1) // STEP + 1)}
    squares = []
    for down, right in sorted(found, key=lambda place: (-place[0], place[1])):
        north, west = min((down + 1) * STEP, window.north), max(right * STEP, window.west)
        south, east = max(down * STEP, window.south), min((right + 1) * STEP, window.east)
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
    provenance = {"source": YEAR_STORE, "dataset": dataset.name, "shards_sha256": _digest(zone, square)}
    if store.holds(square, year, provenance):
        report.kept += 1
        return
    codes, scales = _read_square(zone, square)
    cleaned, pixels = clean_scales(scales, report.pixels)
    store.write(embeddings_of(codes, cleaned, store.model, square, provenance, pixels), year)
    report.written += 1


def _digest(zone: _Zone, square: Window) -> str:
    """SHA-256 over names and bytes of the shards that a square touches; none may unpack to more than its pixels."""
    rows, cols = square.slices_in(zone.window)
    found = hashlib.sha256()
    for name, form in zone.shards.items():
        side = form.side
        limit = 2 * side * side * (zone.dims if name == "embeddings" else 4) + 64 * side * side + 65_536
        for row in range(rows.start // side, (rows.stop - 1) // side + 1):
            for col in range(cols.start // side, (cols.stop - 1) // side + 1):
                path = zone.folder / name / "c" / str(row) / str(col) / ("0" if name == "embeddings" else "")
                try:
                    opened = open_regular(path, what="shard", inside=zone.folder)
                except (FileNotFoundError, NotADirectoryError):
                    continue
                with opened as file:
                    size = os.fstat(file.fileno()).st_size
                    if size > limit:
                        raise InputError(f"{path} has {size} bytes; its pixels explain at most {limit}")
                    check_shard(file, form, path)
                    file.seek(0)
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
        with settled_reads():
            codes, scales = (np.ascontiguousarray(array[box]) for array in arrays)
    except Exception as error:
        raise_if_machine(error, zone.folder)
        # whatever a codec makes of damaged bytes is one line
        raise InputError(f"cannot be read: {type(error).__name__} {str(error)[:100]}") from None
    if codes.shape != (*square.shape, zone.dims) or scales.shape != square.shape:
        raise InputError(f"gives arrays of {codes.shape} and {scales.shape}")
    return codes, np.asarray(scales, np.float32)
