"""Registries of tiles: which tiles there are, how long their files are, and their digests where that is told.

Two kinds are in use: geotessera 0.8 to 0.11 reads `manifest.parquet` and `landmasks.parquet` (lengths only), 0.7
`registry.parquet`, a GeoParquet file, and `landmasks.parquet` (SHA-256 too). A folder that we write has all three.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import Folder, InputError, open_parquet_bounded

from .tiles import centre_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tessera.geo import Tile
    from tessera.store import Dataset

KINDS = ("codes", "scales", "landmask")
_ROW_LIMIT = 100_000_000
_UNPACKED_LIMIT = 16 * 1024**3
"""Bytes of all that is read of a registry, a batch at a time."""
_BATCH = 65_536
_COLUMNS: dict[str, dict[str, tuple[str, str | None]]] = {
    "manifest.parquet": {"codes": ("grid_size", None), "scales": ("scales_size", None)},
    "registry.parquet": {"codes": ("file_size", "hash"), "scales": ("scales_size", "scales_hash")},
    "landmasks.parquet": {"landmask": ("file_size", "hash")},
}
"""Registry -> kind of file -> columns of its length and its SHA-256."""
_GEOMETRY = "geometry"

Key = tuple[str, int, int, int]
"""Kind of file, year (0 for landmasks), centre's longitude and latitude in hundredths of a degree."""


@dataclass(frozen=True)
class FileFacts:
    """What is known of a file."""

    size: int | None  # bytes, None where it is not told
    sha256: str | None  # 64 hexadecimal digits, None where it is not told


@dataclass(frozen=True)
class Registry:
    """What registries say of the tiles at hand."""

    names: tuple[str, ...]  # the registries that were there
    facts: dict[Key, tuple[FileFacts, ...]]  # by kind, year and tile, each registry's word

    def check(self, kind: str, tile: Tile, year: int, found: FileFacts, name: str) -> None:
        """Compare a file's length and digest with what registries say of it; a tile that none lists passes."""
        for told in self.facts.get(key_of(kind, tile, year), ()):
            if told.size is not None and told.size != found.size:
                raise InputError(f"{name} has {found.size} bytes; the registry says {told.size}")
            if told.sha256 is not None and told.sha256 != found.sha256:
                raise InputError(f"{name} has the SHA-256 {found.sha256}; the registry says {told.sha256}")

    def lists(self, tile: Tile, year: int) -> bool:
        """Whether a registry has the tile."""
        return key_of("codes", tile, year) in self.facts


def key_of(kind: str, tile: Tile, year: int) -> Key:
    """The key of a tile's file."""
    return kind, 0 if kind == "landmask" else year, 10 * tile.lon10 + 5, 10 * tile.lat10 + 5


def read_registries(folder: Path, wanted: Iterable[tuple[int, Tile]], dataset: Dataset | None) -> Registry:
    """Read what a folder's registries say of some tiles and years; rows of others, or other datasets, are skipped."""
    pairs = list(wanted)
    keys = {key_of(kind, tile, year) for kind in KINDS for year, tile in pairs}
    names, facts = [], dict[Key, tuple[FileFacts, ...]]()
    for name, columns in _COLUMNS.items():
        path = folder / name
        if not path.exists():
            continue
        names.append(name)
        for batch in _batches(folder, path):
            for key, found in _rows(batch, columns, keys, dataset, path):
                facts[key] = (*facts.get(key, ()), found)
    return Registry(tuple(names), facts)


def dataset_columns(folder: Path) -> tuple[str, str] | None:
    """Version and variant of a manifest, where all its rows have the same; None where there are none."""
    path = folder / "manifest.parquet"
    if not path.exists():
        return None
    found: set[tuple[str, str]] = set()
    for batch in _batches(folder, path):
        if not {"version", "variant"} <= set(batch.column_names):
            return None
        both = [batch.column(name).to_pylist() for name in ("version", "variant")]
        found |= {(str(version), str(variant)) for version, variant in zip(*both, strict=True)}
        if len(found) > 1:
            raise InputError(f"{path} lists several datasets; say which with dataset=")
    return next(iter(found), None)


_READ = (
    "year",
    "lon",
    "lat",
    "grid_size",
    "scales_size",
    "version",
    "variant",
    "file_size",
    "hash",
    "scales_hash",
)


def _batches(folder: Path, path: Path) -> Iterator[Any]:
    """Tables of at most 65,536 rows with the columns that matter."""
    with open_parquet_bounded(
        path, what="registry", most_rows=_ROW_LIMIT, most_bytes=_UNPACKED_LIMIT, inside=folder
    ) as table:
        yield from table.batches([name for name in _READ if name in table.schema.names], _BATCH)


