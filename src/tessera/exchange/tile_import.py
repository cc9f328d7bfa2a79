"""Published 0.1 degree tiles into a store: each checked whole before anything of it is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, TakenError, raise_if_machine, sha256_hex, silent
from tessera.embeddings import STREAMS, Embeddings, is_valid
from tessera.geo import Window
from tessera.shards import parse_year
from tessera.store import NoStoreError, Store, create_store, open_store

from ._registry import FileFacts, dataset_columns, read_registries
from ._sidecar import DIMS, identity_of, model_of, parse_pair, read_sidecar
from .sizes import Estimate
from .tiles import (
    LANDMASK_BYTES,
    MOST_DIMS,
    find_tiles,
    npy_limit,
    parse_npy,
    read_landmask,
    read_within,
    tile_window,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.base import Progress
    from tessera.embeddings import ModelIdentity
    from tessera.store import Dataset

    from ._registry import Registry
    from .tiles import TileFiles

_SOURCE = "tile"
YEAR_STORE = "year-store"
"""What provenance says of a part that came from a tile, or from a year store."""


@dataclass
class Pixels:
    """Pixels of the tiles that were imported."""

    valid: int = 0  # valid, no_data: with an embedding and without
    no_data: int = 0
    water: int = 0  # of those without, how many the landmask took
    corrupt: int = 0  # of those without, how many had a scale that is 0 or less, 1 or more, or infinite


@dataclass
class ImportReport:
    """What an import did.

    Attributes
    ----------
    store : where to
    written, kept : tiles (or squares of a year store) that were written, and that were there from before
    unlisted : tiles that no registry of the folder lists
    registries : names of those that were checked
    failed : a line a tile that was refused; nothing of it was written
    pixels : of what was written
    """

    store: str
    written: int = 0
    kept: int = 0
    unlisted: int = 0
    registries: tuple[str, ...] = ()
    failed: list[str] = field(default_factory=list)
    pixels: Pixels = field(default_factory=Pixels)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "registries": list(self.registries), "pixels": vars(self.pixels)}


@dataclass(frozen=True)
class _Tile:
    """A tile that passed every check."""

    window: Window
    codes: NDArray[np.int8]  # codes, scales, land: (H, W, D) int8, (H, W) float32, (H, W) bool
    scales: NDArray[np.float32]
    land: NDArray[np.bool_]
    provenance: dict[str, Any]  # its name and the digests of its files


def import_tiles(
    source: str | Path,
    store: str | Path | Store,
    year: int | None = None,
    *,
    dataset: str | None = None,
    mask_water: bool | None = None,
    progress: Progress = silent,
) -> ImportReport:
    """Write the tiles of a folder to a store, in the order of years and names; a later tile wins where two overlap.

    A tile is placed by its landmask's GeoTIFF, by FLOOR of the corner's offset, and checked against the folder's
    registries. One that is damaged is left out and named in the report; the others go on. A tile whose files' digests
    are in the commit records already, and over which nothing else was written since, is left alone: what was stopped
    goes on, with the same bytes in the end.

    Parameters
    ----------
    source : a folder in the layout of geotessera's embeddings_dir
    store : a Store, or the path or URL of one, created with all zones where there is none
    year : which; all where None
    dataset : which published dataset the tiles are of, where the folder does not say it
    mask_water : whether pixels that the landmask calls water lose their data, as in the published stores; where None
        that is so before version 2, whose runs cover what they emit
    progress : called with tiles done and their total

    Raises
    ------
    InputError
        No such folder or tiles, no dataset or two of them, a store of another model, a registry that cannot be read,
        or rasterio is not installed.
    TesseraError
        Writing failed; what was written before stays, and the same call goes on.
    """
    folder = Path(source)
    files = find_tiles(folder, None if year is None else parse_year(year))
    dataset_, model = identity_of(_named(folder, dataset), dataset, str(folder))
    registry = read_registries(folder, ((each.year, each.tile) for each in files), dataset_)
    masked = dataset_.version.split(".")[0] in ("0", "1") if mask_water is None else mask_water
    work = _Import(store, dataset_, model, registry, masked)
    progress(0, len(files))
    for number, each in enumerate(files, 1):
        work.add(each)
        progress(number, len(files))
    return work.report


def _named(folder: Path, given: str | None) -> tuple[Dataset, ModelIdentity | None] | None:
    found = read_sidecar(folder)
    if found is not None or given is not None:
        return found
    pair = dataset_columns(folder)
    return None if pair is None else (parse_pair(*pair, "manifest.parquet"), None)


class _Import:
    """An import under way.

    Parameters
    ----------
    store : where to; it is opened or created when the first tile is sound, since its dims may be the tile's
    dataset, model : what tiles are of
    """

    def __init__(
        self, store: str | Path | Store, dataset: Dataset, model: ModelIdentity | None, registry: Registry, masked: bool
    ) -> None:
        self.target, self.dataset, self.model = store, dataset, model
        self.registry, self.masked = registry, masked
        self.report = ImportReport(
            store.objects.root if isinstance(store, Store) else str(store), registries=registry.names
        )
        self.store = store if isinstance(store, Store) else None

    def add(self, files: TileFiles) -> None:
        """Import one tile, or note why not."""
        try:
            tile = self._read(files)
            model = model_of(self.dataset, self.model, tile.codes.shape[2], files.codes.name)
        except InputError as error:
            self.report.failed.append(f"tile {files.tile.name} of {files.year}: {error}")
            return
        except OSError as error:
            raise_if_machine(error, f"tile {files.tile.name}")
            self.report.failed.append(f"tile {files.tile.name} of {files.year}: {error.strerror or error}")
            return
        self.model = model
        if self.store is None:
            self.store = open_target(self.target, model)
        check_model(self.store, model)
        if tile.window.zone not in self.store.zones:
            where = f"tile {files.tile.name} of {files.year}"
            self.report.failed.append(f"{where}: {self.store.objects.root} has no zone {tile.window.zone}")
            return
        self.report.unlisted += bool(self.registry.names) and not self.registry.lists(files.tile, files.year)
        if is_done(self.store, tile.window, files.year, tile.provenance):
            self.report.kept += 1
            return
        embeddings = self._embeddings(tile, self.store.model)
        self.store.write(embeddings, files.year)
        self.report.written += 1

    def _read(self, files: TileFiles) -> _Tile:
        data = read_within(files.folder, files.landmask, LANDMASK_BYTES)
        digests = {"landmask": self._check("landmask", files, files.landmask, data)}
        window, land = read_landmask(data, files.tile)
        data = read_within(files.folder, files.scales, npy_limit(window, 4))
        digests["scales"] = self._check("scales", files, files.scales, data)
        scales = parse_npy(data, files.scales.name, "<f4", 2)
        data = read_within(files.folder, files.codes, npy_limit(window, MOST_DIMS))
        digests["codes"] = self._check("codes", files, files.codes, data)
        codes = parse_npy(data, files.codes.name, "|i1", 3)
        for name, shape in ((files.scales.name, scales.shape), (files.codes.name, codes.shape[:2])):
            if shape != window.shape:
                raise InputError(f"{name} has {shape[0]} x {shape[1]} pixels; its landmask {_size(window)}")
        provenance = {
            "source": _SOURCE,
            "tile": files.tile.name,
            "dataset": self.dataset.name,
            "water_masked": self.masked,
            **{f"{kind}_sha256": digests[kind] for kind in sorted(digests)},
        }
        return _Tile(window, codes, scales, land, provenance)

    def _check(self, kind: str, files: TileFiles, path: Path, data: bytes) -> str:
        digest = sha256_hex(data)
        self.registry.check(kind, files.tile, files.year, FileFacts(len(data), digest), path.name)
        return digest

    def _embeddings(self, tile: _Tile, model: ModelIdentity) -> Embeddings:
        scales, pixels = clean_scales(tile.scales, self.report.pixels)
        if self.masked:
            water = is_valid(scales) & ~tile.land
            scales[water] = np.nan
            pixels.water += int(water.sum())
        return embeddings_of(tile.codes, scales, model, tile.window, tile.provenance, pixels)


def _size(window: Window) -> str:
    return f"{window.height} x {window.width}"


def clean_scales(scales: NDArray[np.float32], pixels: Pixels) -> tuple[NDArray[np.float32], Pixels]:
    """A copy whose scales <= 0, >= 1 or not finite are NaN, those that were not NaN before counted as corrupt."""
    cleaned = np.array(scales, dtype=np.float32)
    with np.errstate(invalid="ignore"):
        bad = ~(np.isfinite(cleaned) & (cleaned > 0) & (cleaned < 1))
    pixels.corrupt += int((bad & ~np.isnan(cleaned)).sum())
    cleaned[bad] = np.nan
    return cleaned, pixels


def embeddings_of(
    codes: NDArray[np.int8],
    scales: NDArray[np.float32],
    model: ModelIdentity,
    window: Window,
    provenance: dict[str, Any],
    pixels: Pixels,
) -> Embeddings:
    """What is written of a window; the formats here keep no observation counts, so these are 0."""
    valid = int(is_valid(scales).sum())
    pixels.valid += valid
    pixels.no_data += scales.size - valid
    counts = np.zeros((*window.shape, len(STREAMS)), dtype=np.uint16)
    return Embeddings(codes, scales, counts, model, window.grid, provenance)


def open_target(target: str | Path | Store, model: ModelIdentity) -> Store:
    """The store to import into, created with all zones where there is none."""
    if isinstance(target, Store):
        return target
    found = _opened(target)
    if found is not None:
        return found
    try:
        return create_store(target, model.dims, model)
    except TakenError:
        # of several starts at once one makes it, and all go on with it
        found = _opened(target)
        if found is None:
            raise
        return found


def _opened(target: str | Path) -> Store | None:
    """The store of a path or URL, None where there is nothing."""
    where = str(target)
    if not ("://" in where or where.startswith("tessera:") or Path(target).exists()):
        return None
    try:
        return open_store(target)
    except NoStoreError:
        return None


def check_model(store: Store, model: ModelIdentity) -> None:
    """Refuse a store of another model or length."""
    if (store.model.sha256, store.dims) != (model.sha256, model.dims):
        raise InputError(
            f"embeddings of {model.name}, {model.dims} dims, for {store.objects.root}, which holds {store.model.name}, "
            f"{store.dims} dims; a store holds one model"
        )


def is_done(store: Store, window: Window, year: int, provenance: dict[str, Any]) -> bool:
    """Whether a tile is in the store as this import leaves it: nothing but tiles of later names was written over it."""
    if year not in store.years:
        return False
    return all(_is_done_in(store, cell, window, year, provenance) for cell in window.cells(store.layout.shard))


def _is_done_in(store: Store, cell: Any, window: Window, year: int, provenance: dict[str, Any]) -> bool:
    inside = cell.window.intersection(window)
    try:
        record = store.commit(cell, year)
    except InputError:
        return False
    if record is None or inside is None or record.model != store.model.sha256:
        return False
    place = [inside.west, inside.north, inside.width, inside.height]
    mine = [
        number
        for number, part in enumerate(record.inputs)
        if part["window"] == place and part["provenance"] == provenance
    ]
    if not mine:
        return False
    for part in record.inputs[mine[-1] + 1 :]:
        if Window(cell.zone, *part["window"]).intersection(inside) is None:
            continue
        about = part["provenance"]
        if about.get("source") != _SOURCE or not str(about.get("tile")) > provenance["tile"]:
            return False
    last = record.inputs[-1]
    # the last part is never touched by another, so this asks only whether the cell's objects are there
    return store.holds(Window(cell.zone, *last["window"]), year, last["provenance"])


def estimate_import(source: str | Path, year: int | None, tiles: bool, store: Path | None = None) -> Estimate:
    """What an import writes, at most: as much as the source's files, and half as much again at the edges of chunks.

    Parameters
    ----------
    source, year : as for `import_tiles`
    tiles : whether it is a folder of tiles, else a year store
    store : folder of the store; what an import that was stopped left in it counts nothing

    Raises
    ------
    InputError
        No such folder, or no tiles in it.
    """
    there = None if store is None else _opened(store)
    folder = Path(source)
    if tiles:
        found = find_tiles(folder, year)
        sizes = {files: sum(map(_bytes, (files.codes, files.scales))) for files in found}
        size = sum(sizes.values())
        left = size - sum(sizes[files] for files in found if there is not None and _is_begun(there, files))
        what = f"{len(found):,} tiles"
        written = left + left // 2
    else:
        size = sum(_bytes(path) for path in folder.rglob("*"))
        what = f"a year store of {size / 1e6:,.1f} MB"
        written = max(0, size + size // 2 - (0 if there is None else _held(there, YEAR_STORE)))
    return Estimate(what, 1, _dims(folder), size, 0, written)


def _is_begun(store: Store, files: TileFiles) -> bool:
    """Whether a tile's last cell has it: cells are written in order."""
    if files.year not in store.years:
        return False
    try:
        *_, last = tile_window(files.tile).cells(store.layout.shard)
        record = store.commit(last, files.year)
    except InputError:
        return False
    return record is not None and any(part["provenance"].get("tile") == files.tile.name for part in record.inputs)


def _held(store: Store, source: str) -> int:
    """Bytes of the cells that a kind of import wrote to."""
    records = (store.commit(cell, year) for year in store.years for cell in store.cells(year))
    return sum(
        int(item["bytes"])
        for record in records
        if record is not None and any(part["provenance"].get("source") == source for part in record.inputs)
        for item in record.objects.values()
    )


def _dims(folder: Path) -> int:
    named = read_sidecar(folder)
    return DIMS if named is None or named[1] is None else named[1].dims


def _bytes(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0
