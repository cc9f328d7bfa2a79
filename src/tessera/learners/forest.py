"""The forest: trees grown by scikit-learn, kept as arrays, and predicted by numpy with the same result."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, require

from ._fast import kernels
from ._threads import processors
from ._trees import LEAF, MAX_DEPTH, Trees, float32_below, in_breadth, named_trees
from .model import Model, expect
from .settings import Setting
from .training import EVEN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
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
        features, held = named_trees(arrays, _NAMES)
        return cls(classes, features, **held)


_NAMES = ("sizes", "feature", "threshold", "leaf", "values")


def fit_forest(training: Training) -> ForestModel:
    """Grow trees, 100 by default.

    They grow on all processors, and those of many labels some at a time; the trees do not depend on either. Of a number
    a third of the features are tried at each split; of classes their root, and by default the classes weigh
    the same.
    """
    ensemble: Any = require("sklearn.ensemble", extra="heads", purpose="a forest")
    own = training.settings
    share: Any = own["share"]
    if share == "auto":
        share = "sqrt" if training.classes else 1 / 3
    same = {
        "min_samples_leaf": own["least"],
        "max_features": share,
        "max_depth": MAX_DEPTH,
        "random_state": training.seed,
        # each tree has a seed of its own, so that threads grow the same trees
        "n_jobs": processors() if len(training.x) >= _LABELS_OF_THREADS else 1,
        "warm_start": True,
    }
    if training.classes:
        weigh = "balanced" if training.weights == EVEN else None
        model = ensemble.RandomForestClassifier(class_weight=weigh, **same)
    else:
        model = ensemble.RandomForestRegressor(**same)
    trees, parts = int(own["trees"]), list[_Grown]()
    together = max(_LABELS_TOGETHER // len(training.x), processors())
    for count in range(together, trees + together, together):
        model.set_params(n_estimators=min(count, trees))
        grown = model.fit(training.x, training.y).estimators_
        parts += [_Grown.of(one.tree_) for one in grown[len(parts) :]]
        # scikit-learn counts those that it has, and would hold them in several times the bytes
        model.estimators_ = [None] * len(parts)
    return _joined(parts, int(model.n_features_in_), training.classes)


_LABELS_OF_THREADS = 200
"""With fewer, threads cost as much as they bring."""
_LABELS_TOGETHER = 2_000_000
"""Labels x trees that scikit-learn holds at once: with ten classes at most about 500 MB."""


def forest_of(model: Any, classes: int) -> ForestModel:
    """The trees of a fitted scikit-learn forest as arrays.

    A threshold of scikit-learn is float64: for a float32 x, x <= t is x <= the largest float32 up to t.
    """
    return _joined([_Grown.of(one.tree_) for one in model.estimators_], int(model.n_features_in_), classes)


def _joined(trees: Sequence[_Grown], features: int, classes: int) -> ForestModel:
    values, place = np.unique(np.concatenate([tree.values for tree in trees]), axis=0, return_inverse=True)
    starts = np.cumsum([0, *(len(tree.values) for tree in trees)])
    leaf = [place.reshape(-1)[start + tree.leaf] for start, tree in zip(starts, trees, strict=False)]
    return ForestModel(
        classes,
        features,
        np.array([len(tree.feature) for tree in trees], dtype=np.int32),
        np.concatenate([tree.feature for tree in trees]),
        np.concatenate([tree.threshold for tree in trees]),
        np.concatenate(leaf).astype(np.int32),
        values,
    )


@dataclass(frozen=True, repr=False)
class _Grown:
    """A tree as `ForestModel` keeps it, with values of its own."""

    feature: NDArray[np.int16]
    threshold: NDArray[np.float32]
    leaf: NDArray[np.int32]
    values: NDArray[np.float64]

    @classmethod
    def of(cls, tree: Any) -> _Grown:
        """A tree of scikit-learn."""
        order = in_breadth(tree.children_left, tree.children_right)
        leaf = tree.children_left[order] < 0
        threshold = float32_below(np.where(leaf, 0.0, tree.threshold[order]))
        values, place = np.unique(tree.value[order[leaf]][:, 0, :], axis=0, return_inverse=True)
        feature = np.where(leaf, LEAF, tree.feature[order]).astype(np.int16)
        return cls(feature, threshold, place.reshape(-1).astype(np.int32), values)
