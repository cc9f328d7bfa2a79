"""Scores of predictions, each also under bootstrap weights of the tested groups, all weights at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLASS_METRICS = ("balanced_accuracy", "macro_f1", "auc")
NUMBER_METRICS = ("r2", "rmse")
LOWER_IS_BETTER = ("rmse",)


def score_classes(
    truth: NDArray[np.int64],
    predicted: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Balanced accuracy, macro-F1 and AUC, each over the classes that weigh something in the truth.

    Parameters
    ----------
    truth, predicted : (N,) int64, 0 to K - 1
    probabilities : (N, K); AUC is that of class 1 of two, else the mean over classes of one against the rest
    weights : (B, N), how often each label counts

    Returns
    -------
    (B, 3) float64; NaN where nothing weighs, and where an AUC has one side only
    """
    classes = probabilities.shape[1]

    def summed(index: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.stack([weights[:, index == k].sum(axis=1) for k in range(classes)], axis=1)

    support, said = summed(truth), summed(predicted)
    right = summed(np.where(truth == predicted, truth, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        occurs = np.where(support > 0, 1.0, np.nan)
        recall, f1 = right / support * occurs, 2 * right / (support + said) * occurs
    columns = [1] if classes == 2 else range(classes)
    areas = np.stack([_auc(truth == k, probabilities[:, k], weights) for k in columns], axis=1)
    return np.column_stack([_mean(recall), _mean(f1), _mean(areas)])


def score_numbers(
    truth: NDArray[np.float64], predicted: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """R2 and RMSE under each row of weights: (N,), (N,), (B, N) -> (B, 2); NaN where they are undefined."""
    total = weights.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = weights @ truth / total
        squares = weights @ (truth - predicted) ** 2
        spread = weights @ truth**2 - total * mean**2
        r2 = np.where(spread > 1e-12 * np.maximum(1.0, total * mean**2), 1 - squares / spread, np.nan)
        rmse = np.sqrt(squares / total)
    return np.column_stack([r2, rmse])


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
    """(B, G) how often each group 0 to G - 1 is drawn in each of B bootstrap samples of as many groups."""
    count = int(group.max(initial=-1)) + 1
    drawn = np.random.default_rng([seed, 77]).multinomial(count, np.full(count, 1 / max(1, count)), size=times)
    return drawn.astype(np.float32)


def bootstrap(scores: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """(B,) mean over draws of each bootstrap sample, in which draws are drawn too: (R, B) -> (B,)."""
    draws, times = scores.shape
    chosen = np.random.default_rng([seed, 78]).integers(0, draws, (draws, times))
    return _mean(np.take_along_axis(scores, chosen, axis=0).T)


def interval(values: NDArray[np.float64], level: float = 0.95) -> tuple[float, float]:
    """Percentiles that hold `level` of a bootstrap's values; NaN where there are none."""
    good = values[np.isfinite(values)]
    if not len(good):
        return float("nan"), float("nan")
    low, high = np.quantile(good, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
