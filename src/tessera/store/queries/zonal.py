"""Mean vectors of polygons, square by square: each square of the store is read once, for all polygons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, prefetched
from tessera.embeddings import dequantise, is_valid
from tessera.geo import (
    DENSIFY_DEGREES,
    EAST,
    NORTH,
    PIXEL_SIZE,
    SOUTH,
    WEST,
    Edges,
    Spans,
    VectorTable,
    Window,
    from_lonlat,
    parse_area,
    polygon_edges,
    read_vector,
)

from .query import parse_query

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from .query import Query, Readable

BLOCK = 1024
"""Side of a square, pixels; a cell."""
_SUM_PIXELS = 65_536
"""Vectors that are summed at a time: 67 MB of 128 float64."""
_WASTE = 0.5
"""Share of a rectangle that may be read in vain before its parts are read one by one."""


@dataclass(frozen=True, repr=False)
class Zonal:
    """Means over N polygons of Y years; the axis of years is absent where one year was asked for as a number.

    Attributes
    ----------
    means : (N, Y, D) float32, the mean of the vectors of the valid pixels, NaN where there is none
    counts : (N, Y) int64, valid pixels
    pixels : (N,) int64, pixels whose centre is inside (or that are touched)
    share : (N, Y) float64, valid pixels of them, NaN where a polygon holds no pixel
    """

    means: NDArray[np.float32]
    counts: NDArray[np.int64]
    pixels: NDArray[np.int64]
    share: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.pixels)

    def __repr__(self) -> str:
        return f"Zonal({len(self)} polygons, {int(self.counts.sum()):,} valid pixels)"


@dataclass(frozen=True)
class Square:
    """The polygons' pixels in one square of a zone."""

    zone: int  # zone, row, col: its place, in squares from the lattice's north-west corner
    row: int
    col: int
    spans: Spans  # the pixels; row and columns are counted from the zone's origin, rows downwards (-py - 1)
    windows: tuple[Window, ...]  # what is read for them

    @property
    def key(self) -> str:
        """A name that is the same in every run."""
        return f"{self.zone}-{self.row}-{self.col}"


@dataclass(frozen=True)
class SquareSums:
    """Sums over one square.

    Attributes
    ----------
    owners : (K,) int64, the polygons that it holds pixels of
    pixels : (K,) int64, how many
    counts : (K, Y) int64, valid ones
    sums : (K, Y, D) float64, of their vectors
    """

    owners: NDArray[np.int64]
    pixels: NDArray[np.int64]
    counts: NDArray[np.int64]
    sums: NDArray[np.float64]


def parse_polygons(polygons: object) -> NDArray[np.object_]:
    """Polygons in degrees, valid, cut at the date line: (N,), None where a feature has no geometry."""
    import shapely

    if hasattr(polygons, "geom_type") and not hasattr(polygons, "to_crs"):
        polygons = [polygons]
    if isinstance(polygons, (list, tuple, np.ndarray)):
        source = "the polygons given"
        shapes = np.empty(len(polygons), dtype=object)
        shapes[:] = list(polygons)
        strange = [item for item in shapes if item is not None and not hasattr(item, "geom_type")]
        if strange:
            raise InputError(f"a {type(strange[0]).__name__} among {source}; expected shapely polygons in degrees")
    else:
        table = polygons if isinstance(polygons, VectorTable) else read_vector(polygons)
        source, shapes = table.source, table.geometries.copy()
    kinds = shapely.get_type_id(shapes)
    areal = np.isin(kinds, (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON))
    wrong = np.flatnonzero(~areal & (kinds != -1))
    if len(wrong):
        raise InputError(f"{source}, feature {wrong[0]} is a {shapes[wrong[0]].geom_type}; expected polygons")
    shapes[shapely.is_empty(shapes)] = None
    if not areal.any() or shapely.is_missing(shapes).all():
        raise InputError(f"{source} hold no polygon with an area; expected at least one")
    west, south, east, north = shapely.bounds(shapes).T
    there = ~shapely.is_missing(shapes)
    with np.errstate(invalid="ignore"):
        odd = _not_finite(shapes) | there & ~(
            (west >= -180) & (east <= 180) & (south >= -80) & (north <= 84) & (east - west <= 180)
        )
    for number in np.flatnonzero(odd):
        # across the date line, or a mistake that is named
        try:
            shapes[number] = parse_area(shapes[number]).geometry
        except InputError as error:
            raise InputError(f"{source}, feature {number}: {error}") from None
    broken = np.flatnonzero(there & ~shapely.is_valid(shapes))
    shapes[broken] = shapely.make_valid(shapes[broken])
    return shapes


