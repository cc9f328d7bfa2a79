"""Pixels of a file onto the lattice, bit by bit as GDAL lays them there.

Most scenes of a cell are in its own zone and on its grid or on twice its side; those need no warper. Whatever else
comes goes through GDAL's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.geo import PIXEL_SIZE, zone_crs
from tessera.net import CorruptError, PermanentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.geo import Window

    from ._georeference import Georeference

_FALSE_NORTHING = 10_000_000.0
"""Metres that southern UTM (EPSG:327NN) adds to northings."""
_RADIUS = {"nearest": 0, "bilinear": 1, "cubic": 2}
"""Pixels that a kernel reaches to each side."""
_SLACK = 4
"""Pixels more than the kernel reaches where GDAL's warper decides: where its blocks lie askew it widens the kernel."""
_CLEAR = 1e-6
"""Pixels from an edge within which GDAL's own rounding decides what the nearest pixel is."""
_EXACT = 1e-9
_EVERY = 32
"""Pixels between those that are transformed to see where a window lies in another CRS."""
_STRIP = 128
"""Rows that are interpolated at a time, to stay in the processor's cache."""

Box = tuple[int, int, int, int]
"""Columns and rows of a file: left, top, right, bottom (both exclusive)."""
Grid = tuple[str, tuple[float, float, float, float, float, float]]
"""A CRS and an affine transform."""


@dataclass(frozen=True)
class Target:
    """The pixels that are wanted: a window of the lattice, as both hemispheres count it.

    Attributes
    ----------
    window : the pixels
    north, south : the same pixels in EPSG:326NN and in EPSG:327NN; GDAL's way between the two is inexact
    """

    window: Window
    north: Grid
    south: Grid

    @classmethod
    def of(cls, window: Window) -> Target:
        """The pixels of a window."""
        a, b, c, d, e, f = window.grid.transform
        return cls(
            window,
            (zone_crs(window.zone), (a, b, c, d, e, f)),
            (f"EPSG:{32700 + window.zone}", (a, b, c, d, e, f + _FALSE_NORTHING)),
        )

    def grid_for(self, epsg: int) -> Grid:
        """What a file of that CRS is laid onto."""
        return self.south if epsg == 32700 + self.window.zone else self.north

    def is_own(self, epsg: int) -> bool:
        """Whether a CRS is the zone's, of either hemisphere."""
        return epsg in (32600 + self.window.zone, 32700 + self.window.zone)


def box_for(target: Target, place: Georeference, width: int, height: int, resampling: str | None) -> Box | None:
    """The pixels of a file that a target takes its values from, None where it has none; None: by any resampling."""
    if not target.is_own(place.epsg):
        return _clip(_box_elsewhere(target, place, resampling), width, height)
    sides = []
    for axis in _axes(target, place):
        if axis.is_same or (resampling == "nearest" and axis.is_clear):
            sides.append((axis.pixel(0), axis.pixel(axis.count - 1) + 1))
            continue
        reach = _reach(resampling) * max(1.0, axis.step)
        slack = 0 if axis.is_half and resampling == "bilinear" else _SLACK
        first, last = axis.centre(0), axis.centre(axis.count - 1)
        sides.append((math.ceil(first - reach - 0.5) - slack, math.floor(last + reach - 0.5) + 1 + slack))
    (left, right), (top, bottom) = sides
    return _clip((left, top, right, bottom), width, height)


def lay(
    pixels: NDArray[Any], box: Box, size: tuple[int, int], place: Georeference, target: Target, resampling: str
) -> NDArray[Any]:
    """Lay pixels of a file onto a target (H, W) as GDAL's warper does from the whole file, with 0 for no data.

    One difference is meant: GDAL smooths bands of twice the target's side where one of its blocks, of 512 x 128 pixels,
    is cut to a few pixels by the target's edge; here a pixel does not depend on where the target ends.

    `pixels` (h, w) are at least those of `box_for`, `box` says which ones; `size` is width and height of the file.
    """
    if target.is_own(place.epsg):
        x, y = _axes(target, place.moved(*box[:2]))
        if (x.is_same and y.is_same) or (resampling == "nearest" and x.is_clear and y.is_clear):
            return _take(pixels, x, y)
        if resampling == "bilinear" and x.is_half and y.is_half and pixels.dtype in (np.uint8, np.uint16):
            return _double(pixels, x, y)
    return _warp(pixels, box, size, place, target, resampling)


@dataclass(frozen=True)
class _Axis:
    """Columns or rows of a target in pixels of a file: centre i lies at start + (i + 0.5) * step."""

    start: float
    step: float
    count: int

    def centre(self, i: int) -> float:
        return self.start + (i + 0.5) * self.step

    def pixel(self, i: int) -> int:
        return math.floor(self.centre(i))

    @property
    def is_same(self) -> bool:
        """The same pixels, moved by a whole number of them."""
        drift = abs(self.step - 1) * self.count
        return drift < _EXACT and abs(self.start - round(self.start)) < _EXACT

    @property
    def is_half(self) -> bool:
        """Each pixel of the file is two of the target."""
        drift = abs(self.step - 0.5) * self.count
        return drift < _EXACT and abs(2 * self.start - round(2 * self.start)) < _EXACT

    @property
    def centres(self) -> NDArray[np.float64]:
        """Of all pixels of the target, in pixels of the file."""
        return np.asarray(self.start + (np.arange(self.count) + 0.5) * self.step, dtype=np.float64)

    @property
    def is_clear(self) -> bool:
        """No centre lies on the edge of a pixel."""
        centres = self.centres
        return bool((np.abs(centres - np.rint(centres)) > _CLEAR).all())


