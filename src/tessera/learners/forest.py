"""The forest: trees grown by scikit-learn, kept as arrays, and predicted by numpy with the same result."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, require

from ._fast import kernels
from ._trees import LEAF, MAX_DEPTH, Trees, float32_below, in_breadth
from .model import Model, expect, named
from .settings import Setting
from .training import EVEN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from numpy.typing import NDArray

    from .training import Training

SETTINGS = {
    "trees": Setting(100, 1, 2000),
    "least": Setting(1, 1, 1000, tried=(1, 3, 10)),
    "share": Setting("auto", 0.001, 1.0, words=("auto",)),
}
"""How many trees; labels that a leaf needs; share of the features that are tried at each split."""


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
        rows = len(self.values)
        expect("leaf", self.leaf, np.int32, (self._trees.leaves,))
        expect("values", self.values, np.float64, (rows, self.classes or 1))
        if self.leaf.min(initial=0) < 0 or self.leaf.max(initial=0) >= rows:
            raise InputError(f"a leaf outside the {rows} values")
        if self.classes and (self.values.min() < 0 or self.values.max() > 1.0 + 1e-9):
            raise InputError("a probability outside 0 to 1")

    @property
    def dims(self) -> int:
        return self.features

    @cached_property
    def _trees(self) -> Trees:
        return Trees(self.features, self.sizes, self.feature, self.threshold)

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        out = np.zeros((len(rows), self.classes or 1))
        made = kernels()
        if made is not None:
            row = self.leaf.take(self._trees.numbers(), mode="clip")
            for place, _, nodes in self._trees.nodes(made, rows):
                made.add_rows(nodes, row, self.values, out[place])
        else:
            for place, _, ends in self._trees.ends(rows):
                out[place] += self.values.take(self.leaf.take(ends), axis=0)
        out /= len(self.sizes)
        return out if self.classes else out[:, 0]

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
    """Grow trees, 100 by default.

    Of a number a third of the features are tried at each split; of classes their root, and by default the classes weigh
    the same.
    """
    ensemble: Any = require("sklearn.ensemble", extra="heads", purpose="a forest")
    own = training.settings
    share: Any = own["share"]
    if share == "auto":
        share = "sqrt" if training.classes else 1 / 3
    same = {
        "n_estimators": own["trees"],
        "min_samples_leaf": own["least"],
        "max_features": share,
        "max_depth": MAX_DEPTH,
        "random_state": training.seed,
        "n_jobs": 1,
    }
    if training.classes:
        weigh = "balanced" if training.weights == EVEN else None
        model = ensemble.RandomForestClassifier(class_weight=weigh, **same)
    else:
        model = ensemble.RandomForestRegressor(**same)
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
    order = in_breadth(tree.children_left, tree.children_right)
    leaf = tree.children_left[order] < 0
    threshold = float32_below(np.where(leaf, 0.0, tree.threshold[order]))
    return np.where(leaf, LEAF, tree.feature[order]), threshold, tree.value[order[leaf]][:, 0, :]
