"""The head of nearest neighbours, in whole numbers: any machine, and any order of sums, finds the same neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError

from .model import Model, expect, expect_standard, named, standard

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from numpy.typing import NDArray

    from .training import Training

NEIGHBOURS = 5
"""At most; with few labels the largest odd number up to their root, so that a class of two is not outvoted."""
_STEPS = 4096
"""Whole numbers a standard deviation; int16 then reaches 8 of them on either side."""
_MOST = 32767
_HELD = 4_000_000
"""Distances held at once: 32 MB."""


@dataclass(frozen=True, repr=False)
class KnnModel(Model):
    """Labelled vectors, to be compared with.

    A vector is coded as q = clip(rint((float64(x) - mean) / std * 4096), -32767, 32767). The distance of two is the sum
    of the squared differences of q: a whole number below 2**53, exact in float64 in any order of sums. The nearest k
    vote, the first labels of those at one distance: k = 1 below 9 labels, 3 below 25, else 5. The class with most votes
    is predicted, the first of equals; or the mean of their numbers, summed from the nearest.

    Attributes
    ----------
    rows : (N, D) int16, the labels' vectors as q
    target : (N,) int64, their classes; or float64, their numbers
    mean, std : (D,) float32, of the features
    """

    rows: NDArray[np.int16]
    target: NDArray[Any]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    def __post_init__(self) -> None:
        super().__post_init__()
        dims, count = expect_standard(self.mean, self.std), len(self.rows)
        expect("rows", self.rows, np.int16, (count, dims))
        expect("target", self.target, np.int64 if self.classes else np.float64, (count,))
        if not count or (self.classes and not 0 <= self.target.min() <= self.target.max() < self.classes):
            raise InputError(f"{count} labels, or one of no class; expected 0 to {self.classes - 1}")

    @property
    def dims(self) -> int:
        return len(self.mean)

    @cached_property
    def _own(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        own = self.rows.astype(np.float64)
        return own.T.copy(), (own**2).sum(axis=1)

    def _nearest(self, rows: NDArray[np.float32]) -> NDArray[np.int64]:
        """(n, k) the labels nearest to each vector, from the nearest."""
        own, squares = self._own
        # less the new one's own square, which orders nothing
        distance = squares - 2 * (_coded(rows, self.mean, self.std) @ own)
        near = min(NEIGHBOURS, (int(len(squares) ** 0.5) + 1) // 2 * 2 - 1)
        found = np.empty((len(rows), near), dtype=np.int64)
        for k in range(near):
            found[:, k] = distance.argmin(axis=1)
            distance[np.arange(len(rows)), found[:, k]] = np.inf
        return found

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        parts = np.array_split(rows, max(1, -(-len(rows) * len(self.rows) // _HELD)))
        target = self.target[np.concatenate([self._nearest(part) for part in parts])]
        near = target.shape[1]
        if not self.classes:
            total = target[:, 0].copy()
            for k in range(1, near):
                total += target[:, k]
            return np.asarray(total / near, dtype=np.float64)
        place = np.arange(len(rows))[:, None] * self.classes + target
        votes = np.bincount(place.reshape(-1), minlength=len(rows) * self.classes)
        return np.asarray(votes.reshape(len(rows), self.classes) / near, dtype=np.float64)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"rows": self.rows, "target": self.target, "mean": self.mean, "std": self.std}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], classes: int) -> Self:
        return cls(classes, **named(arrays, ("rows", "target", "mean", "std")))


def _coded(x: NDArray[Any], mean: NDArray[np.float32], std: NDArray[np.float32]) -> NDArray[np.float64]:
    scaled = (x.astype(np.float64) - mean.astype(np.float64)) / std.astype(np.float64)
    out: NDArray[np.float64] = np.clip(np.rint(scaled * _STEPS), -_MOST, _MOST)
    return out


def fit_knn(training: Training) -> KnnModel:
    """Keep the labels. All labels and all features weigh the same."""
    x, y, classes = training.x, training.y, training.classes
    mean, std = (part.astype(np.float32) for part in standard(x))
    rows = _coded(x.astype(np.float32), mean, std).astype(np.int16)
    return KnnModel(classes, rows, y.astype(np.int64 if classes else np.float64), mean, std)
