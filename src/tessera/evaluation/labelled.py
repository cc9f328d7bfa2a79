"""Labelled pixel-years: a label, a group and a place each, with their observations where they are known."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError
from tessera.cubes import check_array, digest_of
from tessera.heads import class_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.cubes import PixelSeries

CLASSES, NUMBERS = "classification", "regression"
KINDS = (CLASSES, NUMBERS)
MAX_CLASSES = 255


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
    series: PixelSeries | None = None
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
                check_array(name, array, dtype, shape)
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
    out = np.array([class_text(str(value)) for value in array.tolist()], dtype=object)
    distinct = len(set(out.tolist()))
    if distinct > MAX_CLASSES or (len(out) > 2 and distinct == len(out)):
        raise InputError(f"{what} has {distinct} distinct values in {len(out)} labels; expected classes")
    return out, chosen
