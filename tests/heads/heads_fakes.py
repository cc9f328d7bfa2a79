"""A store in memory, for tests of heads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
import xarray as xr

from tessera.embeddings import CodedVectors, ModelIdentity, quantise
from tessera.geo import Window, ZonePart, from_lonlat, parse_area, parse_points, points_in_zones, to_lonlat, zones_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

MODEL = ModelIdentity("fake-nano", "ab" * 32, 8, (4,))
WINDOW = Window(31, 64000, 561000, 160, 120)
"""Off the cell's and the block's corners on purpose; near 5.0 E, 50.6 N."""


@dataclass
class FakeStore:
    """Embeddings (H, W, D) float32 of `window`, the same in every year."""

    values: NDArray[np.float32]
    window: Window = WINDOW
    years: tuple[int, ...] = (2021,)
    model: ModelIdentity = MODEL
    rows: int = 32
    reads: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Keep what codes can hold, as a store does: any row with NaN is no data."""
        good: NDArray[np.bool_] = np.asarray(np.isfinite(self.values).all(axis=-1))
        codes, scales = quantise(np.where(good[..., None], self.values, 0).astype(np.float32))
        self.coded = CodedVectors(codes, np.where(good, scales, np.float32(np.nan)))
        self.values = self.coded.values()

    @property
    def dims(self) -> int:
        return int(self.values.shape[2])

    def _window_values(self, window: Window, dims: int | None) -> NDArray[np.float32]:
        dims = dims or self.dims
        out = np.full((*window.shape, dims), np.nan, dtype=np.float32)
        common = window.intersection(self.window)
        if common is not None:
            out[common.slices_in(window)] = self.values[common.slices_in(self.window)][..., :dims]
        return out

    def sample_points(self, points: Any, year: int, dims: int | None = None) -> NDArray[np.float32]:
        assert year in self.years
        lonlat = parse_points(points)
        out = np.full((len(lonlat), dims or self.dims), np.nan, dtype=np.float32)
        for zone, index, px, py in points_in_zones(lonlat):
            row, col = self.window.north - 1 - py, px - self.window.west
            good = (zone == self.window.zone) & (row >= 0) & (row < self.window.height)
            good &= (col >= 0) & (col < self.window.width)
            out[index[good]] = self.values[row[good], col[good]][:, : out.shape[1]]
        return out

    def sample_codes(self, points: Any, year: int, dims: int | None = None) -> CodedVectors:
        return _coded(self.sample_points(points, year), dims)

    def iter_codes(
        self, area: Any, year: int, dims: int | None = None, rows: int | None = None, within: Window | None = None
    ) -> Iterator[CodedVectors]:
        for strip in self.iter_region(within or area, year, rows=rows):
            yield _coded(strip.values, dims)

    def region_grid(self, area: Any, crs: str | None = None) -> Window:
        assert crs is None
        if isinstance(area, Window):
            return area
        parsed = parse_area(area)
        parts = parsed.parts()
        if len(parts) == 1:
            return parts[0].window
        west, _, east, _ = parsed.bounds
        zone = int(zones_of((west + east) / 2))
        dense = shapely.segmentize(parsed.geometry, 0.01)
        moved = shapely.transform(dense, lambda p: np.column_stack(from_lonlat(p[:, 0], p[:, 1], zone)))
        return ZonePart(zone, moved).window

    def iter_region(
        self, area: Any, year: int, dims: int | None = None, crs: str | None = None, rows: int | None = None
    ) -> Iterator[xr.DataArray]:
        assert year in self.years
        window = self.region_grid(area, crs)
        step = rows or self.rows
        for start in range(0, window.height, step):
            count = min(step, window.height - start)
            piece = Window(window.zone, window.west, window.north - start, window.width, count)
            self.reads.append(count)
            yield xr.DataArray(
                self._window_values(piece, dims),
                dims=("y", "x", "band"),
                attrs={"crs": piece.grid.crs, "transform": piece.grid.transform},
            )

    def read_region(self, area: Any, year: int, dims: int | None = None, crs: str | None = None) -> xr.DataArray:
        (whole,) = self.iter_region(area, year, dims, crs, rows=1_000_000)
        return whole


def _coded(values: NDArray[np.float32], dims: int | None) -> CodedVectors:
    """The codes of values that were quantised: their largest is 127, so that they come back as they were."""
    good: NDArray[np.bool_] = np.asarray(np.isfinite(values).all(axis=-1))
    codes, scales = quantise(np.where(good[..., None], values, 0).astype(np.float32))
    return CodedVectors(codes[..., :dims], np.where(good, scales, np.float32(np.nan)))


def make_truth(window: Window = WINDOW, classes: int = 3, side: int = 20) -> NDArray[np.int64]:
    """(H, W): a chequered land of `classes`, fields of side x side pixels."""
    rows, cols = np.indices(window.shape)
    return np.asarray((rows // side + 2 * (cols // side)) % classes, dtype=np.int64)


def make_store(truth: NDArray[np.int64], *, noise: float = 0.3, seed: int = 0, **kwargs: Any) -> FakeStore:
    """Embeddings whose mean differs from class to class."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(int(truth.max()) + 1, MODEL.dims))
    values = centres[truth] + noise * rng.normal(size=(*truth.shape, MODEL.dims))
    return FakeStore(values.astype(np.float32), **kwargs)


def pixel_lonlat(rows: Any, cols: Any, window: Window = WINDOW) -> NDArray[np.float64]:
    """(N, 2) degrees of pixel centres."""
    x = (window.west + np.asarray(cols) + 0.5) * 10
    y = (window.north - np.asarray(rows) - 0.5) * 10
    return np.column_stack(to_lonlat(x, y, window.zone))


def points_geojson(lonlat: NDArray[np.float64], values: Any, column: str = "crop") -> dict[str, Any]:
    """A FeatureCollection of points with one attribute."""
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": list(map(float, place))},
            "properties": {column: v},
        }
        for place, v in zip(lonlat, values, strict=True)
    ]
    return {"type": "FeatureCollection", "features": features}


def draw_labels(truth: NDArray[np.int64], names: tuple[str, ...], per_class: int, seed: int = 0) -> dict[str, Any]:
    """GeoJSON of `per_class` random pixels of each class."""
    rng = np.random.default_rng(seed)
    rows: list[int] = []
    cols: list[int] = []
    values: list[str] = []
    for index, name in enumerate(names):
        where = rng.permutation(np.flatnonzero(truth == index))[:per_class]
        row, col = np.unravel_index(where, truth.shape)
        rows.extend(row)
        cols.extend(col)
        values.extend([name] * len(where))
    return points_geojson(pixel_lonlat(rows, cols), values)


def box_area(row0: int, row1: int, col0: int, col1: int, window: Window = WINDOW) -> Any:
    """A polygon in degrees around rows and columns of a window."""
    corners = [(row0, col0), (row0, col1), (row1, col1), (row1, col0)]
    x = [(window.west + col) * 10 for _, col in corners]
    y = [(window.north - row) * 10 for row, _ in corners]
    return shapely.Polygon(np.column_stack(to_lonlat(x, y, window.zone)))
