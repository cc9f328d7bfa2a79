"""Read overviews, from a folder or a URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError, memory_bytes
from tessera.embeddings import dequantise
from tessera.geo import (
    EAST,
    NORTH,
    PIXEL_SIZE,
    SOUTH,
    WEST,
    Window,
    from_lonlat,
    parse_area,
    to_lonlat,
    zone_crs,
    zones_of,
)

from ._build import is_current
from ._document import read_overviews
from ._levels import Box, layers_of, parse_level, read_box

if TYPE_CHECKING:
    import xarray
    from numpy.typing import NDArray

    from tessera.store import Store

    from ._levels import Level

_BLOCK = 256
"""Side of the blocks that are read of another zone, overview pixels."""


def read_overview(store: Store, area: object, year: int, level: int = 160, dims: int | None = None) -> xarray.DataArray:
    """Read mean vectors of 160 m or 1,280 m pixels, over the smallest rectangle that holds an area.

    Parameters
    ----------
    area : anything that `tessera.geo.parse_area` reads, or a lattice Window. Over several zones the rectangle lies in
        the zone of the area's centre, and takes the nearest pixels of the other zones
    year : a year that has an overview
    level : 160 or 1280, metres
    dims : number of first dims (a prefix of the model), None for all

    Returns
    -------
    DataArray (y, x, band) float32, NaN = no data; x and y are pixel centres, metres. The coordinate `valid` (y, x) is
    the share of 10 m pixels behind each mean. Attributes: crs, transform, year, level, model, model_sha256, and
    `current`: whether the overview matches the store as it is now (None for a store by URL)

    Raises
    ------
    InputError
        No overview of that year or of this store's model, no such level or prefix, or an area beyond the lattice.
    CorruptError
        An overview is damaged.
    """
    import xarray

    size = parse_level(level)
    about = read_overviews(store)
    if about is None or year not in about.years:
        held = "none" if about is None else ", ".join(map(str, about.years)) or "none finished"
        raise InputError(
            f"{store.objects.root} has no overview of {year} (it has {held}); make it where the store is a local "
            f"folder: tessera store preview {store.objects.root}"
        )
    _, kept = store.header.codes(dims)
    window = store.region_grid(area)
    box = Box.around(window, size)
    _check_size(box, store.dims)
    reader = _Reader(store, year, size, kept)
    values, valid = reader.own(window.zone, box)
    if not isinstance(area, Window) and len(parse_area(area).zones) > 1:
        reader.fill_from_other_zones(window.zone, box, values, valid)
    left, top = WEST * PIXEL_SIZE + box.col * level, NORTH * PIXEL_SIZE - box.row * level
    return xarray.DataArray(
        values,
        dims=("y", "x", "band"),
        coords={
            "y": top - (np.arange(box.height) + 0.5) * level,
            "x": left + (np.arange(box.width) + 0.5) * level,
            "band": np.arange(kept),
            "valid": (("y", "x"), valid.astype(np.float32) / size.factor**2),
        },
        name="embeddings",
        attrs={
            "crs": zone_crs(window.zone),
            "transform": (float(level), 0.0, float(left), 0.0, -float(level), float(top)),
            "year": year,
            "level": level,
            "model": store.model.name,
            "model_sha256": store.model.sha256,
            "current": reader.is_current(),
        },
    )


def _check_size(box: Box, dims: int) -> None:
    size = 5 * box.height * box.width * dims
    if size > memory_bytes():
        raise InputError(
            f"an overview of {box.height} x {box.width} pixels takes {size / 1e9:,.1f} GB, more than this machine has; "
            "read a coarser level or a smaller area"
        )


class _Reader:
    """Reads overview pixels, and remembers the lattice windows that it read."""

    def __init__(self, store: Store, year: int, level: Level, dims: int) -> None:
        self.store, self.year, self.level, self.dims = store, year, level, dims
        self.layers = layers_of(level, store.dims)
        self.windows: list[Window] = []

    def own(self, zone: int, box: Box) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
        """Values (h, w, dims), NaN = no data, and valid pixels (h, w) of one zone."""
        self.windows.append(box.window(zone, self.level))
        found = read_box(self.store.objects, self.layers, zone, self.store.years.index(self.year), box)
        return dequantise(found["embeddings"][..., : self.dims], found["scales"]), found["valid"]

    def fill_from_other_zones(
        self, zone: int, box: Box, values: NDArray[np.float32], valid: NDArray[np.uint16]
    ) -> None:
        """Replace pixels whose longitude belongs to another zone by data of that zone."""
        side = self.level.metres
        x = WEST * PIXEL_SIZE + (box.col + np.arange(box.width) + 0.5) * side
        y = NORTH * PIXEL_SIZE - (box.row + np.arange(box.height) + 0.5) * side
        grid_x, grid_y = np.meshgrid(x, y)
        lon, lat = to_lonlat(grid_x, grid_y, zone)
        nominal = zones_of(lon)
        for other in np.unique(nominal).tolist():
            if other == zone or other not in self.store.zones:
                continue
            rows, cols = np.nonzero(nominal == other)
            east, north = from_lonlat(lon[rows, cols], lat[rows, cols], other)
            there = (east >= WEST * 10) & (east < EAST * 10) & (north > SOUTH * 10) & (north <= NORTH * 10)
            rows, cols = rows[there], cols[there]
            col = np.floor((east[there] - WEST * PIXEL_SIZE) / side).astype(np.int64)
            row = np.floor((NORTH * PIXEL_SIZE - north[there]) / side).astype(np.int64)
            _, group = np.unique(np.stack([row // _BLOCK, col // _BLOCK], axis=1), axis=0, return_inverse=True)
            for number in range(int(group.max(initial=-1)) + 1):
                members = np.flatnonzero(group.reshape(-1) == number)
                r, c = row[members], col[members]
                part = Box(int(r.min()), int(c.min()), int(np.ptp(r)) + 1, int(np.ptp(c)) + 1)
                found, count = self.own(other, part)
                good = count[r - part.row, c - part.col] > 0
                to = rows[members][good], cols[members][good]
                values[to] = found[r - part.row, c - part.col][good]
                valid[to] = count[r - part.row, c - part.col][good]

    def is_current(self) -> bool | None:
        """Whether all that was read matches the store as it is now, None for a store by URL."""
        if self.store.objects.folder is None:
            return None
        return is_current(self.store, self.year, self.windows)
