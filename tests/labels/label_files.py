"""Files of labels for tests, and a store in memory to look them up in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
import shapely
from rasterio.transform import Affine

import tessera
from tessera.embeddings import CodedVectors, ModelIdentity
from tessera.geo import Window, points_in_zones, to_lonlat

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

WINDOW = Window(31, 64000, 561000, 160, 120)
"""Near 5.0 E, 50.6 N."""


class Source:
    """Embeddings of a window whose first column is its second dimension; a stripe of it has no data."""

    years: tuple[int, ...] = (2021, 2022)
    dims = 4
    model = ModelIdentity("fake", "ab" * 32, 4, (4,))

    def __init__(self, window: Window = WINDOW, empty: slice = slice(0, 0)) -> None:
        rng = np.random.default_rng(0)
        self.window = window
        self.codes = rng.integers(-127, 128, (*window.shape, self.dims), dtype=np.int8)
        self.scales = np.full(window.shape, 0.01, dtype=np.float32)
        self.scales[:, empty] = np.nan
        self.asked = 0

    def sample_codes(self, points: Any, year: int, dims: int | None = None) -> CodedVectors:
        assert year in self.years
        lonlat = np.asarray(points)
        self.asked = max(self.asked, len(lonlat))
        codes = np.zeros((len(lonlat), self.dims), dtype=np.int8)
        scales = np.full(len(lonlat), np.inf, dtype=np.float32)
        for zone, index, px, py in points_in_zones(lonlat):
            row, col = self.window.north - 1 - py, px - self.window.west
            good = (zone == self.window.zone) & (row >= 0) & (row < self.window.height)
            good &= (col >= 0) & (col < self.window.width)
            codes[index[good]] = self.codes[row[good], col[good]]
            scales[index[good]] = self.scales[row[good], col[good]]
        return CodedVectors(codes, scales)

    def sample_points(self, points: Any, year: int, dims: int | None = None) -> NDArray[np.float32]:
        return self.sample_codes(points, year, dims).values()

    def region_grid(self, area: Any, crs: str | None = None) -> Window:
        raise AssertionError("labels ask for points, never for a region")

    def iter_region(
        self, area: Any, year: int, dims: int | None = None, crs: str | None = None, rows: int | None = None
    ) -> Iterator[Any]:
        raise AssertionError("labels ask for points, never for a region")

    def iter_codes(
        self, area: Any, year: int, dims: int | None = None, rows: int | None = None, within: Window | None = None
    ) -> Iterator[CodedVectors]:
        codes = np.zeros((*area.shape, self.dims), dtype=np.int8)
        scales = np.full(area.shape, np.inf, dtype=np.float32)
        common = area.intersection(self.window)
        if common is not None:
            codes[common.slices_in(area)] = self.codes[common.slices_in(self.window)]
            scales[common.slices_in(area)] = self.scales[common.slices_in(self.window)]
        for start in range(0, area.height, 50):
            yield CodedVectors(codes[start : start + 50], scales[start : start + 50])


def read_labels(*given: Any, **more: Any) -> Any:
    """Labels of which the tests know what they have."""
    return tessera.read_labels(*given, **more)


def lonlat_at(col: Any, row: Any, window: Window = WINDOW) -> NDArray[np.float64]:
    """(N, 2) degrees of places in pixel units of a window, rows from its north."""
    x, y = (window.west + np.asarray(col, float)) * 10, (window.north - np.asarray(row, float)) * 10
    return np.column_stack(to_lonlat(np.atleast_1d(x), np.atleast_1d(y), window.zone))


def polygon_at(*corners: tuple[float, float], window: Window = WINDOW) -> Any:
    """A polygon in degrees through (column, row) corners."""
    cols, rows = np.array(corners, float).T
    return shapely.Polygon(lonlat_at(cols, rows, window))


def box_at(left: float, top: float, right: float, bottom: float) -> Any:
    return polygon_at((left, top), (right, top), (right, bottom), (left, bottom))


def point_at(col: float, row: float) -> Any:
    return shapely.Point(lonlat_at(col, row)[0])


def collection(shapes: Sequence[Any], values: Sequence[Any], column: str = "crop", **more: Sequence[Any]) -> Any:
    """GeoJSON of features with one attribute, or several."""
    features = [
        {
            "type": "Feature",
            "geometry": None if shape is None else shapely.geometry.mapping(shape),
            "properties": {column: value} | {name: given[at] for name, given in more.items()},
        }
        for at, (shape, value) in enumerate(zip(shapes, values, strict=True))
    ]
    return {"type": "FeatureCollection", "features": features}


def write_json(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value))
    return path


def write_classes(
    path: Path,
    values: NDArray[Any],
    *,
    left: float = WINDOW.west * 10.0,
    top: float = WINDOW.north * 10.0,
    side: float = 10.0,
    crs: str | None = "EPSG:32631",
    **more: Any,
) -> Path:
    """A GeoTIFF of values (H, W) or (bands, H, W)."""
    bands = values if values.ndim == 3 else values[None]
    profile = {"count": len(bands), "height": bands.shape[1], "width": bands.shape[2], "dtype": values.dtype}
    place = {"crs": crs, "transform": Affine(side, 0, left, 0, -side, top)}
    with rasterio.open(path, "w", driver="GTiff", **profile, **place, **more) as file:
        file.write(bands)
    return path
