"""Sample vectors at points, with the reason where a point has none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError
from tessera.embeddings import CodedVectors, dequantise, is_valid
from tessera.geo import (
    EAST,
    NORTH,
    PIXEL_SIZE,
    SOUTH,
    WEST,
    Window,
    from_lonlat,
    lonlat_of,
    parse_points,
    read_vector,
    to_lonlat,
    wrapped,
    zones_of,
)

from .query import boxes_of, neighbours_of, pixel_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .query import Quantised, Query

MOST_SEARCH = 100
"""Pixels around a point that may be searched; 1 km."""
_SEARCH_BLOCK = 64
"""Side of the blocks in which points are searched together, pixels."""
_CANDIDATES = 4_000_000
"""Pixels that are compared at a time while searching."""


class PointStatus(IntEnum):
    """Why a point has a vector or none; of two that apply, the lower one is told."""

    VALID = 0
    WATER = 1
    NO_DATA = 2
    NOT_WRITTEN = 3
    OUTSIDE = 4


@dataclass(frozen=True, repr=False)
class PointSample:
    """Vectors at N points of Y years; the axis of years is absent where one year was asked for as a number.

    Attributes
    ----------
    values : (N, Y, D) float32, NaN where the status is not VALID
    status : (N, Y) uint8, numbers of `PointStatus`
    lon, lat : (N,) float64, degrees, as given
    zone : (N, Y) int16, the UTM zone of the pixel that was used; where none was, the point's own
    px, py : (N, Y) int64, that pixel, counted from the zone's origin
    """

    values: NDArray[np.float32]
    status: NDArray[np.uint8]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    zone: NDArray[np.int16]
    px: NDArray[np.int64]
    py: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.lon)

    def __repr__(self) -> str:
        told = ", ".join(f"{count} {name}" for name, count in self.counts().items() if count)
        return f"PointSample({len(self)} points: {told or 'none'})"

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Which points have a vector, shaped as `status`."""
        return np.asarray(self.status == PointStatus.VALID)

    def counts(self) -> dict[str, int]:
        """How many have each status: "valid", "water", "no_data", "not_written", "outside"."""
        return {kind.name.lower(): int((self.status == kind).sum()) for kind in PointStatus}


def parse_anywhere(points: object) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Longitudes and latitudes (N, 2) and which of them lie on the grid; those beyond it are no error.

    Longitudes beyond 180 are wrapped, as everywhere.

    Raises
    ------
    InputError
        No points, or numbers that are no degrees.
    """
    given = points if isinstance(points, (list, tuple, np.ndarray)) else lonlat_of(read_vector(points))
    try:
        lonlat = np.array(given, dtype=np.float64)
    except (TypeError, ValueError):
        lonlat = parse_points(given)
    if lonlat.shape == (2,):
        lonlat = lonlat[None]
    if lonlat.ndim != 2 or lonlat.shape[1] != 2 or np.abs(lonlat).max(initial=0) > 360 or np.isnan(lonlat).any():
        # it says what is wrong
        lonlat = parse_points(given)
    lonlat = wrapped(lonlat)
    inside = (np.abs(lonlat[:, 0]) <= 180) & (lonlat[:, 1] >= -80) & (lonlat[:, 1] <= 84)
    return lonlat, inside


def sample_inside(query: Query, lonlat: NDArray[np.float64], *, verify: bool) -> NDArray[np.float32]:
    """The vectors of points; InputError if one lies outside the store's zones."""
    found = sample(query, lonlat, np.ones(len(lonlat), dtype=np.bool_), verify=verify)
    beyond = found.status == PointStatus.OUTSIDE
    outside = np.flatnonzero(beyond.any(axis=1) if beyond.ndim > 1 else beyond)
    if len(outside):
        lon, lat = lonlat[outside[0]]
        raise InputError(
            f"{len(outside)} of {len(lonlat)} points, such as longitude {lon:g}, latitude {lat:g}, lie outside "
            f"the zones of {query.root}: {', '.join(map(str, query.zones))}"
        )
    return found.values


