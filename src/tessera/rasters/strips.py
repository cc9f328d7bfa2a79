"""GeoTIFFs written strip by strip through GDAL, read back, and in place only when they are whole.

with writing_strips(path, RasterProfile((height, width), "uint8", crs, transform)) as file:
    for strip in strips:  # (rows, width), from north to south
        file.write(strip)
"""

from __future__ import annotations

import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import TesseraError, require, staging

from .reading import failures, open_raster, writing_to

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

_TILE = 256
"""Side of a tile and least side of an overview, pixels."""
_TILED = {"tiled": True, "blockxsize": _TILE, "blockysize": _TILE, "bigtiff": "if_safer"}


@dataclass(frozen=True)
class RasterProfile:
    """What a raster is, its pixels aside.

    Attributes
    ----------
    shape : (height, width), or (height, width, bands)
    dtype : of the pixels
    crs : "EPSG:<code>" or WKT
    transform : (a, b, c, d, e, f), as `Grid` has it
    nodata : the value that says "no data"; None where none does
    tags : metadata items of the file
    names : description of each band
    colours : value -> (red, green, blue, opacity), 0 to 255, of a raster of one band
    band_tags : metadata items of the first band
    """

    shape: tuple[int, ...]
    dtype: DTypeLike
    crs: str
    transform: tuple[float, ...]
    nodata: float | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    colours: Mapping[int, tuple[int, int, int, int]] = field(default_factory=dict)
    band_tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def whole(self) -> tuple[int, int, int]:
        """Height, width and bands."""
        height, width, bands = (*self.shape, 1)[:3]
        return height, width, bands

    def open(self, opener: Any, *, driver: str = "GTiff", **creation: Any) -> Any:
        """A new rasterio file with this profile, its colours, names and tags written.

        Parameters
        ----------
        opener : takes rasterio's profile: `MemoryFile.open`, or `rasterio.open` with its path and mode bound
        creation : GDAL's creation options
        """
        height, width, bands = self.whole
        raster = opener(
            driver=driver,
            height=height,
            width=width,
            count=bands,
            dtype=np.dtype(self.dtype).name,
            crs=self.crs,
            transform=require("rasterio", extra="geo", purpose="writing a GeoTIFF").Affine(*self.transform),
            nodata=self.nodata,
            **creation,
        )
        try:
            if self.colours:
                raster.write_colormap(1, dict(self.colours))
            if self.names:
                raster.descriptions = self.names
            if self.tags:
                raster.update_tags(**self.tags)
            if self.band_tags:
                raster.update_tags(1, **self.band_tags)
        except BaseException:
            _discard(raster)
            raise
        return raster


class StripWriter:
    """Takes the rows of a raster from north to south; made by `writing_strips`.

    Attributes
    ----------
    checks : row behind each strip that was written, and its checksum
    """

    def __init__(self, raster: Any, profile: RasterProfile, name: object) -> None:
        self._raster, self._profile, self._name = raster, profile, name
        self.checks: list[tuple[int, int]] = []

    def write(self, strip: NDArray[Any]) -> None:
        """Write the next rows: (rows, width), or (rows, width, bands) where there are several bands."""
        height, width, bands = self._profile.whole
        values = (strip[..., None] if strip.ndim == 2 else strip).astype(self._profile.dtype, copy=False)
        start = self.checks[-1][0] if self.checks else 0
        end = start + len(values)
        if values.shape[1:] != (width, bands) or end > height:
            raise ValueError(f"strip {strip.shape} at row {start} of a raster {self._profile.shape}")
        with writing_to(self._name):
            self._raster.write(np.moveaxis(values, -1, 0), window=((start, end), (0, width)))
        self.checks.append((end, checksum(values)))


def checksum(strip: NDArray[Any]) -> int:
    """CRC-32 of a strip (rows, width, bands), for `read_back`."""
    return zlib.crc32(np.ascontiguousarray(strip).data)


