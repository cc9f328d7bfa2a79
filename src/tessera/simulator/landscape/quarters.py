"""Towns with quarters of several local climate zones (Stewart and Oke 2012, doi:10.1175/BAMS-D-11-00019.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._noise import blur, smooth_noise, stream
from .classes import BARE, BUILT, CONIFER, DECIDUOUS, WATER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._noise import Field

ZONES = (
    "2 compact midrise",
    "3 compact low-rise",
    "5 open midrise",
    "6 open low-rise",
    "8 large low-rise",
    "9 sparsely built",
    "A dense trees",
    "D low plants",
    "F bare soil",
    "G water",
)
"""The local climate zones of the landscape; the index is the code in the truth."""
NO_ZONE = 255
BLOCK = 10
"""Pixels of a side of the squares of 100 m."""
_BUILT_ZONES = 6
_SHARES = np.array(
    [
        [0.52, 0.05, 0.30, 0.13],
        [0.42, 0.03, 0.27, 0.28],
        [0.22, 0.06, 0.22, 0.50],
        [0.21, 0.01, 0.16, 0.62],
        [0.15, 0.40, 0.40, 0.05],
        [0.07, 0.01, 0.06, 0.86],
    ]
)
"""Mean shares of roof, bright roof, asphalt and garden in each built zone."""
_WALLS = np.array([1.5, 1.05, 1.4, 0.85, 1.1, 0.7], dtype=np.float32)
"""Factor on the double bounce of walls: high buildings scatter more than low ones of the same plan."""
_RINGS = (0.8, 0.66, 0.54, 0.4)
"""Intensity of the town from which a quarter is of the first, second, third or fourth zone."""


def make_quarters(seed: int, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """The zone of each pixel that is built up, `NO_ZONE` elsewhere."""
    rng = stream(seed, "quarters")
    height, width = shape
    side = min(height, width, 256)
    rows, cols = np.mgrid[0:height, 0:width].astype(np.float32)
    intensity = np.zeros(shape, dtype=np.float32)
    works = np.zeros(shape, dtype=np.bool_)
    for _ in range(max(2, round(2.5 * height * width / 256**2))):
        row, col = rng.uniform(0.15, 0.85) * height, rng.uniform(0.15, 0.85) * width
        radius = side * rng.uniform(0.13, 0.22)
        down, right = (rows - row) / radius, (cols - col) / radius
        own = np.exp(-(down**2 + right**2)).astype(np.float32)
        away = np.abs((np.arctan2(down, right) - rng.uniform(-np.pi, np.pi) + np.pi) % (2 * np.pi) - np.pi)
        works |= (away < 0.7) & (own > 0.35) & (own < 0.8)
        np.maximum(intensity, own, out=intensity)
    intensity += 0.06 * smooth_noise(rng, shape, 14.0)
    zone = np.full(shape, NO_ZONE, dtype=np.uint8)
    zone[intensity > 0.3] = 5
    for index in reversed(range(len(_RINGS))):
        zone[intensity > _RINGS[index]] = index
    zone[works & (zone != NO_ZONE)] = 4
    return zone


def town_of(seed: int, zone: NDArray[np.uint8], cover: NDArray[np.uint8]) -> tuple[Field, Field]:
    """Shares (N, 4) of the surfaces, and factors (N,) on what walls scatter, of the built-up pixels."""
    rng = stream(seed, "quarters", 1)
    kind = np.where(zone < _BUILT_ZONES, zone, 3)
    raw = rng.standard_gamma(3.5 * _SHARES[kind] + 0.01).astype(np.float32) + np.float32(0.003)
    raw = blur(raw / raw.sum(axis=-1, keepdims=True), 0.1)
    shares = raw / raw.sum(axis=-1, keepdims=True)
    built = cover == BUILT
    return np.ascontiguousarray(shares[built], dtype=np.float32), _WALLS[kind][built]


def zones_of_pixels(zone: NDArray[np.uint8], cover: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The local climate zone of each pixel: the quarter's, or what its land cover is like."""
    natural = np.full(256, ZONES.index("D low plants"), dtype=np.uint8)
    natural[[DECIDUOUS, CONIFER]] = ZONES.index("A dense trees")
    natural[BARE] = ZONES.index("F bare soil")
    natural[WATER] = ZONES.index("G water")
    built = (cover == BUILT) & (zone != NO_ZONE)
    return np.where(built, zone, natural[cover]).astype(np.uint8)
