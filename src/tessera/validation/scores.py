"""How well predictions agree with the truth: one set of metrics, each also under bootstrap weights of whole groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

CLASS_METRICS = ("balanced_accuracy", "macro_f1", "accuracy", "mean_iou", "kappa", "auc", "log_loss", "brier")
"""Scores of classes; those from `auc` on need probabilities."""
NUMBER_METRICS = ("r2", "rmse", "mae", "bias")
LOWER_IS_BETTER = ("rmse", "mae", "log_loss", "brier")
UNRANKED = ("bias",)
"""Scores of which neither more nor less is better."""
METRIC_NAMES = {
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "accuracy": "accuracy",
    "mean_iou": "mean IoU",
    "kappa": "Cohen's kappa",
    "auc": "AUC",
    "log_loss": "log loss",
    "brier": "Brier score",
    "r2": "R2",
    "rmse": "RMSE",
    "mae": "MAE",
    "bias": "bias",
}
"""How a report calls them."""
TIMES = 400
"""Bootstrap samples of an interval."""
FLOOR = 1e-6
"""A probability below this counts as this much: a class that a forest gives 0 can still be the truth."""
_WEIGHTS = 4_000_000
"""Weights of tested labels held at once: 32 MB."""


@dataclass(frozen=True)
class Scores:
    """Agreement of a prediction with the truth, from 0 to 1; kappa from -1.

    Attributes
    ----------
    accuracy : share of right predictions
    balanced_accuracy : mean recall over the classes that occur in the truth
    macro_f1 : mean F1 over the classes that occur in the truth
    mean_iou : mean intersection over union (Jaccard index) over the classes that occur in the truth
    kappa : Cohen's: agreement beyond that of the same shares at random; NaN where one class is all there is
    precision, recall, f1, iou : (K,) float64; 0 where nothing was predicted, or where the class does not occur
    support : (K,) int64, how often each class occurs in the truth
    """

    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    mean_iou: float
    kappa: float
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    iou: NDArray[np.float64]
    support: NDArray[np.int64]


def confusion(truth: ArrayLike, predicted: ArrayLike, classes: Sequence[Any] | int) -> NDArray[np.int64]:
    """Count how often each class was taken for which.

    Parameters
    ----------
    truth, predicted : (N,) class names out of `classes`, or indices where `classes` is their number
    classes : the class names, or how many there are

    Returns
    -------
    (K, K) int64; rows are the truth, columns the prediction

    Raises
    ------
    InputError
        The two differ in length, or hold something that is no class.
    """
    count = classes if isinstance(classes, int) else len(classes)
    pair = []
    for values, what in ((np.asarray(truth), "truth"), (np.asarray(predicted), "prediction")):
        if values.ndim != 1:
            raise InputError(f"{what} of shape {values.shape}; expected (N,)")
        pair.append(_indices(values, classes, what))
    if len(pair[0]) != len(pair[1]):
        raise InputError(f"{len(pair[0])} values of truth and {len(pair[1])} of prediction; expected as many")
    return np.bincount(pair[0] * count + pair[1], minlength=count * count).reshape(count, count).astype(np.int64)


def _indices(values: NDArray[Any], classes: Sequence[Any] | int, what: str) -> NDArray[np.int64]:
    if isinstance(classes, int):
        if values.size and (values.dtype.kind not in "iu" or values.min() < 0 or values.max() >= classes):
            raise InputError(f"{what} with values outside 0 to {classes - 1}; expected class indices")
        return values.astype(np.int64)
    place = {name: index for index, name in enumerate(classes)}
    try:
        return np.array([place[value] for value in values.tolist()], dtype=np.int64)
    except KeyError as error:
        raise InputError(f"{what} holds {error}; expected one of {', '.join(map(str, classes))}") from None


def scores(matrix: NDArray[np.int64]) -> Scores:
    """The scores of a confusion matrix.

    Parameters
    ----------
    matrix : (K, K) as `confusion` returns it

    Raises
    ------
    InputError
        It is not square, or counts nothing.
    """
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InputError(f"confusion matrix of shape {matrix.shape}; expected a square")
    if not matrix.sum():
        raise InputError("a confusion matrix that counts nothing; expected at least one prediction")
    support, said, right = matrix.sum(axis=1), matrix.sum(axis=0), np.diag(matrix)
    means, shares = _class_scores(*(array[None].astype(np.float64) for array in (support, said, right)))
    balanced, macro, accuracy, iou, kappa = map(float, means[0])
    precision, recall, f1, each = (share[0] for share in shares)
    return Scores(accuracy, balanced, macro, iou, kappa, precision, recall, f1, each, support.astype(np.int64))


def _class_scores(
    support: NDArray[np.float64], said: NDArray[np.float64], right: NDArray[np.float64]
) -> tuple[NDArray[np.float64], tuple[NDArray[np.float64], ...]]:
    """(B, K) weights each -> (B, 5) the scores of `CLASS_METRICS` before AUC; (B, K) precision, recall, F1 and IoU."""
    recall, precision, f1, iou = (
        np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
        for part, whole in (
            (right, support),
            (right, said),
            (2 * right, support + said),
            (right, support + said - right),
        )
    )
    occurs = support > 0
    balanced, macro, mean_iou = (_mean(np.where(occurs, values, np.nan)) for values in (recall, f1, iou))
    total = support.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        accuracy = right.sum(axis=1) / total
        chance = (support * said).sum(axis=1) / total**2
        kappa = np.where(chance < 1 - 1e-12, (accuracy - chance) / (1 - chance), np.nan)
    # sums of shares may end a last digit above 1
    means = np.minimum(np.column_stack([balanced, macro, accuracy, mean_iou, kappa]), 1.0)
    return means, (precision, recall, f1, iou)


def score_classes(
    truth: NDArray[np.int64],
    predicted: NDArray[np.int64],
    weights: NDArray[np.float64],
    *,
    classes: int,
    probabilities: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """The scores of `CLASS_METRICS`, means of classes over those that weigh something in the truth.

    Parameters
    ----------
    truth, predicted : (N,) int64, 0 to K - 1
    weights : (B, N), how much each label counts
    classes : K
    probabilities : (N, K); AUC is that of class 1 of two, else the mean over classes of one against the rest; log loss
        takes probabilities as at least 1e-6; the Brier score is the squared distance, summed over classes. None: no
        AUC, log loss and Brier score

    Returns
    -------
    (B, 8) float64, or (B, 5) without probabilities; NaN where nothing weighs, where an AUC has one side only, and
    kappa where one class is all there is
    """

    def summed(index: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.stack([weights[:, index == k].sum(axis=1) for k in range(classes)], axis=1)

    found, _ = _class_scores(summed(truth), summed(predicted), summed(np.where(truth == predicted, truth, -1)))
    if probabilities is None:
        return found
    columns = [1] if classes == 2 else range(classes)
    areas = np.stack([_auc(truth == k, probabilities[:, k], weights) for k in columns], axis=1)
    total = weights.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        loss, square = (
            weights @ values / total for values in (log_losses(truth, probabilities), squares(truth, probabilities))
        )
    return np.column_stack([found, _mean(areas), loss, square])


def log_losses(truth: NDArray[np.int64], probabilities: NDArray[Any]) -> NDArray[np.float64]:
    """(n,) -log of the probability of the true class, at least `FLOOR`."""
    of_truth = probabilities[np.arange(len(truth)), truth].astype(np.float64)
    out: NDArray[np.float64] = -np.log(np.clip(of_truth, FLOOR, 1.0))
    return out


def squares(truth: NDArray[np.int64], probabilities: NDArray[Any]) -> NDArray[np.float64]:
    """(n,) Brier score of each label: squared distance of its probabilities to those of the truth, 0 to 2."""
    gap = probabilities.astype(np.float64)
    gap[np.arange(len(truth)), truth] -= 1
    out: NDArray[np.float64] = (gap**2).sum(axis=1)
    return out


def score_numbers(
    truth: NDArray[np.float64], predicted: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """R2, RMSE, MAE and bias (mean of predicted less true) under each row of weights: (N,), (N,), (B, N) -> (B, 4).

    NaN where they are undefined.
    """
    total = weights.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = weights @ truth / total
        squared = weights @ (truth - predicted) ** 2
        spread = weights @ truth**2 - total * mean**2
        r2 = np.where(spread > 1e-12 * np.maximum(1.0, total * mean**2), 1 - squared / spread, np.nan)
        rmse, mae = np.sqrt(squared / total), weights @ np.abs(truth - predicted) / total
        bias = weights @ (predicted - truth) / total
    return np.column_stack([r2, rmse, mae, bias])


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the last axis of what is not NaN; NaN where nothing is left."""
    good = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        out: NDArray[np.float64] = np.where(good, values, 0).sum(axis=-1) / good.sum(axis=-1)
    return out


