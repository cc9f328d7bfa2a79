"""Backscatter: gamma0 of every pixel in VV and VH, with speckle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._noise import blur
from .classes import BARE, BARLEY, BEET, BUILT, CLASSES, CONIFER, DECIDUOUS, GRASS, MAIZE, RAPESEED, WATER, WHEAT

if TYPE_CHECKING:
    from ._landscape import Landscape
    from ._noise import Field
    from ._phenology import Climate, State, Units

_VOLUME = {
    WHEAT: (-14.0, -20.0),
    BARLEY: (-13.0, -18.5),
    RAPESEED: (-9.5, -13.8),
    MAIZE: (-9.0, -14.3),
    BEET: (-8.3, -13.3),
    GRASS: (-11.8, -18.3),
    DECIDUOUS: (-9.3, -14.3),
    CONIFER: (-10.2, -15.2),
}
"""Backscatter of a closed canopy in dB, VV and VH, C band; cereals dim the soil rather than add to it."""
_CANOPY = np.array([_VOLUME.get(code, _VOLUME[GRASS]) for code in range(len(CLASSES))], dtype=np.float32)
_BURNT = np.array([0.8, 2.6], dtype=np.float32)
"""dB that VV and VH lose where no leaf or twig is left."""
_PAVED = np.array([0.014, 0.0022], dtype=np.float32)
"""Linear power of a smooth road."""
_LOOKS = 1.4
"""Gamma shape of the raw speckle; mixing neighbours as the 20 m resolution does brings it to about 5 looks."""


def backscatter(
    rng: np.random.Generator,
    land: Landscape,
    units: Units,
    climate: Climate,
    state: State,
    day: int,
    ascending: bool,
    burnt: tuple[Field, Field] | None = None,
) -> Field:
    """Gamma0 (H, W, 2) float32, linear power, VV and VH, of one pass."""
    code = units.code
    wet = climate.moisture(day)
    soil = np.stack([-12.6 + 4.6 * wet + units.roughness, -20.2 + 3.6 * wet + 1.3 * units.roughness], axis=-1)
    woods = (code == DECIDUOUS) | (code == CONIFER)
    # Bare branches scatter VH a little more than leaves do.
    soil[woods] = np.array([-9.6, -14.2]) + units.radar[woods]
    soil[code == BARE] += np.array([0.6, 0.2])
    canopy = _CANOPY[code] + units.radar
    canopy += np.where(np.isin(code, (WHEAT, BARLEY)), 3.0 * state.dry, 0.0)[:, None]
    canopy += np.where(code == RAPESEED, 2.0 * state.dry, 0.0)[:, None] * np.array([0.4, 1.0])
    through = np.exp(-np.array([0.55, 0.75]) * (state.leaf_area + 1.5 * state.dry * (code != GRASS))[:, None])
    power = 10 ** (soil / 10) * through + 10 ** (canopy / 10) * (1 - through)
    wind = rng.gamma(2.0, 1.0)
    power[code == WATER] = 10 ** (np.array([-21.5 + 1.8 * wind, -27.5 + 1.0 * wind]) / 10)
    # The two orbits look from opposite sides and at other angles.
    power *= 10 ** ((np.array([0.35, 0.2]) if ascending else np.array([-0.25, -0.15])) / 10)
    image = power.astype(np.float32)[land.unit]
    image *= np.exp(np.float32(0.09) * land.texture)[..., None]
    if land.trees is not None:
        image *= land.trees.scattered
    if burnt is not None:
        image *= 10 ** (-burnt[1][..., None] * _BURNT / 10)
    built = land.cover == BUILT
    if land.town.size:
        facing = (1.0, 1.7) if ascending else (1.25, 1.2)
        roof, bright, asphalt, garden = land.town.T
        walls = facing[0] * roof + facing[1] * bright
        if land.walls is not None:
            walls *= land.walls
        image[built, 0] = 0.03 + 0.9 * walls**1.5 + 0.02 * asphalt + 0.08 * garden
        image[built, 1] = 0.005 + 0.13 * walls**1.5 + 0.003 * asphalt + 0.026 * garden
    if land.road is not None:
        image += land.road[..., None] * (_PAVED - image)
    image = blur(image, 0.12)
    speckle = rng.standard_gamma(_LOOKS, image.shape, dtype=np.float32) / np.float32(_LOOKS)
    return np.asarray(image * blur(speckle, 0.15), dtype=np.float32)
