"""Hectares that went from one class to another, with intervals, from two maps of one head.

Two maps compared pixel by pixel show more change than there was: an error in either year looks like one. Three ways to
say how much there was, from the best evidence that is at hand:

- a probability sample of places whose class is known in both years: the stratified estimator of
  `tessera.validation.estimate_areas`, whose classes are the transitions (Olofsson et al. 2014);
- the head's confusion on labels that were held out: each mapped class stands for true classes with some probability.
  Where the vectors did not move beyond the threshold, nothing changed, and both maps speak of one true class; where
  they did, the errors of the two years are independent. The interval is that of the confusion, drawn 200 times;
- pixels, without an interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError
from tessera.validation import NOT_A_SAMPLE, estimate_areas

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

PIXEL_HA = 0.01
DRAWS = 200
_STEPS = 100
"""Steps towards the shares of classes that explain the map; each brings the shares nearer."""
_MOST_CLASSES = 40
"""Classes above which transitions are counted only: draws of a larger matrix take gigabytes."""
_NUMBERS = 2_000_000
"""Numbers that several draws of the confusion take at once, at most: 16 MB."""
_PRIOR = 0.5
"""Added to each count of a row of the confusion: what was not seen may happen (Jeffreys)."""


@dataclass(frozen=True, repr=False)
class Transitions:
    """Hectares from each class (rows) to each class (columns) between two years.

    Attributes
    ----------
    years : first and second
    classes : K names
    mapped : (K, K) hectares, pixels of the two maps
    area, low, high : (K, K) hectares, estimate and 95 % interval; the mapped area and NaN where there is none
    source : "sample", "confusion" or "pixels"
    notes : what to know
    """

    years: tuple[int, int]
    classes: tuple[str, ...]
    mapped: NDArray[np.float64]
    area: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    source: str
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        first, second = self.years
        return f"Transitions({first} to {second}, {len(self.classes)} classes, {self.changed[0]:,.1f} ha changed)"

    @property
    def changed(self) -> tuple[float, float]:
        """Hectares of another class in the second year: estimate, and pixels of the maps."""
        off = ~np.eye(len(self.classes), dtype=np.bool_)
        return float(self.area[off].sum()), float(self.mapped[off].sum())

    def rows(self) -> list[dict[str, Any]]:
        """One row a transition: years, from, to, mapped_ha, area_ha, low_ha, high_ha (None where unknown)."""
        out = []
        for one, source in enumerate(self.classes):
            for other, target in enumerate(self.classes):
                low, high = self.low[one, other], self.high[one, other]
                out.append(
                    {
                        "from_year": self.years[0],
                        "to_year": self.years[1],
                        "from": source,
                        "to": target,
                        "mapped_ha": float(self.mapped[one, other]),
                        "area_ha": float(self.area[one, other]),
                        "low_ha": float(low) if np.isfinite(low) else None,
                        "high_ha": float(high) if np.isfinite(high) else None,
                    }
                )
        return out


def count_transitions(years: tuple[int, int], classes: Sequence[str], pixels: NDArray[np.int64]) -> Transitions:
    """Transitions by pixels alone.

    Parameters
    ----------
    pixels : (K, K), rows the first year
    """
    mapped = pixels.astype(np.float64) * PIXEL_HA
    none: NDArray[np.float64] = np.full(mapped.shape, np.nan, dtype=np.float64)
    return Transitions(years, tuple(classes), mapped, mapped, none, none, "pixels", (NOT_A_SAMPLE,))


def correct_transitions(
    years: tuple[int, int],
    classes: Sequence[str],
    unmoved: NDArray[np.int64],
    moved: NDArray[np.int64],
    confusion: NDArray[np.int64],
    *,
    seed: int = 0,
) -> Transitions:
    """Transitions corrected by the head's confusion on labels that were held out.

    Parameters
    ----------
    unmoved, moved : (K, K) pixels whose vectors lie within the threshold, and beyond it; rows the class that the head
        gives in the first year, columns in the second
    confusion : (K, K) labels, rows the truth and columns the prediction
    seed : draws the confusion

    Raises
    ------
    InputError
        The confusion is of other classes.
    """
    count = len(classes)
    if confusion.shape != (count, count):
        raise InputError(f"confusion of shape {confusion.shape}; expected {count} classes")
    counted = count_transitions(years, classes, unmoved + moved)
    if count > _MOST_CLASSES or not confusion.sum(axis=1).all():
        why = (
            f"more than {_MOST_CLASSES} classes"
            if count > _MOST_CLASSES
            else "a class that was never tested: nothing says how often the head errs there"
        )
        return Transitions(
            years,
            counted.classes,
            counted.mapped,
            counted.mapped,
            counted.low,
            counted.high,
            "pixels",
            (why, *counted.notes),
        )
    rng = np.random.default_rng(seed)
    seen = np.empty((1 + DRAWS, count, count))
    seen[0] = confusion / confusion.sum(axis=1, keepdims=True)
    for draw in seen[1:]:
        draw[:] = [rng.dirichlet(row + _PRIOR) for row in confusion]
    several = max(1, _NUMBERS // count**3)
    parts = [_corrected(unmoved, moved, seen[start : start + several]) for start in range(0, len(seen), several)]
    found = np.concatenate(parts)
    estimate, draws = found[0], found[1:]
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    note = (
        "the intervals are those of the head's confusion on held-out labels, not of a probability sample: they hold if "
        "it errs here as it did there"
    )
    return Transitions(
        years,
        tuple(classes),
        counted.mapped,
        estimate * PIXEL_HA,
        np.minimum(low, estimate) * PIXEL_HA,
        np.maximum(high, estimate) * PIXEL_HA,
        "confusion",
        (note,),
    )


def sample_transitions(
    years: tuple[int, int],
    classes: Sequence[str],
    pixels: NDArray[np.int64],
    mapped: NDArray[np.int64],
    reference: NDArray[np.int64],
    *,
    design: str,
) -> Transitions:
    """Transitions estimated from a probability sample whose classes are known in both years.

    Parameters
    ----------
    pixels : (K, K), rows the first year
    mapped, reference : (n, 2) class in each year on the map and in truth
    design : "random", or "stratified": random within mapped transitions
    """
    count = len(classes)
    names = [f"{one} to {other}" for one in classes for other in classes]
    codes = [pair[:, 0] * count + pair[:, 1] for pair in (mapped, reference)]
    found = estimate_areas(codes[0], codes[1], pixels.reshape(-1).tolist(), names, design=design)
    error = 1.959963984540054 * found.area_error
    shape = count, count
    low, high = np.maximum(0, found.area - error).reshape(shape), (found.area + error).reshape(shape)
    return Transitions(
        years,
        tuple(classes),
        pixels.astype(np.float64) * PIXEL_HA,
        found.area.reshape(shape),
        low,
        high,
        "sample",
        found.notes,
    )


def _corrected(unmoved: NDArray[np.int64], moved: NDArray[np.int64], seen: NDArray[np.float64]) -> NDArray[np.float64]:
    """True transitions (D, K, K) in pixels, given D times how often a true class (rows) is seen as each (columns)."""
    count = seen.shape[1]
    # where both years are of one true class: pairs of classes that are seen
    both = np.einsum("dti,dtj->dtij", seen, seen).reshape(len(seen), count, -1)
    out = np.eye(count) * (_shares(unmoved.reshape(-1), both) * float(unmoved.sum()))[:, None, :]
    if moved.any():
        # of each mapped class, the chance of each true one: (D, true, mapped)
        first, second = (_chances(seen, _shares(moved.sum(axis=axis), seen)) for axis in (1, 0))
        out = out + first @ moved.astype(np.float64) @ second.transpose(0, 2, 1)
    return np.asarray(out)


def _shares(pixels: NDArray[np.int64], seen: NDArray[np.float64]) -> NDArray[np.float64]:
    """(D, K): share of each true class that best explains how many pixels are seen as each, (D, K, M), by expectation
    maximisation (Saerens et al. 2002)."""
    shares = np.full(seen.shape[:2], 1 / seen.shape[1])
    for _ in range(_STEPS):
        total = (shares[:, None, :] @ seen)[:, 0]
        weight = np.divide(pixels, total, out=np.zeros_like(total), where=total > 0)
        shares = shares * (seen @ weight[..., None])[..., 0]
        shares = shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-300)
    return shares


def _chances(seen: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    joint = shares[..., None] * seen
    total = joint.sum(axis=1, keepdims=True)
    even = np.eye(seen.shape[1])
    return np.where(total > 0, np.divide(joint, total, out=np.zeros_like(joint), where=total > 0), even)
