"""Scores by place: intervals of those of pixels, and scores in which each place counts once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .scores import (
    CLASS_METRICS,
    NUMBER_METRICS,
    TIMES,
    group_weights,
    interval,
    score_by_group,
    score_classes,
    score_numbers,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

TOTALS = CLASS_METRICS[:3]
"""Scores of classes that a report has."""
NUMBER_TOTALS = NUMBER_METRICS[:3]


def place_scores(
    truth: NDArray[Any],
    predicted: NDArray[Any],
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
    truth, predicted : (N,) int64, 0 to `classes` - 1, of the tested pixels; float64 of numbers
    places : (N,) int64, what was held out together
    features : (N,) int64, the point or polygon that a pixel comes from
    classes : how many; 0 of numbers
    seed : of the bootstrap

    Returns
    -------
    plain values: the scores by name; "intervals", a score -> [low, high] at 95 %; "per_place": how many "places", each
    score as [mean, low, high] with the pixels of a place weighing one together; "per_feature", of classes: of the
    features of several pixels or more, how many there are, how many are "right" by the vote of their pixels (ties are
    wrong), and that share as [mean, low, high]; None where every feature is one pixel
    """
    numbers = np.unique(places, return_inverse=True)[1].reshape(-1).astype(np.int64)
    drawn = group_weights(numbers, TIMES, seed)
    score: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    if classes:
        # one row for all pixels of a place that were one class and taken for one class
        rows, often = np.unique((numbers * classes + truth) * classes + predicted, return_counts=True)
        place, was, said = rows // classes**2, rows // classes % classes, rows % classes

        def score(weights: NDArray[np.float64]) -> NDArray[np.float64]:
            return score_classes(was, said, weights, classes=classes)

    else:
        place, often = numbers, np.ones(len(numbers), dtype=np.int64)

        def score(weights: NDArray[np.float64]) -> NDArray[np.float64]:
            return score_numbers(truth, predicted, weights)

    names = TOTALS if classes else NUMBER_TOTALS
    even = often / np.bincount(numbers)[place]
    pixels, alone = (score_by_group(score, drawn, place, amount.astype(np.float64)) for amount in (often, even))
    return {
        **{name: _plain(pixels[0, k]) for k, name in enumerate(names)},
        "intervals": {name: _cell(pixels[:, k])[1:] for k, name in enumerate(names)},
        "per_place": {"places": drawn.shape[1], **{name: _cell(alone[:, k]) for k, name in enumerate(names)}},
        "per_feature": _votes(truth, predicted, numbers, features, drawn) if classes else None,
    }


def _votes(
    truth: NDArray[np.int64],
    predicted: NDArray[np.int64],
    places: NDArray[np.int64],
    features: NDArray[np.int64],
    weights: NDArray[np.float32],
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
    drawn = weights.astype(np.float64)
    shares = (drawn @ rights) / (drawn @ totals)
    return {"features": len(names), "largest": int(size.max()), "right": int(right.sum()), "accuracy": _cell(shares)}


def _cell(values: NDArray[np.float64]) -> list[float | None]:
    """The score, and the interval of its bootstrap samples behind it."""
    return [_plain(values[0]), *map(_plain, interval(values[1:]))]


def _plain(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
