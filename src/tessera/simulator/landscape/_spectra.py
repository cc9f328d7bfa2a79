"""Reflectance of every pixel in ten Sentinel-2 bands on a day."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._noise import blur
from .classes import BARE, BARLEY, BEET, BUILT, CLASSES, CONIFER, DECIDUOUS, GRASS, MAIZE, RAPESEED, WATER, WHEAT

if TYPE_CHECKING:
    from ._landscape import Landscape
    from ._noise import Field
    from ._phenology import Climate, State, Units


def _spectrum(text: str) -> Field:
    """Per cent in wavelength order (B02 B03 B04 B05 B06 B07 B08 B8A B11 B12) as reflectance in `S2_BANDS` order."""
    blue, green, red, edge1, edge2, edge3, nir, nir08, swir16, swir22 = (float(word) / 100 for word in text.split())
    return np.array([red, blue, green, nir, nir08, edge1, edge2, edge3, swir16, swir22], dtype=np.float32)


# Typical surface reflectances of temperate land; shapes as in common spectral libraries, rounded.
_CANOPY = {
    WHEAT: _spectrum("2.6 5.2 2.8 9.5 31 39 41 43 19 8.5"),
    BARLEY: _spectrum("2.9 5.9 3.1 10.5 31 38 40 42 20 9.3"),
    RAPESEED: _spectrum("2.8 6.2 2.9 11 36 44 46 48 20.5 9"),
    MAIZE: _spectrum("2.5 5.4 2.9 10 33 41 43 45 20.5 9.6"),
    BEET: _spectrum("2.7 6.4 3.0 11.5 38 47 49 51 20 8.6"),
    GRASS: _spectrum("3.2 6.4 3.7 11.2 30 37 39 41 22.5 11.5"),
    DECIDUOUS: _spectrum("2.0 4.2 2.2 7.8 27 35 37 39 17.5 7.6"),
    CONIFER: _spectrum("1.6 2.9 1.9 5.0 14.5 18 19 20.5 9.8 4.6"),
}
_BLOSSOM = _spectrum("5.4 17 16 22 37 43 45 47 23.5 12")
_STRAW = _spectrum("8 12 16 19 23 25.5 27.5 29.5 34 26.5")
_AUTUMN = _spectrum("3.5 6.5 9 14 22 25 27 29 23 13")
_LOAM = _spectrum("6.4 9 12 14.2 16 17.6 19.4 21 27 22.5")
_SAND = _spectrum("11 15.5 20.5 23.5 25.5 27 29 30.5 37 33")
_LITTER = _spectrum("3.6 5.2 6.4 8.6 11.5 13.2 15 16.5 20 12.5")
_ROOF = _spectrum("8 10 14 16 17.5 18.5 20 21 24 21")
_BRIGHT_ROOF = _spectrum("24 26 27 27.5 28 28.5 30 30.5 30 28")
_ASPHALT = _spectrum("7.5 8.6 9.2 9.8 10.3 10.8 11.5 12 14 13")
_CHAR = _spectrum("3.6 4.2 5.0 5.8 6.8 7.6 8.6 9.6 19.5 17.5")
_CLEAR_WATER = _spectrum("2.8 3.0 1.7 1.4 1.0 0.9 0.7 0.6 0.3 0.2")
_TURBID_WATER = _spectrum("5.2 8.2 8.4 8.0 5.0 4.8 4.2 3.6 1.2 0.8")

_CANOPIES = np.stack([_CANOPY.get(code, _CANOPY[GRASS]) for code in range(len(CLASSES))])
_EXTINCTION = 0.58
"""Extinction of light in a canopy: cover = 1 - exp(-0.58 * leaf area index)."""


def surface(
    land: Landscape, units: Units, climate: Climate, state: State, day: int, burnt: tuple[Field, Field] | None = None
) -> Field:
    """Reflectance (H, W, 10) float32 of clean ground, bands in `S2_BANDS` order, mixed over neighbouring pixels.

    `burnt` holds char and lost leaves as `Scar.left_on` returns them.
    """
    code = units.code
    wet = climate.moisture(day)
    water_absorbs = np.array([1, 1, 1, 0.9, 0.9, 0.95, 0.95, 0.9, 1.25, 1.35], dtype=np.float32)
    drying = np.exp(-np.float32(0.55 * wet) * water_absorbs)
    soil = (_LOAM + units.sand[:, None] * (_SAND - _LOAM)) * units.brightness[:, None] * drying
    soil[code == BARE] += 0.25 * (_SAND * drying - soil[code == BARE])
    woods = (code == DECIDUOUS) | (code == CONIFER)
    soil[woods] = _LITTER * (1 - 0.15 * wet)
    canopy = _CANOPIES[code] * units.canopy
    canopy += (0.85 * state.flower)[:, None] * (_BLOSSOM - canopy)
    # Leaves that yellow on the plant change its colour; what is already straw belongs to the ground below.
    canopy += (
        np.where(code == DECIDUOUS, 1.6, 0.3)[:, None].astype(np.float32)
        * state.dry[:, None]
        * (np.where((code == DECIDUOUS)[:, None], _AUTUMN, _STRAW) - canopy)
    )
    ground = soil + state.dry[:, None] * (_STRAW * (1 - 0.25 * wet) - soil) * (code != DECIDUOUS)[:, None]
    ground[code == WATER] = _CLEAR_WATER + np.float32(0.15 + 0.45 * wet) * (_TURBID_WATER - _CLEAR_WATER)

    unit = land.unit
    uneven = np.where(code == CONIFER, 0.1, np.where(code == DECIDUOUS, 0.1, 0.16)).astype(np.float32)
    leaf_area = state.leaf_area[unit] * np.exp(uneven[unit] * land.texture)
    if land.trees is not None:
        leaf_area *= land.trees.leaf_factor
    cover = (1 - np.exp(-np.float32(_EXTINCTION) * leaf_area))[..., None].astype(np.float32)
    base = ground[unit]
    if burnt is not None:
        char, lost = burnt
        base += np.clip(char + 0.4 * lost, 0, 1)[..., None] * (_CHAR - base)
        cover *= (1 - lost)[..., None]
    image = base + cover * (canopy[unit] - base)
    relief = np.where(woods, 0.07, np.where(code == WATER, 0.03, 0.025)).astype(np.float32)
    image *= (1 + relief[unit] * land.texture)[..., None]
    if land.trees is not None:
        image *= land.trees.reflected
    built = land.cover == BUILT
    if land.town.size:
        image[built] = _town(land.town, climate, day)
    if land.road is not None:
        image += land.road[..., None] * (_ASPHALT * np.float32(1 - 0.2 * wet) - image)
    return np.maximum(blur(image, 0.14), np.float32(0.0005))


def _town(shares: Field, climate: Climate, day: int) -> Field:
    season = climate.season(day)
    green = np.float32(0.35 + 0.55 / (1 + np.exp(-(season - 112) / 9)) - 0.5 / (1 + np.exp(-(season - 300) / 11)))
    garden = _LITTER + green * (_CANOPY[GRASS] * 0.9 - _LITTER)
    wet = 1 - 0.2 * climate.moisture(day)
    return np.asarray(shares @ np.stack([_ROOF * wet, _BRIGHT_ROOF, _ASPHALT * wet, garden]), dtype=np.float32)