def _axes(target: Target, place: Georeference) -> tuple[_Axis, _Axis]:
    """Columns and rows of a target in a file of its own CRS."""
    _, (_, _, left, _, _, top) = target.grid_for(place.epsg)
    height, width = target.window.shape
    return (
        _Axis((left - place.left) / place.dx, PIXEL_SIZE / place.dx, width),
        _Axis((place.top - top) / place.dy, PIXEL_SIZE / place.dy, height),
    )


def _reach(resampling: str | None) -> int:
    return max(_RADIUS.values()) if resampling is None else _RADIUS[resampling]


def _clip(box: Box | None, width: int, height: int) -> Box | None:
    if box is None:
        return None
    left, top, right, bottom = max(box[0], 0), max(box[1], 0), min(box[2], width), min(box[3], height)
    return (left, top, right, bottom) if left < right and top < bottom else None


def _box_elsewhere(target: Target, place: Georeference, resampling: str | None) -> Box | None:
    """The pixels of a file in another CRS, from a net of the target's."""
    from rasterio.crs import CRS
    from rasterio.env import Env
    from rasterio.errors import CRSError, RasterioError
    from rasterio.warp import transform

    crs, (dx, _, left, _, dy, top) = target.grid_for(place.epsg)
    height, width = target.window.shape
    columns = np.linspace(0, width, 2 + width // _EVERY)
    rows = np.linspace(0, height, 2 + height // _EVERY)
    x, y = np.meshgrid(left + columns * dx, top + rows * dy)
    try:
        # without it GDAL prints what it does not know
        with Env():
            its = CRS.from_epsg(place.epsg)
            there = transform(crs, its, x.ravel().tolist(), y.ravel().tolist())
    except (CRSError, RasterioError) as error:
        raise PermanentError(f"EPSG:{place.epsg} has no way from {crs}: {' '.join(str(error).split())}") from None
    if not (its.is_projected or its.is_geographic):
        raise PermanentError(f"EPSG:{place.epsg} is no CRS of a map; expected one")
    net = [np.reshape(values, x.shape) for values in there[:2]]
    net = [(net[0] - place.left) / place.dx, (place.top - net[1]) / place.dy]
    sides = []
    for axis in net:
        finite = axis[np.isfinite(axis)]
        if finite.size == 0 or finite.min() < -1e9 or finite.max() > 1e9:
            return None
        step = max(
            1.0,
            *(
                float(np.nanmax(np.abs(np.diff(axis, axis=i)))) / (max(width, height) / (axis.shape[i] - 1))
                for i in (0, 1)
            ),
        )
        bend = max((float(np.abs(np.diff(axis, 2, axis=i)).max()) for i in (0, 1) if axis.shape[i] > 2), default=1.0)
        margin = math.ceil(_reach(resampling) * step + bend) + _SLACK
        sides.append((math.floor(finite.min()) - margin, math.ceil(finite.max()) + margin))
    (first, last), (upper, lower) = sides
    return first, upper, last, lower


def _span(axis: _Axis, size: int) -> tuple[int, int]:
    """The first and last (exclusive) pixels of a target whose nearest pixel the file has; their order is monotonic."""
    nearest = np.floor(axis.centres)
    return int(np.searchsorted(nearest, 0, "left")), int(np.searchsorted(nearest, size - 1, "right"))


def _take(pixels: NDArray[Any], x: _Axis, y: _Axis) -> NDArray[Any]:
    """The nearest pixel."""
    if x.is_same and y.is_same and x.pixel(0) == y.pixel(0) == 0 and pixels.shape == (y.count, x.count):
        return pixels
    out = np.zeros((y.count, x.count), pixels.dtype)
    (x0, x1), (y0, y1) = _span(x, pixels.shape[1]), _span(y, pixels.shape[0])
    if x0 >= x1 or y0 >= y1:
        return out
    if x.is_same and y.is_same:
        left, top = x.pixel(x0), y.pixel(y0)
        out[y0:y1, x0:x1] = pixels[top : top + y1 - y0, left : left + x1 - x0]
        return out
    columns = np.floor(x.centres[x0:x1]).astype(np.intp)
    rows = np.floor(y.centres[y0:y1]).astype(np.intp)
    # of each row of the file once: rows that are repeated are copied whole
    used, again = np.unique(rows, return_inverse=True)
    wide = pixels[used[0] : used[-1] + 1].take(columns, axis=1)
    out[y0:y1, x0:x1] = wide.take(used[again] - used[0], axis=0)
    return out


def _double(pixels: NDArray[Any], x: _Axis, y: _Axis) -> NDArray[Any]:
    """Bilinear where each pixel of the file is two by two of the target.

    The weights are 9, 3, 3 and 1 sixteenths; a neighbour without data has none, and the rest is divided by what is
    left. Halves are rounded up. A pixel whose nearest has no data has none either. All in whole numbers, so exactly.
    """
    out = np.zeros((y.count, x.count), pixels.dtype)
    (x0, x1), (y0, y1) = _span(x, pixels.shape[1]), _span(y, pixels.shape[0])
    if x0 >= x1 or y0 >= y1:
        return out
    odd_x, odd_y = round(2 * x.start + x0) % 2, round(2 * y.start + y0) % 2
    left, right = x.pixel(x0), x.pixel(x1 - 1) + 1
    top, bottom = y.pixel(y0), y.pixel(y1 - 1) + 1
    for upper in range(top, bottom, _STRIP // 2):
        lower = min(upper + _STRIP // 2, bottom)
        strip = _padded(pixels, upper - 1, lower + 1, left - 1, right + 1)
        # what only pixels beside the target would take their values from is no hole
        if odd_x:
            strip[:, 0] = 1
        if (odd_x + x1 - x0) % 2:
            strip[:, -1] = 1
        if upper == top and odd_y:
            strip[0] = 1
        if lower == bottom and (odd_y + y1 - y0) % 2:
            strip[-1] = 1
        total = _spread(strip)
        if strip[1:-1, 1:-1].all() and _edges_full(strip):
            total += 8
            total >>= 4
            done = total.astype(pixels.dtype)
        else:
            held = _spread((strip != 0).astype(np.uint32))
            total += total
            total += held
            held += held
            np.maximum(held, 1, out=held)
            total //= held
            done = total.astype(pixels.dtype)
            done *= np.repeat(np.repeat(strip[1:-1, 1:-1] != 0, 2, axis=0), 2, axis=1)
        first = y0 + 2 * (upper - top) - odd_y
        a, b = max(first, y0), min(first + done.shape[0], y1)
        out[a:b, x0:x1] = done[a - first : b - first, odd_x : odd_x + x1 - x0]
    return out


def _padded(pixels: NDArray[Any], top: int, bottom: int, left: int, right: int) -> NDArray[np.uint32]:
    """A part of an image, with 0 around it."""
    out = np.zeros((bottom - top, right - left), np.uint32)
    height, width = pixels.shape
    a, b, c, d = max(top, 0), min(bottom, height), max(left, 0), min(right, width)
    out[a - top : b - top, c - left : d - left] = pixels[a:b, c:d]
    return out


def _edges_full(strip: NDArray[np.uint32]) -> bool:
    return bool(strip[0].all() and strip[-1].all() and strip[:, 0].all() and strip[:, -1].all())


def _spread(strip: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Sixteen times the interpolation of an image without its outermost pixels: (2h, 2w) of (h + 2, w + 2)."""
    height, width = strip.shape
    tall = np.empty((2 * (height - 2), width), np.uint32)
    middle = strip[1:-1] * np.uint32(3)
    np.add(middle, strip[:-2], out=tall[0::2])
    np.add(middle, strip[2:], out=tall[1::2])
    out = np.empty((2 * (height - 2), 2 * (width - 2)), np.uint32)
    middle = tall[:, 1:-1] * np.uint32(3)
    np.add(middle, tall[:, :-2], out=out[:, 0::2])
    np.add(middle, tall[:, 2:], out=out[:, 1::2])
    return out


def _warp(
    pixels: NDArray[Any], box: Box, size: tuple[int, int], place: Georeference, target: Target, resampling: str
) -> NDArray[Any]:
    """Through GDAL's warper, from a file of the same grid, empty elsewhere: so it decides as for the whole file."""
    from affine import Affine
    from rasterio.enums import Resampling
    from rasterio.errors import RasterioError
    from rasterio.io import MemoryFile
    from rasterio.vrt import WarpedVRT
    from rasterio.windows import Window

    height, width = target.window.shape
    crs, transform = target.grid_for(place.epsg)
    left, top, right, bottom = box
    try:
        with MemoryFile() as memory:
            with memory.open(
                driver="GTiff",
                width=size[0],
                height=size[1],
                count=1,
                dtype=pixels.dtype,
                crs=f"EPSG:{place.epsg}",
                transform=Affine(*place.transform),
                tiled=True,
                blockxsize=256,
                blockysize=256,
                sparse_ok=True,
            ) as image:
                image.write(pixels, 1, window=Window(left, top, right - left, bottom - top))
            with (
                memory.open(driver="GTiff") as image,
                WarpedVRT(
                    image,
                    crs=crs,
                    transform=Affine(*transform),
                    width=width,
                    height=height,
                    resampling=Resampling[resampling],
                    src_nodata=0,
                    nodata=0,
                ) as warped,
            ):
                out: NDArray[Any] = warped.read(1)
                return out
    except RasterioError as error:
        raise CorruptError(f"EPSG:{place.epsg} cannot be laid onto {crs}: {error}") from None
