"""`.tessera` on xarray objects: on regions that a store returned, and on a zone's group that stock xarray opened.

It is registered when a store first returns an array, or by `import tessera.store.accessor`; never by `import tessera`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, check_output, is_tiff
from tessera.embeddings import dequantise
from tessera.figures import principal_axes
from tessera.geo import parse_points
from tessera.rasters import RasterProfile, write_raster
from tessera.shards import SCALES

from .target import crs_facts, parse_target, transformer

if TYPE_CHECKING:
    from pathlib import Path

    import xarray
    from numpy.typing import ArrayLike, NDArray

_NAME = "tessera"
_SAMPLE = 100_000
"""Pixels whose principal axes are taken for all."""


def register() -> None:
    """Make `.tessera` known to xarray, unless somebody else's is there."""
    import xarray

    if not hasattr(xarray.DataArray, _NAME):
        xarray.register_dataarray_accessor(_NAME)(RegionAccessor)  # type: ignore[no-untyped-call]
    if not hasattr(xarray.Dataset, _NAME):
        xarray.register_dataset_accessor(_NAME)(ZoneAccessor)  # type: ignore[no-untyped-call]


class RegionAccessor:
    """What a region of vectors can do; its array has dims ([year,] y, x, band), as `Store.read_region` returns it."""

    def __init__(self, array: xarray.DataArray) -> None:
        self._array = array

    @property
    def crs(self) -> str:
        """CRS, "EPSG:<code>" or WKT."""
        return str(self._attr("crs"))

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """(a, b, c, d, e, f) of the array as it is now, also after a slice of it was taken."""
        a, _, _, _, e, _ = (float(value) for value in self._attr("transform"))
        if not self._array.sizes["x"] or not self._array.sizes["y"]:
            raise InputError("the array has no pixels; expected a region")
        x, y = np.asarray(self._array["x"].values), np.asarray(self._array["y"].values)
        return a, 0.0, float(x[0] - a / 2), 0.0, e, float(y[0] - e / 2)

    @property
    def model(self) -> tuple[str, str]:
        """Name and SHA-256 of the model that made the vectors."""
        return str(self._attr("model")), str(self._attr("model_sha256"))

    def sample(self, points: object) -> NDArray[np.float32]:
        """Vectors at points: (N, [Y,] D) float32 of the pixel that holds each, NaN outside the array.

        Parameters
        ----------
        points : as `Store.sample_points` takes them, degrees
        """
        lonlat = parse_points(points)
        a, _, c, _, e, f = self.transform
        x, y = transformer(self.crs, False).transform(lonlat[:, 0], lonlat[:, 1])
        array = self._array.transpose("y", "x", ..., "band")
        with np.errstate(invalid="ignore"):
            col, row = (np.floor((value - corner) / step) for value, corner, step in ((x, c, a), (y, f, e)))
            inside = (col >= 0) & (col < array.sizes["x"]) & (row >= 0) & (row < array.sizes["y"])
        out = np.full((len(lonlat), *array.shape[2:]), np.nan, dtype=np.float32)
        out[inside] = array.values[row[inside].astype(int), col[inside].astype(int)]
        return out

    def similarity(self, vector: ArrayLike) -> xarray.DataArray:
        """Cosine of every pixel's vector with one vector (D,): ([year,] y, x) float32, NaN = no data."""
        wanted = np.asarray(vector, dtype=np.float32)
        if wanted.shape != (self._array.sizes["band"],):
            raise InputError(f"vector of shape {wanted.shape}; expected ({self._array.sizes['band']},)")
        array = self._array.transpose(..., "band")
        norms = np.sqrt((array**2).sum("band", skipna=False)) * np.linalg.norm(wanted)
        found: xarray.DataArray = (array * wanted).sum("band", skipna=False) / norms.where(norms > 0)
        return found.astype(np.float32).rename("similarity")

    def rgb(self, bands: tuple[int, ...] | str = "pca", stretch: tuple[float, float] = (2, 98)) -> xarray.DataArray:
        """A picture: (y, x, rgb) uint8, 0 = no data, of one year.

        Parameters
        ----------
        bands : three bands, or "pca" for the first three principal axes (of at most 100,000 pixels)
        stretch : percentiles that become 1 and 255
        """
        if "year" in self._array.dims:
            raise InputError("a region of several years; expected one, such as .sel(year=2024)")
        values = np.asarray(self._array.transpose("y", "x", "band").values, dtype=np.float32)
        valid = np.isfinite(values).all(axis=-1)
        if isinstance(bands, str):
            if bands != "pca" or values.shape[-1] < 3:
                raise InputError(f"bands {bands!r}; expected 'pca' (of at least 3 dims) or three band numbers")
            chosen = _principal(values[valid])
        else:
            if len(bands) != 3 or not all(0 <= band < values.shape[-1] for band in bands):
                raise InputError(f"bands {bands!r}; expected three from 0 to {values.shape[-1] - 1}")
            chosen = values[valid][:, list(bands)]
        picture = np.zeros((*valid.shape, 3), dtype=np.uint8)
        if len(chosen):
            low, high = np.percentile(chosen, stretch, axis=0)
            scaled = (chosen - low) / np.maximum(high - low, 1e-12)
            picture[valid] = np.clip(np.rint(1 + 254 * scaled), 1, 255).astype(np.uint8)
        coords = {name: self._array.coords[name] for name in ("y", "x", "spatial_ref") if name in self._array.coords}
        return self._of(picture, coords)

    def to_geotiff(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write one year as a tiled GeoTIFF, float32, NaN = no data; needs the extra geo.

        Parameters
        ----------
        path : the file; an earlier GeoTIFF of vectors is replaced
        overwrite : whether any other file is replaced too

        Raises
        ------
        InputError
            Several years, a path that cannot be written or holds something else, or rasterio is not installed.
        TesseraError
            The disk is full or refuses.
        """
        target = check_output(path, "GeoTIFF", ours=is_tiff("TESSERA_SHA256"), overwrite=overwrite)
        if "year" in self._array.dims:
            raise InputError("a region of several years; expected one, such as .sel(year=2024)")
        values = np.asarray(self._array.transpose("y", "x", "band").values, dtype=np.float32)
        profile = RasterProfile(
            values.shape,
            "float32",
            self.crs,
            self.transform,
            nodata=float("nan"),
            tags={"TESSERA_MODEL": self.model[0], "TESSERA_SHA256": self.model[1]},
        )
        write_raster(target, values, profile)
        return target

    def _of(self, picture: NDArray[np.uint8], coords: dict[str, Any]) -> xarray.DataArray:
        import xarray

        attrs = {"crs": self.crs, "transform": self.transform}
        return xarray.DataArray(picture, dims=("y", "x", "rgb"), coords=coords, name="rgb", attrs=attrs)

    def _attr(self, name: str) -> Any:
        if name not in self._array.attrs:
            raise InputError(f"the array has no attribute {name!r}; expected one that Store.read_region returned")
        return self._array.attrs[name]


class ZoneAccessor:
    """A zone's group of a store, opened by `xarray.open_zarr(store, group="utm31")`: codes and scales as vectors."""

    def __init__(self, dataset: xarray.Dataset) -> None:
        self._dataset = dataset

    @property
    def crs(self) -> str:
        """CRS, "EPSG:326NN"."""
        return str(self._dataset.attrs.get("proj:code", ""))

    @property
    def years(self) -> tuple[int, ...]:
        """The years of the time axis."""
        return tuple(int(year) for year in np.asarray(self._dataset["time"].values))

    def window(self, area: object, year: int) -> xarray.DataArray:
        """Vectors (y, x, band) float32 of the window that holds an area, NaN = no data.

        Parameters
        ----------
        area : as `Store.read_region` takes it, in this zone
        year : one of `years`

        Raises
        ------
        InputError
            No group of a store, no such year, or an area beyond the zone.
        """
        import xarray

        data = self._dataset
        if "embeddings" not in data or SCALES.name not in data or not self.crs:
            raise InputError("the dataset has no embeddings, scales and proj:code; expected a zone's group of a store")
        if year not in self.years:
            raise InputError(f"the dataset has no year {year}; it has {', '.join(map(str, self.years))}")
        target, _ = parse_target(area, self.crs, None, False)
        if target.window is None or not data.sizes["x"] or not data.sizes["y"]:
            raise InputError(f"the dataset's CRS is {self.crs}; expected a zone's group of a store")
        step = target.resolution
        col = round((target.west + 0.5) - float(data["x"][0]) / step)
        row = round(float(data["y"][0]) / step - (target.north - 0.5))
        if min(col, row) < 0 or col + target.width > data.sizes["x"] or row + target.height > data.sizes["y"]:
            raise InputError(f"the area reaches beyond the dataset's {data.sizes['y']} x {data.sizes['x']} pixels")
        box: dict[str, Any] = {"y": slice(row, row + target.height), "x": slice(col, col + target.width)}
        at = data.isel({"time": self.years.index(year), **box})
        codes = np.asarray(at["embeddings"].transpose("y", "x", "band").values)
        values = dequantise(codes.astype(np.int8), np.asarray(at[SCALES.name].values, dtype=np.float32))
        attrs = {"crs": crs_facts(self.crs)[0], "transform": target.transform, "year": year}
        coords = {"y": at["y"].values, "x": at["x"].values, "band": np.arange(values.shape[-1])}
        return xarray.DataArray(values, dims=("y", "x", "band"), coords=coords, name="embeddings", attrs=attrs)


def _principal(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, 3): coordinates on the first three principal axes."""
    if not len(values):
        return np.zeros((0, 3), dtype=np.float32)
    middle, axes, _ = principal_axes(values[:: max(1, len(values) // _SAMPLE)].astype(np.float64))
    return np.asarray((values - middle.astype(np.float32)) @ axes.T.astype(np.float32), dtype=np.float32)
