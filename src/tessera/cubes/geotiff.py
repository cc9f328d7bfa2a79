"""The GeoTIFF stacks of the published preprocessing, a file a band and date, in both directions.

data_raw/{red,blue,green,nir,nir08,rededge1,rededge2,rededge3,swir16,swir22}/{YYYY-MM-DD}_mosaic.tiff   uint16
data_raw/scl/{YYYY-MM-DD}_mosaic.tiff                                                                   uint8
data_sar_raw/{YYYY-MM-DD}_{vv,vh}_{ascending,descending}.tiff                                           int16
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, new_folder, require, silent
from tessera.geo import Window, parse_period
from tessera.rasters import GridFiles, RasterProfile, write_raster

from .cube import S1_BANDS, S2_BANDS, PixelCube
from .dates import dates_of, stated_time
from .spool import open_spool

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.base import Progress
    from tessera.geo import Grid, Period

S2_FOLDERS = ("red", "blue", "green", "nir", "nir08", "rededge1", "rededge2", "rededge3", "swir16", "swir22")
"""Folders of the bands, in the order of `S2_BANDS`."""
SCL_KEPT = (4, 5, 6, 7, 10, 11)
"""Scene classes that count as clear: vegetation, bare, water, unclassified, thin cirrus, snow. The published
preprocessing drops 0 no data, 1 saturated, 2 dark area, 3 cloud shadow, 8 and 9 cloud, and keeps the rest."""
SCL_CLEAR = 4
"""Class that is written for a clear pixel, since a cube keeps no classes; 0 (no data) for any other."""
_OPTICAL, _RADAR, _SCL = "data_raw", "data_sar_raw", "scl"
_ORBITS = {"ascending": "s1_asc", "descending": "s1_desc"}
_MOSAIC = re.compile(r"(\d{4}-\d{2}-\d{2})_mosaic\.tiff?")
_PASS = re.compile(r"(\d{4}-\d{2}-\d{2})_(vv|vh)_(ascending|descending)\.tiff?")


def is_geotiff(path: Path) -> bool:
    """Whether a folder looks like GeoTIFF stacks, whole or not."""
    return (path / _OPTICAL).is_dir() or (path / _RADAR).is_dir()


def import_geotiff(
    folder: str | Path,
    out: str | Path,
    *,
    year: int | None = None,
    period: object = None,
    missing_scl: str = "error",
    skip_partial: bool = False,
    progress: Progress = silent,
) -> PixelCube:
    """Read GeoTIFF stacks into a cube on disk, date by date; a run that was stopped goes on when it is run again.

    A pixel is clear where its scene class is one of `SCL_KEPT`. A pass with one polarisation has 0 in the other. Files
    of other names (passes of unknown orbit, notes) are left aside, as the published stacker does.

    Parameters
    ----------
    folder : holds `data_raw`, `data_sar_raw` or both
    out : new folder of the cube
    year : take only its dates; None: all of them
    period : take only its dates, such as "2020-11/2021-10" (see `tessera.geo.parse_period`), in place of a year
    missing_scl : of a date without scene classes: "error", or "clear" to take every pixel of it for clear, as the
        published stacker does
    skip_partial : leave dates out that lack one of the ten bands, as the published stacker does; else an error
    progress : called with dates done and their total

    Raises
    ------
    InputError
        No stacks there; files of several grids, without CRS, of another type or size, or behind a link that leads out;
        a date that lacks bands or scene classes; `out` exists.
    TesseraError
        The disk is full or refuses; what is read stays beside `out`.
    """
    require("rasterio", extra="geo", purpose="a GeoTIFF stack")
    if missing_scl not in ("error", "clear"):
        raise InputError(f"missing_scl {missing_scl!r}; expected 'error' or 'clear'")
    root = Path(folder)
    stated = stated_time(year, period)
    wanted = parse_period(year if period is None else period) if stated else None
    found = _find(root, wanted)
    optical = _whole(found["s2"], skip_partial=skip_partial, missing_scl=missing_scl)
    dates = [
        *(("s2", day, files) for day, files in sorted(optical.items())),
        *((stack, day, files) for stack in _ORBITS.values() for day, files in sorted(found[stack].items())),
    ]
    if not dates:
        raise InputError(f"{root} holds no dates{'' if wanted is None else f' of {wanted}'}; expected GeoTIFF stacks")
    raster = GridFiles.of(next(iter(dates[0][2].values())))
    about = {"import": "geotiff", "files": _digest(root, dates), "grid": repr(raster.grid)}
    with open_spool(out, about, raster.shape) as spool:
        for done, (stack, day, files) in enumerate(dates):
            if spool.record(stack, day) is None:
                images = _optical(raster, files) if stack == "s2" else _pass(raster, stack, files)
                spool.put(stack, day, images, {"files": len(files)})
            progress(done + 1, len(dates))
        try:
            grid = Window.of_grid(raster.grid).grid
        except InputError:
            grid = raster.grid
        return spool.finish(grid, _provenance(dates, stated), [(stack, day) for stack, day, _ in dates])


def _provenance(dates: list[tuple[str, dt.date, dict[str, Path]]], stated: dict[str, Any]) -> dict[str, Any]:
    days = sorted({day for _, day, _ in dates})
    one_year = days[0].year if days[0].year == days[-1].year else None
    about: dict[str, Any] = {"year": one_year, "source": "GeoTIFF stacks"}
    if one_year is None:
        about["period"] = [days[0].isoformat(), days[-1].isoformat()]
    about |= stated
    for stack in ("s2", *_ORBITS.values()):
        about[f"{stack}_dates"] = [day.isoformat() for kind, day, _ in dates if kind == stack]
    no_classes = [day.isoformat() for kind, day, files in dates if kind == "s2" and _SCL not in files]
    if no_classes:
        about["s2_dates_without_classes"] = no_classes
    return about


def _find(root: Path, wanted: Period | None) -> dict[str, dict[dt.date, dict[str, Path]]]:
    """Stack -> date -> band -> file."""
    if not is_geotiff(root):
        raise InputError(f"{root} holds neither {_OPTICAL} nor {_RADAR}; expected GeoTIFF stacks")
    inside = Path(os.path.realpath(root))
    found: dict[str, dict[dt.date, dict[str, Path]]] = {"s2": {}, "s1_asc": {}, "s1_desc": {}}

    def add(stack: str, day: str, band: str, path: Path) -> None:
        try:
            date = dt.date.fromisoformat(day)
        except ValueError:
            raise InputError(f"{path}: {day} is no date; expected the form YYYY-MM-DD") from None
        if wanted is not None and date not in wanted:
            return
        if not Path(os.path.realpath(path)).is_relative_to(inside) or not path.is_file():
            raise InputError(f"{path} is no file in {root}; expected no links that lead out")
        if found[stack].setdefault(date, {}).setdefault(band, path) != path:
            raise InputError(f"{path} is there as .tif and as .tiff; expected one of them")

    for band in (*S2_FOLDERS, _SCL):
        for path in _files(root / _OPTICAL / band):
            match = _MOSAIC.fullmatch(path.name)
            if match:
                add("s2", match[1], band, path)
    for path in _files(root / _RADAR):
        match = _PASS.fullmatch(path.name)
        if match:
            add(_ORBITS[match[3]], match[1], match[2], path)
    return found


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _whole(
    found: dict[dt.date, dict[str, Path]], *, skip_partial: bool, missing_scl: str
) -> dict[dt.date, dict[str, Path]]:
    """The dates with all ten bands."""
    whole = {}
    for day, files in sorted(found.items()):
        lacking = [band for band in S2_FOLDERS if band not in files]
        if lacking and skip_partial:
            continue
        if lacking:
            raise InputError(
                f"{day} lacks {', '.join(lacking)}; expected all ten bands (skip_partial leaves such dates out)"
            )
        if _SCL not in files and missing_scl == "error":
            raise InputError(
                f'{day} has no scene classes ({_SCL}); expected them (missing_scl="clear" takes all pixels for clear)'
            )
        whole[day] = files
    return whole


def _digest(root: Path, dates: list[tuple[str, dt.date, dict[str, Path]]]) -> str:
    """Changes with the files: their names, sizes and times."""
    told = []
    for stack, day, files in dates:
        for band, path in sorted(files.items()):
            status = path.stat()
            told.append([stack, str(day), band, str(path.relative_to(root)), status.st_size, status.st_mtime_ns])
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _optical(raster: GridFiles, files: dict[str, Path]) -> dict[str, NDArray[Any]]:
    image = np.empty((*raster.shape, len(S2_BANDS)), dtype=np.uint16)
    for place, band in enumerate(S2_FOLDERS):
        image[..., place] = raster.read(files[band], np.uint16)
    if _SCL in files:
        mask = np.isin(raster.read(files[_SCL], np.uint8), SCL_KEPT).astype(np.uint8)
    else:
        mask = np.ones(raster.shape, dtype=np.uint8)
    return {"s2": image, "s2_mask": mask}


def _pass(raster: GridFiles, stack: str, files: dict[str, Path]) -> dict[str, NDArray[Any]]:
    image = np.zeros((*raster.shape, len(S1_BANDS)), dtype=np.int16)
    for place, band in enumerate(S1_BANDS):
        if band.lower() in files:
            image[..., place] = raster.read(files[band.lower()], np.int16)
    return {stack: image}


def export_geotiff(cube: PixelCube, folder: str | Path, *, progress: Progress = silent) -> Path:
    """Write a cube as GeoTIFF stacks, as the published stacker reads them; the folder appears whole or not at all.

    A cube keeps no scene classes: `scl` has `SCL_CLEAR` (vegetation) where a pixel is clear, whatever grows there, and
    0 elsewhere. The tag ITEMS_COUNT is left out, since a cube does not know it by date. Read back, observations, mask
    and dates are the same.

    Parameters
    ----------
    cube : with a grid, and dates or a year in its provenance
    folder : new
    progress : called with dates done and their total

    Raises
    ------
    InputError
        The folder exists; the cube has no CRS, no dates, or a date twice.
    TesseraError
        The disk is full or refuses, or a file does not read back as it was written.
    """
    require("rasterio", extra="geo", purpose="a GeoTIFF stack")
    folder = Path(folder)
    if cube.grid is None:
        raise InputError("the cube has no CRS and no transform; expected a grid, as GeoTIFFs have")
    days = {stack: dates_of(cube, stack) for stack in ("s2", *_ORBITS.values())}
    for stack, listed in days.items():
        twice = next((day for day in listed if listed.count(day) > 1), None)
        if twice is not None:
            raise InputError(f"the cube has {twice} twice in {stack}; expected a date once, since it names its files")
    done, total = 0, sum(map(len, days.values()))
    with new_folder(folder, "the GeoTIFF stacks") as part:
        for band in (*S2_FOLDERS, _SCL):
            (part / _OPTICAL / band).mkdir(parents=True)
        (part / _RADAR).mkdir()
        for index, day in enumerate(days["s2"]):
            image, clear = np.asarray(cube.s2[index]), np.asarray(cube.s2_mask[index]) != 0
            tags = {"DATE_ACQUIRED": str(day), "VALID_COVERAGE_PCT": f"{100 * clear.mean():.2f}"}
            layers = {band: image[..., place] for place, band in enumerate(S2_FOLDERS)}
            layers[_SCL] = np.where(clear, SCL_CLEAR, 0).astype(np.uint8)
            for band, layer in layers.items():
                path = part / _OPTICAL / band / f"{day}_mosaic.tiff"
                _write_band(path, layer, cube.grid, {**tags, "BAND_NAME": band})
            done += 1
            progress(done, total)
        for orbit, stack in _ORBITS.items():
            for index, day in enumerate(days[stack]):
                image = np.asarray(getattr(cube, stack)[index])
                for place, band in enumerate(S1_BANDS):
                    layer = image[..., place]
                    tags = {"DATE_ACQUIRED": str(day), "BAND_NAME": band.lower()}
                    tags["VALID_COVERAGE_PCT"] = f"{100 * np.count_nonzero(layer) / layer.size:.2f}"
                    _write_band(part / _RADAR / f"{day}_{band.lower()}_{orbit}.tiff", layer, cube.grid, tags)
                done += 1
                progress(done, total)
    return folder


def _write_band(path: Path, layer: NDArray[Any], grid: Grid, tags: dict[str, str]) -> None:
    profile = RasterProfile(layer.shape, layer.dtype, grid.crs, grid.transform, nodata=0, tags=tags)
    write_raster(path, layer, profile, name=path.name, compress=None)
