"""The random draws of v1.0: a fixed number of observations a pixel and modality, from its position and a seed.

The published code uses numpy's unseeded global generator, so its embeddings differ from run to run. Here a pixel's draw
depends only on its position, seed, modality and repeat: it is the same in any batch, tile or process.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import STEP, InputError, mix_in_place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tessera.cubes import PixelCube

_MARGIN = 1e-3


@dataclass(frozen=True)
class Draw:
    """How v1.0 draws its observations; other versions ignore it.

    Attributes
    ----------
    seed : of the draws, 0 to 2**32 - 1
    repeats : draws a pixel, whose vectors are averaged before quantisation (published: 1)
    numpy_batch : instead reproduce the published code's stream after `numpy.random.seed(seed)` with this batch size
        (1024 as shipped), for comparison on whole tiles
    """

    seed: int = 0
    repeats: int = 1
    numpy_batch: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**32:
            raise InputError(f"seed {self.seed}; expected 0 to 2**32 - 1")
        if not 1 <= self.repeats <= 1000:
            raise InputError(f"{self.repeats} repeats; expected 1 to 1000")
        if self.numpy_batch is not None and self.numpy_batch < 1:
            raise InputError(f"numpy batch {self.numpy_batch}; expected at least 1")


def pixel_keys(block: PixelCube, first_row: int, seed: int, stream: int, repeat: int) -> NDArray[np.uint64]:
    """A key for each pixel of a block of rows, from its coordinates, or its array indices if it has none.

    Parameters
    ----------
    first_row : of the block in the whole cube

    Returns
    -------
    (H * W,) uint64
    """
    (height, width), grid = block.shape, block.grid
    row, col = np.arange(height, dtype=np.float64)[:, None], np.arange(width, dtype=np.float64)[None, :]
    if grid is None:
        x, y, zone = np.broadcast_to(col, (height, width)), np.broadcast_to(row + first_row, (height, width)), 0
    else:
        a, b, c, d, e, f = grid.transform
        # the corner in whole pixels; the margin absorbs rounding errors in the corner of a crop
        x = np.floor((a * col + b * row + c) / max(abs(a), abs(b)) + _MARGIN)
        y = np.floor((d * col + e * row + f) / max(abs(d), abs(e)) + _MARGIN)
        zone = zlib.crc32(grid.crs.encode())
    place = (x.astype(np.int64) & 0xFFFFFFFF) | (y.astype(np.int64) << 32)
    head = mix_in_place(np.asarray([seed, zone, 2 * repeat + stream], dtype=np.uint64) * STEP + STEP)
    start = mix_in_place(np.asarray([head[0] ^ (head[1] >> np.uint64(1)) ^ (head[2] >> np.uint64(2))]))
    return mix_in_place(place.reshape(-1).view(np.uint64) ^ start)


def pool_of(valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(P, T) mask of observations to draw from: the valid ones, or all if none is, as in the published code."""
    empty = valid.sum(axis=1) == 0
    return valid | empty[:, None] if empty.any() else valid


def draw_counts(valid: NDArray[np.bool_], keys: NDArray[np.uint64], size: int) -> NDArray[np.uint8]:
    """How often each observation is drawn: without replacement if `size` or more are valid, else with replacement.

    Parameters
    ----------
    valid : (P, T) bool, T at least 1
    keys : (P,) uint64
    size : observations to draw, at most 255

    Returns
    -------
    (P, T) uint8, each row with the sum `size`
    """
    pool = pool_of(valid)
    n = pool.sum(axis=1)
    counts = np.zeros(valid.shape, dtype=np.uint8)
    few, many = np.flatnonzero(n < size), np.flatnonzero(n >= size)
    if len(few):
        counts[few] = _with_replacement(pool[few], n[few], keys[few], size)
    if len(many):
        counts[many] = _without_replacement(pool[many], keys[many], size)
    return counts


def _with_replacement(
    pool: NDArray[np.bool_], n: NDArray[np.int64], keys: NDArray[np.uint64], size: int
) -> NDArray[np.uint8]:
    steps = np.arange(1, size + 1, dtype=np.uint64) * STEP
    high = mix_in_place(keys[:, None] + steps) >> np.uint64(32)
    return counts_of(pool, ((high * n.astype(np.uint64)[:, None]) >> np.uint64(32)).astype(np.int64))


def counts_of(pool: NDArray[np.bool_], chosen: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
    """(P, T) count of each observation in `chosen` (P, size), which are indices into those of `pool` (P, T)."""
    n = pool.sum(axis=1)
    first = np.cumsum(n) - n
    often = np.bincount((chosen + first[:, None]).reshape(-1), minlength=int(n.sum()))
    counts = np.zeros(pool.shape, dtype=np.uint8)
    counts[pool] = often
    return counts


def _without_replacement(pool: NDArray[np.bool_], keys: NDArray[np.uint64], size: int) -> NDArray[np.uint8]:
    rank = np.cumsum(pool, axis=1, dtype=np.uint16).astype(np.uint64)
    rank *= STEP
    lots = mix_in_place(rank + keys[:, None])
    lots |= np.where(pool, np.uint64(0), np.uint64(0xFFFFFFFFFFFFFFFF))
    kept = np.argpartition(lots, size - 1, axis=1)[:, :size] if pool.shape[1] > size else None
    if kept is None:
        return pool.astype(np.uint8)
    counts = np.zeros(pool.shape, dtype=np.uint8)
    np.put_along_axis(counts, kept, 1, axis=1)
    return counts


def numpy_draws(
    sizes: Sequence[NDArray[np.int64]], kept: NDArray[np.bool_], draw: Draw, size: int
) -> list[list[NDArray[np.uint16]]]:
    """The published code's draws: batch by batch, Sentinel-2 of all its pixels, then Sentinel-1.

    Parameters
    ----------
    sizes : a (P,) array for each modality: number of observations to draw from, pixels in row order
    kept : (P,) bool, pixels that the published code does not drop

    Returns
    -------
    repeat -> modality -> (P, size) uint16, sorted indices into a pixel's observations; 0 where not kept
    """
    generator = np.random.RandomState(draw.seed)
    out = [[np.zeros((len(kept), size), dtype=np.uint16) for _ in sizes] for _ in range(draw.repeats)]
    members = np.flatnonzero(kept)
    batch = draw.numpy_batch or len(members) or 1
    for start in range(0, len(members), batch):
        for repeat in out:
            for of, drawn in zip(sizes, repeat, strict=True):
                for pixel in members[start : start + batch]:
                    n = int(of[pixel])
                    drawn[pixel] = np.sort(generator.choice(n, size, replace=n < size))
    return out
