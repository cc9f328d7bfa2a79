"""Gradient boosting: trees grown by LightGBM, kept as arrays, and predicted by numpy with the same sums."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, require

from ._threads import processors
from ._trees import LEAF, Trees, float32_below, named_trees
from .model import Model, expect, softmax
from .settings import Setting
from .training import EVEN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from numpy.typing import NDArray

    from .training import Training

SETTINGS = {
    "rounds": Setting(100, 1, 5000, tried=(50, 100, 300)),
    "rate": Setting(0.1, 0.001, 1.0),
    "leaves": Setting(31, 2, 1024),
    "least": Setting("auto", 1, 10_000, words=("auto",), tried=("auto", 20)),
    "share": Setting("auto", 0.001, 1.0, words=("auto",)),
}
"""Rounds of trees; what a round adds; leaves of a tree; labels that a leaf needs; share of the features that are tried
at each split."""
_LARGEST_LEAST = 20
"""Labels that a leaf needs, with many labels: LightGBM's own."""
_ZERO = float(np.float32(1e-35))
"""LightGBM reads a value from -1e-35 to 1e-35, limits included, as 0."""
_FEATURES = 32767
"""Of a tree's int16."""
_MOST_LEAF = 1e30
"""A leaf is no larger, so that a sum of all trees is finite."""


@dataclass(frozen=True, repr=False)
class BoostingModel(Model):
    """Trees whose leaves are added up.

    Nodes are laid out and walked as those of a forest (`ForestModel`). What the leaves hold is summed in float64, from
    0, in the order of the trees, each tree to the score of its own class. Two classes have one tree a round, which adds
    to the second; the first class then scores 0. The class with the highest score is predicted, the first of equals.
    Probabilities are the softmax of the scores. A number is the sum.

    Attributes
    ----------
    features : D, how many features there are
    sizes : (T,) int32, nodes of each tree
    adds : (T,) int32, the class that each tree adds to; 0 of a number
    feature : (M,) int16, what each node looks at; -1 = leaf
    threshold : (M,) float32; 0 of a leaf
    values : (L,) float64, what each leaf adds, leaves in the order of the nodes
    """

    features: int
    sizes: NDArray[np.int32]
    adds: NDArray[np.int32]
    feature: NDArray[np.int16]
    threshold: NDArray[np.float32]
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        super().__post_init__()
        expect("values", self.values, np.float64, (self._trees.leaves,))
        expect("adds", self.adds, np.int32, (len(self.sizes),))
        if self.adds.min() < 0 or self.adds.max() >= (self.classes or 1):
            raise InputError(f"a tree that adds to a class outside 0 to {(self.classes or 1) - 1}")
        if np.abs(self.values).max() > _MOST_LEAF:
            raise InputError(f"a leaf that adds more than {_MOST_LEAF:g}; expected at most that")

    @cached_property
    def _trees(self) -> Trees:
        return Trees(self.features, self.sizes, self.feature, self.threshold)

    @property
    def dims(self) -> int:
        return self.features

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        out = np.zeros((len(rows), self.classes or 1))
        for place, tree, leaf in self._trees.ends(rows):
            out[place, self.adds[tree]] += self.values.take(leaf)
        return out if self.classes else out[:, 0]

    def chances(self, scores: NDArray[Any]) -> NDArray[np.float32]:
        return softmax(scores).astype(np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {name: getattr(self, name) for name in _NAMES} | {"features": np.array([self.features], dtype=np.int32)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], classes: int) -> Self:
        features, held = named_trees(arrays, _NAMES)
        return cls(classes, features, **held)


_NAMES = ("sizes", "adds", "feature", "threshold", "values")


def fit_boosting(training: Training) -> BoostingModel:
    """Grow trees round by round, each on what the rounds before left over; one tree a class a round.

    Raises
    ------
    InputError
        LightGBM is not installed, or there are more features than a tree's int16 can name.
    """
    lightgbm: Any = require("lightgbm", extra="boosting", purpose="a head of gradient boosting")
    x, y, classes = training.x.astype(np.float32), training.y, training.classes
    if x.shape[1] > _FEATURES:
        raise InputError(f"{x.shape[1]:,} features; expected at most {_FEATURES:,} for head 'boosting'")
    own = training.settings
    parameters = {
        "learning_rate": own["rate"],
        "num_leaves": own["leaves"],
        "min_data_in_leaf": least_in_leaf(len(y)) if own["least"] == "auto" else own["least"],
        "feature_fraction_bynode": x.shape[1] ** -0.5 if own["share"] == "auto" else own["share"],
    }
    even = np.bincount(y, minlength=classes) if classes and training.weights == EVEN else None
    weight = None if even is None else (len(y) / classes / even)[y]
    fixed = _FIXED | {"num_threads": _threads(len(y))}
    parameters |= fixed | _objective(classes) | {"seed": training.seed % 2**31}
    data = lightgbm.Dataset(x, y, weight=weight, params=fixed)
    return boosting_of(lightgbm.train(parameters, data, own["rounds"]), classes)


