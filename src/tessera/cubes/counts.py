"""How often the pixels of a cube are clear."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .cube import PixelCube

_BYTES = 128 * 1024**2
"""Masks read at once."""


def clear_counts(cube: PixelCube) -> tuple[NDArray[np.uint16], NDArray[np.float64]]:
    """Count clear observations, reading the masks block by block.

    Returns
    -------
    counts : (H, W) uint16, dates on which a pixel is clear
    fractions : (T,) float64, share of the pixels that is clear on a date, 0 to 1
    """
    height, width = cube.shape
    dates = int(cube.s2.shape[0])
    counts = np.zeros((height, width), dtype=np.uint16)
    clear = np.zeros(dates, dtype=np.int64)
    for start, stop in cube.row_blocks(max(1, min(128, _BYTES // max(1, dates * width)))):
        mask = np.asarray(cube.s2_mask[:, start:stop]) != 0
        counts[start:stop] = np.count_nonzero(mask, axis=0)
        clear += np.count_nonzero(mask, axis=(1, 2))
    return counts, clear / (height * width)
