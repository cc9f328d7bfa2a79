"""What every learner returns: arrays that predict. Features in, classes or numbers out, the same bits from a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tessera.base import InputError, shown
from tessera.labels import MAX_CLASSES, NO_DATA

from ._threads import in_threads

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from numpy.typing import NDArray

    from tessera.embeddings import StackedVectors

_CHUNK = 65536
"""Pixels predicted at a time: 32 MB of 128 float32."""


@dataclass(frozen=True, repr=False)
class Model(ABC):
    """A fitted learner.

    Attributes
    ----------
    classes : how many it tells apart, K; 0 of a number
    """

    classes: int

    margin: ClassVar[int] = 0
    """Pixels around a window that it reads besides; 0: it looks at single pixels (see `SpatialModel`)."""

    def __post_init__(self) -> None:
        if self.classes != 0 and not 2 <= self.classes <= MAX_CLASSES:
            raise InputError(f"{self.classes} classes; expected 2 to {MAX_CLASSES}")

    @property
    @abstractmethod
    def dims(self) -> int:
        """Length D of the vectors that it reads."""

    @abstractmethod
    def scores(self, rows: NDArray[np.float32]) -> NDArray[Any]:
        """(n, D) finite -> (n, K), the highest for the class that is predicted, the first of equals; (n,) numbers."""

    def scores_of(self, stacked: StackedVectors) -> NDArray[Any]:
        """As `scores`, of (n,) valid vectors as a store keeps them.

        A map, and whatever is computed from a store, uses this form. Learners that have an exact form on codes override
        it; here it is `scores` of the values.
        """
        return self.scores(stacked.values())

    def classes_of(self, stacked: StackedVectors) -> NDArray[np.integer]:
        """The class of (n,) valid vectors as its index: that of the highest of `scores_of`, the first of equals."""
        found: NDArray[np.intp] = self.scores_of(stacked).argmax(axis=1)
        return found

    def chances(self, scores: NDArray[Any]) -> NDArray[Any]:
        """The probabilities of classes from their scores: (n, K) -> (n, K)."""
        return scores

    @abstractmethod
    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that a file has to hold of it, by name."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], classes: int) -> Self:
        """What `arrays` gave.

        Raises
        ------
        InputError
            Arrays that no such model has.
        """

    def predict(self, values: NDArray[np.float32]) -> NDArray[Any]:
        """As `Head.predict`, but a class is its index: (..., D) float32 -> (...) uint8; or float32 numbers."""
        rows, shape = self._rows(values)
        out = np.full(len(rows), NO_DATA if self.classes else np.nan, np.uint8 if self.classes else np.float32)
        for start in range(0, len(rows), _CHUNK):
            found, good = self._scored(rows[start : start + _CHUNK])
            out[start : start + _CHUNK][good] = found.argmax(axis=1) if self.classes else found
        return out.reshape(shape)

    def probabilities(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `Head.probabilities`: (..., D) float32 -> (..., K) float32."""
        if not self.classes:
            raise InputError("probabilities of a head of numbers; expected a head of classes")
        rows, shape = self._rows(values)
        out = np.full((len(rows), self.classes), np.nan, dtype=np.float32)
        for start in range(0, len(rows), _CHUNK):
            found, good = self._scored(rows[start : start + _CHUNK])
            out[start : start + _CHUNK][good] = self.chances(found)
        return out.reshape(*shape, self.classes)

    def predict_codes(self, stacked: StackedVectors) -> NDArray[Any]:
        """As `predict`, of vectors as a store keeps them: (...) -> (...) uint8, 255 = no data; or float32, NaN."""
        flat = self._flat(stacked)
        out = np.full(len(flat), NO_DATA if self.classes else np.nan, np.uint8 if self.classes else np.float32)

        def predict(start: int) -> None:
            part, good = _valid(flat[start : start + _CHUNK])
            out[start : start + _CHUNK][good] = self.classes_of(part) if self.classes else self.scores_of(part)

        in_threads(predict, range(0, len(flat), _CHUNK))
        return out.reshape(stacked.shape)

    def probabilities_codes(self, stacked: StackedVectors) -> NDArray[np.float32]:
        """As `probabilities`, of vectors as a store keeps them: (...) -> (..., K) float32, NaN = no data."""
        if not self.classes:
            raise InputError("probabilities of a head of numbers; expected a head of classes")
        flat = self._flat(stacked)
        out = np.full((len(flat), self.classes), np.nan, dtype=np.float32)

        def predict(start: int) -> None:
            part, good = _valid(flat[start : start + _CHUNK])
            out[start : start + _CHUNK][good] = self.chances(self.scores_of(part))

        in_threads(predict, range(0, len(flat), _CHUNK))
        return out.reshape(*stacked.shape, self.classes)

    def _flat(self, stacked: StackedVectors) -> StackedVectors:
        if stacked.dims != self.dims:
            raise InputError(f"vectors of {stacked.dims} dims; expected {self.dims}")
        return stacked.reshape(-1)

    def _rows(self, values: NDArray[np.float32]) -> tuple[NDArray[np.float32], tuple[int, ...]]:
        values = np.asarray(values)
        if values.ndim < 1 or values.shape[-1] != self.dims:
            raise InputError(f"values of shape {values.shape}; expected (..., {self.dims})")
        return values.reshape(-1, self.dims), values.shape[:-1]

    def _scored(self, rows: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        good = np.asarray(np.isfinite(rows).all(axis=1), dtype=np.bool_)
        return self.scores(rows[good].astype(np.float32, copy=False)), good


def _valid(flat: StackedVectors) -> tuple[StackedVectors, Any]:
    """Those that are data, and an index of which they are."""
    good = flat.valid
    return (flat, slice(None)) if good.all() else (flat[good], good)


def standard(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each feature; 1 where it does not vary."""
    mean, std = x.mean(axis=0), x.std(axis=0)
    std[~(std > 1e-12 * np.maximum(1.0, np.abs(mean)))] = 1.0
    return mean, std


def refuse_overflow(scores: NDArray[Any]) -> None:
    """Refuse scores that are not finite: no class can be told from them.

    Raises
    ------
    InputError
        Finite weights of a size that no learner gives.
    """
    if not np.isfinite(scores).all():
        raise InputError("the head gives scores that are not finite: its file is damaged; expected one as fit saved it")


def softmax(logits: NDArray[Any]) -> NDArray[Any]:
    """(n, K) logits -> (n, K) probabilities."""
    grown = np.exp(logits - logits.max(axis=1, keepdims=True))
    out: NDArray[Any] = grown / grown.sum(axis=1, keepdims=True)
    return out


def expect(name: str, array: NDArray[Any], dtype: Any, shape: tuple[int, ...]) -> None:
    """Refuse an array of another dtype or shape, or with a value that is not finite.

    Raises
    ------
    InputError
        Naming the array.
    """
    if array.dtype != np.dtype(dtype) or array.shape != shape:
        raise InputError(f"{name} {array.dtype} {array.shape}; expected finite {np.dtype(dtype)} {shape}")
    if not np.isfinite(array).all():
        raise InputError(f"{name} holds numbers that are not finite; expected finite {np.dtype(dtype)} {shape}")


def expect_standard(mean: NDArray[np.float32], std: NDArray[np.float32]) -> int:
    """Check mean and standard deviation of D features; returns D."""
    dims = len(mean) if mean.ndim else 1
    expect("mean", mean, np.float32, (dims,))
    expect("std", std, np.float32, (dims,))
    if dims < 1 or not (std > 0).all():
        raise InputError("no features, or a standard deviation of 0 or less; expected above 0")
    return dims


def named(arrays: Mapping[str, NDArray[Any]], names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """The arrays, if they are just those of these names.

    Raises
    ------
    InputError
        Some are lacking or more are there.
    """
    if set(arrays) != set(names):
        lacking, strange = (", ".join(sorted(one)) for one in (set(names) - set(arrays), set(arrays) - set(names)))
        told = [f"lack {lacking}"] * bool(lacking) + [f"have {shown(strange)} besides"] * bool(strange)
        raise InputError(f"the arrays {' and '.join(told)}; expected {', '.join(names)}")
    return dict(arrays)
