"""What labels and suggestions are drawn on: the false colours of an area, streamed to the size of a picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tessera.figures import MAX_SIDE, false_colour

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.geo import Window

    from .source import EmbeddingSource


def read_backdrop(store: EmbeddingSource, window: Window, year: int, side: int = MAX_SIDE) -> NDArray[np.uint8]:
    """The false colours of a window, every k-th pixel so that the longer side has at most `side` pixels.

    Returns
    -------
    (H, W, 3) uint8, white where there is no data; it covers the whole window
    """
    step = max(1, math.ceil(max(window.shape) / side))
    rows, row = [], 0
    for strip in store.iter_codes(window, year):
        # the middle of each square of step x step pixels
        first = (step // 2 - row) % step
        rows.append(strip[first::step, step // 2 :: step].values())
        row += len(strip)
    return false_colour(np.concatenate(rows))