def read_back(path: Path, checks: list[tuple[int, int]], name: object) -> None:
    """Compare what was written: a driver may notice a full disk only on closing, and not say so.

    `checks` are the row behind each strip, and the strip's checksum.
    """
    first = 0
    with open_raster(path) as raster:
        for last, expected in checks:
            strip = raster.read(window=((first, last), (0, raster.width)))
            if checksum(np.moveaxis(strip, 0, -1)) != expected:
                raise TesseraError(f"cannot write {name}: rows {first} to {last} came back changed")
            first = last
        if first != raster.height:
            raise ValueError(f"{first} rows written of {raster.height}")


@contextmanager
def writing_strips(
    path: Path,
    profile: RasterProfile,
    *,
    name: object = None,
    overviews: str | None = None,
    compress: str | None = "deflate",
) -> Iterator[StripWriter]:
    """Write a tiled GeoTIFF strip by strip; it takes its place when the block ends without an error.

    Before that every strip is read back.

    Parameters
    ----------
    path : where to; what is there is replaced
    name : the file in messages, where it is not `path`
    overviews : how they are resampled, such as "mode"; None for no overviews
    compress : GDAL's name of a compression

    Raises
    ------
    InputError
        rasterio is not installed.
    TesseraError
        The disk refuses, or what was written does not read back as it was.
    """
    rasterio: Any = require("rasterio", extra="geo", purpose="writing a GeoTIFF")
    name = path if name is None else name
    creation: dict[str, Any] = _TILED | ({"compress": compress} if compress else {})
    with staging(path) as folder:
        part = folder / path.name
        with writing_to(name):
            raster = profile.open(partial(rasterio.open, part, "w"), **creation)
        writer = StripWriter(raster, profile, name)
        try:
            yield writer
        except BaseException:
            _discard(raster)
            raise
        with writing_to(name):
            raster.close()
            if overviews is not None:
                _add_overviews(part, overviews)
            read_back(part, writer.checks, name)
            part.replace(path)


def write_raster(path: Path, image: NDArray[Any], profile: RasterProfile, **creation: Any) -> None:
    """Write a raster that is in memory, (H, W) or (H, W, bands); see `writing_strips`."""
    with writing_strips(path, profile, **creation) as file:
        file.write(image)


def write_scene(path: Path, image: NDArray[Any], profile: RasterProfile, **creation: Any) -> None:
    """Write one band (H, W) as providers of scenes do, through GDAL's driver of cloud-optimised GeoTIFFs.

    Parameters
    ----------
    creation : GDAL's creation options
    """
    rasterio: Any = require("rasterio", extra="scenes", purpose="writing scenes")
    creation |= {"compress": "deflate", "predictor": "yes", "overview_resampling": "nearest"}
    with profile.open(partial(rasterio.open, path, "w"), driver="COG", **creation) as raster:
        raster.write(np.ascontiguousarray(image), 1)


def raster_bytes(image: NDArray[Any], profile: RasterProfile, **creation: Any) -> bytes:
    """A small GeoTIFF (bands, H, W) as bytes."""
    memory: Any = require("rasterio.io", extra="geo", purpose="writing a GeoTIFF").MemoryFile
    with memory() as file:
        with profile.open(file.open, **creation) as raster:
            raster.write(image)
        return bytes(file.getbuffer())


def _add_overviews(path: Path, resampling: str) -> None:
    rasterio: Any = require("rasterio", extra="geo", purpose="writing a GeoTIFF")
    enums: Any = require("rasterio.enums", extra="geo", purpose="writing a GeoTIFF")
    with rasterio.open(path, "r+", driver="GTiff") as raster:
        longest = max(raster.height, raster.width)
        levels = [2**step for step in range(1, 16) if longest > _TILE * 2 ** (step - 1)]
        if levels:
            raster.build_overviews(levels, enums.Resampling[resampling])


def _discard(raster: Any) -> None:
    # the file goes away; what its driver says about the rest of it would hide the reason
    with suppress(*failures()):
        raster.close()
