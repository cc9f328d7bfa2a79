"""The kinds of land that are simulated, as arrays that a block looks up at once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ._climate import CODES
from ._kind import Kind, read_kinds

if TYPE_CHECKING:
    from numpy.typing import NDArray

KINDS = read_kinds()
KIND_NAMES = tuple(kind.name for kind in KINDS)
"""Names of the codes in `SimulatedSeries.kind`."""
GLACIER = KIND_NAMES.index("glacier and snow field")
_PAIRS = tuple(
    field.name
    for field in fields(Kind)
    if field.name not in ("name", "weight", "zones", "crop", "till", "irrigated", "fire", "stalks")
)
CROPS = ("", "winter", "spring", "long")


@dataclass(frozen=True)
class Tables:
    """`KINDS` as arrays: bounds name -> (kinds, 2), chances name -> (kinds,), and the zones of each."""

    weight: NDArray[np.float64]
    bounds: dict[str, NDArray[np.float64]]
    chance: dict[str, NDArray[np.float64]]
    crop: NDArray[np.int64]
    zone_count: NDArray[np.int64]
    zones: NDArray[np.int64]


@cache
def tables() -> Tables:
    """The kinds as arrays that a block looks up at once."""
    weight = np.array([kind.weight for kind in KINDS])
    codes = [[CODES[name] for name in dict.fromkeys(kind.zones.split())] for kind in KINDS]
    longest = max(len(row) for row in codes)
    return Tables(
        weight=weight / weight.sum(),
        bounds={name: np.array([getattr(kind, name) for kind in KINDS], dtype=np.float64) for name in _PAIRS},
        chance={
            name: np.array([getattr(kind, name) for kind in KINDS], dtype=np.float64)
            for name in ("till", "irrigated", "fire", "stalks")
        },
        crop=np.array([CROPS.index(kind.crop) for kind in KINDS]),
        zone_count=np.array([len(row) for row in codes]),
        zones=np.array([row + row[:1] * (longest - len(row)) for row in codes]),
    )
