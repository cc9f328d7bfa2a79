"""Random numbers as a function of a key and a counter.

SplitMix64 as a hash (Steele, Lea and Flood, 2014): any number of a stream is computed without those before it, for
whole arrays, and with the same result in every process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import STEP, mix_in_place

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MASK = 2**64 - 1


def key_of(*words: int) -> np.uint64:
    """One key from integers of any sign with absolute values below 2**64; their order matters."""
    key = np.zeros(1, dtype=np.uint64)
    for word in words:
        key += STEP
        key ^= np.uint64(word & _MASK)
        key = mix_in_place(key)
    return np.uint64(key[0])


def keys_of(key: np.uint64, items: NDArray[np.integer[Any]]) -> NDArray[np.uint64]:
    """(B,) a key for each number, derived from one key; distinct for distinct numbers."""
    keys = np.asarray(items).astype(np.uint64)
    keys *= STEP
    keys += key
    return mix_in_place(keys)


def bits(keys: NDArray[np.uint64], count: int, first: int = 0) -> NDArray[np.uint64]:
    """(B, count) uint64, numbers `first` to `first + count - 1` of each key's stream."""
    steps = np.arange(first + 1, first + count + 1, dtype=np.uint64) * STEP
    return mix_in_place(keys[:, None] + steps)


def uniform(keys: NDArray[np.uint64], count: int, purpose: int = 0) -> NDArray[np.float64]:
    """(B, count) float64 in [0, 1), 53 bits; streams of different purposes are independent."""
    if purpose:
        keys = mix_in_place(keys ^ key_of(purpose))
    out: NDArray[np.float64] = np.multiply(bits(keys, count) >> np.uint64(11), 2.0**-53)
    return out


def normal(keys: NDArray[np.uint64], count: int, purpose: int = 0) -> NDArray[np.float64]:
    """(B, count) float64, mean 0 and deviation 1 (Box and Muller, 1958)."""
    flat = uniform(keys, 2 * count, purpose)
    out: NDArray[np.float64] = np.sqrt(-2 * np.log1p(-flat[:, :count])) * np.cos(2 * np.pi * flat[:, count:])
    return out


def below(keys: NDArray[np.uint64], limits: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """(B, count) integers, uniform in 0 to limits - 1 of each row; limits of 0 give 0.

    One hash gives two numbers of 32 bits, so the bias is limits / 2**32. A smaller `count` gives the first of them.
    """
    halves = bits(keys, (count + 1) // 2).astype("<u8", copy=False).view("<u4")[:, :count]
    scaled = np.multiply(halves, limits.astype(np.uint64)[:, None], dtype=np.uint64)
    scaled >>= np.uint64(32)
    out: NDArray[np.int64] = scaled.view(np.int64)
    return out


def dealt(keys: NDArray[np.uint64], limits: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """(B, count) integers: each row's 0 to limits - 1 in random order, repeated in that order after the last.

    Limits of 0 give 0. A smaller `count` gives their beginning.
    """
    most = max(1, int(limits.max(initial=1)))
    marks = bits(keys, most) >> np.uint64(1)
    # numbers beyond a row's limit come last
    marks[np.arange(most) >= limits[:, None]] = np.uint64(_MASK)
    order = np.argsort(marks, axis=1, kind="stable").astype(np.int64)
    return np.take_along_axis(order, np.arange(count) % np.maximum(limits, 1)[:, None], axis=1)
