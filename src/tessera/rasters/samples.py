"""A sample of the pixels of a raster, window by window: some of each value or of all, the same for the same file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, open_regular, shown, silent

from .reading import open_raster, reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from tessera.base import Progress

_WINDOW = 1_000_000
"""Pixels read at a time."""
_MAX_BLOCK = 64_000_000
"""Pixels of a block, which is unpacked whole."""
_MAX_PIXELS = 10**12
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True)
class RasterSample:
    """Some pixels of one band of a raster.

    Attributes
    ----------
    values : (N,) of the band's dtype
    xy : (N, 2) float64, the centre of each in the raster's CRS
    crs : that CRS as WKT; None where the file has none
    whole : whether every value of the band is a whole number
    totals : value -> its pixels in the raster, of a band of whole numbers
    nodata : pixels without data
    declares : whether the file says which pixels have no data
    side : side of a pixel, units of the CRS
    band : description of the band, "" without one
    tags : metadata of the file and the band
    """

    values: NDArray[Any]
    xy: NDArray[np.float64]
    crs: str | None
    whole: bool
    totals: dict[int, int]
    nodata: int
    declares: bool
    side: float
    band: str
    tags: dict[str, str] = field(default_factory=dict)


def is_raster(source: object) -> bool:
    """Whether a source is the path of a TIFF file."""
    if not isinstance(source, (str, Path)) or not Path(source).is_file():
        return False
    with open_regular(Path(source), what="file") as file:
        return file.read(4) in _TIFF


def sample_raster(
    path: str | Path,
    band: str | None = None,
    *,
    each: int,
    all_: int,
    most: int,
    whole: bool | None = None,
    absent: Sequence[float] = (),
    progress: Progress = silent,
) -> RasterSample:
    """Draw pixels of a GeoTIFF: up to `each` of every value where all values are whole numbers, else `all_` of all.

    Which pixels are drawn depends on their row and column alone, so the same file gives the same sample however it is
    divided into blocks. Nodata values, masks, NaN and infinite values are left out.

    Parameters
    ----------
    band : number from 1 or description; a file with one band takes any text and None
    most : distinct values of a band of whole numbers
    whole : True or False to take values as whole numbers or not; None looks at them
    absent : more values that mean no data
    progress : called with the rows read and their number

    Raises
    ------
    InputError
        No GeoTIFF, no such band, blocks too large to unpack, more than `most` values, or none with data.
    """
    name = str(path)
    with reading(name), open_raster(Path(path).absolute()) as raster:
        number = _band(raster, band, name)
        _check(raster, number, name)
        kind = np.dtype(raster.dtypes[number - 1])
        if kind.kind not in "iuf":
            raise InputError(f"{name} holds {kind} values; expected whole or real numbers")
        if whole is None:
            whole = kind.kind != "f" or _all_whole(raster, number, absent)
        draw = _Each(each, most, name) if whole else _All(all_)
        nodata = 0
        for row, column, values, good in _windows(raster, number, absent):
            nodata += int((~good).sum())
            if whole and kind.kind == "f" and (values[good] % 1 != 0).any():
                raise InputError(f"{name} holds numbers with a fraction; expected whole numbers")
            draw.add(row, column, raster.width, values, good)
            progress(min(row + len(values), raster.height), raster.height)
        at, taken = draw.taken()
        if not len(at):
            raise InputError(f"{name} has no pixel with data in band {number}; expected classes or numbers")
        rows, columns = np.divmod(at, raster.width)
        a, b, c, d, e, f = tuple(raster.transform)[:6]
        xy = np.column_stack(
            [c + a * (columns + 0.5) + b * (rows + 0.5), f + d * (columns + 0.5) + e * (rows + 0.5)]
        ).astype(np.float64)
        return RasterSample(
            taken,
            xy,
            None if raster.crs is None else raster.crs.to_wkt(),
            whole,
            draw.totals,
            nodata,
            raster.nodata is not None or bool(nodata),
            float(np.hypot(a, d)),
            raster.descriptions[number - 1] or "",
            {**raster.tags(), **raster.tags(number)},
        )


def _band(raster: Any, band: str | None, name: str) -> int:
    if raster.count == 1:
        return 1
    names = [text or "" for text in raster.descriptions]
    if band is not None and band in names:
        return names.index(band) + 1
    if band is not None and band.isascii() and band.isdigit() and 1 <= int(band) <= raster.count:
        return int(band)
    listed = ", ".join(f"{number} {shown(text, 40)}" if text else str(number) for number, text in enumerate(names, 1))
    has = f"has {raster.count} bands" if band is None else f"has no band {shown(band)}"
    raise InputError(f"{name} {has}: {listed[:400]}; give one as the column (--column)")


def _check(raster: Any, number: int, name: str) -> None:
    height, width = raster.block_shapes[number - 1]
    if height * width > _MAX_BLOCK:
        raise InputError(
            f"{name} has blocks of {height} x {width} pixels; expected smaller ones, as gdal_translate -co TILED=YES "
            "writes"
        )
    if raster.height * raster.width > _MAX_PIXELS:
        raise InputError(f"{name} claims {raster.height} x {raster.width} pixels; expected at most {_MAX_PIXELS:,}")


def _windows(
    raster: Any, number: int, absent: Sequence[float]
) -> Iterator[tuple[int, int, NDArray[Any], NDArray[np.bool_]]]:
    """Row, column, values and whether each has data, of windows that follow the file's blocks."""
    from rasterio.windows import Window

    tall, wide = raster.block_shapes[number - 1]
    columns = raster.width if raster.width * tall <= _WINDOW else max(wide, _WINDOW // tall // wide * wide)
    rows = max(tall, _WINDOW // max(columns, 1) // tall * tall)
    for row in range(0, raster.height, rows):
        for column in range(0, raster.width, columns):
            size = min(columns, raster.width - column), min(rows, raster.height - row)
            window = Window(column, row, *size)
            values = raster.read(number, window=window)
            good: NDArray[np.bool_] = np.asarray(raster.read_masks(number, window=window) != 0)
            if values.dtype.kind == "f":
                good &= np.isfinite(values)
            for value in absent:
                good &= values != value
            yield row, column, values, good


def _all_whole(raster: Any, number: int, absent: Sequence[float]) -> bool:
    return all(not (values[good] % 1 != 0).any() for _, _, values, good in _windows(raster, number, absent))


def _priority(
    row: int, column: int, width: int, good: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """The number of each pixel with data in the raster, and a random order that depends on that number alone."""
    rows, columns = np.nonzero(good)
    at = (rows + row).astype(np.int64) * width + columns + column
    # splitmix64
    mixed = at.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return at, mixed ^ (mixed >> np.uint64(31))


class _Each:
    """The pixels of lowest priority of each value."""

    def __init__(self, most: int, values: int, name: str) -> None:
        self._most, self._values, self._name = most, values, name
        self._held: dict[int, tuple[NDArray[np.int64], NDArray[np.uint64]]] = {}
        self._dtype: np.dtype[Any] = np.dtype(np.int64)
        self.totals: dict[int, int] = {}

    def add(self, row: int, column: int, width: int, values: NDArray[Any], good: NDArray[np.bool_]) -> None:
        self._dtype = values.dtype
        at, order = _priority(row, column, width, good)
        found = values[good].astype(np.int64)
        for value in np.unique(found).tolist():
            here = found == value
            self.totals[value] = self.totals.get(value, 0) + int(here.sum())
            if len(self.totals) > self._values:
                raise InputError(
                    f"{self._name} has more than {self._values} distinct values; expected classes, or "
                    "kind='regression' (--kind regression)"
                )
            self._held[value] = _lowest(self._held.get(value), at[here], order[here], self._most)

    def taken(self) -> tuple[NDArray[np.int64], NDArray[Any]]:
        values = sorted(self._held)
        at = [np.sort(self._held[value][0]) for value in values]
        each = [np.full(len(part), value, dtype=self._dtype) for part, value in zip(at, values, strict=True)]
        return (np.concatenate(at), np.concatenate(each)) if at else (np.empty(0, np.int64), np.empty(0))


class _All:
    """The pixels of lowest priority of all."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: tuple[NDArray[np.int64], NDArray[np.uint64]] | None = None
        self._values: dict[int, Any] = {}
        self.totals: dict[int, int] = {}

    def add(self, row: int, column: int, width: int, values: NDArray[Any], good: NDArray[np.bool_]) -> None:
        at, order = _priority(row, column, width, good)
        self._held = _lowest(self._held, at, order, self._most)
        new = self._held[0][np.isin(self._held[0], at)]
        rows, columns = np.divmod(new, width)
        known = {int(one): self._values[int(one)] for one in self._held[0].tolist() if one in self._values}
        fresh = zip(new.tolist(), values[rows - row, columns - column].tolist(), strict=True)
        self._values = known | dict(fresh)

    def taken(self) -> tuple[NDArray[np.int64], NDArray[Any]]:
        at = np.sort(self._held[0]) if self._held is not None else np.empty(0, np.int64)
        return at, np.array([self._values[one] for one in at.tolist()], dtype=np.float64)


def _lowest(
    held: tuple[NDArray[np.int64], NDArray[np.uint64]] | None,
    at: NDArray[np.int64],
    order: NDArray[np.uint64],
    most: int,
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Of what is held and what is new, the `most` of lowest priority."""
    if held is not None:
        if len(held[0]) == most:
            better = order < held[1].max()
            at, order = at[better], order[better]
        at, order = np.concatenate([held[0], at]), np.concatenate([held[1], order])
    if len(at) > most:
        lowest = np.argpartition(order, most)[:most]
        at, order = at[lowest], order[lowest]
    return at, order