def sample(
    query: Query, lonlat: NDArray[np.float64], inside: NDArray[np.bool_], *, search: object = 0, verify: bool = False
) -> PointSample:
    """Sample points; see `Store.sample`."""
    if isinstance(search, bool) or not isinstance(search, (int, np.integer)) or not 0 <= search <= MOST_SEARCH:
        raise InputError(f"search {search!r}; expected pixels, a whole number from 0 to {MOST_SEARCH}")
    reach = int(search)
    years = [_Year(query, index, lonlat, inside, reach, verify) for index in query.indexes]
    for year in years:
        year.read()

    def stacked(name: str) -> NDArray[np.int64]:
        return np.stack([getattr(year, name) for year in years], axis=1)

    parts = [stacked(name) for name in ("status", "zone", "px", "py")]
    values = np.stack([dequantise(year.codes, year.scales) for year in years], axis=1)
    if not query.several:
        values, parts = values[:, 0], [part[:, 0] for part in parts]
    status, zone, px, py = parts
    return PointSample(values, status.astype(np.uint8), lonlat[:, 0], lonlat[:, 1], zone.astype(np.int16), px, py)


def sample_coded(query: Query, lonlat: NDArray[np.float64]) -> CodedVectors:
    """The vectors of one year at points as codes; see `Store.sample_codes`."""
    year = _Year(query, query.indexes[0], lonlat, np.ones(len(lonlat), dtype=np.bool_), 0, False)
    year.read()
    return CodedVectors(year.codes, year.scales)


