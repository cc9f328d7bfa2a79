"""PixelCube: a year of Sentinel-1 and Sentinel-2 observations of every pixel of one grid."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tessera.base import InputError
from tessera.geo import year_of_provenance

from .dates import check_dates

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from tessera.geo import Grid

S2_BANDS = ("B04", "B02", "B03", "B08", "B8A", "B05", "B06", "B07", "B11", "B12")
"""Sentinel-2 band order of every published checkpoint: red blue green nir nir08 red-edge 1 to 3 swir16 swir22."""
S1_BANDS = ("VV", "VH")
"""Sentinel-1 band order of every published checkpoint."""


class ArrayLike(Protocol):
    """A numpy array, or an array on disk that reads what it is sliced by."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def __getitem__(self, key: Any, /) -> Any: ...


_HASHED_BYTES = 512 * 1024**2
"""Observations read at once for a digest."""
_STACKS = ("s2", "s2_mask", "s1_asc", "s1_desc")


@dataclass(frozen=True)
class _View:
    """A rectangle of a stack, read when it is sliced by (dates, rows, columns)."""

    stack: ArrayLike
    row0: int
    row1: int
    col0: int
    col1: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (int(self.stack.shape[0]), self.row1 - self.row0, self.col1 - self.col0, *self.stack.shape[3:])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.stack.dtype

    def __getitem__(self, key: Any, /) -> Any:
        dates, rows, cols = (*(key if isinstance(key, tuple) else (key,)), slice(None), slice(None))[:3]
        r0, r1, _ = rows.indices(self.row1 - self.row0)
        c0, c1, _ = cols.indices(self.col1 - self.col0)
        box = (dates, slice(self.row0 + r0, self.row0 + r1), slice(self.col0 + c0, self.col0 + c1))
        return self.stack[box]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self[:], dtype=dtype, copy=copy)


def parse_bands(bands: Sequence[str], expected: tuple[str, ...], what: str) -> tuple[str, ...]:
    """Check a band order.

    Raises
    ------
    InputError
        Another number of bands or another order; order is meaning here, and no reader can see it in the numbers.
    """
    given = tuple(str(band) for band in bands)
    if given != expected:
        reason = "in another order" if sorted(given) == sorted(expected) else f"{len(given)} bands"
        raise InputError(f"{what} bands {' '.join(given)} ({reason}); expected {' '.join(expected)}")
    return given


