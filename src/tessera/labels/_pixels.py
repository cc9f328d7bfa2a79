"""One label a pixel: what to do where several lie in the same one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tessera.geo import NORTH, SOUTH, WEST, points_in_zones

if TYPE_CHECKING:
    from numpy.typing import NDArray

_COLUMNS, _ROWS = 100_000, NORTH - SOUTH
"""Numbers apart for every pixel of a zone, and every zone."""


def pixel_keys(lonlat: NDArray[np.float64], years: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """(N, 2) degrees -> (N,) int64: the same number for places in the same lattice pixel, and of the same year."""
    keys = np.empty(len(lonlat), dtype=np.int64)
    for zone, index, px, py in points_in_zones(lonlat):
        keys[index] = (zone * _COLUMNS + px - WEST) * _ROWS + py - SOUTH
    if years is None:
        return keys
    distinct, number = np.unique(years, return_inverse=True)
    return keys * len(distinct) + number.reshape(-1)


def one_class_a_pixel(
    keys: NDArray[np.int64], codes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], dict[str, int]]:
    """Which labels stay: the first of a pixel and class, and none of a pixel with several classes.

    Returns
    -------
    their indices, ascending; the indices of labels in pixels with several classes; counts "duplicate" and "conflict"
    """
    order = np.lexsort((np.arange(len(keys)), codes, keys))
    first = np.flatnonzero(np.append(True, np.diff(keys[order]) != 0)[: len(keys)])
    size = np.diff(np.append(first, len(keys)))
    low, high = codes[order][first], codes[order][first + size - 1]
    torn = np.repeat(low != high, size)
    again = np.zeros(len(keys), dtype=np.bool_)
    again[1:] = ~torn[1:] & (np.diff(keys[order]) == 0)
    counts = {"duplicate": int(again.sum()), "conflict": int(torn.sum())}
    return np.sort(order[~torn & ~again]), np.sort(order[torn]), {key: n for key, n in counts.items() if n}


def one_number_a_pixel(
    keys: NDArray[np.int64], numbers: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], dict[str, int]]:
    """Which labels stay, the first of a pixel, and the mean of the pixel's numbers.

    Returns
    -------
    their indices, ascending; the number of each; counts "duplicate" (the same number) and "averaged" (different ones)
    """
    _, first, member, size = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    member = member.reshape(-1)
    same = numbers == numbers[first][member]
    differs = np.bincount(member, ~same) > 0
    mean = np.where(differs, np.bincount(member, numbers) / size, numbers[first])
    counts = {"duplicate": int((size[~differs] - 1).sum()), "averaged": int((size[differs] - 1).sum())}
    order = np.argsort(first)
    return first[order].astype(np.int64), mean[order], {key: n for key, n in counts.items() if n}