_FIXED: dict[str, Any] = {
    "verbosity": -1,
    "deterministic": True,
    # a feature's sums are then those of one thread, from the first label on, however many threads there are
    "force_col_wise": True,
    "feature_pre_filter": False,
    # without it a leaf of few labels says that it is sure
    "lambda_l2": 1.0,
    # few labels: every value may become a threshold
    "min_data_in_bin": 1,
    # features are finite, so that a vector goes by its value alone
    "use_missing": False,
}


_LABELS_OF_THREADS = 1000
"""With fewer, threads cost as much as they bring."""


def _threads(labels: int) -> int:
    """How many threads grow a tree.

    Two a processor: as many as there are processors would wait for each other in loops that keep a processor busy. On a
    machine with other work they took ten times the CPU seconds of one thread, and twice as many threads took 1.2 times.
    """
    count = processors()
    return 2 * count if count > 1 and labels >= _LABELS_OF_THREADS else 1


def least_in_leaf(labels: int) -> int:
    """Labels that a leaf needs: half the root of all, 1 to 20."""
    return int(np.clip(round(labels**0.5 / 2), 1, _LARGEST_LEAST))


def _objective(classes: int) -> dict[str, Any]:
    if not classes:
        return {"objective": "regression"}
    return {"objective": "binary"} if classes == 2 else {"objective": "multiclass", "num_class": classes}


def boosting_of(booster: Any, classes: int) -> BoostingModel:
    """The trees of a fitted LightGBM booster of numeric features as arrays.

    A threshold of LightGBM is float64: for a float32 x, x <= t is x <= the largest float32 up to t.

    Raises
    ------
    InputError
        It has trees of another kind: categorical features, linear leaves, missing values that are sent elsewhere, or
        trees whose mean is taken.
    """
    told = booster.dump_model()
    if told.get("average_output"):
        raise InputError("trees whose mean is taken; expected trees that are added up")
    # in the order of the rounds, all classes of a round together
    trees = [_arrays_of(tree["tree_structure"]) for tree in told["tree_info"]]
    each = int(told["num_tree_per_iteration"])
    adds = np.ones(len(trees), np.int32) if classes == 2 else (np.arange(len(trees)) % each).astype(np.int32)
    feature, threshold, values = (np.concatenate([part[index] for part in trees]) for index in range(3))
    sizes = np.array([len(part[0]) for part in trees], dtype=np.int32)
    return BoostingModel(classes, booster.num_feature(), sizes, adds, feature.astype(np.int16), threshold, values)


def _arrays_of(root: dict[str, Any]) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float64]]:
    """Feature and threshold of the nodes in the order of breadth, and what the leaves add."""
    # children are appended in pairs as their parents are met, which is the order of breadth
    nodes, place = [root], 0
    while place < len(nodes):
        node = nodes[place]
        place += 1
        if "split_feature" not in node:
            if "leaf_coeff" in node:
                raise InputError("a tree with linear leaves; expected a number a leaf")
            continue
        if node["decision_type"] != "<=" or node["missing_type"] != "None":
            kind = f"{node['decision_type']!r}, missing {node['missing_type']!r}"
            raise InputError(f"a tree that splits by {kind}; expected '<=' on numbers, missing 'None'")
        nodes += [node["left_child"], node["right_child"]]
    feature = np.array([node.get("split_feature", LEAF) for node in nodes], dtype=np.int64)
    exact = np.array([float(node.get("threshold", 0.0)) for node in nodes])
    exact[exact == -_ZERO] = np.nextafter(-_ZERO, -np.inf)
    values = np.array([float(node["leaf_value"]) for node in nodes if "split_feature" not in node])
    return feature, float32_below(exact), values
