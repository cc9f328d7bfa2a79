"""Bilinear and average resampling, in tiles that lie fixed on the target grid: however it is cut, a pixel is the same.

Each zone's pixels are warped by GDAL, which leaves out what has no data and weighs the rest; a target pixel takes the
zone of its centre, or another zone of its tile where that one has no data.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, require
from tessera.embeddings import dequantise
from tessera.geo import EAST, NORTH, PIXEL_SIZE, SOUTH, WEST, Window, from_lonlat, zone_crs, zones_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .query import Query
    from .target import Target

METHODS = ("nearest", "bilinear", "average")
_TILE = 256
"""Longest side of a tile, target pixels."""
_REACH = 512
"""Side of what a tile reads of a zone, pixels: 134 MB of 128 float32."""
_WARPING = threading.Lock()
"""rasterio silences a warning of its own in a way that several threads would undo for each other."""
_WARP_MB = 1024
"""Memory that GDAL may use for one tile; it would cut the tile, and round otherwise, with less."""


@dataclass(frozen=True)
class Warp:
    """A way to fill a target grid."""

    query: Query
    target: Target
    method: str  # "bilinear" or "average"
    side: int  # of a tile, target pixels

    def read(self, rows: range, cols: range, index: int) -> NDArray[np.float32]:
        """(height, width, D) float32 of a rectangle of the grid, NaN = no data."""
        out = np.full((len(rows), len(cols), self.query.dims), np.nan, dtype=np.float32)
        for top in range(rows.start // self.side * self.side, rows.stop, self.side):
            for left in range(cols.start // self.side * self.side, cols.stop, self.side):
                tile_rows = range(top, min(top + self.side, self.target.height))
                tile_cols = range(left, min(left + self.side, self.target.width))
                tile = self._tile(tile_rows, tile_cols, index)
                if tile is None:
                    continue
                r0, r1 = max(rows.start, tile_rows.start), min(rows.stop, tile_rows.stop)
                c0, c1 = max(cols.start, tile_cols.start), min(cols.stop, tile_cols.stop)
                part = tile[:, r0 - top : r1 - top, c0 - left : c1 - left]
                out[r0 - rows.start : r1 - rows.start, c0 - cols.start : c1 - cols.start] = np.moveaxis(part, 0, -1)
        return out

    def _tile(self, rows: range, cols: range, index: int) -> NDArray[np.float32] | None:
        lon, lat = self.target.lonlat(rows, cols)
        good = np.isfinite(lon) & (lat >= -80) & (lat <= 84)
        if not good.any():
            return None
        nominal = np.where(good, zones_of(np.where(good, lon, 0.0)), 0)
        out: NDArray[np.float32] | None = None
        others = []
        for zone in np.unique(nominal[good]).tolist():
            found = self._of_zone(zone, lon[good], lat[good], rows, cols, index)
            if found is None:
                continue
            if out is None:
                out = np.full_like(found, np.nan)
            own = nominal == zone
            out[:, own] = found[:, own]
            others.append(found)
        if out is None:
            return None
        for found in others:
            bare = np.isnan(out[0]) & good
            out[:, bare] = found[:, bare]
        return out

    def _of_zone(
        self,
        zone: int,
        lon: NDArray[np.float64],
        lat: NDArray[np.float64],
        rows: range,
        cols: range,
        index: int,
    ) -> NDArray[np.float32] | None:
        if zone not in self.query.zones:
            return None
        warp = require("rasterio.warp", extra="geo", purpose=f"{self.method} resampling")
        rasterio = require("rasterio", extra="geo", purpose=f"{self.method} resampling")
        window = self._window(zone, lon, lat)
        if window is None:
            return None
        codes, scales = self.query.window(window, index)
        values = np.ascontiguousarray(np.moveaxis(dequantise(codes, scales), -1, 0))
        if np.isnan(values[0]).all():
            return None
        out = np.full((self.query.dims, len(rows), len(cols)), np.nan, dtype=np.float32)
        size, _, west, _, _, north = self.target.transform
        with _WARPING:
            warp.reproject(
                values,
                out,
                src_transform=rasterio.Affine(*window.grid.transform),
                src_crs=zone_crs(zone),
                src_nodata=np.nan,
                dst_transform=rasterio.Affine(size, 0, west + cols.start * size, 0, -size, north - rows.start * size),
                dst_crs=self.target.crs,
                dst_nodata=np.nan,
                resampling=warp.Resampling[self.method],
                warp_mem_limit=_WARP_MB,
            )
        return out

    def _window(self, zone: int, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> Window | None:
        """What a tile needs of a zone: its pixels and what a kernel reaches around them."""
        x, y = (value / PIXEL_SIZE for value in from_lonlat(lon, lat, zone))
        margin = 2 + math.ceil(2 * pixel_step(self.target))
        west, east = max(math.floor(x.min()) - margin, WEST), min(math.ceil(x.max()) + margin, EAST)
        south, north = max(math.floor(y.min()) - margin, SOUTH), min(math.ceil(y.max()) + margin, NORTH)
        if west >= east or south >= north:
            return None
        return Window(zone, west, north, east - west, north - south)


def pixel_step(target: Target) -> float:
    """Side of a target pixel in lattice pixels, at the middle of the grid; the longer one."""
    if target.window is not None:
        return 1.0
    row, col = target.height // 2, target.width // 2
    lon, lat = target.lonlat(range(row, row + 2), range(col, col + 2))
    if not np.isfinite(lon).all():
        raise InputError(f"{target.crs[:60]} has no longitudes at the middle of the area; expected a CRS made for it")
    x, y = from_lonlat(lon, lat, int(zones_of(lon)[0, 0]))
    down = math.hypot(x[1, 0] - x[0, 0], y[1, 0] - y[0, 0])
    right = math.hypot(x[0, 1] - x[0, 0], y[0, 1] - y[0, 0])
    return max(down, right) / PIXEL_SIZE


def parse_method(method: Any) -> str:
    """Check a resampling method."""
    if method not in METHODS:
        raise InputError(f"resampling {method!r}; expected one of {', '.join(METHODS)}")
    return str(method)


def make_warp(query: Query, target: Target, method: str) -> Warp:
    """Choose tiles whose sources fit into memory."""
    step = pixel_step(target)
    side = min(_TILE, int(_REACH // step))
    if side < 1:
        raise InputError(
            f"{method} resampling to pixels of {step * PIXEL_SIZE / 1000:,.1f} km; expected at most "
            f"{_REACH * PIXEL_SIZE / 1000:g} km, or resampling='nearest'"
        )
    return Warp(query, target, method, side)
