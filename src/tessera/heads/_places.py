"""Scores by place: intervals of those of pixels, and scores in which each place counts once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TIMES = 400
"""Bootstrap samples of an interval."""
FEW_PLACES = 20
"""Tested places below which intervals are too narrow, as `tessera.evaluate` says it of groups."""
TOTALS = ("accuracy", "balanced_accuracy", "macro_f1")


def place_scores(
    truth: NDArray[np.int64],
    predicted: NDArray[np.int64],
    places: NDArray[np.int64],
    features: NDArray[np.int64],
    *,
    classes: int,
    seed: int,
) -> dict[str, Any]:
    """How sure scores of pixels are, and what they are where each place, or each feature, counts once.

    Labels of one place err together, so an interval draws whole places with replacement.

    Parameters
    ----------
    truth, predicted : (N,) int64, 0 to `classes` - 1, of the tested pixels
    places : (N,) int64, what was held out together
    features : (N,) int64, the point or polygon that a pixel comes from
    seed : of the bootstrap

    Returns
    -------
    plain values: "intervals", a score -> [low, high] at 95 %; "per_place": how many "places", each score as [mean, low,
    high] with the pixels of a place weighing one together; "per_feature": of the features of several pixels or more,
    how many there are, how many are "right" by the vote of their pixels (ties are wrong), and that share as [mean, low,
    high]; None where every feature is one pixel
    """
    numbers = np.unique(places, return_inverse=True)[1].reshape(-1)
    count = int(numbers.max()) + 1
    drawn = np.random.default_rng([seed, 91]).multinomial(count, np.full(count, 1 / count), size=TIMES)
    weights = np.concatenate([np.ones((1, count)), drawn])
    # one row for all pixels of a place that were one class and taken for one class
    key = (numbers * classes + truth) * classes + predicted
    rows, often = np.unique(key, return_counts=True)
    place, pair = rows // classes**2, rows % classes**2
    even = often / np.bincount(numbers)[place]
    pixels, alone = (_totals(weights, place, pair, amount, classes) for amount in (often, even))
    return {
        "intervals": {name: _interval(pixels[1:, k]) for k, name in enumerate(TOTALS)},
        "per_place": {"places": count, **{name: _cell(alone[:, k]) for k, name in enumerate(TOTALS)}},
        "per_feature": _votes(truth, predicted, numbers, features, weights),
    }


def _totals(
    weights: NDArray[np.float64], place: NDArray[np.int64], pair: NDArray[np.int64], amount: NDArray[Any], classes: int
) -> NDArray[np.float64]:
    """(B, 3): accuracy, balanced accuracy and macro-F1 under each row of weights of places."""
    out = np.empty((len(weights), len(TOTALS)))
    for index, row in enumerate(weights):
        matrix = np.bincount(pair, weights=row[place] * amount, minlength=classes**2).reshape(classes, classes)
        right, support, said = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
        occurs = support > 0
        recall = right[occurs] / support[occurs]
        f1 = 2 * right[occurs] / (support + said)[occurs]
        out[index] = right.sum() / matrix.sum(), recall.mean(), f1.mean()
    # sums of shares may end a last digit above 1
    return np.minimum(out, 1.0)


def _votes(
    truth: NDArray[np.int64],
    predicted: NDArray[np.int64],
    places: NDArray[np.int64],
    features: NDArray[np.int64],
    weights: NDArray[np.float64],
) -> dict[str, Any] | None:
    names, member, size = np.unique(features, return_inverse=True, return_counts=True)
    if len(names) == len(features):
        return None
    member = member.reshape(-1)
    classes = int(max(truth.max(), predicted.max())) + 1
    votes, often = np.unique(member * classes + predicted, return_counts=True)
    best = np.zeros(len(names), dtype=np.int64)
    np.maximum.at(best, votes // classes, often)
    tied = np.bincount(votes // classes, weights=often == best[votes // classes]) > 1
    first = np.zeros(len(names), dtype=np.int64)
    first[member[::-1]] = np.arange(len(member))[::-1]
    own = np.bincount(member, weights=predicted == truth[first][member], minlength=len(names))
    right = (own == best) & ~tied
    held = places[first]
    totals = np.bincount(held, minlength=weights.shape[1]).astype(np.float64)
    rights = np.bincount(held, weights=right, minlength=weights.shape[1])
    shares = (weights @ rights) / (weights @ totals)
    return {"features": len(names), "largest": int(size.max()), "right": int(right.sum()), "accuracy": _cell(shares)}


def _interval(values: NDArray[np.float64]) -> list[float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return [float(low), float(high)]


def _cell(values: NDArray[np.float64]) -> list[float]:
    """The score, and the interval of its bootstrap samples behind it."""
    return [float(values[0]), *_interval(values[1:])]
