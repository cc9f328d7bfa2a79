"""Clouds, their shadows, cirrus and haze, and the scene classification of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ._noise import halve, smooth_noise, smoothstep

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._noise import Field
    from ._phenology import Climate

_HAZE = np.array([0.5, 1.0, 0.7, 0.25, 0.22, 0.42, 0.35, 0.3, 0.06, 0.03], dtype=np.float32)
"""Path radiance left after correction, relative to blue, in `S2_BANDS` order."""
_CLOUD = np.array([0.62, 0.63, 0.62, 0.66, 0.67, 0.63, 0.64, 0.66, 0.46, 0.36], dtype=np.float32)
"""Reflectance of a thick cloud."""
_CIRRUS = np.array([0.09, 0.11, 0.1, 0.07, 0.065, 0.085, 0.08, 0.075, 0.03, 0.02], dtype=np.float32)
"""Reflectance that thin cirrus adds."""


@dataclass(frozen=True)
class Sky:
    """The sky of an acquisition: (H, W) float32 from 0 to 1 each, and haze as reflectance in the blue band."""

    cloud: Field
    shadow: Field
    cirrus: Field
    haze: Field


def make_sky(rng: np.random.Generator, climate: Climate, day: int, shape: tuple[int, int]) -> Sky:
    """The sky of a day: some are clear, some overcast, most broken. Shadows lie away from the sun."""
    season = climate.season(day)
    cloudy = np.clip(climate.cloudiness + 0.12 * np.cos(2 * np.pi * (season - 10) / 365), 0.1, 0.9)
    kind = rng.random()
    share = 0.0
    overcast, broken = 0.45 * cloudy, 0.85 * cloudy
    if kind < overcast:
        share = float(rng.uniform(0.9, 1.4))
    elif kind < overcast + broken:
        share = float(rng.beta(0.9, 1.3))
    field = smooth_noise(rng, shape, 55.0, 18.0, 6.0)
    cirrus_field = smooth_noise(rng, shape, 80.0, 20.0)
    haze_field = smooth_noise(rng, shape, 90.0)
    if share >= 0.98:
        cloud = np.clip(0.85 + 0.12 * field, 0.55, 1.0).astype(np.float32)
    elif share > 0.005:
        edge = float(np.quantile(field, 1 - share))
        cloud = smoothstep(field, edge - 0.12, edge + 0.5)
    else:
        cloud = np.zeros(shape, dtype=np.float32)
    elevation = np.deg2rad(38 - 24 * np.cos(2 * np.pi * (season - 172 + 182.5) / 365))
    reach = rng.uniform(60.0, 180.0) / np.tan(elevation) / 10.0
    azimuth = np.deg2rad(rng.uniform(150.0, 172.0))
    step = (round(-reach * np.cos(azimuth) * (1 if climate.southern else -1)), round(-reach * np.sin(azimuth)))
    shadow = np.roll(cloud, step, axis=(0, 1)) * (1 - cloud)
    cirrus = np.zeros(shape, dtype=np.float32)
    if rng.random() < 0.25:
        level = float(np.quantile(cirrus_field, rng.uniform(0.3, 0.9)))
        cirrus = smoothstep(cirrus_field, level, level + 1.5) * np.float32(rng.uniform(0.15, 0.6))
    haze = np.maximum(rng.gamma(1.3, 0.005) * (1 + 0.3 * haze_field) - rng.uniform(0.0, 0.006), -0.006)
    return Sky(cloud, shadow.astype(np.float32), cirrus, haze.astype(np.float32))


def through(sky: Sky, ground: Field) -> Field:
    """Reflectance (H, W, 10) of `ground` in the corrected image; changed in place."""
    ground *= (1 - np.float32(0.55) * sky.shadow)[..., None]
    ground += sky.haze[..., None] * _HAZE
    ground += sky.cirrus[..., None] * _CIRRUS
    opacity = (sky.cloud ** np.float32(0.8))[..., None]
    brightness = (np.float32(0.8) + np.float32(0.45) * sky.cloud)[..., None]
    ground += opacity * (_CLOUD * brightness - ground)
    return ground


def classify(rng: np.random.Generator, sky: Sky, clean: Field, water: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Scene classes (H / 2, W / 2) uint8 like Sen2Cor's, with its mistakes: thin cloud edges are clear."""
    cloud, shadow, cirrus = halve(sky.cloud), halve(sky.shadow), halve(sky.cirrus)
    red, nir = halve(clean[..., 0]), halve(clean[..., 3])
    green = (nir - red) / (nir + red + np.float32(1e-4))
    scl = np.where(green > 0.38, 4, 5).astype(np.uint8)
    scl[halve(water.astype(np.float32)) > 0.6] = 6
    dice = rng.random(scl.shape, dtype=np.float32)
    scl[(green > 0.24) & (green < 0.4) & (dice < 0.1)] = 7
    scl[(scl == 4) & (nir < 0.14) & (dice < 0.3)] = 2
    scl[(red > 0.24) & (dice < 0.4)] = 8
    scl[cirrus > 0.18] = 10
    scl[shadow > 0.2] = 3
    scl[cloud > 0.1] = 8
    scl[cloud > 0.5] = 9
    return scl
