"""What turns the output of a learner into statements that hold: calibrated probabilities, sets, intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, shown

from ._plain import numbers_of, object_of
from .calibration import Calibration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

LEVEL = 0.9
"""Share of new places that a set or an interval is to hold."""
ACCURACY = 0.9
"""Accuracy that what is kept is to reach where a map abstains."""
_MOST_KNOTS = 1000


@dataclass(frozen=True)
class Trust:
    """What makes probabilities, sets and intervals honest; `fit_trust` learns one from predictions out of fold.

    Attributes
    ----------
    calibration : of class probabilities; None of numbers
    level : share of labels of new places that a set or an interval holds, such as 0.9
    quantile : of classes the least probability that still enters a set is 1 - quantile; of numbers the half width of
        the interval, in units of `spread` where there is one; inf where there were too few places for the level: a set
        then holds all classes, and an interval all numbers
    spread : of numbers whose errors grow or shrink with the prediction: (predictions, typical errors), points between
        which it is straight; None where one half width serves all
    threshold : abstain below this calibrated probability of the most probable class; 0 abstains nowhere; None of
        numbers
    accuracy : of the labels that the threshold keeps, as was wanted
    """

    calibration: Calibration | None
    level: float
    quantile: float
    spread: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    threshold: float | None = None
    accuracy: float = ACCURACY

    def __post_init__(self) -> None:
        for share, what in ((self.level, "level"), (self.accuracy, "accuracy")):
            if not 0 < share < 1:
                raise InputError(f"{what} {share!r}; expected between 0 and 1")
        if not self.quantile >= 0:
            raise InputError(f"conformal quantile {self.quantile!r}; expected 0 or above")
        if (self.calibration is None) != (self.threshold is None):
            raise InputError("a calibration without a threshold; expected both of classes and none of numbers")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise InputError(f"threshold {self.threshold!r}; expected 0 to 1")
        if self.spread is not None:
            at, size = self.spread
            rising = all(a < b for a, b in pairwise(at))
            if self.calibration is not None or not rising or not 1 <= len(at) == len(size) or not min(size) > 0:
                raise InputError("a spread of errors whose predictions do not rise, or whose errors are not above 0")

    def probabilities(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """Calibrated probabilities.

        Parameters
        ----------
        raw : (n, K) probabilities of the learner

        Returns
        -------
        (n, K) float32; NaN where a row is not finite
        """
        return self._of_classes().apply(raw)

    def sets(self, probabilities: NDArray[np.float32]) -> NDArray[np.bool_]:
        """The classes that cannot be excluded: about `level` of new places hold theirs.

        Parameters
        ----------
        probabilities : (n, K) calibrated

        Returns
        -------
        (n, K) bool, the most probable class always among them; all False where a row is not finite
        """
        self._of_classes()
        held: NDArray[np.bool_] = nonconformity(probabilities) <= self.quantile
        held |= probabilities == probabilities.max(axis=1, keepdims=True)
        held[~np.isfinite(probabilities).all(axis=1)] = False
        return held

    def interval(self, predicted: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The numbers that cannot be excluded: about `level` of new places lie between the two.

        Parameters
        ----------
        predicted : (n,) numbers

        Returns
        -------
        (n,) float32 low and high; NaN where a prediction is not finite
        """
        if self.calibration is not None:
            raise InputError("an interval of classes; expected a head of numbers")
        middle = np.asarray(predicted, dtype=np.float64)
        with np.errstate(invalid="ignore"):
            half = self.quantile * self.scale(middle)
            return (middle - half).astype(np.float32), (middle + half).astype(np.float32)

    def scale(self, predicted: NDArray[np.float64]) -> NDArray[np.float64]:
        """The typical error at each prediction, (n,); 1 where one half width serves all."""
        if self.spread is None:
            return np.where(np.isfinite(predicted), 1.0, np.nan)
        return np.interp(predicted, *self.spread)

    def abstains(self, probabilities: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Where the map should say nothing: (n, K) calibrated probabilities -> (n,) bool; False where not finite."""
        self._of_classes()
        out: NDArray[np.bool_] = probabilities.max(axis=1) < np.float32(self.threshold or 0)
        return out

    def _of_classes(self) -> Calibration:
        if self.calibration is None:
            raise InputError("probabilities of a head of numbers; expected a head of classes")
        return self.calibration

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "calibration": None if self.calibration is None else self.calibration.to_json(),
            "level": self.level,
            "quantile": self.quantile if math.isfinite(self.quantile) else None,
            "spread": None if self.spread is None else [list(side) for side in self.spread],
            "threshold": self.threshold,
            "accuracy": self.accuracy,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Trust:
        """What `to_json` gave.

        Raises
        ------
        InputError
            Values that no `Trust` has.
        """
        keys = ("calibration", "level", "quantile", "spread", "threshold", "accuracy")
        calibration, level, quantile, spread, threshold, accuracy = object_of(value, keys, "trust")
        if spread is not None and (not isinstance(spread, list) or len(spread) != 2):
            raise InputError(f"spread {shown(spread)}; expected two lists of numbers, or null")
        sides = None if spread is None else tuple(numbers_of(one, "spread", most=_MOST_KNOTS) for one in spread)
        level, accuracy = numbers_of([level, accuracy], "level and accuracy", most=2)
        return cls(
            None if calibration is None else Calibration.from_json(calibration),
            level,
            math.inf if quantile is None else numbers_of([quantile], "conformal quantile")[0],
            None if sides is None else (sides[0], sides[1]),
            None if threshold is None else numbers_of([threshold], "threshold")[0],
            accuracy,
        )


def nonconformity(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """How badly each class fits: 1 - its probability, in float64 of the float32 that a map holds."""
    return 1.0 - np.asarray(probabilities, dtype=np.float32).astype(np.float64)
