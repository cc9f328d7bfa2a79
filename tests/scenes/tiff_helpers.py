"""GeoTIFFs of many kinds, files that count what is read of them, and what GDAL makes of the whole of a file."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.io import MemoryFile
from rasterio.vrt import WarpedVRT

from tessera.geo import Window
from tessera.rasters import Target

ZONE = 31
WEST, NORTH = 64 * 1024, 548 * 1024
"""A cell's corner in pixels: easting 655,360 m, northing 5,611,520 m."""
WINDOW = Window(ZONE, WEST, NORTH, 100, 90)


@dataclass
class CountedFile:
    """A file in memory; each read is noted."""

    data: bytes
    name: str = "B04.tif"
    reads: list[tuple[int, int]] = field(default_factory=list)

    def read(self, start: int, stop: int) -> bytes:
        self.reads.append((start, stop))
        return self.data[start:stop]

    @property
    def bytes(self) -> int:
        return sum(min(stop, len(self.data)) - start for start, stop in self.reads)


def image(seed: int, height: int, width: int, dtype: str = "uint16", holes: float = 0.03) -> NDArray[Any]:
    """A smooth field with noise, and holes without data."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    field_ = 3000 + 2000 * np.sin(x / 9) * np.cos(y / 7) + random.integers(0, 400, (height, width))
    out: NDArray[Any]
    if dtype == "uint8":
        out = (1 + field_ % 11).astype(np.uint8)
    elif dtype == "float32":
        out = (field_ / 9000).astype(np.float32)
    else:
        out = field_.astype(dtype)
    out[random.random((height, width)) < holes] = 0
    if height > 8 and width > 8:
        out[height // 3 : height // 3 + 5, width // 4 : width // 4 + 6] = 0
    return out


def tiff(
    pixels: NDArray[Any],
    *,
    left: float = 10.0 * WEST,
    top: float = 10.0 * NORTH,
    side: float = 10.0,
    epsg: int = 32600 + ZONE,
    driver: str = "GTiff",
    nodata: float | None = 0,
    overviews: bool = False,
    **options: Any,
) -> bytes:
    """A GeoTIFF in memory."""
    with MemoryFile() as memory:
        with memory.open(
            driver=driver,
            height=pixels.shape[0],
            width=pixels.shape[1],
            count=1,
            dtype=pixels.dtype,
            crs=f"EPSG:{epsg}",
            transform=Affine(side, 0.0, left, 0.0, -side, top),
            nodata=nodata,
            **options,
        ) as file:
            file.write(pixels, 1)
            if overviews:
                file.build_overviews([2, 4])
        return bytes(memory.read())


def by_gdal(
    data: bytes, target: Target, resampling: str, dtype: str | None = None, nodata: float | None = 0
) -> NDArray[Any]:
    """The whole file through GDAL's warper; 0 where there is no data."""
    with MemoryFile(data) as memory, memory.open(driver="GTiff") as file:
        crs, transform = target.grid_for(file.crs.to_epsg())
        with WarpedVRT(
            file,
            crs=crs,
            transform=Affine(*transform),
            width=target.window.width,
            height=target.window.height,
            resampling=Resampling[resampling],
            src_nodata=nodata,
            nodata=nodata,
        ) as warped:
            out: NDArray[Any] = warped.read(1)
    if nodata is not None:
        out[np.isnan(out) if nodata != nodata else out == nodata] = 0
    return out if dtype is None else out.astype(dtype)


def entry_at(data: bytes, tag: int) -> tuple[int, str, bool]:
    """Where the entry of a tag in the first directory begins; byte order; whether it is BigTIFF."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    (at,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
    head, step = (8, 20) if big else (2, 12)
    for i in range(count):
        here = at + head + i * step
        if struct.unpack_from(order + "H", data, here)[0] == tag:
            return here, order, big
    raise KeyError(tag)


def with_entry(
    data: bytes, tag: int, *, kind: int | None = None, count: int | None = None, value: int | None = None
) -> bytes:
    """The same file with another type, number of values or (first) value in an entry of its directory."""
    out = bytearray(data)
    here, order, big = entry_at(data, tag)
    if kind is not None:
        struct.pack_into(order + "H", out, here + 2, kind)
    if count is not None:
        struct.pack_into(order + ("Q" if big else "I"), out, here + 4, count)
    if value is not None:
        now = struct.unpack_from(order + "H", out, here + 2)[0]
        code = {3: "H"}.get(now, "Q" if big else "I")
        struct.pack_into(order + code, out, here + (12 if big else 8), value)
    return bytes(out)


def without_entry(data: bytes, tag: int) -> bytes:
    """The same file where an entry has a tag that nobody knows."""
    out = bytearray(data)
    here, order, _ = entry_at(data, tag)
    struct.pack_into(order + "H", out, here, 65000)
    return bytes(out)
