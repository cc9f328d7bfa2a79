"""GeoTIFFs of one band on one grid: what they claim is checked before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError
from tessera.geo import Grid

from .reading import open_raster, reading

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_MAX_SIDE = 12_000
"""Pixels; a Sentinel-2 granule has 10,980 a side, and a date of this many takes 3 GB."""


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
        with reading(path), open_raster(path.absolute()) as raster:
            return cls(_grid_of(raster, path), path)

    def read(self, path: Path, dtype: Any) -> NDArray[Any]:
        """(H, W) of a file of this grid, type and one band."""
        with reading(path), open_raster(path.absolute()) as raster:
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
