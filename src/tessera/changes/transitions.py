"""Hectares that went from one class to another, with intervals, from two maps of one head.

Two maps compared pixel by pixel show more change than there was: an error in either year looks like one. Three ways to
say how much there was, from the best evidence that is at hand:

- a probability sample of places whose class is known in both years: the stratified estimator of
  `tessera.validation.estimate_areas`, whose classes are the transitions (Olofsson et al. 2014);
- the head's confusion on labels that were held out: each mapped class stands for true classes with some probability.
  Where the vectors did not move beyond the threshold, nothing changed, and both maps speak of one true class. How far
  the errors of the two years go together is seen where labels of both years lie at the same places; else the interval
  spans both extremes, independent errors and errors that coincide. Its draws take whole groups of labels;
- pixels, without an interval.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError
from tessera.labels import one_line
from tessera.validation import NOT_A_SAMPLE, estimate_areas

from ._errors import Errors, correct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

PIXEL_HA = 0.01
DRAWS = 200
_MOST_CLASSES = 40
"""Classes above which transitions are counted only: draws of a larger matrix take gigabytes."""
_LISTED = 8
"""Classes that a note names."""
_CONFUSED = (
    "the intervals are those of the head's confusion on held-out labels, not of a probability sample: they hold if "
    "it errs here as it did there"
)


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
    parts: NDArray[np.int64] | None = None,
    pairs: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> Transitions:
    """Transitions corrected by the head's confusion on labels that were held out.

    Parameters
    ----------
    unmoved, moved : (K, K) pixels whose vectors lie within the threshold, and beyond it; rows the class that the head
        gives in the first year, columns in the second
    confusion : (K, K) labels, rows the truth and columns the prediction
    parts : (R, 4) the same labels by what was held out together: part, truth, prediction, labels; None where that is
        not known, and each label then counts as independent
    pairs : (R, 6) labels of one place in both years: part, truth and truth, prediction and prediction, labels
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
            else f"no class is corrected by the head's confusion: {_untested(classes, confusion)} "
            "never tested, and nothing says how often the head errs there"
        )
        return replace(counted, notes=(why, *counted.notes))
    errors = Errors(confusion, parts, pairs)
    estimate = correct(unmoved, moved, errors.seen(None)[None], np.array([errors.together(None) or 0.0]))[0]
    rng = np.random.default_rng(seed)
    drawn = [errors.draw(rng) for _ in range(DRAWS)]
    seen = np.stack([errors.seen(one) for one in drawn])
    spans = np.array([errors.extremes(errors.together(one)) for one in drawn])
    # the wider of both extremes
    ends = [np.quantile(correct(unmoved, moved, seen, span), [0.025, 0.975], axis=0) for span in spans.T]
    low, high = np.min([one[0] for one in ends], axis=0), np.max([one[1] for one in ends], axis=0)
    return replace(
        counted,
        area=estimate * PIXEL_HA,
        low=np.minimum(low, estimate) * PIXEL_HA,
        high=np.maximum(high, estimate) * PIXEL_HA,
        source="confusion",
        notes=(_CONFUSED, errors.note),
    )


def _untested(classes: Sequence[str], confusion: NDArray[np.int64]) -> str:
    """The classes without a tested label, with their verb."""
    lost = [name for name, count in zip(classes, confusion.sum(axis=1), strict=True) if not count]
    listed = ", ".join(one_line(name, 40) for name in lost[:_LISTED])
    more = f" and {len(lost) - _LISTED} more" if len(lost) > _LISTED else ""
    return f"{listed}{more} {'was' if len(lost) == 1 else 'were'}"


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
