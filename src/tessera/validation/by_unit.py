"""Scores with intervals over units, and scores in which each unit, or each group, counts once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .intervals import intervals, left_out
from .scores import CLASS_METRICS, NUMBER_METRICS, log_losses, score_by_group, score_classes, score_numbers, squares

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

TOTALS = CLASS_METRICS
"""Scores of classes that a report has."""
NUMBER_TOTALS = NUMBER_METRICS
EACH_ONCE = CLASS_METRICS[:3]
"""Scores of classes that are also given with each unit counting once."""
_FULL = 20_000
"""Labels up to which AUC gets an interval: it needs all of them in order, for each part that is left out."""


def unit_scores(
    truth: NDArray[Any],
    raw: NDArray[Any],
    units: NDArray[np.int64],
    groups: NDArray[np.int64],
    *,
    classes: int,
    seed: int,
    amount: NDArray[np.float64] | None = None,
) -> dict[str, Any]:
    """How sure scores of labels are, and what they are where each unit, or each group, counts once.

    Labels of one unit err together, so intervals leave out whole units (`intervals`).

    Parameters
    ----------
    truth : (N,) int64, 0 to `classes` - 1, of the tested labels; float64 of numbers
    raw : (N, K) probabilities, of which the highest is the prediction; (N,) numbers
    units : (N,) int64, what was held out together
    groups : (N,) int64, the point or polygon that a label comes from
    classes : how many; 0 of numbers
    seed : deals units to parts, where there are more than 200
    amount : (N,) how many labels each stands for; None: one

    Returns
    -------
    plain values: the scores by name; "intervals", a score -> [low, high] at 95 %; "per_unit": how many "units", and
    scores as [value, low, high] with the labels of a unit weighing one together; "per_group", of classes: of the groups
    of one class, how many there are, how many are "right" by the vote of their labels (ties are wrong), and that share
    as [value, low, high]; None where every group is one label, or none has one class
    """
    unit = np.unique(units, return_inverse=True)[1].reshape(-1).astype(np.int64)
    count, drawn = int(unit.max(initial=-1)) + 1, left_out(unit, seed)
    names = TOTALS if classes else NUMBER_TOTALS
    each = np.ones(len(truth)) if amount is None else amount
    even = each / np.bincount(unit, weights=each)[unit]
    if classes:
        every = _of_classes(truth, raw, unit, drawn, classes, each)
        once = score_by_group(_shares(truth, raw.argmax(axis=1), classes), drawn, unit, even)[:, : len(EACH_ONCE)]
    else:

        def score(weights: NDArray[np.float64]) -> NDArray[np.float64]:
            return score_numbers(truth, raw, weights)

        every, once = (score_by_group(score, drawn, unit, one) for one in (each, even))
    cells = intervals(every, names, count)
    named = EACH_ONCE if classes else names
    return {
        **{name: cell[0] for name, cell in zip(names, cells, strict=True)},
        "intervals": {name: cell[1:] for name, cell in zip(names, cells, strict=True)},
        "per_unit": {"units": count, **dict(zip(named, intervals(once, named, count), strict=True))},
        "per_group": _votes(truth, raw.argmax(axis=1), unit, groups, drawn) if classes else None,
    }


def _shares(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    return lambda weights: score_classes(truth, predicted, weights, classes=classes)


def _of_classes(
    truth: NDArray[np.int64],
    raw: NDArray[Any],
    unit: NDArray[np.int64],
    drawn: NDArray[np.float32],
    classes: int,
    amount: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(J + 1, 8) scores of `TOTALS` under the weights of units."""
    predicted = raw.argmax(axis=1)
    if len(truth) <= _FULL:
        return score_by_group(
            lambda weights: score_classes(truth, predicted, weights, classes=classes, probabilities=raw),
            drawn,
            unit,
            amount,
        )
    # one row for all labels of a unit that were one class and taken for one class
    rows, member = np.unique((unit * classes + truth) * classes + predicted, return_inverse=True)
    often = np.bincount(member.reshape(-1), weights=amount).astype(np.float64)
    of_unit, was, said = rows // classes**2, rows // classes % classes, rows % classes
    shares = score_by_group(_shares(was, said, classes), drawn, of_unit, often)
    once = amount[None]
    auc = np.full((len(drawn), 1), np.nan)
    place = TOTALS.index("auc")
    auc[0] = score_classes(truth, predicted, once, classes=classes, probabilities=raw)[0, place]
    weights = drawn.astype(np.float64)
    sums = [np.bincount(unit, weights=amount * values) for values in (log_losses(truth, raw), squares(truth, raw))]
    means = (weights @ np.column_stack(sums)) / (weights @ np.bincount(unit, weights=amount))[:, None]
    return np.column_stack([shares, auc, means])


def _votes(
    truth: NDArray[np.int64],
    predicted: NDArray[np.int64],
    units: NDArray[np.int64],
    groups: NDArray[np.int64],
    weights: NDArray[np.float32],
) -> dict[str, Any] | None:
    names, member, size = np.unique(groups, return_inverse=True, return_counts=True)
    if len(names) == len(groups):
        return None
    # one vote cannot be right for two classes
    member = member.reshape(-1)
    low, high = np.full(len(names), truth.max()), np.zeros(len(names), dtype=np.int64)
    np.minimum.at(low, member, truth)
    np.maximum.at(high, member, truth)
    if (low != high).any():
        alone = (low == high)[member]
        if not alone.any():
            return None
        return _votes(truth[alone], predicted[alone], units[alone], groups[alone], weights)
    classes = int(max(truth.max(), predicted.max())) + 1
    votes, often = np.unique(member * classes + predicted, return_counts=True)
    best = np.zeros(len(names), dtype=np.int64)
    np.maximum.at(best, votes // classes, often)
    tied = np.bincount(votes // classes, weights=often == best[votes // classes]) > 1
    first = np.zeros(len(names), dtype=np.int64)
    first[member[::-1]] = np.arange(len(member))[::-1]
    own = np.bincount(member, weights=predicted == truth[first][member], minlength=len(names))
    right = (own == best) & ~tied
    held = units[first]
    totals = np.bincount(held, minlength=weights.shape[1]).astype(np.float64)
    rights = np.bincount(held, weights=right, minlength=weights.shape[1])
    drawn = weights.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = (drawn @ rights) / (drawn @ totals)
    cell = intervals(shares[:, None], ("accuracy",), int((totals > 0).sum()))[0]
    return {"groups": len(names), "largest": int(size.max()), "right": int(right.sum()), "accuracy": cell}
