"""Regions: an area of one zone or over several, on the lattice or any other grid, rectangle by rectangle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError
from tessera.embeddings import dequantise, is_valid
from tessera.geo import zones_of

from ._warp import make_warp, parse_method, pixel_step
from .query import parse_query, pixel_of
from .target import parse_target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tessera.geo import Edges

    from ._warp import Warp
    from .query import Quantised, Query, Readable
    from .target import Target

STRIP_BYTES = 128 * 1024**2
"""Float32 values of a strip: while a region streams, one strip is the caller's and one is being read."""
_MOST_STRIP = 4 * 1024**3
"""Bytes of the thinnest strip that is still streamed."""
_SPARSE = 4
"""Target pixels that lie so many lattice pixels apart are read chunk by chunk: blocks would be mostly waste."""


@dataclass(frozen=True)
class Region:
    """What a region is made of; nothing of it is read yet.

    Attributes
    ----------
    query : store, years and dims
    target : the grid
    warp : how it is filled where pixels are mixed; None where each is one pixel of the store
    outline : edges of the area in pixels of the grid where pixels outside become no data, else None
    step : side of a target pixel, lattice pixels
    """

    query: Query
    target: Target
    warp: Warp | None
    outline: Edges | None
    step: float

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width), pixels."""
        return self.target.shape

    @property
    def bytes(self) -> int:
        """Of its float32 values."""
        height, width = self.shape
        return 4 * height * width * self.query.dims * len(self.query.years)

    def quantised(self, rows: range, cols: range, index: int) -> Quantised:
        """Codes (height, width, D) and scales (height, width) of a rectangle of the grid, of one year.

        Raises
        ------
        InputError
            Its pixels are mixed ones, which have no codes.
        """
        if self.warp is not None:
            raise InputError(f"{self.warp.method} resampling gives no codes; expected resampling='nearest'")
        codes, scales = self._lattice(rows, cols, index) if self.target.window else self._places(rows, cols, index)
        if self.outline is not None:
            scales = np.where(self.inside(rows, cols), scales, np.float32(np.nan))
        return codes, scales

    def values(self, rows: range, cols: range, index: int) -> NDArray[np.float32]:
        """Vectors (height, width, D) float32 of a rectangle of the grid, NaN = no data, of one year."""
        if self.warp is None:
            return dequantise(*self.quantised(rows, cols, index))
        values = self.warp.read(rows, cols, index)
        if self.outline is not None:
            values[~self.inside(rows, cols)] = np.nan
        return values

    def valid(self, rows: range, cols: range, index: int) -> NDArray[np.bool_]:
        """Which pixels have data; scales only where the region lies in one zone of the lattice."""
        if self.target.window is not None and not self.target.others:
            valid = is_valid(self.query.scales(self.target.part(rows, cols), index))
            return valid if self.outline is None else valid & self.inside(rows, cols)
        return np.isfinite(self.values(rows, cols, index)[..., 0])

    def inside(self, rows: range, cols: range) -> NDArray[np.bool_]:
        """Which pixels of a rectangle have their centre inside the area; all where it does not clip."""
        if self.outline is None:
            return np.ones((len(rows), len(cols)), dtype=np.bool_)
        edges = self.outline.between(rows.start, rows.stop)
        return edges.spans(rows.start, rows.stop).mask(rows, cols)

    def strips(
        self, rows: int | None = None, *, within: range | None = None, limit: int = STRIP_BYTES
    ) -> Iterator[range]:
        """Rows of strips from north to south.

        Parameters
        ----------
        rows : of a strip; None for as many as `limit` bytes of float32 hold, ending where chunks or tiles end
        within : rows of the region to cut, all where None

        Raises
        ------
        InputError
            Strips of no rows, or a region so wide that one row of chunks does not fit into memory.
        """
        height, width = self.shape
        whole = range(height) if within is None else within
        unit = self.warp.side if self.warp is not None else self.query.layout.chunk
        row_bytes = 4 * self.query.dims * width
        if rows is None and row_bytes * min(unit, len(whole)) > _MOST_STRIP:
            raise InputError(
                f"a region {width:,} pixels wide takes {row_bytes * unit / 1e9:,.1f} GB a strip; expected its parts"
            )
        if rows is not None and rows < 1:
            raise InputError(f"strips of {rows} rows; expected at least 1")
        # rows of the lattice's chunks are counted from its origin, those of tiles from the region's first row
        first = -self.target.window.north if self.target.window is not None else 0
        step = max(unit, limit // row_bytes) if rows is None else rows
        start = whole.start
        while start < whole.stop:
            stop = start + step if rows is not None else (first + start + step) // unit * unit - first
            yield range(start, min(stop, whole.stop))
            start = stop

    def _lattice(self, rows: range, cols: range, index: int) -> Quantised:
        window = self.target.part(rows, cols)
        codes, scales = self.query.window(window, index)
        if not self.target.others:
            return codes, scales
        lon, lat = self.target.lonlat(rows, cols)
        nominal = zones_of(lon)
        for zone in np.unique(nominal).tolist():
            if zone != window.zone and zone in self.query.zones:
                place = np.nonzero(nominal == zone)
                px, py = pixel_of(lon[place], lat[place], zone)
                found, found_scales = self.query.pixels(zone, px, py, index)
                good = is_valid(found_scales)
                there = place[0][good], place[1][good]
                codes[there], scales[there] = found[good], found_scales[good]
        own = np.nonzero((nominal == window.zone) & ~is_valid(scales))
        mended, mended_scales = codes[own], scales[own]
        self.query.mend(lon[own], lat[own], mended, mended_scales, index)
        codes[own], scales[own] = mended, mended_scales
        return codes, scales

    def _places(self, rows: range, cols: range, index: int) -> Quantised:
        lon, lat = self.target.lonlat(rows, cols)
        good = np.isfinite(lon) & (lat >= -80) & (lat <= 84)
        codes, scales = self.query.empty(lon.shape)
        codes[good], scales[good] = self.query.places(lon[good], lat[good], index, sparse=self.step >= _SPARSE)
        return codes, scales


def plan_region(
    store: Readable,
    area: object,
    year: object,
    dims: int | None = None,
    crs: object = None,
    *,
    resolution: float | None = None,
    resampling: str = "nearest",
    clip: bool = False,
) -> Region:
    """Check what was asked for; reads nothing. Arguments as in `Store.read_region`.

    Raises
    ------
    InputError
        What `Store.read_region` refuses, except for its size.
    """
    query = parse_query(store, year, dims)
    method = parse_method(resampling)
    target, outline = parse_target(area, crs, resolution, clip)
    if target.window is not None and not target.others:
        query.header.check_zone(target.window.zone, query.root)
    mixed = target.window is None and method != "nearest"
    warp = make_warp(query, target, method) if mixed else None
    return Region(query, target, warp, outline, pixel_step(target))
