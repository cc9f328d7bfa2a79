"""How far two vectors of one place lie apart, and from which distance on a place has changed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.embeddings import CodedVectors

_ROWS = 65_536
"""Vectors whose products are formed at a time."""
_EXACT_DIMS = 1024
"""Up to so many products of codes, 2^14 at most each, float32 sums exactly; float64 sums those of longer vectors."""
_SHIFT = 12
"""Low bits of a float32 that a bin leaves out: bins are 0.05 % wide."""
_BINS = (0x40000000 >> _SHIFT) + 2
"""Bins of distances from 0 to 2."""
FALSE_ALARMS = 0.01
"""Share of the stable pixels that lie beyond the threshold."""
_MAD = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
_ROUNDS = 200
_APART = 2.0
"""Ashman's D from which on two normal distributions are told apart (Ashman et al. 1994)."""
_FEW = 1000
"""Stable pixels below which a threshold at 1 % rests on less than ten of them."""


def cosine_distance(one: CodedVectors, other: CodedVectors) -> NDArray[np.float32]:
    """1 - cosine of each two vectors, from whole numbers: the same on every machine.

    The scale of a vector cancels out, so codes suffice. Their products and squares are summed exactly, and
    `1 - dot / sqrt(squares_one x squares_other)` is computed in float64 and rounded to float32 once.

    Parameters
    ----------
    one, other : (...) vectors of the same places and length

    Returns
    -------
    (...) float32, 0 to 2; NaN where one of them is no data. Two vectors of zeros have distance 0, one and any other
    vector have distance 1.
    """
    if one.codes.shape != other.codes.shape:
        raise InputError(f"vectors {one.codes.shape} and {other.codes.shape}; expected the same shape")
    shape = one.scales.shape
    a, b = (part.codes.reshape(-1, part.dims) for part in (one, other))
    out = np.empty(len(a), dtype=np.float32)
    # whole numbers up to 2^24
    dtype: Any = np.float32 if one.dims <= _EXACT_DIMS else np.float64
    for start in range(0, len(a), _ROWS):
        rows = slice(start, start + _ROWS)
        left, right = a[rows].astype(dtype), b[rows].astype(dtype)
        dot, first, second = (
            np.einsum("ij,ij->i", x, y).astype(np.float64) for x, y in ((left, right), (left, left), (right, right))
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            cosine = dot / np.sqrt(first * second)
        cosine = np.where(first * second > 0, cosine, np.where((first == 0) & (second == 0), 1.0, 0.0))
        out[rows] = np.clip(1.0 - cosine, 0.0, 2.0)
    return np.where(one.valid & other.valid, out.reshape(shape), np.float32(np.nan))


class Histogram:
    """Distances counted in bins that are 0.05 % wide, so that quantiles need no list of all pixels.

    Attributes
    ----------
    counts : (bins,) int64
    """

    def __init__(self) -> None:
        self.counts = np.zeros(_BINS, dtype=np.int64)

    def add(self, distances: NDArray[np.float32]) -> None:
        """Count distances; NaN is left out."""
        there = distances[np.isfinite(distances)]
        # the bits of a float32 that is not negative rise with it
        bins = np.ascontiguousarray(there).view(np.uint32) >> _SHIFT
        self.counts += np.bincount(bins, minlength=_BINS)

    @property
    def total(self) -> int:
        """How many were counted."""
        return int(self.counts.sum())

    def quantile(self, share: float) -> float:
        """The least upper edge of a bin at or below which that share of the distances lies."""
        reached = np.cumsum(self.counts)
        place = int(np.searchsorted(reached, math.ceil(share * reached[-1])))
        return _edge(place + 1)

    def logs(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Logarithms of the middles of all bins above 0 that hold distances, and how many each holds."""
        places = np.flatnonzero(self.counts[1:]) + 1
        middles = np.log([(_edge(place) + _edge(place + 1)) / 2 for place in places.tolist()])
        return middles, self.counts[places]


@dataclass(frozen=True)
class Threshold:
    """The distance above which a pixel has changed.

    Attributes
    ----------
    distance : 0 to 2
    source : "stable" (places known to be stable), "same class" (pixels to which the head gives one class) or "robust"
        (the bulk of all pixels)
    pixels : that it rests on
    false_alarms : share of stable pixels that lie beyond it
    """

    distance: float
    source: str
    pixels: int
    false_alarms: float

    @property
    def text(self) -> str:
        """How it was found, as a sentence."""
        how = {
            "stable": f"{1 - self.false_alarms:.4g} quantile of {self.pixels:,} pixels of stable places",
            "same class": f"{1 - self.false_alarms:.4g} quantile of {self.pixels:,} pixels with the same class in both "
            "years",
            "robust": f"{1 - self.false_alarms:.4g} quantile of the lower log-normal part of {self.pixels:,} distances",
            "given": "as given",
        }
        return f"a pixel has changed above a cosine distance of {self.distance:.4g} ({how[self.source]})"

    def notes(self) -> tuple[str, ...]:
        """What to know of it."""
        if self.source != "given" and self.pixels < _FEW:
            return (f"the threshold rests on {self.pixels:,} pixels only; expected {_FEW:,} or more",)
        return ()

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "distance": self.distance,
            "source": self.source,
            "pixels": self.pixels,
            "false_alarms": self.false_alarms,
        }


def parse_false_alarms(share: float) -> float:
    """Check a share of stable pixels that may lie beyond the threshold, above 0 and below 0.5.

    Raises
    ------
    InputError
        It lies elsewhere.
    """
    if not 0 < share < 0.5:
        raise InputError(f"false alarms {share:g}; expected a share above 0 and below 0.5, such as 0.01")
    return float(share)


def find_threshold(
    everything: Histogram, same: Histogram | None, stable: Histogram | None, false_alarms: float
) -> Threshold:
    """The threshold by the best evidence there is: stable places, pixels of one class, or the bulk of all.

    The last takes the logarithms of the distances for a mixture of two normal distributions, of which the lower one is
    that of stable pixels, at least half of all.

    Raises
    ------
    InputError
        No pixel has data in both years.
    """
    if not everything.total:
        raise InputError("no pixel has data in both years; expected an area that the store covers in each year")
    for source, held in (("stable", stable), ("same class", same)):
        if held is not None and held.total:
            return Threshold(held.quantile(1 - false_alarms), source, held.total, false_alarms)
    if everything.counts[0] * 2 >= everything.total:
        # more than half did not move at all
        return Threshold(_edge(1), "robust", everything.total, false_alarms)
    mean, deviation = _stable_part(*everything.logs())
    distance = math.exp(mean + NormalDist().inv_cdf(1 - false_alarms) * deviation)
    return Threshold(float(np.float32(min(2.0, max(distance, _edge(2))))), "robust", everything.total, false_alarms)


def _stable_part(logs: NDArray[np.float64], counts: NDArray[np.int64]) -> tuple[float, float]:
    """Mean and standard deviation of the lower of two normal distributions that the logarithms are a mixture of.

    Where the two lie too near to be two (Ashman's D below 2), median and median absolute deviation of all stand for it.
    """
    median = _weighted_median(logs, counts)
    whole = median, _MAD * _weighted_median(np.abs(logs - median), counts)
    share = counts / counts.sum()
    low, high = (float(logs[np.searchsorted(np.cumsum(share), part)]) for part in (0.25, 0.9))
    means, deviations, weights = np.array([low, high]), np.full(2, max(whole[1], 0.05)), np.array([0.7, 0.3])
    for _ in range(_ROUNDS):
        density = weights * np.exp(-0.5 * ((logs[:, None] - means) / deviations) ** 2) / deviations + 1e-300
        belongs = density / density.sum(axis=1, keepdims=True) * share[:, None]
        weights = belongs.sum(axis=0)
        means = (belongs * logs[:, None]).sum(axis=0) / weights
        deviations = np.sqrt((belongs * (logs[:, None] - means) ** 2).sum(axis=0) / weights) + 1e-3
    apart = math.sqrt(2) * float(means[1] - means[0]) / math.sqrt(float((deviations**2).sum()))
    return (float(means[0]), float(deviations[0])) if apart > _APART and weights[0] >= 0.5 else whole


def _edge(place: int) -> float:
    """The lower edge of a bin."""
    return min(2.0, float(np.array(min(place, _BINS - 1) << _SHIFT, dtype=np.uint32).view(np.float32)))


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.int64]) -> float:
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, (reached[-1] + 1) // 2)])
