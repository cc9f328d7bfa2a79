"""Which lattice pixels stand for polygons: many at once, a bounded number of each, those at its edge last."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError
from tessera.geo import (
    EAST,
    NORTH,
    PIXEL_SIZE,
    SOUTH,
    WEST,
    check_degrees,
    parse_area,
    polygon_edges,
    to_lonlat,
    to_zone,
    zones_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tessera.base import Progress

DROP, KEEP = "drop", "keep"
EDGES = (DROP, KEEP)
_TOGETHER = 5_000
"""Polygons taken at a time, and `_ROWS` rows of pixels."""
_ROWS = 1_000_000
_ENOUGH_INNER = 1
"""Pixels away from the border that must remain for those near it to be left out."""
_METRES_A_DEGREE = 111_320.0
_LAT = (-80.0, 84.0)


@dataclass
class Pixels:
    """Pixel centres that stand for polygons.

    Attributes
    ----------
    owner : (M,) int64, number of the polygon, ascending
    lonlat : (M, 2) float64, degrees
    counts : what happened to how many; see `labels.COUNTED`
    """

    owner: NDArray[np.int64]
    lonlat: NDArray[np.float64]
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Runs:
    """Runs of pixels in rows, by owner: rows count from the zone's origin downwards, as in `Spans`."""

    owner: NDArray[np.int64]
    zone: NDArray[np.int64]
    row: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]

    def of(self, owners: NDArray[np.bool_]) -> _Runs:
        """Those whose owner is marked."""
        kept = owners[self.owner]
        return _Runs(self.owner[kept], self.zone[kept], self.row[kept], self.start[kept], self.stop[kept])

    def pixels(self, count: int) -> NDArray[np.int64]:
        """Pixels of each owner, (count,)."""
        return np.bincount(self.owner, self.stop - self.start, count).astype(np.int64)


def polygon_pixels(
    shapes: NDArray[np.object_],
    names: NDArray[np.int64],
    source: str,
    *,
    most: int,
    edge_m: float,
    progress: Progress,
) -> Pixels:
    """The pixels whose centre lies in each polygon, at most `most` of each, drawn with a fixed seed.

    Pixels nearer than `edge_m` to the border are left out where any others remain. A polygon that holds
    no pixel centre is represented by the pixel of a place inside it, and one without any area by nothing.

    Parameters
    ----------
    shapes : (N,) polygons and multipolygons, degrees
    names : (N,) the number of each feature in messages
    edge_m : metres; 0 keeps every pixel

    Raises
    ------
    InputError
        Coordinates that cannot be degrees, or that lie beyond 80 S or 84 N.
    """
    import shapely

    shapes = shapes.copy()
    _check(shapes, names, source)
    counts = dict.fromkeys(("repaired", "flat", "small", "capped", "edge"), 0)
    broken = ~shapely.is_valid(shapes)
    if broken.any():
        shapes[broken] = shapely.make_valid(shapes[broken])
    _cut(shapes, names, source)
    flat = ~(shapely.area(shapes) > 0)
    counts["flat"] = int(flat.sum())
    counts["repaired"] = int((broken & ~flat).sum())
    owners: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
    places: list[NDArray[np.float64]] = [np.empty((0, 2))]
    there = np.flatnonzero(~flat)
    done = 0
    for part in _chunks(shapes, there):
        owner, lonlat = _some(shapes[part], counts, most, edge_m)
        owners.append(part[owner])
        places.append(lonlat)
        done += len(part)
        progress(done, len(there))
    return Pixels(np.concatenate(owners), np.concatenate(places), {key: n for key, n in counts.items() if n})


def _check(shapes: NDArray[np.object_], names: NDArray[np.int64], source: str) -> None:
    import shapely

    points, of_shape = shapely.get_coordinates(shapes, return_index=True)
    with np.errstate(invalid="ignore"):
        good = np.isfinite(points).all(axis=1) & (np.abs(points) <= (360, 90)).all(axis=1)
    if not good.all():
        first = of_shape[int(np.flatnonzero(~good)[0])]
        check_degrees(points[of_shape == first], f"{source}, feature {names[first]}")
    beyond = (points[:, 1] < _LAT[0]) | (points[:, 1] > _LAT[1])
    if beyond.any():
        first = of_shape[int(np.flatnonzero(beyond)[0])]
        try:
            parse_area(shapely.make_valid(shapes[first]))
        except InputError as error:
            raise InputError(f"{source}, feature {names[first]}: {error}") from None


def _cut(shapes: NDArray[np.object_], names: NDArray[np.int64], source: str) -> None:
    """Cut polygons over the date line in place."""
    import shapely

    west, _, east, _ = shapely.bounds(shapes).T
    with np.errstate(invalid="ignore"):
        over = np.flatnonzero((west < -180) | (east > 180) | (east - west > 180))
    for index in over:
        try:
            shapes[index] = parse_area(shapes[index]).geometry
        except InputError as error:
            raise InputError(f"{source}, feature {names[index]}: {error}") from None