def _not_finite(shapes: NDArray[np.object_]) -> NDArray[np.bool_]:
    """(N,) which shapes have a coordinate that is not finite; bounds pass over it."""
    import shapely

    coordinates, owner = shapely.get_coordinates(shapes, return_index=True)
    out = np.zeros(len(shapes), dtype=np.bool_)
    out[owner[~np.isfinite(coordinates).all(axis=1)]] = True
    return out


def squares(shapes: NDArray[np.object_], *, all_touched: bool, chunk: int) -> Iterator[Square]:
    """The squares that polygons hold pixels of, from zone to zone and from north to south; `chunk` is the store's."""
    for zone in range(1, 61):
        edges = _edges_in(shapes, zone)
        if edges is None:
            continue
        bands = np.unique(np.concatenate([_bands(edges.y0), _bands(edges.y1)]))
        for band in range(int(bands[0]), int(bands[-1]) + 1):
            first, last = max(band * BLOCK - NORTH, -NORTH), min((band + 1) * BLOCK - NORTH, -SOUTH)
            if first >= last:
                continue
            near = edges.between(first, last)
            if len(near):
                yield from _in_band(near.spans(first, last, touched=all_touched), zone, band, chunk)


def _edges_in(shapes: NDArray[np.object_], zone: int) -> Edges | None:
    """Edges of what lies in a zone, in pixels from its origin, rows downwards."""
    import shapely

    west, east = 6 * zone - 186, 6 * zone - 180
    bounds = shapely.bounds(shapes)
    with np.errstate(invalid="ignore"):
        near = np.flatnonzero((bounds[:, 2] > west) & (bounds[:, 0] < east))
        whole = (bounds[near, 0] >= west) & (bounds[near, 2] <= east)
    if not len(near):
        return None
    kept = shapes[near]
    kept[~whole] = shapely.intersection(kept[~whole], shapely.box(west, -90, east, 90))
    dense: Any = shapely.segmentize(kept, DENSIFY_DEGREES)

    def project(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        x, y = from_lonlat(lon, lat, zone)
        return x / PIXEL_SIZE, -y / PIXEL_SIZE

    edges = polygon_edges(dense, near, project)
    return edges if len(edges) else None


def _bands(row: NDArray[np.float64]) -> NDArray[np.int64]:
    return (np.floor(row).astype(np.int64) + NORTH) // BLOCK


def _in_band(spans: Spans, zone: int, band: int, chunk: int) -> Iterator[Square]:
    spans = spans.clipped(WEST, EAST)
    if not len(spans):
        return
    first = (int(spans.start.min()) - WEST) // BLOCK
    last = (int(spans.stop.max()) - 1 - WEST) // BLOCK
    for col in range(first, last + 1):
        inside = spans.clipped(WEST + col * BLOCK, WEST + (col + 1) * BLOCK)
        if len(inside):
            yield Square(zone, band, col, inside, tuple(_windows(inside, zone, chunk)))


def _windows(spans: Spans, zone: int, chunk: int) -> Iterator[Window]:
    """Rectangles that hold the spans: one, or where most of it would be read in vain, runs of patches."""
    top, end = int(spans.row.min()), int(spans.row.max()) + 1
    left, right = int(spans.start.min()), int(spans.stop.max())
    patch = 4 * chunk
    # patches lie on the store's chunks, which are counted from the lattice's corner
    row0, col0 = (top + NORTH) // patch, (left - WEST) // patch
    shape = (end - 1 + NORTH) // patch - row0 + 1, (right - 1 - WEST) // patch - col0 + 1
    change = np.zeros((shape[0], shape[1] + 1), dtype=np.int32)
    rows = (spans.row + NORTH) // patch - row0
    np.add.at(change, (rows, (spans.start - WEST) // patch - col0), 1)
    np.add.at(change, (rows, (spans.stop - 1 - WEST) // patch - col0 + 1), -1)
    needed = np.cumsum(change, axis=1)[:, :-1] > 0
    if needed.mean() >= 1 - _WASTE:
        yield _around(spans, zone)
        return
    for row, line in enumerate(needed):
        ends = np.diff(line.astype(np.int8), prepend=0, append=0)
        for start, stop in zip(np.flatnonzero(ends == 1), np.flatnonzero(ends == -1), strict=True):
            here = spans[rows == row]
            here = here.clipped((col0 + int(start)) * patch + WEST, (col0 + int(stop)) * patch + WEST)
            yield _around(here, zone)


def _around(spans: Spans, zone: int) -> Window:
    """The smallest window that holds spans."""
    top, west = int(spans.row.min()), int(spans.start.min())
    return Window(zone, west, -top, int(spans.stop.max()) - west, int(spans.row.max()) + 1 - top)


def read_square(query: Query, square: Square) -> SquareSums:
    """Sum the vectors of a square's polygons: the pixels' float32 values, added as float64."""
    owners, where = np.unique(square.spans.owner, return_inverse=True)
    years = len(query.indexes)
    pixels = np.zeros(len(owners), dtype=np.int64)
    np.add.at(pixels, where, square.spans.stop - square.spans.start)
    counts = np.zeros((len(owners), years), dtype=np.int64)
    sums = np.zeros((len(owners), years, query.dims), dtype=np.float64)
    if square.zone not in query.zones:
        return SquareSums(owners, pixels, counts, sums)
    for window in square.windows:
        rows = (square.spans.row >= -window.north) & (square.spans.row < -window.south)
        inside = square.spans[rows].clipped(window.west, window.east)
        if not len(inside):
            continue
        number, row, col = inside.pixels()
        order = np.argsort(number, kind="stable")
        number = np.searchsorted(owners, number[order])
        row, col = (row + window.north)[order], (col - window.west)[order]
        for year, index in enumerate(query.indexes):
            codes, scales = query.window(window, index)
            valid = is_valid(scales)[row, col]
            _add(sums[:, year], counts[:, year], codes, scales, number[valid], row[valid], col[valid])
    return SquareSums(owners, pixels, counts, sums)


def _add(
    sums: NDArray[np.float64],
    counts: NDArray[np.int64],
    codes: NDArray[np.int8],
    scales: NDArray[np.float32],
    number: NDArray[np.int64],
    row: NDArray[np.int64],
    col: NDArray[np.int64],
) -> None:
    """Add vectors of pixels to the sums of their polygons; `number` ascends."""
    counts += np.bincount(number, minlength=len(counts))
    for start in range(0, len(number), _SUM_PIXELS):
        part = slice(start, start + _SUM_PIXELS)
        values = dequantise(codes[row[part], col[part]], scales[row[part], col[part]])
        heads = np.flatnonzero(np.diff(number[part], prepend=-1))
        sums[number[part][heads]] += np.add.reduceat(values, heads, axis=0, dtype=np.float64)


@dataclass
class Totals:
    """Sums of all polygons while squares come in, always in the same order."""

    query: Query
    size: int

    def __post_init__(self) -> None:
        shape = (self.size, len(self.query.indexes))
        self._pixels = np.zeros(self.size, dtype=np.int64)
        self._counts = np.zeros(shape, dtype=np.int64)
        self._sums = np.zeros((*shape, self.query.dims), dtype=np.float64)

    def add(self, part: SquareSums) -> None:
        """Add one square's sums."""
        self._pixels[part.owners] += part.pixels
        self._counts[part.owners] += part.counts
        self._sums[part.owners] += part.sums

    def result(self) -> Zonal:
        """Sums as means."""
        counts, pixels = self._counts, self._pixels
        with np.errstate(invalid="ignore", divide="ignore"):
            means = (self._sums / counts[..., None]).astype(np.float32)
            share = counts / pixels[:, None]
        if not self.query.several:
            return Zonal(means[:, 0], counts[:, 0], pixels, share[:, 0])
        return Zonal(means, counts, pixels, share)


@dataclass(frozen=True)
class ZonalPlan:
    """What polygons are measured on; nothing is read yet.

    Attributes
    ----------
    query : store, years and dims
    shapes : (N,) polygons in degrees, None where there is none
    all_touched : whether pixels that an outline runs through count
    """

    query: Query
    shapes: NDArray[np.object_]
    all_touched: bool

    def squares(self) -> Iterator[Square]:
        """The squares to read, always in the same order."""
        return squares(self.shapes, all_touched=self.all_touched, chunk=self.query.layout.chunk)

    def read(self, square: Square) -> SquareSums:
        """The sums over one square."""
        return read_square(self.query, square)

    def totals(self) -> Totals:
        """Sums of nothing yet, to add the squares' to."""
        return Totals(self.query, len(self.shapes))


def plan_zonal(
    store: Readable, polygons: object, year: object, dims: int | None = None, *, all_touched: bool = False
) -> ZonalPlan:
    """Check what was asked for; reads nothing of the store. Arguments as in `Store.zonal`.

    Raises
    ------
    InputError
        What `Store.zonal` refuses.
    """
    return ZonalPlan(parse_query(store, year, dims), parse_polygons(polygons), all_touched)


def zonal_means(plan: ZonalPlan) -> Zonal:
    """Means over polygons; see `Store.zonal`."""
    totals = plan.totals()
    for part in prefetched(map(plan.read, plan.squares())):
        totals.add(part)
    return totals.result()
