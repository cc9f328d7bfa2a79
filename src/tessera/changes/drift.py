"""Whether vectors of places that did not change moved from one year to the next, so that one head misreads a year."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LIMIT = 0.5
"""Shift of stable places, in units of the spread within their class, above which a warning is given."""
_FEW = 30
"""Pixels of a class from which its shift is measured."""


@dataclass(frozen=True)
class Drift:
    """How far stable places moved between two years.

    Attributes
    ----------
    years : first and second
    shift : distance between the mean vectors of stable places in the two years, over the spread within their class:
        root mean square over the pixels. 0 = none, 1 = as far as two places of one class lie apart from their mean
    pixels : stable places
    source : "stable" (places known to be stable), "labels" (with one class in both years) or "same class" (to which the
        head gives one class)
    per_class : class -> shift; "" stands for all places where classes are not known
    """

    years: tuple[int, int]
    shift: float
    pixels: int
    source: str
    per_class: dict[str, float]

    @property
    def warning(self) -> str:
        """What to say where stable places moved too far; "" elsewhere."""
        if not self.shift > LIMIT:
            return ""
        first, second = self.years
        worst = max(self.per_class, key=lambda name: self.per_class[name])
        where = f", most for {worst} ({self.per_class[worst]:.2f})" if worst else ""
        return (
            f"stable places moved by {self.shift:.2f} of the spread within their class from {first} to {second}"
            f"{where}; above {LIMIT:g} a head of one year misreads the other: fit one on labels of both years "
            "(--labels)"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "years": list(self.years),
            "shift": self.shift,
            "pixels": self.pixels,
            "source": self.source,
            "limit": LIMIT,
            "per_class": self.per_class,
        }


def measure_drift(
    years: tuple[int, int],
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    classes: NDArray[np.int64],
    names: tuple[str, ...],
    source: str,
) -> Drift | None:
    """Compare the mean vectors of stable places, class by class; None if no class has 30 of them.

    Parameters
    ----------
    first, second : (n, D) vectors of the same places in the two years
    classes : (n,) index of the class; -1 = not stable
    names : of the classes
    """
    per_class: dict[str, float] = {}
    pixels: list[int] = []
    for index, name in enumerate(names):
        there = classes == index
        if there.sum() < _FEW:
            continue
        one, other = first[there].astype(np.float64), second[there].astype(np.float64)
        spread = one.var(axis=0).sum()
        if not spread > 0:
            continue
        # the mean of n vectors is uncertain by its own spread over n, in each year
        noise = (one.var(axis=0).sum() + other.var(axis=0).sum()) / len(one)
        moved = ((other.mean(axis=0) - one.mean(axis=0)) ** 2).sum()
        per_class[name] = float(np.sqrt(max(0.0, moved - noise) / spread))
        pixels.append(int(there.sum()))
    if not per_class:
        return None
    # a class of few pixels is a few fields, whose spread says little
    shift = float(np.sqrt(np.average(np.square(list(per_class.values())), weights=pixels)))
    return Drift(years, shift, sum(pixels), source, per_class)
