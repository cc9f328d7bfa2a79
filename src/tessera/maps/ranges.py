"""The legend of a map of numbers: round borders between ranges, a colour for each."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RANGES = 7
"""Borders at most, about."""
_RAMP = ("#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725")
"""From low to high: as dark as light, so that print in grey and eyes that see no red tell them apart."""


def edges_of(low: float, high: float) -> tuple[float, ...]:
    """Round borders between `low` and `high`, at least one: 0 to 31 -> 5, 10, 15, 20, 25, 30."""
    raw = (high - low) / _RANGES
    power = 10.0 ** math.floor(math.log10(raw)) if raw > 0 else 1.0
    step = next((factor * power for factor in (1, 2, 5) if factor * power >= raw), 10 * power)
    first = math.floor(low / step) + 1
    digits = max(0, -math.floor(math.log10(step)))
    found = [round(number * step, digits) for number in range(first, first + 2 * _RANGES)]
    inner = tuple(dict.fromkeys(edge for edge in found if low < edge < high))
    return inner or ((low + high) / 2,)


def ramp(count: int) -> tuple[str, ...]:
    """`count` colours from low to high."""
    last = len(_RAMP) - 1
    return tuple(_between(last * index / max(1, count - 1)) for index in range(count))


def range_names(edges: tuple[float, ...]) -> tuple[str, ...]:
    """What the ranges are called: "below 5", "5 to 10", "10 and above"."""
    texts = [f"{edge:.10g}" for edge in edges]
    return (f"below {texts[0]}", *(f"{low} to {high}" for low, high in pairwise(texts)), f"{texts[-1]} and above")


def varies(numbers: NDArray[Any]) -> bool:
    """Whether finite numbers differ by more than a thousandth: intervals of one width differ by what float32 rounds."""
    if not len(numbers):
        return False
    low, high = float(numbers.min()), float(numbers.max())
    return high - low > 1e-3 * max(abs(low), abs(high))


def range_of(numbers: NDArray[Any], edges: tuple[float, ...]) -> NDArray[np.int64]:
    """The range of each number: a border belongs to the range above it."""
    return np.searchsorted(np.asarray(edges), numbers, side="right")


def _between(place: float) -> str:
    low = min(int(place), len(_RAMP) - 2)
    parts = [
        round(int(_RAMP[low][k : k + 2], 16) * (low + 1 - place) + int(_RAMP[low + 1][k : k + 2], 16) * (place - low))
        for k in (1, 3, 5)
    ]
    return "#" + "".join(f"{part:02x}" for part in parts)
