"""Random numbers by counter: each is a hash of (seed, pixel-year, name, number), the same in any slice."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import STEP, mix_in_place, require

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Keys = NDArray[np.uint64]


class Draws:
    """Random numbers of a block of pixel-years.

    Parameters
    ----------
    seed : seed of the whole series, 0 or more
    index : (n,) int64, number of each pixel-year
    """

    def __init__(self, seed: int, index: NDArray[np.int64]) -> None:
        start = mix_in_place(np.array([seed % 2**64], dtype=np.uint64) + STEP)
        self._keys = mix_in_place((start ^ index.astype(np.uint64) * STEP) + STEP)

    def __len__(self) -> int:
        return len(self._keys)

    def _named(self, name: str) -> Keys:
        return mix_in_place(self._keys ^ mix_in_place(np.array([zlib.crc32(name.encode())], dtype=np.uint64) + STEP))

    def uniform(self, name: str, *shape: int) -> Floats:
        """(n, *shape) float64 between 0 and 1, exclusive."""
        count = int(np.prod(shape)) if shape else 1
        counter = np.arange(1, count + 1, dtype=np.uint64) * STEP
        return _unit(mix_in_place(self._named(name)[:, None] + counter)).reshape(len(self), *shape)

    def at(self, name: str, pixel: NDArray[np.integer[Any]], number: NDArray[np.integer[Any]], size: int = 1) -> Floats:
        """(rows, size) float64 for rows of pixels, each row with a number of its own within its pixel."""
        counter = number.astype(np.uint64)[:, None] * np.uint64(size) + np.arange(1, size + 1, dtype=np.uint64)
        return _unit(mix_in_place(self._named(name)[pixel][:, None] + counter * STEP))

    def between(self, name: str, low: Any, high: Any) -> Floats:
        """(n,) uniform between two bounds, numbers or (n,) each."""
        return np.asarray(low + self.uniform(name) * (np.asarray(high) - low))

    def normal(self, name: str, *shape: int) -> Floats:
        """(n, *shape) standard normal."""
        return gaussian(self.uniform(name, *shape))

    def chance(self, name: str, probability: Any) -> NDArray[np.bool_]:
        """(n,) true with a probability, a number or (n,)."""
        return np.asarray(self.uniform(name) < probability)


def _unit(key: Keys) -> Floats:
    return (key >> np.uint64(12)).astype(np.float64) * 2.0**-52 + 2.0**-53


def gaussian(uniform: Floats) -> Floats:
    """Standard normal quantiles of uniform numbers."""
    special = require("scipy.special", extra="train", purpose="simulating series")
    return np.asarray(special.ndtri(uniform))


def speckle(normal: Floats, looks: Any) -> Floats:
    """Gamma numbers of mean 1 and shape `looks` (2 or more) from normal ones, by Wilson and Hilferty's cube."""
    ninth = 1.0 / (9.0 * np.asarray(looks))
    return np.asarray(np.maximum(1 - ninth + normal * np.sqrt(ninth), 0.05) ** 3)
