"""Fires: where they burnt, how severely, and what is left of it on a later day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ._noise import blur, smooth_noise, smoothstep, stream
from .classes import CONIFER, DECIDUOUS, GRASS

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ._noise import Field

_BURNS_AS = {GRASS: 0.75, DECIDUOUS: 0.85, CONIFER: 1.0}
"""Greatest severity in each class; other classes do not burn."""
_CHAR_DAYS = 150.0
"""Days in which rain and wind take away two thirds of char and ash."""
_REGROWTH_DAYS = (1100.0, 70.0)
"""Days in which two thirds of the leaves of woods and of grass are back."""


@dataclass(frozen=True)
class Scar:
    """What one fire burnt: severity (H, W) float32 from 0 to 1, and the pixels (H, W) that are woods."""

    day: dt.date
    severity: Field
    woods: NDArray[np.bool_]

    def left_on(self, day: dt.date) -> tuple[Field, Field] | None:
        """Char on the ground and leaves lost, (H, W) shares from 0 to 1; None before the fire."""
        age = (day - self.day).days
        if age < 0:
            return None
        slow, fast = (np.float32(np.exp(-age / days)) for days in _REGROWTH_DAYS)
        lost = np.float32(0.95) * self.severity * np.where(self.woods, slow, fast)
        char = np.float32(0.9) * self.severity * np.float32(np.exp(-age / _CHAR_DAYS))
        return char, lost.astype(np.float32)


def make_scars(seed: int, cover: NDArray[np.uint8], days: Sequence[dt.date]) -> tuple[Scar, ...]:
    """One patch a fire, in the woods and grassland that can burn best and did not burn before."""
    shape = cover.shape[0], cover.shape[1]
    most = np.zeros(256, dtype=np.float32)
    most[list(_BURNS_AS)] = list(_BURNS_AS.values())
    fuel = most[cover]
    near = fuel.copy()
    for _ in range(40):
        near = blur(near, 0.3)
    rows, cols = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    woods = np.isin(cover, (DECIDUOUS, CONIFER))
    scars = []
    for index, day in enumerate(days):
        rng = stream(seed, "burns", index)
        inner = near * (1 + 0.15 * smooth_noise(rng, shape, 40.0))
        edge = [max(1, side // 8) for side in shape]
        best = int(np.argmax(inner[edge[0] : -edge[0], edge[1] : -edge[1]]))
        row, col = np.divmod(best, shape[1] - 2 * edge[1])
        radius = min(shape[0], shape[1], 256) * rng.uniform(0.11, 0.17)
        turn, long = rng.uniform(0, np.pi), rng.uniform(1.0, 1.6)
        down, right = rows - row - edge[0], cols - col - edge[1]
        along, across = right * np.cos(turn) + down * np.sin(turn), down * np.cos(turn) - right * np.sin(turn)
        inside = 1 - (along / (radius * long)) ** 2 - (across * long / radius) ** 2
        reached = smoothstep(inside + np.float32(0.35) * smooth_noise(rng, shape, 12.0, 5.0), 0.0, 0.5)
        uneven = np.clip(0.8 + 0.2 * smooth_noise(rng, shape, 8.0), 0.25, 1.0)
        severity = (fuel * reached * uneven).astype(np.float32)
        severity[severity < 0.1] = 0
        scars.append(Scar(day, severity, woods))
        near = near * (1 - reached)
    return tuple(scars)
