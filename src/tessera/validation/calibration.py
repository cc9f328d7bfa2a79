"""Calibration: class probabilities that hold as often as they say, learnt from predictions out of fold."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, shown

from ._plain import numbers_of, object_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

METHODS = ("none", "temperature", "isotonic")
"""Ways to calibrate, the simplest first."""
FLOOR = 1e-6
"""A probability below this counts as this much: a class that a forest gives 0 can still be the truth."""
_MOST_KNOTS = 1000
_MOST_CLASSES = 255


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
