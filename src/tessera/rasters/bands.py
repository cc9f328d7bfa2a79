"""GeoTIFFs of one band on one grid, through GDAL: what they claim is checked before anything is read."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, TesseraError, raise_if_machine, require
from tessera.geo import Grid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

EXTRA = {"extra": "geo", "purpose": "a GeoTIFF stack"}
_MAX_SIDE = 12_000
"""Pixels; a Sentinel-2 granule has 10,980 a side, and a date of this many takes 3 GB."""
_BLOCK = 256
"""Side of a tile, as the published preprocessing writes them."""


@dataclass(frozen=True)
class GridFiles:
    """The grid that all files must share, and the file that gave it."""

    grid: Grid
    of_file: Path

    @property
    def shape(self) -> tuple[int, int]:
        return self.grid.height, self.grid.width

    @classmethod
    def of(cls, path: Path) -> GridFiles:
        with gdal(), _opened(path) as raster:
            return cls(_grid_of(raster, path), path)

    def read(self, path: Path, dtype: Any) -> NDArray[Any]:
        """(H, W) of a file of this grid, type and one band."""
        with _opened(path) as raster:
            if raster.count != 1 or raster.dtypes[0] != np.dtype(dtype).name:
                raise InputError(
                    f"{path} has {raster.count} bands of {raster.dtypes[0]}; expected one of {np.dtype(dtype).name}"
                )
            grid = _grid_of(raster, path)
            if grid != self.grid:
                raise InputError(f"{path} has {_told(grid)}; expected {_told(self.grid)}, as {self.of_file} has")
            image: NDArray[Any] = raster.read(1)
            return image


def _told(grid: Grid) -> str:
    return f"{grid.height} x {grid.width} pixels, transform {grid.transform}, {grid.crs[:40]}"


def _grid_of(raster: Any, path: Path) -> Grid:
    if max(raster.height, raster.width) > _MAX_SIDE or max(raster.block_shapes[0]) > _MAX_SIDE:
        raise InputError(f"{path} has {raster.height} x {raster.width} pixels; expected at most {_MAX_SIDE} a side")
    if raster.crs is None:
        raise InputError(f"{path} has no CRS; expected a georeferenced GeoTIFF")
    code = raster.crs.to_epsg()
    a, b, c, d, e, f = tuple(raster.transform)[:6]
    return Grid(
        raster.crs.to_wkt() if code is None else f"EPSG:{code}", (a, b, c, d, e, f), raster.height, raster.width
    )


@contextmanager
def gdal() -> Iterator[None]:
    """Only what lies in the files themselves counts, and GDAL's memory is bounded."""
    rasterio: Any = require("rasterio", **EXTRA)
    with (
        rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_PAM_ENABLED="NO", GDAL_CACHEMAX=64),
        warnings.catch_warnings(),
    ):
        # a file without transform is refused by its missing CRS
        warnings.simplefilter("ignore", require("rasterio.errors", **EXTRA).NotGeoreferencedWarning)
        yield


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    rasterio: Any = require("rasterio", **EXTRA)
    errors: Any = require("rasterio.errors", **EXTRA)
    driver: Any = require("rasterio._err", **EXTRA)
    try:
        with rasterio.open(path.absolute(), driver="GTiff") as raster:
            yield raster
    except (errors.RasterioError, driver.CPLE_BaseError, OSError) as error:
        raise_if_machine(error, path)
        raise InputError(f"{path} cannot be read as a GeoTIFF: {error or type(error).__name__}") from None


def write_band(path: Path, image: NDArray[Any], grid: Grid, tags: dict[str, str]) -> None:
    """Write an image (H, W) with 0 = no data, and read it back.

    Raises
    ------
    TesseraError
        The disk is full or refuses, or the file does not read back as it was written.
    """
    rasterio: Any = require("rasterio", **EXTRA)
    errors: Any = require("rasterio.errors", **EXTRA)
    driver: Any = require("rasterio._err", **EXTRA)
    profile = {
        "driver": "GTiff",
        "dtype": image.dtype.name,
        "count": 1,
        "height": grid.height,
        "width": grid.width,
        "crs": grid.crs,
        "transform": rasterio.Affine(*grid.transform),
        "nodata": 0,
        "tiled": True,
        "blockxsize": _BLOCK,
        "blockysize": _BLOCK,
        "bigtiff": "if_safer",
    }
    try:
        with rasterio.open(path, "w", **profile) as raster:
            raster.write(image, 1)
            raster.update_tags(**tags)
        # a full disk is not always told
        with rasterio.open(path, driver="GTiff") as raster:
            same = np.array_equal(raster.read(1), image)
    except (errors.RasterioError, driver.CPLE_BaseError, OSError) as error:
        raise TesseraError(f"cannot write {path.name}: {error.__cause__ or error}; is the disk full?") from None
    if not same:
        raise TesseraError(f"{path.name} does not read back as it was written; is the disk full?")
