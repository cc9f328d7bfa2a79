"""The forest: trees grown by scikit-learn, kept as arrays, and predicted by numpy with the same result."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, require

from .model import Model, expect, named
from .training import EVEN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from numpy.typing import NDArray

    from .training import Training

TREES = 100
MAX_DEPTH = 128
"""Of a tree; grown trees of 100,000 labels are some 40 deep, and a file's trees could otherwise take forever."""
_MAX_TREES = 10_000
_BLOCK = 4096
"""Pixels that go through a tree together: with 128 features 2 MB, which a processor's cache holds."""
_LEAF = -1


@dataclass(frozen=True, repr=False)
class ForestModel(Model):
    """Trees one after another, the nodes of each in the order of breadth: both children of the j-th node that splits
    are nodes 1 + 2 j and 2 + 2 j of its tree, so that no link can lead back.

    A vector goes to the first child where float32(x[feature]) <= threshold, both float32, else to the second. What the
    leaves hold is summed in float64 in the order of the trees and divided by their number. The class with the highest
    sum is predicted, the first of equals.

    Attributes
    ----------
    features : D, how many features there are
    sizes : (T,) int32, nodes of each tree
    feature : (M,) int16, what each node looks at; -1 = leaf
    threshold : (M,) float32; 0 of a leaf
    leaf : (L,) int32, the row of `values` that each leaf holds, leaves in the order of the nodes
    values : (U, K) float64, probabilities from 0 to 1; (U, 1) numbers
    """

    features: int
    sizes: NDArray[np.int32]
    feature: NDArray[np.int16]
    threshold: NDArray[np.float32]
    leaf: NDArray[np.int32]
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        super().__post_init__()
        count, nodes, rows = (len(part) for part in (self.sizes, self.feature, self.values))
        expect("sizes", self.sizes, np.int32, (count,))
        expect("feature", self.feature, np.int16, (nodes,))
        expect("threshold", self.threshold, np.float32, (nodes,))
        expect("leaf", self.leaf, np.int32, (int((self.feature == _LEAF).sum()),))
        expect("values", self.values, np.float64, (rows, self.classes or 1))
        if not 1 <= count <= _MAX_TREES or self.sizes.min() < 1 or int(self.sizes.sum(dtype=np.int64)) != nodes:
            raise InputError(f"{count} trees of other sizes than {nodes} nodes; expected 1 to {_MAX_TREES} trees")
        if self.feature.min() < _LEAF or self.feature.max() >= self.features:
            raise InputError(f"a tree that looks at a feature outside 0 to {self.features - 1}")
        if self.leaf.min(initial=0) < 0 or self.leaf.max(initial=0) >= rows:
            raise InputError(f"a leaf outside the {rows} values")
        if self.classes and (self.values.min() < 0 or self.values.max() > 1.0 + 1e-9):
            raise InputError("a probability outside 0 to 1")
        _ = self._walk

    @property
    def dims(self) -> int:
        return self.features

    @cached_property
    def _walk(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32], NDArray[np.intp]]:
        """The first child of each node, what it looks at, its threshold, and the row of a leaf.

        A leaf is its own child and its threshold is infinite, so that a vector stays there.
        """
        starts = np.concatenate([[0], np.cumsum(self.sizes, dtype=np.int64)])
        inner = self.feature != _LEAF
        split = np.concatenate([[0], np.cumsum(inner, dtype=np.int64)])
        tree = np.repeat(np.arange(len(self.sizes)), self.sizes)
        place = np.arange(len(inner), dtype=np.int64)
        child = starts[tree] + 1 + 2 * (split[:-1] - split[starts[tree]])
        if (2 * np.diff(split[starts]) + 1 != self.sizes).any() or (child <= place)[inner].any():
            raise InputError("a tree whose nodes are no binary tree in the order of breadth")
        level = starts[:-1]
        for _ in range(MAX_DEPTH):
            level = child[level[inner[level]]]
            level = np.concatenate([level, level + 1])
        if inner[level].any():
            raise InputError(f"a tree of more than {MAX_DEPTH} levels")
        row = np.zeros(len(inner), dtype=np.intp)
        row[~inner] = self.leaf
        threshold = np.where(inner, self.threshold, np.float32(np.inf)).astype(np.float32)
        looks = np.where(inner, self.feature, 0).astype(np.intp)
        return np.where(inner, child, place).astype(np.intp), looks, threshold, row

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        out = np.zeros((len(rows), self.classes or 1))
        for start in range(0, len(rows), _BLOCK):
            self._add(np.ascontiguousarray(rows[start : start + _BLOCK]), out[start : start + _BLOCK])
        out /= len(self.sizes)
        return out if self.classes else out[:, 0]

    def _add(self, rows: NDArray[np.float32], out: NDArray[np.float64]) -> None:
        """Add what each tree's leaf holds."""
        child, looks, threshold, row = self._walk
        flat, base = rows.reshape(-1), np.arange(len(rows)) * rows.shape[1]
        for root in np.cumsum(self.sizes) - self.sizes:
            ends = np.full(len(rows), root, dtype=np.intp)
            moving = np.arange(len(rows))
            node, own = ends, base
            while len(moving):
                for _ in range(3):
                    right = flat.take(own + looks.take(node)) > threshold.take(node)
                    node = child.take(node) + right
                still = child.take(node) != node
                ends[moving] = node
                moving, node, own = moving[still], node[still], own[still]
            out += self.values.take(row.take(ends), axis=0)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {name: getattr(self, name) for name in _NAMES} | {"features": np.array([self.features], dtype=np.int32)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], classes: int) -> Self:
        held = named(arrays, ("features", *_NAMES))
        features = held.pop("features")
        expect("features", features, np.int32, (1,))
        return cls(classes, int(features[0]), **held)


