"""The part that all queries share: years, codes, and the pixels that hold points, also near a zone's border.

A place belongs to the zone of its longitude. Within 0.1 degree of a border, where that zone's pixel has no data, the
neighbour zone's pixel that holds the place counts, as in the published client.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tessera.base import InputError
from tessera.embeddings import is_valid
from tessera.geo import EAST, NORTH, PIXEL_SIZE, SOUTH, WEST, Window, from_lonlat, zones_of
from tessera.shards import SCALES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tessera.embeddings import ModelIdentity
    from tessera.geo import Cell
    from tessera.net import Objects
    from tessera.shards import ArraySpec, Header, Layout, Source

SEAM_DEGREES = 0.1
"""Reach of the neighbour zone over a border, as in geotessera 0.11."""
_BLOCK = 256
"""Side of what is read at a time of a zone that lies turned against the pixels asked for, pixels."""

Quantised = tuple["NDArray[np.int8]", "NDArray[np.float32]"]
"""Codes (..., D) and scales (...)."""


class Readable(Protocol):
    """What a query asks of a store: where it lies, what it says of itself, what reads its pixels, its cells."""

    objects: Objects
    header: Header
    source: Source

    def cells(self, year: int) -> list[Cell]:
        """The cells that were committed for a year; `InputError` where the store does not list them."""
        ...

    def commit(self, cell: Cell, year: int) -> Any:
        """The commit record of a cell, None if there is none; `InputError` where the store has no records."""
        ...


@dataclass(frozen=True)
class Query:
    """A store's pixels of some years, cut to a prefix."""

    source: Source
    header: Header  # what the store says of itself
    root: str  # what to call the store in a message
    years: tuple[int, ...]  # years, indexes: the years asked for and their positions on the time axis
    indexes: tuple[int, ...]
    several: bool  # whether years were asked for as a sequence
    spec: ArraySpec  # spec, dims: the array of codes to read and how many of its bands to keep
    dims: int

    @property
    def layout(self) -> Layout:
        """The store's geometry."""
        return self.header.layout

    @property
    def model(self) -> ModelIdentity:
        """Whose vectors they are."""
        return self.header.model

    @property
    def zones(self) -> tuple[int, ...]:
        """UTM zones that the store has arrays for."""
        return self.header.zones

    def empty(self, shape: tuple[int, ...]) -> Quantised:
        """Codes and scales of pixels that were never written."""
        return np.zeros((*shape, self.dims), dtype=np.int8), np.full(shape, np.inf, dtype=np.float32)

    def window(self, window: Window, index: int) -> Quantised:
        """Codes and scales of a lattice window, verified; not written in a zone that the store lacks."""
        if window.zone not in self.zones:
            return self.empty(window.shape)
        found = self.source.read_window(window, index, (SCALES, self.spec))
        return found[self.spec.name][..., : self.dims], found[SCALES.name]

    def scales(self, window: Window, index: int) -> NDArray[np.float32]:
        """Scales of a lattice window."""
        if window.zone not in self.zones:
            return np.full(window.shape, np.inf, dtype=np.float32)
        return np.asarray(self.source.read_window(window, index, (SCALES,))[SCALES.name])

    def pixels(
        self, zone: int, px: NDArray[np.int64], py: NDArray[np.int64], index: int, block: int = _BLOCK
    ) -> Quantised:
        """Codes (N, D) and scales (N,) of pixels of one zone, read block by block."""
        codes, scales = self.empty(px.shape)
        if zone not in self.zones:
            return codes, scales
        for members, box in boxes_of(zone, px, py, block):
            block_codes, block_scales = self.window(box, index)
            rows, cols = box.north - 1 - py[members], px[members] - box.west
            codes[members], scales[members] = block_codes[rows, cols], block_scales[rows, cols]
        return codes, scales

    def places(
        self, lon: NDArray[np.float64], lat: NDArray[np.float64], index: int, *, sparse: bool = False
    ) -> Quantised:
        """Codes (N, D) and scales (N,) of the pixels that hold places, verified, with the neighbour's near a border.

        Places that lie far apart are `sparse`: chunks are read one by one instead of blocks.
        """
        codes, scales = self.empty(lon.shape)
        nominal = zones_of(lon)
        if sparse:
            there = np.flatnonzero(np.isin(nominal, self.zones))
            lonlat = np.column_stack([lon[there], lat[there]])
            codes[there], scales[there] = self.source.read_points(lonlat, index, self.spec, self.dims, verify=True)
        else:
            for zone in np.unique(nominal).tolist():
                members = np.flatnonzero(nominal == zone)
                px, py = pixel_of(lon[members], lat[members], zone)
                codes[members], scales[members] = self.pixels(zone, px, py, index)
        self.mend(lon, lat, codes, scales, index)
        return codes, scales

    def mend(
        self,
        lon: NDArray[np.float64],
        lat: NDArray[np.float64],
        codes: NDArray[np.int8],
        scales: NDArray[np.float32],
        index: int,
    ) -> None:
        """Fill points near a border that have no data from the neighbour zone, in place."""
        bare = np.flatnonzero(~is_valid(scales))
        beyond = neighbours_of(lon[bare])
        for zone in np.unique(beyond[beyond > 0]).tolist():
            members = bare[beyond == zone]
            px, py = pixel_of(lon[members], lat[members], zone)
            found, found_scales = self.pixels(zone, px, py, index)
            good = is_valid(found_scales)
            codes[members[good]], scales[members[good]] = found[good], found_scales[good]


