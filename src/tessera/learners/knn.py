"""The head of nearest neighbours, in whole numbers: any machine, and any order of sums, finds the same neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError

from ._exact import nearest, smallest
from .coded import CodedModel
from .model import Model, expect, expect_standard, named, standard
from .settings import Setting

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from numpy.typing import NDArray

    from tessera.embeddings import StackedVectors

    from .training import Training

NEIGHBOURS = 5
"""At most; with few labels the largest odd number up to their root, so that a class of two is not outvoted: 1 below 9
labels, 3 below 25."""
SETTINGS = {"neighbours": Setting(0, 0, 32767, tried=(0, 1, 9, 15))}
"""How many vote; by the number of labels if 0."""
_STEPS = 4096
"""Whole numbers a standard deviation; int16 then reaches 8 of them on either side."""
_MOST = 32767
_HELD = 4_000_000
"""Distances held at once: 32 MB."""


@dataclass(frozen=True, repr=False)
class KnnModel(Model):
    """Labelled vectors, to be compared with.

    A vector is coded as q = clip(rint((float64(x) - mean) / std * 4096), -32767, 32767). The distance of two is the sum
    of the squared differences of q: a whole number below 2**53, exact in float64 in any order of sums. The nearest
    vote, the first labels of those at one distance. The class with most votes is predicted, the first of equals; or the
    mean of their numbers, summed from the nearest.

    Attributes
    ----------
    rows : (N, D) int16, the labels' vectors as q
    target : (N,) int64, their classes; or float64, their numbers
    neighbours : (1,) int32, how many vote
    mean, std : (D,) float32, of the features
    """

    rows: NDArray[np.int16]
    target: NDArray[Any]
    neighbours: NDArray[np.int32]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    def __post_init__(self) -> None:
        super().__post_init__()
        dims, count = expect_standard(self.mean, self.std), len(self.rows)
        expect("rows", self.rows, np.int16, (count, dims))
        _expect_labels(self.target, self.neighbours, count, self.classes)

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
        return smallest(squares - 2 * (_coded(rows, self.mean, self.std) @ own), int(self.neighbours[0]))

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        parts = np.array_split(rows, max(1, -(-len(rows) * len(self.rows) // _HELD)))
        return vote(self.target[np.concatenate([self._nearest(part) for part in parts])], self.classes)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {name: getattr(self, name) for name in ("rows", "target", "neighbours", "mean", "std")}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], classes: int) -> Self:
        # files of version 2 have no number of neighbours
        given = {"neighbours": _by_rule(len(arrays.get("rows", ()))), **arrays}
        return cls(classes, **named(given, ("rows", "target", "neighbours", "mean", "std")))


@dataclass(frozen=True, repr=False)
class CodedKnnModel(CodedModel):
    """Labelled vectors as a store keeps them, to be compared with codes.

    Labels are ordered by their squared Euclidean distance less the square of the vector, which is the same for all. It
    begins with 0, and part by part (s * s) * float64(|q|^2) - (t * (2 * s)) * float64(q . p) is added. s and q are the
    scale, as float64, and the codes of a label; t and p are those of the vector; |q|^2 and q . p are whole numbers. All
    is float64, in this order, never fused. Votes are as of `KnnModel`.

    Attributes
    ----------
    codes : (N, D) int8
    scales : (N, P) float32, above 0
    target : (N,) int64, their classes; or float64, their numbers
    neighbours : (1,) int32, how many vote
    """

    codes: NDArray[np.int8]
    scales: NDArray[np.float32]
    target: NDArray[Any]
    neighbours: NDArray[np.int32]

    def __post_init__(self) -> None:
        super().__post_init__()
        count = len(self.codes)
        expect("codes", self.codes, np.int8, (count, self.dims))
        expect("scales", self.scales, np.float32, (count, len(self.widths)))
        if (self.scales <= 0).any():
            raise InputError("a scale of 0 or less; expected above 0")
        _expect_labels(self.target, self.neighbours, count, self.classes)

    @cached_property
    def _own(self) -> tuple[NDArray[np.int8], ...]:
        return tuple(np.ascontiguousarray(part) for part in self.part(self.codes))

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        own = self.scales.astype(np.float64)
        exact = np.concatenate([part * own[:, [k]] for k, part in enumerate(self._own)], axis=1)
        squares = (exact * exact).sum(axis=1)
        near = int(self.neighbours[0])
        pieces = np.array_split(rows, max(1, -(-len(rows) * len(own) // _HELD)))
        found = [smallest(squares - 2.0 * (piece.astype(np.float64) @ exact.T), near) for piece in pieces]
        return vote(self.target[np.concatenate(found)], self.classes)

    def scores_of(self, stacked: StackedVectors) -> NDArray[np.float64]:
        own, near = self.scales.astype(np.float64), int(self.neighbours[0])
        step = max(1, _HELD // len(own))
        whole = self.parts_of(stacked)
        found = [nearest(whole[k : k + step], self._own, own, near) for k in range(0, max(1, len(whole)), step)]
        return vote(self.target[np.concatenate(found)], self.classes)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {name: getattr(self, name) for name in _NAMES}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], classes: int) -> Self:
        return cls(classes, **named(arrays, _NAMES))


_NAMES = ("widths", "codes", "scales", "target", "neighbours")


def vote(target: NDArray[Any], classes: int) -> NDArray[np.float64]:
    """(n, k) classes or numbers of the nearest -> (n, K) share of the votes; or (n,) their mean, summed from the
    nearest."""
    count, near = target.shape
    if not classes:
        total = target[:, 0].copy()
        for k in range(1, near):
            total += target[:, k]
        return np.asarray(total / near, dtype=np.float64)
    place = np.arange(count)[:, None] * classes + target
    votes = np.bincount(place.reshape(-1), minlength=count * classes)
    return np.asarray(votes.reshape(count, classes) / near, dtype=np.float64)


def _expect_labels(target: NDArray[Any], neighbours: NDArray[np.int32], count: int, classes: int) -> None:
    expect("target", target, np.int64 if classes else np.float64, (count,))
    if not count or (classes and not 0 <= target.min() <= target.max() < classes):
        raise InputError(f"{count} labels, or one of no class; expected 0 to {classes - 1}")
    expect("neighbours", neighbours, np.int32, (1,))
    if not 1 <= neighbours[0] <= count:
        raise InputError(f"{neighbours[0]} neighbours of {count} labels; expected 1 to {count}")


def _by_rule(count: int, wanted: int = 0) -> NDArray[np.int32]:
    """How many neighbours vote among `count` labels: as many as wanted, or by the rule if 0."""
    rule = min(NEIGHBOURS, (int(count**0.5) + 1) // 2 * 2 - 1)
    return np.array([min(count, wanted or rule)], dtype=np.int32)


def _coded(x: NDArray[Any], mean: NDArray[np.float32], std: NDArray[np.float32]) -> NDArray[np.float64]:
    scaled = (x.astype(np.float64) - mean.astype(np.float64)) / std.astype(np.float64)
    out: NDArray[np.float64] = np.clip(np.rint(scaled * _STEPS), -_MOST, _MOST)
    return out


def read_knn(arrays: Mapping[str, NDArray[Any]], classes: int) -> Model:
    """The model of these arrays: of codes, or of any features."""
    kind = KnnModel if "mean" in arrays else CodedKnnModel
    return kind.from_arrays(arrays, classes)


def fit_knn(training: Training) -> Model:
    """Keep the labels. All labels weigh the same.

    Codes of a store are compared as they are; of other features each is standardised, so that all weigh the same.
    Setting: "neighbours", how many vote; by the number of labels if 0.
    """
    x, y, classes = training.x, training.y, training.classes
    target = y.astype(np.int64 if classes else np.float64)
    near = _by_rule(len(x), int(training.settings["neighbours"]))
    if training.codes is not None:
        parts = training.codes.parts
        codes = np.concatenate([part.codes for part in parts], axis=1)
        scales = np.column_stack([part.scales for part in parts])
        return CodedKnnModel(classes, np.array(training.codes.widths, np.int32), codes, scales, target, near)
    mean, std = (part.astype(np.float32) for part in standard(x))
    rows = _coded(x.astype(np.float32), mean, std).astype(np.int16)
    return KnnModel(classes, rows, target, near, mean, std)
