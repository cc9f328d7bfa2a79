"""Hashes of whole arrays of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STEP = 0x9E3779B97F4A7C15
"""The increment of SplitMix64: the n-th number of a stream is the hash of its key plus n steps."""


def mix_in_place(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Apply SplitMix64's finaliser (Steele, Lea and Flood, 2014) to an array in place; returns the array.

    It maps the numbers of 64 bits one to one, and every input bit changes every output bit.
    """
    import numpy as np

    shifted = x >> 30
    x ^= shifted
    x *= 0xBF58476D1CE4E5B9
    np.right_shift(x, 27, out=shifted)
    x ^= shifted
    x *= 0x94D049BB133111EB
    np.right_shift(x, 31, out=shifted)
    x ^= shifted
    return x
