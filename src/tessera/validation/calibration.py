"""Calibration: class probabilities that hold as often as they say, learnt from predictions out of fold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, shown
from tessera.labels import make_folds

from ._plain import numbers_of, object_of
from .intervals import intervals, left_out, plain
from .scores import FLOOR, log_losses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

METHODS = ("none", "temperature", "isotonic")
"""Ways to calibrate, the simplest first."""
BINS = 10
"""Bins of a reliability curve."""
_MOST_KNOTS = 1000
_MOST_CLASSES = 255
_LEAST_UNITS = 5
_LEAST_OF_TEMPERATURE = 30
_LEAST_OF_CURVES = 1000
_LEAST_OF_CLASS = 20
"""Places below which a class keeps its raw probabilities in an isotonic calibration."""
_CURVE_BINS = 100
_LEAST_TEMPERATURE, _MOST_TEMPERATURE = 0.05, 20.0
"""Ends of the search: where it stops at one, the labels do not limit how sure probabilities may become."""
_LABELS_OF_TEMPERATURE = 20_000
"""Labels, evenly out of all, that one number is learnt from."""


@dataclass(frozen=True)
class Calibration:
    """A map from the probabilities of a learner to probabilities that hold as often as they say.

    Attributes
    ----------
    method : "none", "temperature" or "isotonic"
    temperature : of "temperature": probabilities are raised to the power of 1 / temperature and scaled to a sum of 1;
        above 1 they come closer together
    curves : of "isotonic": for each class the points of a rising curve, (raw probabilities, calibrated ones), between
        which it is straight; the results are scaled to a sum of 1
    """

    method: str = "none"
    temperature: float = 1.0
    curves: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...] = ()

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"calibration {shown(self.method)}; expected one of {', '.join(METHODS)}")
        if not 1e-3 <= self.temperature <= 1e3:
            raise InputError(f"temperature {self.temperature!r}; expected 0.001 to 1000")
        if (self.method == "isotonic") != bool(self.curves) or len(self.curves) > _MOST_CLASSES:
            raise InputError(
                f"{len(self.curves)} curves of calibration {self.method}; expected one a class if isotonic"
            )
        for raw, made in self.curves:
            rising = all(a < b for a, b in pairwise(raw))
            rising &= all(a <= b for a, b in pairwise(made))
            within = all(0 <= one <= 1 for one in (*raw, *made))
            if not rising or not within or not 1 <= len(raw) == len(made) <= _MOST_KNOTS:
                raise InputError("a curve of calibration that does not rise from 0 to 1")

    def apply(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """Calibrate probabilities.

        Parameters
        ----------
        raw : (n, K) probabilities of a learner

        Returns
        -------
        (n, K) float32, rows with a sum of 1; NaN where a row is not finite

        Raises
        ------
        InputError
            An isotonic calibration of another number of classes.
        """
        given = np.asarray(raw)
        if self.method == "none":
            return given.astype(np.float32)
        if self.method == "temperature":
            logits = np.log(np.maximum(given, FLOOR).astype(np.float64)) / self.temperature
            grown = np.exp(logits - logits.max(axis=1, keepdims=True))
        else:
            if given.shape[1] != len(self.curves):
                raise InputError(f"probabilities of {given.shape[1]} classes; expected {len(self.curves)}")
            columns = zip(given.astype(np.float64).T, self.curves, strict=True)
            grown = np.maximum(np.stack([np.interp(column, *curve) for column, curve in columns], axis=1), FLOOR)
            grown[~np.isfinite(given).all(axis=1)] = np.nan
        out: NDArray[np.float32] = (grown / grown.sum(axis=1, keepdims=True)).astype(np.float32)
        return out

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        curves = [[list(raw), list(made)] for raw, made in self.curves]
        return {"method": self.method, "temperature": self.temperature, "curves": curves}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Calibration:
        """What `to_json` gave.

        Raises
        ------
        InputError
            Values that no calibration has.
        """
        method, temperature, curves = object_of(value, ("method", "temperature", "curves"), "calibration")
        if not isinstance(method, str) or not isinstance(curves, list) or len(curves) > _MOST_CLASSES:
            raise InputError(f"calibration {shown(method)} with curves that are no list; expected a method and a list")
        pairs = []
        for curve in curves:
            if not isinstance(curve, list) or len(curve) != 2:
                raise InputError("a curve of calibration that is no pair of lists")
            raw, made = (numbers_of(side, "curve of calibration", most=_MOST_KNOTS) for side in curve)
            pairs.append((raw, made))
        return cls(method, numbers_of([temperature], "temperature")[0], tuple(pairs))


@dataclass(frozen=True)
class Reliability:
    """How often predictions are right, by how probable they were called.

    Attributes
    ----------
    edges : (B + 1,) borders of the bins of the highest probability, each with its upper border
    labels : (B,) int64, labels of each bin
    confidence, accuracy : (B,) float64, mean highest probability, and share of right predictions; NaN without labels
    low, high : (B,) float64, 95 % interval of the accuracy, over groups
    error : expected calibration error: mean distance of confidence and accuracy, weighted by labels
    interval : 95 % interval of the error, over groups
    """

    edges: NDArray[np.float64]
    labels: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    error: float
    interval: tuple[float, float]

    def to_json(self) -> list[dict[str, Any]]:
        """A row for each bin that has labels."""
        columns = (self.edges[:-1], self.edges[1:], self.confidence, self.accuracy, self.low, self.high)
        names = ("low", "high", "confidence", "accuracy", "accuracy_low", "accuracy_high")
        return [
            {"labels": int(count), **{name: plain(one) for name, one in zip(names, row, strict=True)}}
            for count, *row in zip(self.labels, *columns, strict=True)
            if count
        ]


def reliability(
    truth: NDArray[np.int64],
    probabilities: NDArray[Any],
    units: NDArray[np.int64],
    *,
    bins: int = BINS,
    seed: int = 0,
) -> Reliability:
    """Compare the highest probability with how often its class is right, in bins of equal width (Guo et al. 2017).

    Parameters
    ----------
    truth : (n,) int64, 0 to K - 1
    probabilities : (n, K), finite
    units : (n,) int64, what counts as one in the intervals
    bins : how many; of few labels the error of many bins is large by chance alone
    seed : deals units to parts where there are very many
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = (probabilities.argmax(axis=1) == truth).astype(np.float64)
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    unit = np.unique(units, return_inverse=True)[1].reshape(-1)
    table = np.zeros((int(unit.max(initial=-1)) + 1, 3, bins))
    for row, amount in enumerate((np.ones(len(truth)), confidence, right)):
        np.add.at(table[:, row], (unit, place), amount)
    rows = left_out(unit.astype(np.int64), seed).astype(np.float64)
    drawn = np.tensordot(rows, table, axes=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = drawn[:, 1:] / drawn[:, :1]
        errors = np.nansum(drawn[:, 0] * np.abs(means[:, 0] - means[:, 1]), axis=1) / drawn[:, 0].sum(axis=1)
    within = (table[:, 0] > 0).sum(axis=0).tolist()
    held = [intervals(means[:, 1, [k]], ("accuracy",), within[k])[0] for k in range(bins)]
    ends = np.array([[np.nan if one is None else one for one in row[1:]] for row in held])
    low, high = (np.nan if one is None else one for one in intervals(errors[:, None], ("error",), rows.shape[1])[0][1:])
    return Reliability(
        np.linspace(0, 1, bins + 1),
        table[:, 0].sum(axis=0).astype(np.int64),
        means[0, 0],
        means[0, 1],
        ends[:, 0],
        ends[:, 1],
        float(errors[0]),
        (low, high),
    )


def fit_calibration(
    truth: NDArray[np.int64],
    raw: NDArray[Any],
    units: NDArray[np.int64],
    *,
    places: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> tuple[Calibration, NDArray[np.float32], str]:
    """Choose and fit a calibration on predictions out of fold.

    The labels are dealt to five folds by `units`. Each method is fitted on four and scored on the fifth. A method is
    taken in place of a simpler one if it lowers the log loss by more than one standard error of the difference over
    units; so what is returned is not worse than the raw probabilities, up to chance. Temperature needs 30 places,
    isotonic curves 1,000 (Niculescu-Mizil and Caruana 2005, doi:10.1145/1102351.1102430), both five units. Pixels of
    one place are one place. A temperature at an end of the search, on all labels or on those of some folds, is refused.

    Parameters
    ----------
    truth : (n,) int64, 0 to K - 1
    raw : (n, K) probabilities that a model gave which had not met the labels' units
    units : (n,) int64, what was held out together
    places : (n,) int64, the place of each label, such as its polygon; each label is one if None
    seed : deals units to folds

    Returns
    -------
    the calibration, fitted on all; (n, K) float32, each label calibrated by what was fitted on other folds; and why
    there is no calibration, "" where there is one
    """
    folds = make_folds(truth, units, seed=seed)
    chosen, best = Calibration(), Calibration().apply(raw)
    parts, own = len(np.unique(units)), np.arange(len(truth)) if places is None else places
    count = len(np.unique(own))
    if parts < _LEAST_UNITS:
        return chosen, best, f"the labels lie in {parts} blocks, and calibration needs {_LEAST_UNITS}"
    if count < _LEAST_OF_TEMPERATURE:
        return chosen, best, f"there are {count} tested places, and calibration needs {_LEAST_OF_TEMPERATURE}"
    why = "no calibration made them better on folds that it had not learnt from"
    for fit, least in ((_temperature, _LEAST_OF_TEMPERATURE), (_isotonic, _LEAST_OF_CURVES)):
        if count < least:
            break
        made, ended = np.empty_like(best), False
        for fold in np.unique(folds):
            there = fit(truth[folds != fold], raw[folds != fold], own[folds != fold])
            ended |= _at_an_end(there)
            made[folds == fold] = there.apply(raw[folds == fold])
        whole = fit(truth, raw, own)
        if ended or _at_an_end(whole):
            why = (
                f"the temperature would lie at an end of its search ({_LEAST_TEMPERATURE:g} to {_MOST_TEMPERATURE:g}), "
                f"so {count:,} places do not show how sure the probabilities may be"
            )
        elif _is_lower(log_losses(truth, made), log_losses(truth, best), units):
            chosen, best = whole, made
    return chosen, best, why if chosen.method == "none" else ""


def _at_an_end(found: Calibration) -> bool:
    """Whether the search for a temperature stopped at one of its ends."""
    if found.method != "temperature":
        return False
    return not _LEAST_TEMPERATURE * 1.01 < found.temperature < _MOST_TEMPERATURE / 1.01


def _is_lower(first: NDArray[np.float64], second: NDArray[np.float64], units: NDArray[np.int64]) -> bool:
    """Whether the mean of the first is lower by more than one standard error of the difference over units."""
    gain = second - first
    mean = float(gain.mean())
    unit = np.unique(units, return_inverse=True)[1].reshape(-1)
    sums = np.bincount(unit, weights=gain - mean)
    return mean > math.sqrt(len(sums) / (len(sums) - 1) * float((sums**2).sum())) / len(gain)


def _temperature(truth: NDArray[np.int64], raw: NDArray[Any], _: NDArray[np.int64]) -> Calibration:
    """The temperature of the lowest log loss, by golden section: the loss has one low along its logarithm."""
    every = -(-len(truth) // _LABELS_OF_TEMPERATURE)
    truth, raw = truth[::every], raw[::every]
    low, high = math.log(_LEAST_TEMPERATURE), math.log(_MOST_TEMPERATURE)
    step = (math.sqrt(5) - 1) / 2

    def loss(log: float) -> float:
        return float(log_losses(truth, Calibration("temperature", math.exp(log)).apply(raw)).mean())

    first, second = high - step * (high - low), low + step * (high - low)
    of_first, of_second = loss(first), loss(second)
    while high - low > 1e-3:
        if of_first <= of_second:
            high, second, of_second = second, first, of_first
            first = high - step * (high - low)
            of_first = loss(first)
        else:
            low, first, of_first = first, second, of_second
            second = low + step * (high - low)
            of_second = loss(second)
    return Calibration("temperature", round(math.exp((low + high) / 2), 4))


def _isotonic(truth: NDArray[np.int64], raw: NDArray[Any], places: NDArray[np.int64]) -> Calibration:
    """For each class the rising curve with the least squared error, through the means of at most 100 bins of labels."""
    curves = []
    end = 1 / (len(truth) + 2)
    for index in range(raw.shape[1]):
        given, is_class = raw[:, index].astype(np.float64), truth == index
        if len(np.unique(places[is_class])) < _LEAST_OF_CLASS:
            curves.append(((0.0, 1.0), (0.0, 1.0)))
            continue
        order = np.argsort(given, kind="stable")
        starts = np.unique(np.linspace(0, len(order), _CURVE_BINS + 1).astype(np.int64)[:-1])
        counts = np.diff(np.append(starts, len(order))).astype(np.float64)
        at = np.add.reduceat(given[order], starts) / counts
        share = np.add.reduceat(is_class[order].astype(np.float64), starts) / counts
        at, place = np.unique(at, return_inverse=True)
        sums, weights = (
            np.bincount(place.reshape(-1), weights=one).astype(np.float64) for one in (counts * share, counts)
        )
        made = np.clip(rising(sums / weights, weights), end, 1 - end)
        keep = np.ones(len(at), dtype=np.bool_)
        # within a level part only its ends bend the curve
        keep[1:-1] = (np.diff(made)[:-1] > 0) | (np.diff(made)[1:] > 0)
        curves.append((tuple(at[keep].tolist()), tuple(made[keep].tolist())))
    return Calibration("isotonic", curves=tuple(curves))


def rising(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sequence that never falls with the least weighted squared distance to `values`: adjacent violators pooled."""
    parts: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        part = (value, weight, 1)
        while parts and parts[-1][0] >= part[0]:
            mean, before, count = parts.pop()
            both = before + part[1]
            part = ((mean * before + part[0] * part[1]) / both, both, count + part[2])
        parts.append(part)
    return np.repeat([mean for mean, _, _ in parts], [count for _, _, count in parts])