def _rows(
    table: Any, columns: dict[str, tuple[str, str | None]], keys: set[Key], dataset: Dataset | None, path: Path
) -> Iterator[tuple[Key, FileFacts]]:
    is_landmasks = "landmask" in columns
    needed = {"lon", "lat", *(() if is_landmasks else ("year",)), next(iter(columns.values()))[0]}
    lacks = needed - set(table.column_names)
    if lacks:
        raise InputError(f"{path} lacks the columns {', '.join(sorted(lacks))}")
    degrees = [np.asarray(table.column(name).to_numpy(zero_copy_only=False), np.float64) for name in ("lon", "lat")]
    if not all(np.isfinite(values).all() for values in degrees):
        raise InputError(f"{path} has coordinates that are no numbers")
    lon, lat = (np.rint(values * 100).astype(np.int64).tolist() for values in degrees)
    years = [0] * len(lon) if is_landmasks else table.column("year").to_pylist()
    same = _is_dataset(table, dataset)
    told = {kind: (_values(table, size), _values(table, digest)) for kind, (size, digest) in columns.items()}
    for row in range(len(lon)):
        for kind, (sizes, digests) in told.items():
            key = (kind, years[row], lon[row], lat[row])
            if key in keys and same[row]:
                yield key, _facts(sizes[row], digests[row], path)


def _values(table: Any, name: str | None) -> list[Any]:
    if name is None or name not in table.column_names:
        return [None] * int(table.num_rows)
    return list(table.column(name).to_pylist())


def _is_dataset(table: Any, dataset: Dataset | None) -> list[bool]:
    same = [True] * int(table.num_rows)
    if dataset is not None:
        for name, wanted in (("version", dataset.version), ("variant", dataset.variant)):
            values = _values(table, name)
            same = [held and value in (None, wanted) for held, value in zip(same, values, strict=True)]
    return same


def _facts(size: Any, digest: Any, path: Path) -> FileFacts:
    try:
        known = None if size is None else int(size)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{path} has the length {size!r}; expected bytes") from None
    text = None if digest is None else str(digest).removeprefix("sha256:").lower()
    return FileFacts(known, text or None)


@dataclass(frozen=True)
class TileRow:
    """A tile's files, as registries list them."""

    tile: Tile
    year: int
    files: dict[str, FileFacts]  # kind -> length and digest


def write_registries(folder: Path, rows: list[TileRow], dataset: Dataset) -> None:
    """Write the three registries of a folder; the same rows give the same bytes."""
    rows = sorted(rows, key=lambda row: (row.year, row.tile))
    by_tile = {row.tile: row for row in rows}
    places = _places([row.tile for row in rows])
    years = {"year": np.array([row.year for row in rows], dtype=np.int32)}
    names = {"version": [dataset.version] * len(rows), "variant": [dataset.variant] * len(rows)}
    sizes = {kind: np.array([row.files[kind].size for row in rows], dtype=np.int64) for kind in KINDS}
    digests = {kind: [row.files[kind].sha256 for row in rows] for kind in KINDS}
    manifest = {**years, **places, "grid_size": sizes["codes"], "scales_size": sizes["scales"], **names}
    registry = {
        **places,
        **years,
        "hash": digests["codes"],
        "file_size": sizes["codes"],
        "scales_hash": digests["scales"],
        "scales_size": sizes["scales"],
        **_geometry(places),
    }
    tiles = sorted(by_tile)
    masks = [by_tile[tile].files["landmask"] for tile in tiles]
    landmasks = {
        **_places(tiles),
        "hash": [mask.sha256 for mask in masks],
        "file_size": np.array([mask.size for mask in masks], dtype=np.int64),
    }
    for name, columns in (("landmasks", landmasks), ("registry", registry), ("manifest", manifest)):
        Folder(folder).write(f"{name}.parquet", _parquet(columns))


def _places(tiles: list[Tile]) -> dict[str, Any]:
    centres = np.array([centre_of(tile) for tile in tiles], dtype=np.float64).reshape(-1, 2)
    keys = np.array([key_of("codes", tile, 0)[2:] for tile in tiles], dtype=np.int32).reshape(-1, 2)
    return {"lon": centres[:, 0], "lat": centres[:, 1], "lon_i": keys[:, 0], "lat_i": keys[:, 1]}


def _geometry(places: dict[str, Any]) -> dict[str, Any]:
    """The centres as points in WKB."""
    import shapely

    return {_GEOMETRY: list(shapely.to_wkb(shapely.points(places["lon"], places["lat"])))}


def _parquet(columns: dict[str, Any]) -> memoryview:
    """A Parquet file's bytes; GeoParquet 1.0 in longitude and latitude where there is a column of geometry."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({name: values for name, values in columns.items() if name != _GEOMETRY})
    if _GEOMETRY in columns:
        column = {"encoding": "WKB", "geometry_types": ["Point"]}
        geo = {"version": "1.0.0", "primary_column": _GEOMETRY, "columns": {_GEOMETRY: column}}
        table = table.append_column(_GEOMETRY, pa.array(columns[_GEOMETRY], pa.binary()))
        table = table.replace_schema_metadata({b"geo": json.dumps(geo, sort_keys=True).encode()})
    file = io.BytesIO()
    pq.write_table(table, file, compression="zstd")
    return file.getbuffer()
