"""Sets and intervals that hold the truth of a new place as often as they say, from predictions out of fold.

The score of a class is 1 - its probability ("least ambiguous sets": Sadinle, Lei and Wasserman 2019,
doi:10.1080/01621459.2017.1395341). On held-out places of real pixels these sets were smaller than "adaptive" ones of
cumulated probabilities in eight of nine cases, by 3 to 30 % (`benchmarks/trust.py`).

Labels of one place err together, so a new label of a new place is like those of other places, not like other labels.
The quantile counts each place once (hierarchical conformal prediction: Lee, Barber and Willett 2023, arXiv:2306.06342):
where places are exchangeable, a label of a new one is held with at least the level. Predictions out of fold come from
models of four fifths of the labels; the head learns from all. So the level holds closely and not exactly (cross-
conformal: Barber et al. 2021, doi:10.1214/20-AOS1965), and what was measured is stated beside it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def place_quantile(scores: NDArray[np.float64], units: NDArray[np.int64], level: float) -> float:
    """The score that holds `level` of the labels of a new place.

    Of G places each weighs 1 / (G + 1), spread evenly over its labels; the new place itself weighs as much, at
    infinity.

    Parameters
    ----------
    scores : (n,) float64, how badly the truth of each label fits its prediction
    units : (n,) int64, the place of each label
    level : such as 0.9

    Returns
    -------
    the least score at which the weights below and at it reach the level; inf where there are too few places: 0.9 needs
    nine
    """
    if not len(scores):
        return math.inf
    _, unit, often = np.unique(units, return_inverse=True, return_counts=True)
    weights = 1 / often[unit.reshape(-1)] / (len(often) + 1)
    order = np.argsort(scores, kind="stable")
    # sums of shares may end a last digit below the level
    reached = np.cumsum(weights[order]) >= level - 1e-9
    return float(scores[order][reached.argmax()]) if reached.any() else math.inf


def held_quantiles(
    scores: NDArray[np.float64], units: NDArray[np.int64], folds: NDArray[np.int64], level: float
) -> NDArray[np.float64]:
    """(n,) for each label the quantile of the places of other folds: to measure what a set would hold."""
    out = np.empty(len(scores))
    for fold in np.unique(folds):
        others = folds != fold
        out[~others] = place_quantile(scores[others], units[others], level)
    return out


def abstention_threshold(
    confidence: NDArray[np.float32], right: NDArray[np.bool_], accuracy: float, *, least: int = 30
) -> float | None:
    """The lowest threshold of the highest probability above which predictions are right often enough.

    Parameters
    ----------
    confidence : (n,) float32, the highest probability of each label
    right : (n,) bool
    accuracy : that the labels at or above the threshold reach together
    least : labels that have to remain

    Returns
    -------
    0 where all together reach it; None where no threshold does
    """
    if not len(right):
        return None
    if right.mean() >= accuracy:
        return 0.0
    order = np.argsort(-confidence, kind="stable")
    falling = confidence[order]
    # a threshold keeps all labels of its probability
    last = np.append(falling[1:] < falling[:-1], True)
    count = np.arange(1, len(order) + 1)
    good = last & (count >= least) & (np.cumsum(right[order]) >= accuracy * count)
    return float(falling[np.flatnonzero(good)[-1]]) if good.any() else None
