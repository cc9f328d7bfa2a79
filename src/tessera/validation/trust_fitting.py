"""Learn a `Trust` from predictions out of fold, and measure what it holds on folds that it did not learn from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError
from tessera.labels import bins_of, make_folds

from .calibration import fit_calibration, reliability
from .conformal import abstention_threshold, held_quantiles, place_quantile
from .intervals import intervals, left_out
from .scores import log_losses, squares
from .trust import ACCURACY, LEVEL, Trust, nonconformity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FLATTERED = {
    "random": "measured by a random split: neighbours of what was learnt are tested, so calibration, coverage and "
    "accuracy are flattered; on new land fewer sets and intervals hold",
    "group": "measured by whole groups without regard to their distance: where groups lie close together, "
    "calibration, coverage and accuracy are those of land near labels; on new land fewer sets and intervals hold",
}
"""What to say beside calibration, coverage and abstention that such a split measured."""
_LEAST = 10
"""Labels of a class below which its coverage says nothing."""
_RANGES = 5
_LEAST_OF_RANGE = 30
"""Ranges of predictions that get an error of their own, and the labels that each needs."""
_NARROWER = 0.95
"""Errors of their own are taken where they make intervals as narrow as this part of the others, or narrower."""


def fit_trust(
    truth: NDArray[Any],
    raw: NDArray[Any],
    units: NDArray[np.int64],
    classes: Sequence[str] = (),
    *,
    places: NDArray[np.int64] | None = None,
    level: float = LEVEL,
    accuracy: float = ACCURACY,
    seed: int = 0,
) -> tuple[Trust, dict[str, Any]]:
    """Learn calibration, conformal quantile and abstention from predictions out of fold, and measure each.

    What is measured was learnt on other folds, dealt by `units`; what is returned is learnt on all.

    Parameters
    ----------
    truth : (n,) int64, 0 to K - 1; float64 of numbers
    raw : (n, K) probabilities, or (n,) numbers, of models that had not met the labels' units
    units : (n,) int64, what was held out together
    classes : K names; () of numbers
    places : (n,) int64, the place of each label, such as its polygon; each label is one if None
    level : share of labels of new units that sets and intervals are to hold
    accuracy : that what is kept is to reach where a map abstains
    seed : deals units to folds, and draws them in bootstraps

    Returns
    -------
    the trust, and plain values: "calibration", "conformal", "abstention" (see docs/validation.md) and "notes"

    Raises
    ------
    InputError
        No label, or arrays that do not fit each other.
    """
    shape = (len(truth), len(classes)) if classes else (len(truth),)
    if not len(truth) or raw.shape != shape or units.shape != (len(truth),):
        raise InputError(
            f"predictions {raw.shape} and units {units.shape} of {len(truth)} labels; expected {shape}, of at least one"
        )
    if classes:
        return _of_classes(truth, raw, units, classes, places, level, accuracy, seed)
    return _of_numbers(truth.astype(np.float64), raw.astype(np.float64), units, level, accuracy, seed)


def _of_classes(
    truth: NDArray[np.int64],
    raw: NDArray[Any],
    units: NDArray[np.int64],
    classes: Sequence[str],
    places: NDArray[np.int64] | None,
    level: float,
    accuracy: float,
    seed: int,
) -> tuple[Trust, dict[str, Any]]:
    calibration, made, why = fit_calibration(truth, raw, units, places=places, seed=seed)
    folds = make_folds(truth, units, seed=seed)
    scores = nonconformity(made)[np.arange(len(truth)), truth]
    right, confidence = raw.argmax(axis=1) == truth, made.max(axis=1)
    quantile = place_quantile(scores, units, level)
    threshold = abstention_threshold(confidence, right, accuracy)
    trust = Trust(calibration, level, quantile, threshold=threshold or 0.0, accuracy=accuracy)
    sets = np.zeros(made.shape, dtype=np.bool_)
    kept = np.full(len(truth), threshold is None)
    for fold in np.unique(folds):
        own, others = folds == fold, folds != fold
        there = Trust(calibration, level, place_quantile(scores[others], units[others], level), threshold=0.0)
        sets[own] = there.sets(made[own])
        least = abstention_threshold(confidence[others], right[others], accuracy)
        if threshold is not None and least is not None:
            kept[own] = confidence[own] >= np.float32(least)
    held = sets[np.arange(len(truth)), truth]
    before, after = (reliability(truth, p, units, seed=seed) for p in (raw, made))
    losses = [_mean(log_losses(truth, p), units, seed, name="log_loss") for p in (raw, made)]
    square = [_mean(squares(truth, p), units, seed, name="brier") for p in (raw, made)]
    kept_share, reached = (
        _mean(kept.astype(np.float64), units, seed),
        _mean(right.astype(np.float64), units, seed, kept),
    )
    return trust, {
        "calibration": {
            "method": calibration.method,
            "why": why,
            "temperature": calibration.temperature,
            "error": _cell(before.error, before.interval),
            "error_calibrated": _cell(after.error, after.interval),
            "log_loss": losses[0],
            "log_loss_calibrated": losses[1],
            "brier": square[0],
            "brier_calibrated": square[1],
            "bins": before.to_json(),
            "bins_calibrated": after.to_json(),
        },
        "conformal": {
            **_coverage(held, units, level, quantile, seed),
            "size": float(sets.sum(axis=1).mean()),
            "single": float((sets.sum(axis=1) == 1).mean()),
            "per_class": {
                name: float(held[truth == index].mean()) if (truth == index).sum() >= _LEAST else None
                for index, name in enumerate(classes)
            },
        },
        "abstention": {"accuracy": accuracy, "threshold": threshold, "kept": kept_share, "reached": reached},
        "notes": ([f"probabilities are not calibrated: {why}"] if why else [])
        + _notes(quantile, units, level)
        + ([f"no threshold makes {accuracy:.0%} of the rest right: nothing abstains"] if threshold is None else []),
    }


def _of_numbers(
    truth: NDArray[np.float64],
    predicted: NDArray[np.float64],
    units: NDArray[np.int64],
    level: float,
    accuracy: float,
    seed: int,
) -> tuple[Trust, dict[str, Any]]:
    folds = make_folds(bins_of(truth), units, seed=seed)
    error = np.abs(truth - predicted)
    every = np.ones(len(truth))
    own = np.empty(len(truth))
    for fold in np.unique(folds):
        others = folds != fold
        spread = _spread(predicted[others], error[others])
        own[~others] = 1.0 if spread is None else np.interp(predicted[~others], *spread)
    spread = _spread(predicted, error)
    half = held_quantiles(error, units, folds, level)
    if spread is not None:
        narrow = held_quantiles(error / own, units, folds, level) * own
        if math.isfinite(half.mean()) and narrow.mean() <= _NARROWER * half.mean():
            half, every = narrow, own
        else:
            spread = None
    quantile = place_quantile(error / every, units, level)
    trust = Trust(None, level, quantile, spread, accuracy=accuracy)
    width = float(2 * half.mean())
    return trust, {
        "calibration": None,
        "conformal": {
            **_coverage(error <= half, units, level, quantile, seed),
            "size": width if math.isfinite(width) else None,
            "normalised": spread is not None,
        },
        "abstention": None,
        "notes": _notes(quantile, units, level),
    }


def _spread(
    predicted: NDArray[np.float64], error: NDArray[np.float64]
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """The mean error in ranges of the prediction, at the median of each; None where labels are too few."""
    ranges = min(_RANGES, len(predicted) // _LEAST_OF_RANGE)
    least = 0.1 * float(error.mean()) if len(error) else 0.0
    if ranges < 2 or not least > 0:
        return None
    parts = np.array_split(np.argsort(predicted, kind="stable"), ranges)
    points = {float(np.median(predicted[part])): max(least, float(error[part].mean())) for part in parts}
    return tuple(points), tuple(points.values())


def _coverage(
    held: NDArray[np.bool_], units: NDArray[np.int64], level: float, quantile: float, seed: int
) -> dict[str, Any]:
    """Share of labels held, and the same where each unit counts once."""
    often = np.unique(units, return_inverse=True, return_counts=True)
    even = 1 / often[2][often[1].reshape(-1)]
    return {
        "level": level,
        "quantile": quantile if math.isfinite(quantile) else None,
        "coverage": _mean(held.astype(np.float64), units, seed),
        "by_group": _mean(held.astype(np.float64), units, seed, even),
    }


def _mean(
    values: NDArray[np.float64],
    units: NDArray[np.int64],
    seed: int,
    weights: NDArray[Any] | None = None,
    *,
    name: str = "coverage",
) -> list[float | None]:
    """The weighted mean and its 95 % interval over units; `name` says whether it is a share, as in `intervals`."""
    unit = np.unique(units, return_inverse=True)[1].reshape(-1).astype(np.int64)
    amount = np.ones(len(values)) if weights is None else weights.astype(np.float64)
    rows = left_out(unit, seed).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (rows @ np.bincount(unit, weights=values * amount)) / (rows @ np.bincount(unit, weights=amount))
    return intervals(means[:, None], (name,), rows.shape[1])[0]


def _cell(value: float, ends: tuple[float, float]) -> list[float | None]:
    return [one if math.isfinite(one) else None for one in (value, *ends)]


def _notes(quantile: float, units: NDArray[np.int64], level: float) -> list[str]:
    if math.isfinite(quantile):
        return []
    count, needed = len(np.unique(units)), math.ceil(level / (1 - level) - 1e-9)
    return [
        f"{count} places are too few for sets and intervals at {level:.0%}, which need {needed}: they exclude nothing"
    ]
