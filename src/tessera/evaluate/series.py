"""Labelled pixel-years: observations of unequal number with a label, a group and a place each."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError
from tessera.cubes import S1_BANDS, S2_BANDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLASSES, NUMBERS = "classification", "regression"
KINDS = (CLASSES, NUMBERS)
MAX_CLASSES = 255


@dataclass(frozen=True, repr=False)
class Series:
    """The observations of N pixel-years; those of pixel i are rows offsets[i] to offsets[i + 1] of its streams.

    Only valid observations are held, in the units of `tessera.cubes.PixelCube`.

    Attributes
    ----------
    s2 : (M, 10) uint16, surface reflectance x 10000, bands in the order of `tessera.cubes.S2_BANDS`
    s2_day : (M,) int16, day of year 1 to 366
    s2_offsets : (N + 1,) int64, from 0 to M
    s1 : (K, 2) int16, scaled dB of VV and VH, (2 dB + 50) * 200
    s1_day : (K,) int16
    s1_descending : (K,) bool, the orbit of each observation
    s1_offsets : (N + 1,) int64, from 0 to K
    """

    s2: NDArray[np.uint16]
    s2_day: NDArray[np.int16]
    s2_offsets: NDArray[np.int64]
    s1: NDArray[np.int16]
    s1_day: NDArray[np.int16]
    s1_descending: NDArray[np.bool_]
    s1_offsets: NDArray[np.int64]

    def __post_init__(self) -> None:
        rows2, rows1 = len(self.s2), len(self.s1)
        _check("s2", self.s2, np.uint16, (rows2, len(S2_BANDS)))
        _check("s2_day", self.s2_day, np.int16, (rows2,))
        _check("s1", self.s1, np.int16, (rows1, len(S1_BANDS)))
        _check("s1_day", self.s1_day, np.int16, (rows1,))
        _check("s1_descending", self.s1_descending, np.bool_, (rows1,))
        for name, offsets, rows in (("s2", self.s2_offsets, rows2), ("s1", self.s1_offsets, rows1)):
            _check(f"{name}_offsets", offsets, np.int64, (len(self.s2_offsets),))
            if len(offsets) < 1 or offsets[0] != 0 or offsets[-1] != rows or (np.diff(offsets) < 0).any():
                raise InputError(f"{name}_offsets of {len(offsets)}; expected ascending values from 0 to {rows}")
        for name, day in (("s2", self.s2_day), ("s1", self.s1_day)):
            if day.size and not (day.min() >= 1 and day.max() <= 366):
                raise InputError(f"{name}_day from {day.min()} to {day.max()}; expected days of the year, 1 to 366")

    def __len__(self) -> int:
        return len(self.s2_offsets) - 1

    def __repr__(self) -> str:
        return f"Series({len(self)} pixel-years, {len(self.s2)} Sentinel-2 and {len(self.s1)} Sentinel-1 observations)"

    @property
    def s2_count(self) -> NDArray[np.int64]:
        """(N,) valid Sentinel-2 observations of each pixel."""
        return np.diff(self.s2_offsets)

    @property
    def s1_count(self) -> NDArray[np.int64]:
        """(N,) valid Sentinel-1 observations of each pixel, both orbits together."""
        return np.diff(self.s1_offsets)

    def digest(self) -> str:
        """SHA-256 of every value."""
        parts = (self.s2, self.s2_day, self.s2_offsets, self.s1, self.s1_day, self.s1_descending, self.s1_offsets)
        return digest_of(*parts)


def make_series(
    s2: NDArray[np.uint16],
    s2_valid: NDArray[np.bool_],
    s2_day: NDArray[np.int16],
    s1: NDArray[np.int16],
    s1_day: NDArray[np.int16],
    s1_descending: NDArray[np.bool_],
) -> Series:
    """Pixel-years from dense arrays; an observation of Sentinel-1 is valid where VV or VH is not 0.

    Parameters
    ----------
    s2 : (N, T, 10) uint16
    s2_valid : (N, T) bool
    s2_day : (N, T) or (T,) int16
    s1 : (N, T', 2) int16
    s1_day, s1_descending : (N, T') or (T',)

    Raises
    ------
    InputError
        Another shape or type, or a day that is none.
    """
    if s2.ndim != 3 or s1.ndim != 3 or len(s2) != len(s1):
        raise InputError(f"s2 {s2.shape} and s1 {s1.shape}; expected (N, T, {len(S2_BANDS)}), (N, T', {len(S1_BANDS)})")
    _check("s2_valid", s2_valid, np.bool_, s2.shape[:2])
    s1_valid = (s1 != 0).any(axis=2)
    return Series(
        s2[s2_valid],
        np.broadcast_to(s2_day, s2.shape[:2])[s2_valid],
        offsets_of(s2_valid.sum(axis=1)),
        s1[s1_valid],
        np.broadcast_to(s1_day, s1.shape[:2])[s1_valid],
        np.broadcast_to(s1_descending, s1.shape[:2])[s1_valid],
        offsets_of(s1_valid.sum(axis=1)),
    )


@dataclass(frozen=True, repr=False)
class Labelled:
    """N labelled pixels, with their observations or, where embeddings exist already, with their places alone.

    Attributes
    ----------
    label : (N,) float64 of a regression, or object (text) of a classification
    kind : "classification" or "regression"
    group : (N,) int64; labels of one group (a field, a site) are never in training and test at once; None where
        every label stands alone
    lonlat : (N, 2) float64, degrees; None where unknown
    test : (N,) bool, a split that comes with the data; None where there is none
    series : their observations; None for places in a store
    source : what to call it
    column : the name of the label
    """

    label: NDArray[Any]
    kind: str
    group: NDArray[np.int64] | None = None
    lonlat: NDArray[np.float64] | None = None
    test: NDArray[np.bool_] | None = None
    series: Series | None = None
    source: str = "labels"
    column: str = "label"
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        count = len(self.label)
        if self.kind not in KINDS:
            raise InputError(f"kind {self.kind!r}; expected {' or '.join(KINDS)}")
        if self.label.shape != (count,) or count == 0:
            raise InputError(f"labels of shape {self.label.shape}; expected (N,) of at least one")
        if self.kind == NUMBERS and (self.label.dtype != np.float64 or not np.isfinite(self.label).all()):
            raise InputError(f"{self.source}: labels of {self.label.dtype} to regress; expected finite float64")
        if self.kind == CLASSES and self.label.dtype != object:
            raise InputError(f"{self.source}: labels of {self.label.dtype} to classify; expected text (object)")
        for name, array, dtype, shape in (
            ("group", self.group, np.int64, (count,)),
            ("lonlat", self.lonlat, np.float64, (count, 2)),
            ("test", self.test, np.bool_, (count,)),
        ):
            if array is not None:
                _check(name, array, dtype, shape)
        if self.series is not None and len(self.series) != count:
            raise InputError(f"{self.source}: {len(self.series)} pixel-years for {count} labels; expected as many")

    def __len__(self) -> int:
        return len(self.label)

    def __repr__(self) -> str:
        return f"Labelled({len(self)} labels of {self.column}, {self.kind}, {self.source})"

    def digest(self) -> str:
        """SHA-256 of labels, places, split and observations."""
        label = self.label if self.kind == NUMBERS else np.char.encode(self.label.astype(str), "utf-8")
        parts = [array for array in (label, self.group, self.lonlat, self.test) if array is not None]
        own = b"" if self.series is None else self.series.digest().encode()
        return hashlib.sha256(digest_of(*parts).encode() + own).hexdigest()


def parse_labels(values: Any, kind: str | None, what: str) -> tuple[NDArray[Any], str]:
    """Labels as this room holds them, and their kind: floats are regressed, all else is classified, unless told.

    Raises
    ------
    InputError
        Numbers with a fraction to classify, text to regress, missing values, or as many classes as labels.
    """
    array = np.asarray(values)
    if kind is not None and kind not in KINDS:
        raise InputError(f"kind {kind!r}; expected {' or '.join(KINDS)}")
    number = array.dtype.kind in "fiu"
    chosen = kind or (NUMBERS if array.dtype.kind == "f" else CLASSES)
    if chosen == NUMBERS:
        if not number:
            raise InputError(f"{what} holds {array.dtype} values; expected numbers for a regression")
        out = array.astype(np.float64)
        if not np.isfinite(out).all():
            raise InputError(f"{what} holds {int((~np.isfinite(out)).sum())} values that are not finite")
        return out, chosen
    if array.dtype.kind == "f":
        if not (np.isfinite(array) & (array == np.rint(array))).all():
            raise InputError(f"{what} holds numbers with a fraction; expected classes, or kind regression")
        array = array.astype(np.int64)
    out = np.array([str(value) for value in array.tolist()], dtype=object)
    distinct = len(set(out.tolist()))
    if distinct > MAX_CLASSES or (len(out) > 2 and distinct == len(out)):
        raise InputError(f"{what} has {distinct} distinct values in {len(out)} labels; expected classes")
    return out, chosen


def offsets_of(counts: NDArray[Any]) -> NDArray[np.int64]:
    """(N + 1,) from the number of rows of each of N."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def digest_of(*arrays: NDArray[Any]) -> str:
    """SHA-256 of arrays with their shapes and types."""
    total = hashlib.sha256()
    for array in arrays:
        little = array.dtype.newbyteorder("<")
        total.update(f"{array.shape} {little.str}".encode())
        total.update(np.ascontiguousarray(array, dtype=little).tobytes())
    return total.hexdigest()


def _check(name: str, array: NDArray[Any], dtype: Any, shape: tuple[int, ...]) -> None:
    if array.dtype != np.dtype(dtype) or array.shape != shape:
        raise InputError(f"{name} is {array.dtype} {array.shape}; expected {np.dtype(dtype).name} {shape}")