@dataclass(frozen=True, repr=False)
class PixelCube:
    """A year of Sentinel-2 and Sentinel-1 observations of every pixel of one grid.

    Arrays may lie on disk; `load` and `window` read them.

    Attributes
    ----------
    s2 : (T, H, W, 10) uint16, surface reflectance x 10000 with the offset removed, bands in the order of `S2_BANDS`
    s2_mask : (T, H, W) uint8, 1 = clear
    s2_doy : (T,) int16, day of year, 1 to 366
    s1_asc : (T', H, W, 2) int16, VV and VH of ascending passes, (20 * log10(power) + 50) * 200; 0 = missing
    s1_asc_doy : (T',) int16, day of year
    s1_desc : (T'', H, W, 2) int16, the same of descending passes
    s1_desc_doy : (T'',) int16, day of year
    grid : CRS and transform; None where unknown (a d-pixel folder has none)
    provenance : plain values: year, period, dates, source, counts
    s2_bands : names of the Sentinel-2 bands, in order
    s1_bands : names of the Sentinel-1 bands, in order

    Raises
    ------
    InputError
        An array has another dtype or shape, bands are in another order, or year, period, dates and days of the year
        contradict each other.

    Examples
    --------
    >>> import tessera
    >>> cube = tessera.open_cube("cube.zarr")
    >>> cube
    PixelCube(58 x 59 pixels, EPSG:32631, 2023, 7 Sentinel-2 and 4 + 4 Sentinel-1 dates)
    >>> cube.s2.shape, cube.s1_asc.shape
    ((7, 58, 59, 10), (4, 58, 59, 2))
    """

    s2: ArrayLike
    s2_mask: ArrayLike
    s2_doy: NDArray[np.int16]
    s1_asc: ArrayLike
    s1_asc_doy: NDArray[np.int16]
    s1_desc: ArrayLike
    s1_desc_doy: NDArray[np.int16]
    grid: Grid | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    s2_bands: tuple[str, ...] = S2_BANDS
    s1_bands: tuple[str, ...] = S1_BANDS

    def __post_init__(self) -> None:
        parse_bands(self.s2_bands, S2_BANDS, "Sentinel-2")
        parse_bands(self.s1_bands, S1_BANDS, "Sentinel-1")
        height, width = self.shape
        _check_array("s2", self.s2, np.uint16, (None, height, width, len(S2_BANDS)))
        _check_array("s2_mask", self.s2_mask, np.uint8, (self.s2.shape[0], height, width))
        for name, doy, stack in (
            ("s2", self.s2_doy, self.s2),
            ("s1_asc", self.s1_asc_doy, self.s1_asc),
            ("s1_desc", self.s1_desc_doy, self.s1_desc),
        ):
            if name != "s2":
                _check_array(name, stack, np.int16, (None, height, width, len(S1_BANDS)))
            _check_array(f"{name}_doy", doy, np.int16, (stack.shape[0],))
            if doy.size and not (int(doy.min()) >= 1 and int(doy.max()) <= 366):
                raise InputError(f"{name}_doy from {doy.min()} to {doy.max()}; expected days of the year, 1 to 366")
        object.__setattr__(self, "provenance", _plain_mapping(self.provenance, "provenance"))
        check_dates(self)
        if self.grid is not None and (self.grid.height, self.grid.width) != (height, width):
            raise InputError(f"grid of {self.grid.height} x {self.grid.width} for a cube of {height} x {width} pixels")

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W), pixels."""
        if len(self.s2.shape) != 4:
            raise InputError(f"s2 of shape {tuple(self.s2.shape)}; expected (T, H, W, 10)")
        return int(self.s2.shape[1]), int(self.s2.shape[2])

    def __repr__(self) -> str:
        height, width = self.shape
        radar = f"{self.s1_asc.shape[0]} + {self.s1_desc.shape[0]} Sentinel-1"
        where = "no CRS" if self.grid is None else self.grid.crs
        year = "no year" if self.year is None else self.year
        return f"PixelCube({height} x {width} pixels, {where}, {year}, {self.s2.shape[0]} Sentinel-2 and {radar} dates)"

    @property
    def year(self) -> int | None:
        """The calendar year that the provenance names, or None."""
        return year_of_provenance(self.provenance)

    def window(self, row0: int, row1: int, col0: int = 0, col1: int | None = None) -> PixelCube:
        """Read a rectangle into memory.

        Parameters
        ----------
        row0 : first row
        row1 : row behind the last
        col0 : first column
        col1 : column behind the last; the width if None
        """
        col1 = self.shape[1] if col1 is None else col1
        box = (slice(None), slice(row0, row1), slice(col0, col1))
        grid = None if self.grid is None else self.grid.crop(row0, row1, col0, col1)
        return replace(
            self,
            s2=np.asarray(self.s2[box]),
            s2_mask=np.asarray(self.s2_mask[box]),
            s1_asc=np.asarray(self.s1_asc[box]),
            s1_desc=np.asarray(self.s1_desc[box]),
            grid=grid,
        )

    def load(self) -> PixelCube:
        """Read the whole cube into memory."""
        return self.window(0, self.shape[0])

    def crop(self, row0: int, row1: int, col0: int, col1: int) -> PixelCube:
        """The cube of a rectangle, without reading it yet.

        Parameters
        ----------
        row0 : first row
        row1 : row behind the last
        col0 : first column
        col1 : column behind the last
        """
        grid = None if self.grid is None else self.grid.crop(row0, row1, col0, col1)
        stacks: dict[str, Any] = {name: _View(getattr(self, name), row0, row1, col0, col1) for name in _STACKS}
        return replace(self, **stacks, grid=grid)

    def row_blocks(self, rows: int) -> Iterator[tuple[int, int]]:
        """Yield (start, stop) of blocks of at most `rows` rows, from north to south."""
        for start in range(0, self.shape[0], rows):
            yield start, min(start + rows, self.shape[0])

    @cached_property
    def sha256(self) -> str:
        """SHA-256 over all observations, days and the grid. Cubes with the same digest have the same embeddings."""
        total = hashlib.sha256(repr((self.shape, self.grid, self.s2_bands, self.s1_bands)).encode())
        for doy in (self.s2_doy, self.s1_asc_doy, self.s1_desc_doy):
            total.update(np.ascontiguousarray(doy, dtype="<i2").tobytes())
        row = sum(int(np.prod(getattr(self, name).shape[2:])) * getattr(self, name).shape[0] * 2 for name in _STACKS)
        for start, stop in self.row_blocks(max(1, min(128, _HASHED_BYTES // max(1, row)))):
            block = self.window(start, stop)
            for part in (block.s2, block.s2_mask, block.s1_asc, block.s1_desc):
                total.update(np.ascontiguousarray(part).data)
        return total.hexdigest()


def _plain_mapping(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{what} is a {type(value).__name__}; expected a dict of plain values")
    for key in value:
        if not isinstance(key, str):
            raise InputError(f"{what} has the key {key!r}, a {type(key).__name__}; expected text")
    return {key: _plain(part, f"{what} {key!r}") for key, part in value.items()}


def _plain(value: Any, what: str) -> Any:
    """A value as JSON gives it back."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, dict):
        return _plain_mapping(value, what)
    if isinstance(value, (list, tuple)):
        return [_plain(part, what) for part in value]
    if value is None or isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    shown = value if isinstance(value, float) else f"a {type(value).__name__}"
    raise InputError(f"{what} holds {shown}; expected plain values: text, finite numbers, true or false, lists, dicts")


def _check_array(name: str, array: ArrayLike, dtype: Any, shape: tuple[int | None, ...]) -> None:
    given = tuple(array.shape)
    fits = len(given) == len(shape) and all(want is None or got == want for got, want in zip(given, shape, strict=True))
    if not fits or np.dtype(array.dtype) != np.dtype(dtype):
        wanted = ", ".join("T" if size is None else str(size) for size in shape)
        raise InputError(f"{name} is {array.dtype} {given}; expected {np.dtype(dtype).name} ({wanted})")
