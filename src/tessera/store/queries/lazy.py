"""Regions as xarray arrays, read at once, strip by strip, or by dask when they are computed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, memory_bytes, prefetched, require
from tessera.embeddings import CodedVectors

from .region import STRIP_BYTES
from .target import crs_facts

if TYPE_CHECKING:
    from collections.abc import Generator

    import xarray
    from numpy.typing import NDArray

    from tessera.geo import Window

    from .region import Region

_AUTO_BYTES = 64 * 1024**2
"""Float32 values of a dask chunk where `chunks` is "auto"."""
_NUMBER = count()


def read_array(region: Region) -> xarray.DataArray:
    """The whole region, if it fits into memory."""
    height, width = region.shape
    if region.bytes > memory_bytes():
        raise InputError(
            f"a region of {height} x {width} pixels takes {region.bytes / 1e9:,.1f} GB, more than this "
            f"machine has; read it with iter_region, or in parts"
        )
    return _strip(region, range(height))


def iter_arrays(region: Region, rows: int | None) -> Generator[xarray.DataArray, None, None]:
    """The region as strips from north to south; while the caller has one, the next is read."""
    limit = STRIP_BYTES // len(region.query.years)
    return prefetched(map(partial(_strip, region), list(region.strips(rows, limit=limit))))


def iter_coded(region: Region, rows: int | None, within: Window | None) -> Generator[CodedVectors, None, None]:
    """One year of the region as strips of codes from north to south; while the caller has one, the next is read.

    Raises
    ------
    InputError
        `within` is not a part of the region's window.
    """
    index, whole = region.query.indexes[0], region.target.window
    lines, cols = (range(side) for side in region.shape)
    if within is not None:
        if whole is None or whole.intersection(within) != within:
            raise InputError(f"window {within} is not within the region's, {whole}")
        down, right = whole.north - within.north, within.west - whole.west
        lines, cols = range(down, down + within.height), range(right, right + within.width)

    def read(strip: range) -> CodedVectors:
        return CodedVectors(*region.quantised(strip, cols, index))

    # codes take a quarter of the float32 that the limit counts
    return prefetched(map(read, list(region.strips(rows, within=lines, limit=2 * STRIP_BYTES))))


def lazy_array(region: Region, chunks: object) -> xarray.DataArray:
    """The region as a dask array, whose blocks read their window when they are computed; see `Store.read_region`."""
    dask = require("dask.array", extra="geo", purpose="a lazy region (chunks=)")
    shape = _shape(region, range(region.shape[0]))
    rows, cols = _chunks(region, chunks)
    blocks = (rows, cols, shape[-1])
    values = dask.from_array(
        _Lazy(region, shape),
        chunks=(1, *blocks) if region.query.several else blocks,
        name=f"tessera-region-{next(_NUMBER)}-{id(region):x}",
        meta=np.empty((0,) * len(shape), dtype=np.float32),
    )
    return _labelled(region, values, range(region.shape[0]))


def _chunks(region: Region, given: object) -> tuple[int, int]:
    unit = region.warp.side if region.warp is not None else region.query.layout.chunk
    pair: list[Any]
    if isinstance(given, str) and given == "auto":
        side = max(unit, int((_AUTO_BYTES / (4 * region.query.dims)) ** 0.5) // unit * unit)
        pair = [side, side]
    else:
        pair = list(given) if isinstance(given, (list, tuple)) else [given, given]
    good = [isinstance(side, (int, np.integer)) and not isinstance(side, bool) and side >= 1 for side in pair]
    if good != [True, True]:
        raise InputError(f"chunks {given!r}; expected pixels as one number or (rows, columns), or 'auto'")
    height, width = region.shape
    return min(int(pair[0]), height), min(int(pair[1]), width)


@dataclass(frozen=True, eq=False)
class _Lazy:
    """What dask slices: an array that is read where it is indexed."""

    region: Region
    shape: tuple[int, ...]
    dtype = np.dtype(np.float32)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        key = key if isinstance(key, tuple) else (key,)
        whole = (*key, *(slice(None),) * (self.ndim - len(key)))
        *years, y, x, band = (
            range(size)[part] if isinstance(part, slice) else part for part, size in zip(whole, self.shape, strict=True)
        )
        rows, cols = (_as_range(part) for part in (y, x))
        indexes = self.region.query.indexes
        chosen = [indexes[number] for number in ([0] if not years else _numbers(years[0]))]
        found = np.stack([self.region.values(rows, cols, index) for index in chosen])
        inner = tuple(slice(None, None, abs(part.step)) if isinstance(part, range) else 0 for part in (y, x))
        bands = slice(band.start, band.stop, band.step) if isinstance(band, range) else band
        found = found[(slice(None), *inner, bands)]
        return found if years and isinstance(years[0], range) else found[0]


def _numbers(part: Any) -> list[int]:
    return list(part) if isinstance(part, range) else [int(part)]


def _as_range(part: Any) -> range:
    """The rows that an index or a slice spans."""
    if not isinstance(part, range):
        return range(int(part), int(part) + 1)
    if part.step < 0:
        raise InputError("a region cannot be read backwards; expected a slice with a positive step")
    return range(part.start, max(part.start, part.stop))


def _strip(region: Region, rows: range) -> xarray.DataArray:
    values = np.empty(_shape(region, rows), dtype=np.float32)
    each = values if region.query.several else values[None]
    cols = range(region.shape[1])
    for out, index in zip(each, region.query.indexes, strict=True):
        # codes and values side by side take more than the values
        for part in region.strips(within=rows, limit=2 * STRIP_BYTES):
            out[part.start - rows.start : part.stop - rows.start] = region.values(part, cols, index)
    return _labelled(region, values, rows)


def _shape(region: Region, rows: range) -> tuple[int, ...]:
    query = region.query
    shape = len(rows), region.shape[1], query.dims
    return (len(query.years), *shape) if query.several else shape


def register_accessor() -> None:
    """Make `.tessera` known to xarray, unless somebody else's is there."""
    from ._accessor import register

    register()


def _labelled(region: Region, values: Any, rows: range) -> xarray.DataArray:
    import xarray

    register_accessor()

    query, target = region.query, region.target
    size, _, west, _, _, north = target.transform
    transform = (size, 0.0, west, 0.0, -size, north - rows.start * size)
    dims = ("y", "x", "band")
    coords: dict[str, Any] = {
        "y": target.y(rows),
        "x": target.x(range(target.width)),
        "band": np.arange(query.dims),
        "spatial_ref": ((), 0, spatial_ref(target.crs, transform)),
    }
    attrs = {
        "crs": target.crs,
        "transform": transform,
        "year": query.years[0],
        "model": query.model.name,
        "model_sha256": query.model.sha256,
    }
    if query.several:
        del attrs["year"]
        dims = ("year", *dims)  # type: ignore[assignment]
        coords["year"] = list(query.years)
    array = xarray.DataArray(values, dims=dims, coords=coords, name="embeddings", attrs=attrs)
    array.encoding["grid_mapping"] = "spatial_ref"
    return array


def spatial_ref(crs: str, transform: tuple[float, ...]) -> dict[str, Any]:
    """Attributes of the coordinate that rioxarray, odc-geo and GDAL find CRS and transform in (CF grid mapping)."""
    a, b, c, d, e, f = transform
    wkt = crs_facts(crs)[3]
    return {"crs_wkt": wkt, "spatial_ref": wkt, "GeoTransform": f"{c!r} {a!r} {b!r} {f!r} {d!r} {e!r}"}