def _auc(positive: NDArray[np.bool_], score: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(B,) chance that a positive has the higher score; half where they tie."""
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.concatenate([[True], np.diff(score[order]) > 0]))
    of_positive, of_negative = (
        np.add.reduceat(weights[:, order] * side[order], starts, axis=1) for side in (positive, ~positive)
    )
    below = np.cumsum(of_negative, axis=1) - of_negative
    pairs = of_positive.sum(axis=1) * of_negative.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        out: NDArray[np.float64] = (of_positive * (below + of_negative / 2)).sum(axis=1) / np.where(
            pairs > 0, pairs, np.nan
        )
    return out


def group_weights(group: NDArray[np.int64], times: int, seed: int) -> NDArray[np.float32]:
    """(B + 1, G) how often each group 0 to G - 1 counts: once, then as each of B bootstrap samples draws it."""
    count = int(group.max(initial=-1)) + 1
    drawn = np.random.default_rng([seed, 77]).multinomial(count, np.full(count, 1 / max(1, count)), size=times)
    return np.concatenate([np.ones((1, count)), drawn]).astype(np.float32)


def score_by_group(
    score: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    drawn: NDArray[np.float32],
    group: NDArray[np.int64],
    amount: NDArray[np.float64] | float = 1.0,
) -> NDArray[np.float64]:
    """Score labels under weights of their groups, a few rows at a time: what lies together varies together.

    Parameters
    ----------
    score : (b, N) weights -> (b, M) scores
    drawn : (B, G) weights of groups
    group : (N,) the group of each label
    amount : (N,) or one number, what a label weighs where its group counts once

    Returns
    -------
    (B, M) float64
    """
    parts = max(1, -(-len(drawn) * len(group) // _WEIGHTS))
    return np.concatenate(
        [score(rows[:, group].astype(np.float64) * amount) for rows in np.array_split(drawn, min(parts, len(drawn)))]
    )


def bootstrap(scores: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """(B,) mean over draws of each bootstrap sample, in which draws are drawn too: (R, B) -> (B,)."""
    draws, times = scores.shape
    chosen = np.random.default_rng([seed, 78]).integers(0, draws, (draws, times))
    return _mean(np.take_along_axis(scores, chosen, axis=0).T)


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Percentiles that hold 95 % of a bootstrap's values; NaN where there are none."""
    good = values[np.isfinite(values)]
    if not len(good):
        return float("nan"), float("nan")
    low, high = np.quantile(good, [(1 - 0.95) / 2, (1 + 0.95) / 2])
    return float(low), float(high)
