"""Regions as files: read strip by strip into a spool, then written in one go."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tessera.base import (
    InputError,
    TesseraError,
    drop_spool,
    request_digest,
    silent,
    spooled_bytes,
    spooling,
    staging,
    sync_folder,
)
from tessera.store import cells_of_region, plan_region, state_of

from ._arrays import valid_of, write_npy, write_zarr
from ._geotiff import overview_bytes, write_geotiffs
from ._strips import Strips, described
from ._tables import years_of
from .sizes import Estimate, region_bytes
from .targets import REGION_SUFFIXES, check_region, parse_target, targets_of

if TYPE_CHECKING:
    from pathlib import Path

    from tessera.base import Progress
    from tessera.store import Region, Store


def estimate_region(store: Store, region: Region, out: str | Path, *, quantised: bool = False) -> Estimate:
    """What an export of a region takes, at most.

    Raises
    ------
    InputError
        Another suffix, or codes of pixels that are mixed.
    """
    target = parse_target(out, REGION_SUFFIXES)
    query = region.query
    if quantised and region.warp is not None:
        raise InputError(f"{region.warp.method} resampling mixes pixels, which then have no codes; expected nearest")
    height, width = region.shape
    pixels = height * width * len(query.years)
    value = query.dims + 4 if quantised else 4 * query.dims
    part = 4 * query.dims if region.warp is not None else query.dims + 4
    written, work = pixels * value, pixels * part
    if target.suffix.lower() in (".tif", ".tiff"):
        # overviews lie beside the file while it is made, and then in it
        work += overview_bytes(written)
        written += overview_bytes(written)
    what = f"a region of {height:,} x {width:,} pixels"
    return Estimate(what, len(query.years), query.dims, region_bytes(store, region), work, written)


def export_region(
    store: Store,
    area: object,
    year: object,
    out: str | Path,
    *,
    dims: int | None = None,
    crs: object = None,
    resolution: float | None = None,
    resampling: str = "nearest",
    clip: bool = False,
    quantised: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> tuple[int, int, int, int]:
    """Write a region's vectors: float32, NaN = no data. A run that was stopped goes on when it is called again.

    Parameters
    ----------
    area, year, dims, crs, resolution, resampling, clip : as `Store.read_region` takes them
    out : .tif (a cloud-optimised GeoTIFF, a band a dimension; several years become a file each; needs the extra geo),
        .npy (([year,] height, width, dims)) or .zarr (a group that xarray opens with its CRS); each appears whole or
        not at all
    quantised : write int8 codes and float32 scales instead, a quarter of the bytes; in files the scales lie beside the
        codes, as `<name>_scales`
    overwrite : whether files in their place that are no earlier export are replaced too; a Zarr group never is
    progress : called with strips done and their total

    Returns
    -------
    height, width, dims, and how many pixels have data, over all years

    Raises
    ------
    InputError
        Another suffix, a path that holds something else, codes of pixels that are mixed, a disk that is too small, or
        what `Store.read_region` refuses. A Zarr group of the same request is there already, which is no error.
    TesseraError
        The store changed meanwhile, or the disk refuses.
    """
    target = check_region(out, years_of(year), quantised=quantised, overwrite=overwrite)
    region = plan_region(store, area, year, dims, crs, resolution=resolution, resampling=resampling, clip=clip)
    query = region.query
    store.refuse_empty(area, query.years)
    estimate_region(store, region, target, quantised=quantised).check(target, spooled_bytes(target))
    cells = cells_of_region(region)
    state = state_of(store, cells, query.years)
    request = {"state": state, "target": described(region), "years": query.years, "dims": query.dims}
    made = request_digest({**request, "quantised": quantised})
    if target.suffix.lower() == ".zarr" and target.exists():
        valid = valid_of(target, made)
        if valid is None:
            raise InputError(
                f"output {target} exists, of another request; expected a new path for a Zarr group, as none is replaced"
            )
        drop_spool(target)
        return (*region.shape, query.dims, valid)
    with spooling(target, request) as spool:
        strips = Strips(region, spool, quantised)
        spool.fill(strips.parts(), strips.units, progress)
        if state_of(store, cells, query.years) != state:
            raise TesseraError(f"{query.root} was written to while it was read; run the same command again")
        found = strips.valid()
        with staging(target) as folder:
            files = _write(strips, folder, target, {"request": made, "valid": found})
            spool.placing(files)
            for file in files:
                _place(file, target.with_name(file.name))
        sync_folder(target.parent)
        spool.finished = True
    return (*region.shape, query.dims, found)


def _write(strips: Strips, folder: Path, target: Path, about: dict[str, Any]) -> list[Path]:
    """Write all files into a folder; the main one comes last."""
    names = [file.name for file in targets_of(target, strips.region.query.years, strips.quantised)]
    suffix = target.suffix.lower()
    files = [folder / name for name in names]
    if suffix == ".npy":
        write_npy(strips, files)
    elif suffix == ".zarr":
        write_zarr(strips, files[0], about)
    else:
        write_geotiffs(strips, files, target)
    return files[::-1]


def _place(part: Path, target: Path) -> None:
    for path in part.rglob("*") if part.is_dir() else [part]:
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
    part.replace(target)
