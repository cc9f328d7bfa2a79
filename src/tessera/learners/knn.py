"""The head of nearest neighbours, in whole numbers: any machine, and any order of sums, finds the same neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError

from ._exact import nearest, own_squares, smallest
from ._fast import ends_of, fits, moderate, pack_rows, pack_squares, products, vectors
from .coded import CodedModel
from .model import Model, expect, expect_standard, named, standard
from .settings import Setting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from numpy.typing import NDArray

    from tessera.embeddings import StackedVectors

    from .training import Training

NEIGHBOURS = 5
"""At most; with few labels the largest odd number up to their root, so that a class of two is not outvoted: 1 below 9
labels, 3 below 25."""
EVEN_VOTE, DISTANCE_VOTE = "even", "distance"
SETTINGS = {
    "neighbours": Setting(0, 0, 32767, tried=(0, 1, 9, 15)),
    "vote": Setting(EVEN_VOTE, words=(EVEN_VOTE, DISTANCE_VOTE), tried=(EVEN_VOTE, DISTANCE_VOTE)),
}
"""How many vote, by the number of labels if 0; whether all votes are equal, or weigh one over their distance."""
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
    mean of their numbers, summed from the nearest. Where votes weigh by distance, a vote is 1 / sqrt(distance) in
    float64, and is summed from the nearest; labels at distance 0 vote alone, all alike.

    Attributes
    ----------
    rows : (N, D) int16, the labels' vectors as q
    target : (N,) int64, their classes; or float64, their numbers
    neighbours : (1,) int32, how many vote
    mean, std : (D,) float32, of the features
    by_distance : whether votes weigh by distance; in a file the array "vote", (1,) int32 of 1, else no such array
    """

    rows: NDArray[np.int16]
    target: NDArray[Any]
    neighbours: NDArray[np.int32]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    by_distance: bool = False

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

    def _nearest(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """(n, k) the labels nearest to each vector, from the nearest, and their squared distances."""
        own, squares = self._own
        new = _coded(rows, self.mean, self.std)
        # less the new one's own square, which orders nothing
        found, values = smallest(squares - 2 * (new @ own), int(self.neighbours[0]))
        return found, values + (new**2).sum(axis=1)[:, None]

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        parts = np.array_split(rows, max(1, -(-len(rows) * len(self.rows) // _HELD)))
        return _voted([self._nearest(part) for part in parts], self.target, self.classes, by_distance=self.by_distance)

    def arrays(self) -> dict[str, NDArray[Any]]:
        held = {name: getattr(self, name) for name in ("rows", "target", "neighbours", "mean", "std")}
        return held | _vote_array(by_distance=self.by_distance)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], classes: int) -> Self:
        # files of version 2 have no number of neighbours
        given = {"neighbours": _by_rule(len(arrays.get("rows", ()))), **arrays}
        by_distance = _takes_vote(given)
        held = named(given, ("rows", "target", "neighbours", "mean", "std"))
        return cls(classes, **held, by_distance=by_distance)


@dataclass(frozen=True, repr=False)
class CodedKnnModel(CodedModel):
    """Labelled vectors as a store keeps them, to be compared with codes.

    Labels are ordered by their squared Euclidean distance less the square of the vector, which is the same for all. It
    begins with 0, and part by part (s * s) * float64(|q|^2) - (t * (2 * s)) * float64(q . p) is added. s and q are the
    scale, as float64, and the codes of a label; t and p are those of the vector; |q|^2 and q . p are whole numbers. All
    is float64, in this order, never fused. Votes are as of `KnnModel`; where they weigh by distance, the square of the
    vector, from 0 part by part + (t * t) * float64(|p|^2), is added to what orders the labels; below 0 counts as 0.

    Attributes
    ----------
    codes : (N, D) int8
    scales : (N, P) float32, above 0
    target : (N,) int64, their classes; or float64, their numbers
    neighbours : (1,) int32, how many vote
    by_distance : as of `KnnModel`
    """

    codes: NDArray[np.int8]
    scales: NDArray[np.float32]
    target: NDArray[Any]
    neighbours: NDArray[np.int32]
    by_distance: bool = False

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
        found = []
        for piece in np.array_split(rows.astype(np.float64), max(1, -(-len(rows) * len(own) // _HELD))):
            columns, values = smallest(squares - 2.0 * (piece @ exact.T), near)
            found.append((columns, values + (piece * piece).sum(axis=1)[:, None]))
        return _voted(found, self.target, self.classes, by_distance=self.by_distance)

    def scores_of(self, stacked: StackedVectors) -> NDArray[np.float64]:
        own, near = self.scales.astype(np.float64), int(self.neighbours[0])
        step = max(1, _HELD // len(own))
        whole = self.parts_of(stacked)
        made = products() if fits(self.widths.tolist()) else None
        if made is not None and moderate(self.scales, *(part.scales for part in whole.parts)):
            found = [self._compiled(made, whole)]
            return _voted(found, self.target, self.classes, by_distance=self.by_distance)
        square = [part[: len(own)] for part in self._squares[0]]
        found = [
            nearest(whole[k : k + step], self._own, own, near, distances=self.by_distance, square=square)
            for k in range(0, max(1, len(whole)), step)
        ]
        return _voted(found, self.target, self.classes, by_distance=self.by_distance)

    def _compiled(self, made: Any, stacked: StackedVectors) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """As `nearest`, by the compiled loop."""
        codes, own = vectors(stacked, -(-len(stacked) // made.ROWS) * made.ROWS)
        found = np.empty((len(codes), int(self.neighbours[0])), dtype=np.int64)
        order = np.empty(found.shape)
        made.nearest(codes, own, self._packed, ends_of(stacked.widths), *self._squares, found, order)
        found, order = found[: len(stacked)], order[: len(stacked)]
        return found, order + own_squares(stacked)[:, None] if self.by_distance else order

    @cached_property
    def _packed(self) -> NDArray[np.uint8]:
        return pack_rows(self._own)

    @cached_property
    def _squares(self) -> tuple[NDArray[Any], ...]:
        return pack_squares(self._own, self.scales.astype(np.float64))

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {name: getattr(self, name) for name in _NAMES} | _vote_array(by_distance=self.by_distance)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], classes: int) -> Self:
        given = dict(arrays)
        by_distance = _takes_vote(given)
        return cls(classes, **named(given, _NAMES), by_distance=by_distance)


_NAMES = ("widths", "codes", "scales", "target", "neighbours")


def _voted(
    found: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]],
    target: NDArray[Any],
    classes: int,
    *,
    by_distance: bool,
) -> NDArray[np.float64]:
    """The votes of the nearest labels, from their places and squared distances, some vectors at a time."""
    nearest = target[np.concatenate([places for places, _ in found])]
    weight = np.ones(nearest.shape)
    if by_distance:
        squared = np.concatenate([values for _, values in found])
        same = squared <= 0
        weight = np.where(same.any(axis=1, keepdims=True), same, 1 / np.sqrt(np.where(same, 1.0, squared)))
    return vote(nearest, weight, classes)


def vote(target: NDArray[Any], weight: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    """(n, k) classes or numbers of the nearest, and what each weighs -> (n, K) share of the votes; or (n,) their mean.
    All sums go from the nearest."""
    count, near = target.shape
    whole = weight[:, 0].copy()
    for k in range(1, near):
        whole += weight[:, k]
    if not classes:
        total = target[:, 0] * weight[:, 0]
        for k in range(1, near):
            total += target[:, k] * weight[:, k]
        return np.asarray(total / whole, dtype=np.float64)
    votes = np.zeros((count, classes))
    place = np.arange(count)
    for k in range(near):
        votes[place, target[:, k]] += weight[:, k]
    return np.asarray(votes / whole[:, None], dtype=np.float64)


def _vote_array(*, by_distance: bool) -> dict[str, NDArray[Any]]:
    return {"vote": np.ones(1, dtype=np.int32)} if by_distance else {}


def _takes_vote(arrays: dict[str, NDArray[Any]]) -> bool:
    """Whether votes weigh by distance; the array is taken out."""
    held = arrays.pop("vote", None)
    if held is None:
        return False
    expect("vote", held, np.int32, (1,))
    if held[0] != 1:
        raise InputError(f"vote {held[0]}; expected 1, or no such array")
    return True


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
    """Keep the labels, of which all weigh the same.

    Codes of a store are compared as they are; of other features each is standardised, so that all weigh the same.
    """
    x, y, classes = training.x, training.y, training.classes
    target = y.astype(np.int64 if classes else np.float64)
    near = _by_rule(len(x), int(training.settings["neighbours"]))
    by_distance = training.settings["vote"] == DISTANCE_VOTE
    if training.codes is not None:
        parts = training.codes.parts
        codes = np.concatenate([part.codes for part in parts], axis=1)
        scales = np.column_stack([part.scales for part in parts])
        return CodedKnnModel(
            classes, np.array(training.codes.widths, np.int32), codes, scales, target, near, by_distance
        )
    mean, std = (part.astype(np.float32) for part in standard(x))
    rows = _coded(x.astype(np.float32), mean, std).astype(np.int16)
    return KnnModel(classes, rows, target, near, mean, std, by_distance)