def parse_query(store: Readable, year: object, dims: int | None) -> Query:
    """Check the years, one or a sequence, and the prefix that were asked for."""
    several = isinstance(year, (list, tuple, range, np.ndarray))
    given: list[Any] = list(year) if several else [year]  # type: ignore[call-overload]
    if not given:
        raise InputError("no years given; expected at least one")
    header, root = store.header, store.objects.root
    spec, kept = header.codes(dims)
    indexes = tuple(header.year_index(value, root) for value in given)
    years = tuple(header.years[index] for index in indexes)
    return Query(store.source, header, root, years, indexes, several, spec, kept)


def pixel_of(
    lon: NDArray[np.float64], lat: NDArray[np.float64], zone: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """px and py of the pixel of a zone that holds each place, at the lattice's edge the last one."""
    x, y = from_lonlat(lon, lat, zone)
    px = np.floor(x / PIXEL_SIZE).astype(np.int64)
    py = np.floor(y / PIXEL_SIZE).astype(np.int64)
    return np.clip(px, WEST, EAST - 1), np.clip(py, SOUTH, NORTH - 1)


def neighbours_of(lon: NDArray[np.float64]) -> NDArray[np.int64]:
    """The zone over the border that is within 0.1 degree of each longitude, 0 where there is none."""
    zone = zones_of(lon)
    offset = lon + 180.0 - 6.0 * (zone - 1)
    step = np.where(offset < SEAM_DEGREES, -1, np.where(offset > 6.0 - SEAM_DEGREES, 1, 0))
    return np.where(step == 0, 0, (zone - 1 + step) % 60 + 1)


def boxes_of(
    zone: int, px: NDArray[np.int64], py: NDArray[np.int64], block: int
) -> Iterator[tuple[NDArray[np.int64], Window]]:
    """Group pixels by block: which of them (M,), and the window that holds them."""
    if not len(px):
        return
    down = (py.max() // block - py // block) * ((px.max() // block) + 1)
    order = np.argsort(down + px // block, kind="stable")
    starts = np.flatnonzero(np.diff((down + px // block)[order], prepend=-1))
    for members in np.split(order, starts[1:]):
        west, north = int(px[members].min()), int(py[members].max()) + 1
        yield members, Window(zone, west, north, int(px[members].max()) + 1 - west, north - int(py[members].min()))