def _chunks(shapes: NDArray[np.object_], there: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Indices of polygons that are taken together: few enough, with few enough rows of pixels."""
    import shapely

    bounds = shapely.bounds(shapes[there])
    rows = np.cumsum((bounds[:, 3] - bounds[:, 1]) * _METRES_A_DEGREE / PIXEL_SIZE + 1)
    start = 0
    while start < len(there):
        before = rows[start - 1] if start else 0.0
        stop = int(np.searchsorted(rows, before + _ROWS, "right"))
        stop = min(max(stop, start + 1), start + _TOGETHER)
        yield there[start:stop]
        start = stop


def _some(
    shapes: NDArray[np.object_], counts: dict[str, int], most: int, edge_m: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Owner and place of the pixels of some polygons, sorted by owner."""
    import shapely

    whole, inner = _runs(shapes, edge_m)
    total = whole.pixels(len(shapes))
    if edge_m > 0:
        within = inner.pixels(len(shapes))
        clean = (within >= _ENOUGH_INNER) & (within < total)
        counts["edge"] += int((total - within)[clean].sum())
        total = np.where(clean, within, total)
        both = [whole.of(~clean), inner.of(clean)]
        merged = [np.concatenate([getattr(one, name) for one in both]) for name in _Runs.__dataclass_fields__]
        whole = _Runs(*merged)
    order = np.lexsort((whole.start, whole.row, whole.zone, whole.owner))
    runs = _Runs(*(getattr(whole, name)[order] for name in _Runs.__dataclass_fields__))
    small = np.flatnonzero(total == 0)
    counts["small"] += len(small)
    counts["capped"] += int((total > most).sum())
    picked = _drawn(total, most)
    reach = np.cumsum(runs.stop - runs.start)
    which = np.searchsorted(reach, picked, "right")
    column = runs.stop[which] - (reach[which] - picked)
    owner, zone, row = runs.owner[which], runs.zone[which], runs.row[which]
    lonlat = np.empty((len(picked), 2))
    for one in np.unique(zone):
        here = zone == one
        x, y = (column[here] + 0.5) * PIXEL_SIZE, -(row[here] + 0.5) * PIXEL_SIZE
        lonlat[here] = np.column_stack(to_lonlat(x, y, int(one)))
    if len(small):
        inside = shapely.get_coordinates(shapely.point_on_surface(shapes[small]))
        owner, lonlat = np.concatenate([owner, small]), np.concatenate([lonlat, inside])
        order = np.argsort(owner, kind="stable")
        owner, lonlat = owner[order], lonlat[order]
    return owner, lonlat


def _drawn(total: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Numbers of the pixels that are kept, counted over all owners: all of a small one, `most` of a large one."""
    first = np.cumsum(total) - total
    kept = [start + _draw(int(count), most) for start, count in zip(first, total, strict=True) if count]
    return np.concatenate(kept) if kept else np.empty(0, dtype=np.int64)


@lru_cache(maxsize=4096)
def _draw(count: int, most: int) -> NDArray[np.int64]:
    # seeded anew, so that a polygon keeps its pixels whatever lies beside it in the file
    if count <= most:
        return np.arange(count, dtype=np.int64)
    return np.sort(np.random.default_rng(0).choice(count, most, replace=False)).astype(np.int64)


def _runs(shapes: NDArray[np.object_], edge_m: float) -> tuple[_Runs, _Runs]:
    """The runs of pixels in the polygons, and in what is left of them without a margin of `edge_m` metres."""
    import shapely

    found: tuple[list[_Runs], list[_Runs]] = ([], [])
    for zone, kept, owner in _by_zone(shapes):
        flat = to_zone(kept, zone)
        found[0].append(_scan(zone, flat, owner))
        if edge_m > 0:
            found[1].append(_scan(zone, shapely.buffer(flat, -edge_m), owner))
    return _joined(found[0]), _joined(found[1])


def _by_zone(shapes: NDArray[np.object_]) -> Iterator[tuple[int, NDArray[np.object_], NDArray[np.int64]]]:
    """Zone, polygons in it and their numbers; a polygon over a border is cut."""
    import shapely

    west, _, east, _ = shapely.bounds(shapes).T
    first, last = zones_of(west), zones_of(east)
    for zone in range(int(first.min()), int(last.max()) + 1):
        owner = np.flatnonzero((first <= zone) & (last >= zone))
        if not len(owner):
            continue
        kept = shapes[owner]
        crossing = first[owner] != last[owner]
        strip = shapely.box(6 * zone - 186, _LAT[0], 6 * zone - 180, _LAT[1])
        kept[crossing] = shapely.intersection(kept[crossing], strip)
        there = shapely.area(kept) > 0
        if there.any():
            yield zone, kept[there], owner[there]


def _scan(zone: int, shapes: NDArray[np.object_], owner: NDArray[np.int64]) -> _Runs:
    def rows_down(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return x / PIXEL_SIZE, -y / PIXEL_SIZE

    spans = polygon_edges(shapes, owner, rows_down).spans(-NORTH, -SOUTH).clipped(WEST, EAST)
    return _Runs(spans.owner, np.full(len(spans), zone, dtype=np.int64), spans.row, spans.start, spans.stop)


def _joined(runs: list[_Runs]) -> _Runs:
    empty = np.empty(0, dtype=np.int64)
    return _Runs(
        *(np.concatenate([empty, *(getattr(one, name) for one in runs)]) for name in _Runs.__dataclass_fields__)
    )
