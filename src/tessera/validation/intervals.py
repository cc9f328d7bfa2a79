"""95 % intervals of scores, by leaving out one unit at a time: labels of one unit err together.

On made classes with 12 to 100 units the intervals hold the true score in 91 to 95 of 100 cases (see
benchmarks/intervals.py).
Percentiles of a bootstrap over units, which stood here before, hold it in 81 to 93: resamples lack rare classes, which
pulls macro-F1 to one side. Basic, bias-corrected and accelerated bootstraps did worse.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

PARTS = 200
"""Parts of units that are left out in turn, at most: with more units than that, several make a part."""
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""97.5 % quantiles of Student's t with 1 to 10 degrees of freedom."""
_Z = NormalDist().inv_cdf(0.975)
_FLOOR = 1e-12
_ABOVE_0 = ("rmse", "mae", "log_loss", "brier")
_ANY = ("bias",)
_TWO_SIDED = ("auc", "kappa")
"""Undefined without a second class."""


def left_out(unit: NDArray[np.int64], seed: int = 0) -> NDArray[np.float32]:
    """(J + 1, G) weights of units 0 to G - 1: all once, then each row without one part of them."""
    count = int(unit.max(initial=-1)) + 1
    parts = min(count, PARTS)
    part = _dealt(count, seed)
    rows = np.ones((parts + 1, count), dtype=np.float32)
    rows[part + 1, np.arange(count)] = 0
    return rows


def parts_of(units: NDArray[np.int64], seed: int = 0) -> NDArray[np.int64]:
    """(n,) any numbers of units -> (n,) int64: the part, 0 to 199, of each, as `left_out` deals them."""
    unit = np.unique(units, return_inverse=True)[1].reshape(-1)
    return _dealt(int(unit.max(initial=-1)) + 1, seed)[unit]


def _dealt(count: int, seed: int) -> NDArray[np.int64]:
    """The part of each of `count` units."""
    out: NDArray[np.int64] = np.random.default_rng([seed, 80]).permutation(count) % max(1, min(count, PARTS))
    return out


def left_out_at_once(units: int) -> str:
    """What `left_out` leaves out at a time, in words."""
    return f"one of {units:,} blocks" if units <= PARTS else f"one of {PARTS} parts of {units:,} blocks"


def intervals(scores: NDArray[np.float64], names: Sequence[str], units: int) -> list[list[float | None]]:
    """The score and its 95 % interval, of each column.

    The standard error is that of the jackknife, the interval Student's t on a scale without borders: the logit of
    shares and of kappa, the logarithm of errors and of 1 - R2. So it holds the score, and ends where the score does. A
    share of exactly 0 or 1 gets the exact binomial bound of as many independent units.

    Parameters
    ----------
    scores : (J + 1, M) under the weights of `left_out`
    names : of the M scores, as in `METRIC_NAMES`; a name that is not there is a share
    units : how many there are

    Returns
    -------
    M times [score, low, high]; None where it is undefined. A score that is undefined without one of the parts has no
    interval: that part alone decides whether there is one, so the others do not tell how it varies
    """
    return [list(_interval(scores[:, column], name, units)) for column, name in enumerate(names)]


def _interval(values: NDArray[np.float64], name: str, units: int) -> Sequence[float | None]:
    value, parts = float(values[0]), values[1:]
    if not math.isfinite(value):
        return [None, None, None]
    exact = _exact(value, units) if name not in (*_ANY, *_ABOVE_0, *_TWO_SIDED, "r2") else None
    if len(parts) < 2:
        return [value, None, None]
    if exact is not None:
        return exact
    if not np.isfinite(parts).all():
        return [value, None, None]
    count = len(parts)
    error = math.sqrt((count - 1) / count * float(((parts - parts.mean()) ** 2).sum()))
    reach = _t(count - 1) * error
    if name in _ANY:
        return [value, value - reach, value + reach]
    if name in _ABOVE_0 or name == "r2":
        size = 1 - value if name == "r2" else value
        if size < _FLOOR:
            return [value, value, value]
        low, high = (size * math.exp(sign * min(reach / size, 50.0)) for sign in (-1, 1))
        return [value, 1 - high, 1 - low] if name == "r2" else [value, low, high]
    base, width = (-1.0, 2.0) if name == "kappa" else (0.0, 1.0)
    share = (value - base) / width
    ends = _exact(share, units)
    if ends is not None:
        low, high = ends[1:]
    else:
        middle, apart = math.log(share / (1 - share)), reach / width / (share * (1 - share))
        low, high = (1 / (1 + math.exp(-max(-50.0, min(50.0, middle + sign * apart)))) for sign in (-1, 1))
    return [value, base + width * low, base + width * high]


def _exact(share: float, units: int) -> list[float] | None:
    """A share of 0 or 1 and the binomial bound of as many independent units; None of other shares."""
    if _FLOOR <= share <= 1 - _FLOOR:
        return None
    exact = 0.025 ** (1 / max(1, units))
    return [share, 0.0, 1 - exact] if share < 0.5 else [share, exact, 1.0]


def _t(freedom: int) -> float:
    """The 97.5 % quantile of Student's t (Cornish-Fisher beyond 10 degrees of freedom, to 0.001)."""
    if freedom <= len(_T):
        return _T[max(0, freedom - 1)]
    z, n = _Z, float(freedom)
    return z + (z**3 + z) / (4 * n) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)


def plain(value: Any) -> float | None:
    """A finite number, or None."""
    return float(value) if np.isfinite(value) else None
