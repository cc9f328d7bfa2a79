"""The order of an epoch: a permutation of 0 to n - 1 whose value at any position is computed without the others.

So a run can resume anywhere, and each process computes its own share, with no state but (seed, epoch).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError

from .data import key_of, keys_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROUNDS = 10
_LARGEST = 2**62


def permute(positions: NDArray[np.integer[Any]], n: int, *key: int) -> NDArray[np.int64]:
    """Values of a permutation of 0 to n - 1 at these positions: a Feistel network on two digits, with cycle walking.

    A number has two digits with bases near the root of n; in each round a hash of one is added to the other. Results
    outside 0 to n - 1 are permuted again, so that the whole stays a bijection.

    Parameters
    ----------
    positions : (B,) from 0 to n - 1
    n : length
    key : integers that choose the permutation, such as seed and epoch

    Returns
    -------
    (B,) int64

    Raises
    ------
    InputError
        n is below 1 or above 2**62, or a position is outside.
    """
    places = _checked(positions, n)
    base = _root(n)
    bases = (np.uint64(base), np.uint64(-(-n // base)))
    keys = [key_of(n, index, *key) for index in range(_ROUNDS)]
    out = _rounds(places.astype(np.uint64), bases, keys)
    while (outside := np.flatnonzero(out >= n)).size:
        out[outside] = _rounds(out[outside], bases, keys)
    return out.astype(np.int64)


def _rounds(x: NDArray[np.uint64], bases: tuple[np.uint64, np.uint64], keys: list[np.uint64]) -> NDArray[np.uint64]:
    digits = list(np.divmod(x, bases[1]))
    for index, key in enumerate(keys):
        changed = index % 2
        digits[changed] = (digits[changed] + keys_of(key, digits[1 - changed]) % bases[changed]) % bases[changed]
    out: NDArray[np.uint64] = digits[0] * bases[1] + digits[1]
    return out


def _root(n: int) -> int:
    root = int(np.sqrt(float(n)))
    while root * root < n:
        root += 1
    return root


def _checked(positions: NDArray[np.integer[Any]], n: int) -> NDArray[np.int64]:
    if not 1 <= n <= _LARGEST:
        raise InputError(f"a permutation of {n} numbers; expected 1 to 2**62")
    places = np.asarray(positions, dtype=np.int64)
    if places.size and not (places.min() >= 0 and places.max() < n):
        raise InputError(f"positions from {places.min()} to {places.max()}; expected 0 to {n - 1}")
    return places


@dataclass(frozen=True)
class Order:
    """The order in which the pixel-years of a table are read in each epoch.

    By default an epoch is one permutation of all. For block files that do not fit into memory, `window` keeps reads
    local: each epoch shuffles the blocks, and permutes pixel-years within `window` blocks at a time. The content of
    blocks is already shuffled (`write_blocks`), so every window is a fair sample.

    Attributes
    ----------
    n : pixel-years
    seed : of the permutations
    block : pixel-years a block; the last may have fewer, and is then always in the last window
    window : blocks that are read together, None for all
    """

    n: int
    seed: int
    block: int = 1
    window: int | None = None

    def __post_init__(self) -> None:
        if self.n < 1 or self.block < 1 or (self.window is not None and self.window < 1):
            raise InputError(
                f"an order of {self.n} pixel-years, blocks of {self.block}, {self.window} at a time; "
                "expected whole numbers from 1"
            )

    def at(self, epoch: int, positions: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Indices of the pixel-years at these positions of an epoch, (B,) int64.

        Raises
        ------
        InputError
            A position is outside 0 to n - 1.
        """
        whole = self.n // self.block
        if self.window is None or self.window * self.block >= self.n:
            return permute(positions, self.n, self.seed, epoch)
        places = _checked(positions, self.n)
        size = self.window * self.block
        windows = places // size
        moved = np.empty_like(places)
        for index in np.unique(windows):
            own = windows == index
            first = int(index) * size
            moved[own] = first + permute(
                places[own] - first, min(size, self.n - first), self.seed, epoch, 1 + int(index)
            )
        block, rest = np.divmod(moved, self.block)
        full = block < whole
        block[full] = permute(block[full], whole, self.seed, epoch, -1)
        out: NDArray[np.int64] = block * self.block + rest
        return out
