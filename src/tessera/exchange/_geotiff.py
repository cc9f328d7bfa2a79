"""Regions as cloud-optimised GeoTIFFs, read back by GDAL before they are taken for whole."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import TesseraError, require
from tessera.rasters import CogProfile, every_second, mean_of_valid, place_tags, write_cog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from .regions import Strips

_BLOCK = 256
"""Side of a tile of up to 16 bands, pixels."""
_MANY_BLOCK = 128
"""Side of a tile of more bands, which lie together in it: 8 MB of 128 float32."""
_CACHE_MB = 256
"""Memory of GDAL's cache."""


def overview_bytes(size: int) -> int:
    """Bytes of overviews of a raster of `size` bytes, at most: each has a quarter of the pixels of the one before."""
    return size * 2 // 5


def write_geotiffs(strips: Strips, files: list[Path], target: Path) -> None:
    """Write a file a year; with codes, and scales beside them, where the strips are quantised.

    Raises
    ------
    InputError
        rasterio is not installed.
    TesseraError
        The disk refuses, or what was written does not read back as it was.
    """
    each = 2 if strips.quantised else 1
    for number in range(len(strips.region.query.years)):
        for kind, file in enumerate(files[number * each : (number + 1) * each]):
            with _writing(target):
                read = partial(_bands, strips, number, kind)
                profile = _profile(strips, number, kind)
                # codes mean nothing without their own scale, so that both take the same pixel
                write_cog(file, profile, read, every_second if strips.quantised else mean_of_valid)
                _read_back(strips, number, kind, file, target)


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Turn what a disk or GDAL says into one line, and bound GDAL's memory."""
    rasterio: Any = require("rasterio", extra="geo", purpose="writing a GeoTIFF")
    errors: Any = require("rasterio.errors", extra="geo", purpose="writing a GeoTIFF")
    driver: Any = require("rasterio._err", extra="geo", purpose="writing a GeoTIFF")
    try:
        with rasterio.Env(GDAL_CACHEMAX=_CACHE_MB):
            yield
    except (errors.RasterioError, driver.CPLE_BaseError) as error:
        raise TesseraError(f"cannot write {target}: {error or type(error).__name__}") from None


def _block(strips: Strips) -> int:
    return _BLOCK if strips.region.query.dims <= 16 else _MANY_BLOCK


def _bands(strips: Strips, year: int, kind: int, rows: range) -> NDArray[Any]:
    """(rows, width, bands) of one of a year's files: the values or codes, or the scales."""
    array = strips.read(year, rows)[kind]
    if array is None:
        raise TesseraError("no scales were read")
    return array[..., None] if array.ndim == 2 else array


def _profile(strips: Strips, year: int, kind: int) -> CogProfile:
    """What a file holds; GDAL itself says how CRS, band names and tags are written, by a raster of one pixel."""
    rasterio: Any = require("rasterio", extra="geo", purpose="writing a GeoTIFF")
    region = strips.region
    query, target = region.query, region.target
    codes = strips.quantised and kind == 0
    bands = 1 if kind == 1 else query.dims
    one: dict[str, Any] = {"driver": "GTiff", "height": 1, "width": 1, "count": bands, "crs": target.crs}
    one |= {"dtype": "int8" if codes else "float32", "transform": rasterio.Affine(*target.transform)}
    if not codes:
        one["nodata"] = float("nan")
    with rasterio.MemoryFile() as memory:
        with memory.open(**one) as out:
            out.update_tags(
                TESSERA_YEAR=str(query.years[year]), TESSERA_MODEL=query.model.name, TESSERA_SHA256=query.model.sha256
            )
            out.descriptions = ["scale"] if kind == 1 else [f"e{band}" for band in range(bands)]
        entries = place_tags(bytes(memory.getbuffer()))
    dtype = np.dtype(np.int8 if codes else np.float32)
    fill = 0.0 if codes else float("nan")
    return CogProfile(target.height, target.width, bands, dtype, _block(strips), fill, entries)


def _read_back(strips: Strips, year: int, kind: int, path: Path, target: Path) -> None:
    """A driver may notice a full disk only on closing, and not say so."""
    rasterio: Any = require("rasterio", extra="geo", purpose="writing a GeoTIFF")
    step = _block(strips)
    height, width = strips.region.shape
    with rasterio.open(path, driver="GTiff") as source:
        for start in range(0, height, step):
            rows = range(start, min(start + step, height))
            back = source.read(window=((rows.start, rows.stop), (0, width)))
            if not np.array_equal(
                back, np.moveaxis(_bands(strips, year, kind, rows), -1, 0), equal_nan=back.dtype.kind == "f"
            ):
                raise TesseraError(f"cannot write {target}: rows {rows.start} to {rows.stop} came back changed")
