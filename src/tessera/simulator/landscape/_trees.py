"""Trees: how high they stand and how much wood they hold, and what a satellite sees of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ._noise import blur, smooth_noise, stream
from .classes import CONIFER, DECIDUOUS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._noise import Field

_RANGES = {DECIDUOUS: (5.0, 29.0), CONIFER: (4.0, 33.0)}
"""Heights of the youngest and the oldest stands, metres."""
_WOOD = {DECIDUOUS: 1.75, CONIFER: 1.25}
"""Biomass of a stand of 1 m, t/ha; it grows with the height to the power of 1.55, as of temperate stands."""
_POWER = 1.55
_USUAL = 16.0
"""Height of the stands that the spectra and the backscatter of the classes describe, metres."""
_DARKER = np.array([0.06, 0.05, 0.06, 0.13, 0.13, 0.08, 0.11, 0.13, 0.15, 0.15], dtype=np.float32)
"""Loss of reflectance in each of `S2_BANDS` for 10 m more: crowns of tall stands shade each other."""
_BRIGHTER = np.array([0.6, 1.1], dtype=np.float32)
"""dB in VV and VH for 10 m more."""


@dataclass(frozen=True)
class Trees:
    """(H, W) float32: height, metres, 0 = no trees; density, 1 = usual; biomass, t/ha."""

    height: Field
    density: Field
    biomass: Field

    @property
    def leaf_factor(self) -> Field:
        """Factor on the leaf area, 1 outside woods."""
        young = 0.6 + 0.4 * np.clip(self.height / 12, 0, 1)
        return np.where(self.height > 0, young * np.sqrt(self.density), 1.0).astype(np.float32)

    @property
    def reflected(self) -> Field:
        """Factor on the reflectance (H, W, 10)."""
        return np.asarray(np.exp(-self._taller[..., None] * _DARKER), dtype=np.float32)

    @property
    def scattered(self) -> Field:
        """Factor on the backscatter (H, W, 2)."""
        denser = np.where(self.height > 0, np.log(self.density), 0)[..., None].astype(np.float32)
        return np.asarray(10 ** ((self._taller[..., None] * _BRIGHTER + denser) / 10), dtype=np.float32)

    @property
    def _taller(self) -> Field:
        return np.where(self.height > 0, (self.height - _USUAL) / 10, 0).astype(np.float32)


def make_trees(seed: int, cover: NDArray[np.uint8]) -> Trees:
    """Stands of different ages; hedges and the edges of woods are low."""
    rng = stream(seed, "trees")
    shape = cover.shape[0], cover.shape[1]
    age = 0.5 + 0.5 * np.tanh(0.8 * smooth_noise(rng, shape, 34.0, 12.0))
    height = np.zeros(shape, dtype=np.float32)
    biomass = np.zeros(shape, dtype=np.float32)
    density = np.exp(0.25 * smooth_noise(rng, shape, 26.0)).astype(np.float32)
    uneven = 0.9 * rng.standard_normal(shape, dtype=np.float32)
    woods = np.isin(cover, list(_RANGES))
    around = woods.astype(np.float32)
    for _ in range(4):
        around = blur(around, 0.3)
    hedge = np.clip((around - 0.35) / 0.35, 0, 1)
    for code, (low, high) in _RANGES.items():
        at = cover == code
        grown = low + (high - low) * age
        height[at] = np.maximum((grown * (0.35 + 0.65 * hedge) + uneven)[at], 2.0)
        biomass[at] = _WOOD[code] * height[at] ** _POWER * density[at]
    return Trees(height, density, biomass)