class _Year:
    """One year of a sample while it is made."""

    def __init__(
        self,
        query: Query,
        index: int,
        lonlat: NDArray[np.float64],
        inside: NDArray[np.bool_],
        search: int,
        verify: bool,
    ) -> None:
        self.query, self.index, self.search, self.verify = query, index, search, verify
        self.lon, self.lat = lonlat[:, 0], lonlat[:, 1]
        self.inside = inside
        count = len(lonlat)
        self.codes, self.scales = query.empty((count,))
        self.status = np.full(count, int(PointStatus.OUTSIDE))
        self.zone = zones_of(self.lon)
        self.px, self.py = np.full((2, count), -1, dtype=np.int64)
        for zone in np.unique(self.zone[inside]).tolist():
            members = np.flatnonzero(inside & (self.zone == zone))
            self.px[members], self.py[members] = pixel_of(self.lon[members], self.lat[members], zone)

    def read(self) -> None:
        own = np.flatnonzero(self.inside & np.isin(self.zone, self.query.zones))
        lonlat = np.column_stack([self.lon[own], self.lat[own]])
        query = self.query
        found = query.source.read_points(lonlat, self.index, query.spec, query.dims, verify=self.verify)
        self._take(own, self.zone[own], self.px[own], self.py[own], found)
        left = np.flatnonzero(self.inside & (self.status != PointStatus.VALID))
        for zone, members in self._neighbours(left):
            px, py = pixel_of(self.lon[members], self.lat[members], zone)
            found = query.pixels(zone, px, py, self.index, query.layout.chunk)
            self._take(members, np.full(len(members), zone), px, py, found)
        if self.search:
            self._search_around()

    def _neighbours(self, members: NDArray[np.int64]) -> list[tuple[int, NDArray[np.int64]]]:
        """Zones of the store over a border near these points, and which of the points."""
        beyond = neighbours_of(self.lon[members])
        return [(zone, members[beyond == zone]) for zone in np.unique(beyond).tolist() if zone in self.query.zones]

    def _take(
        self,
        members: NDArray[np.int64],
        zone: NDArray[np.int64],
        px: NDArray[np.int64],
        py: NDArray[np.int64],
        found: Quantised,
    ) -> None:
        """Keep what was found where it says more than what is known."""
        codes, scales = found
        water = PointStatus.WATER if self.query.header.nan_is_water else PointStatus.NO_DATA
        status = np.where(np.isnan(scales), int(water), int(PointStatus.NO_DATA))
        status[np.isposinf(scales)] = PointStatus.NOT_WRITTEN
        status[is_valid(scales)] = PointStatus.VALID
        better = status < self.status[members]
        kept = members[better]
        self.status[kept], self.zone[kept] = status[better], zone[better]
        self.px[kept], self.py[kept] = px[better], py[better]
        self.codes[kept], self.scales[kept] = codes[better], scales[better]

    def _search_around(self) -> None:
        """Look for the nearest valid pixel, in a point's own zone and then over the border; water is no gap."""
        gaps = self.inside & np.isin(self.status, (PointStatus.NO_DATA, PointStatus.NOT_WRITTEN, PointStatus.OUTSIDE))
        nominal = zones_of(self.lon)
        own = [(zone, np.flatnonzero(gaps & (nominal == zone))) for zone in np.unique(nominal[gaps]).tolist()]
        for zone, members in [*own, *self._neighbours(np.flatnonzero(gaps))]:
            left = members[self.status[members] != PointStatus.VALID]
            if zone in self.query.zones and len(left):
                self._search_zone(zone, left)

    def _search_zone(self, zone: int, members: NDArray[np.int64]) -> None:
        x, y = (value / PIXEL_SIZE for value in from_lonlat(self.lon[members], self.lat[members], zone))
        px, py = pixel_of(self.lon[members], self.lat[members], zone)
        found = np.full((2, len(members)), -1, dtype=np.int64)
        for group, box in boxes_of(zone, px, py, _SEARCH_BLOCK):
            around = _widened(box, self.search)
            valid = is_valid(self.query.scales(around, self.index))
            step = max(1, _CANDIDATES // (2 * self.search + 1) ** 2)
            for start in range(0, len(group), step):
                part = group[start : start + step]
                found[:, part] = _nearest(around, valid, x[part], y[part], px[part], py[part], self.search)
        there = np.flatnonzero(found[0] >= 0)
        px, py = found[:, there]
        self._take(members[there], np.full(len(there), zone), px, py, self._exact(zone, px, py))

    def _exact(self, zone: int, px: NDArray[np.int64], py: NDArray[np.int64]) -> Quantised:
        """Pixels of a zone, by their centres where these lie in the zone's own degrees."""
        query = self.query
        codes, scales = query.empty(px.shape)
        lon, lat = to_lonlat((px + 0.5) * PIXEL_SIZE, (py + 0.5) * PIXEL_SIZE, zone)
        lon = (lon + 180) % 360 - 180
        inner = zones_of(lon) == zone
        lonlat = np.column_stack([lon[inner], lat[inner]])
        found = query.source.read_points(lonlat, self.index, query.spec, query.dims, verify=self.verify)
        codes[inner], scales[inner] = found
        outer = ~inner
        if outer.any():
            codes[outer], scales[outer] = query.pixels(zone, px[outer], py[outer], self.index, query.layout.chunk)
        return codes, scales


def _widened(box: Window, by: int) -> Window:
    west, east = max(box.west - by, WEST), min(box.east + by, EAST)
    south, north = max(box.south - by, SOUTH), min(box.north + by, NORTH)
    return Window(box.zone, west, north, east - west, north - south)


def _nearest(
    around: Window,
    valid: NDArray[np.bool_],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    px: NDArray[np.int64],
    py: NDArray[np.int64],
    reach: int,
) -> NDArray[np.int64]:
    """(2, N) px and py of the valid pixel whose centre is nearest to each point, -1 where none is within reach.

    Of equally near ones the northernmost and then the westernmost is taken.
    """
    steps = np.arange(-reach, reach + 1)
    rows = (py[:, None] - steps[None])[:, :, None]
    cols = (px[:, None] + steps[None])[:, None, :]
    rows, cols = np.broadcast_arrays(rows, cols)
    inside = (rows >= around.south) & (rows < around.north) & (cols >= around.west) & (cols < around.east)
    row = np.clip(around.north - 1 - rows, 0, around.height - 1)
    col = np.clip(cols - around.west, 0, around.width - 1)
    distance = (rows + 0.5 - y[:, None, None]) ** 2 + (cols + 0.5 - x[:, None, None]) ** 2
    distance = np.where(inside & valid[row, col], distance, np.inf).reshape(len(px), -1)
    best = distance.argmin(axis=1)
    each = np.arange(len(px))
    there = np.isfinite(distance[each, best])
    places = np.stack([cols.reshape(len(px), -1)[each, best], rows.reshape(len(px), -1)[each, best]])
    return np.where(there, places, -1)
