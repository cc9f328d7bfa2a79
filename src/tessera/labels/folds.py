"""Folds: whole groups are dealt so that each class, or high and low numbers, are on every side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_FOLDS = 5
"""Folds, as is usual; each model then learns from about four fifths of the labels."""
LEAST_LABELS, LEAST_UNITS = 3, 2
"""Labels, and units that hold them, that a class needs to be scored: some to learn from and some to test."""
_BINS = 5
"""Quantiles of a number that its groups are dealt by."""


@dataclass(frozen=True)
class Fold:
    """Labels that are learnt from and labels that are tested, as ascending indices of all labels.

    Attributes
    ----------
    train, test : int64
    name : what is tested: a region, a year, a number
    """

    train: NDArray[np.int64]
    test: NDArray[np.int64]
    name: str = ""


def make_folds(
    classes: NDArray[np.int64],
    groups: NDArray[np.int64],
    *,
    folds: int = MAX_FOLDS,
    seed: int = 0,
    mixed: bool = False,
) -> NDArray[np.int64]:
    """Deal whole groups to folds so that each class is spread as evenly as its groups allow.

    The classes with the fewest groups are dealt first, each group to the fold that has the fewest groups of that class,
    then the fewest labels of it, then the fewest labels.

    Parameters
    ----------
    classes : (N,) int64 from 0
    groups : (N,) int64, any numbers
    folds : at most this many; never more than there are groups
    seed : breaks ties between groups
    mixed : also deal groups of about one size in random order and break ties between folds at random, so that any group
        may fall into any fold; else the largest groups fall into the same folds under every seed

    Returns
    -------
    (N,) int64, the fold of each label
    """
    names, member = np.unique(groups, return_inverse=True)
    table = np.zeros((len(names), int(classes.max(initial=-1)) + 1), dtype=np.int64)
    np.add.at(table, (member, classes), 1)
    folds = max(1, min(folds, len(names)))
    chosen = np.full(len(names), -1, dtype=np.int64)
    dealt = np.zeros((folds, table.shape[1]), dtype=np.int64)
    counts = np.zeros_like(dealt)
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(names))
    size = table[order].sum(axis=1).astype(np.float64)
    if mixed:
        # sizes within a factor of about two count as one
        size = np.floor(np.log2(np.maximum(size, 1) * np.exp(generator.normal(0, 0.5, len(size)))))
    by_size = order[np.argsort(-size, kind="stable")]
    places = np.arange(folds)
    for name in np.argsort((table > 0).sum(axis=0), kind="stable"):
        for group in by_size[(table[by_size, name] > 0) & (chosen[by_size] < 0)]:
            if mixed:
                places = generator.permutation(folds)
            fold = int(np.lexsort((places, counts.sum(axis=1), counts[:, name], dealt[:, name]))[0])
            chosen[group] = fold
            dealt[fold] += table[group] > 0
            counts[fold] += table[group]
    return chosen[member.reshape(-1)]


def judged(classes: NDArray[np.int64], units: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """Which of `count` classes have labels and units enough for a score, in `fit` and in `evaluate`: (count,) bool.

    `classes` may hold -1 for labels of none.
    """
    labels = np.bincount(classes[classes >= 0], minlength=count)
    pairs = np.unique(np.column_stack([classes, units]), axis=0)[:, 0]
    return (labels >= LEAST_LABELS) & (np.bincount(pairs[pairs >= 0], minlength=count) >= LEAST_UNITS)


def bins_of(numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """(N,) numbers -> (N,) int64: the fifth of the numbers in which each lies, to deal groups by."""
    edges = np.quantile(numbers, np.linspace(0, 1, _BINS + 1)[1:-1])
    return np.searchsorted(edges, numbers).astype(np.int64)