_NAMES = ("sizes", "feature", "threshold", "leaf", "values")


def fit_forest(training: Training) -> ForestModel:
    """Grow 100 trees.

    Of a number a third of the features are tried at each split; of classes their root, and by default the classes weigh
    the same.
    """
    ensemble: Any = require("sklearn.ensemble", extra="heads", purpose="a forest")
    same = {"n_estimators": TREES, "max_depth": MAX_DEPTH, "random_state": training.seed, "n_jobs": 1}
    if training.classes:
        weigh = "balanced" if training.weights == EVEN else None
        model = ensemble.RandomForestClassifier(class_weight=weigh, **same)
    else:
        model = ensemble.RandomForestRegressor(max_features=1 / 3, **same)
    return forest_of(model.fit(training.x, training.y), training.classes)


def forest_of(model: Any, classes: int) -> ForestModel:
    """The trees of a fitted scikit-learn forest as arrays.

    A threshold of scikit-learn is float64: for a float32 x, x <= t is x <= the largest float32 up to t.
    """
    parts = [_arrays_of(one.tree_) for one in model.estimators_]
    sizes = np.array([len(part[0]) for part in parts], dtype=np.int32)
    feature, threshold, held = (np.concatenate([part[index] for part in parts]) for index in range(3))
    values, leaf = np.unique(held, axis=0, return_inverse=True)
    return ForestModel(
        classes,
        int(model.n_features_in_),
        sizes,
        feature.astype(np.int16),
        threshold,
        leaf.reshape(-1).astype(np.int32),
        values,
    )


def _arrays_of(tree: Any) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float64]]:
    """Feature and threshold of the nodes in the order of breadth, and what the leaves hold."""
    left, right = tree.children_left, tree.children_right
    levels = [np.zeros(1, dtype=np.int64)]
    while len(inner := levels[-1][left[levels[-1]] >= 0]):
        levels.append(np.column_stack([left[inner], right[inner]]).reshape(-1))
    order = np.concatenate(levels)
    leaf = left[order] < 0
    exact = np.where(leaf, 0.0, tree.threshold[order])
    threshold = exact.astype(np.float32)
    above = threshold.astype(np.float64) > exact
    threshold[above] = np.nextafter(threshold[above], np.float32(-np.inf))
    return np.where(leaf, _LEAF, tree.feature[order]), threshold, tree.value[order[leaf]][:, 0, :]
