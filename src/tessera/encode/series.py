"""Vectors of pixel-years, for teachers and probes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tessera.cubes import cube_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.cubes import PixelSeries

    from .encoder import Encoder

PIXELS = 4096
"""Pixel-years embedded at a time: with at most 366 days of two modalities they stay below 100 MB."""


def embed_with(encoder: Encoder, series: PixelSeries) -> NDArray[np.float32]:
    """Embed pixel-years like `Encoder.encode`, without quantisation; v1.0 draws its observations with seed 0.

    Parameters
    ----------
    series : N pixel-years

    Returns
    -------
    (N, dims) float32; NaN for a pixel-year without any observation
    """
    out = np.empty((len(series), encoder.dims), dtype=np.float32)
    for first in range(0, len(series), PIXELS):
        last = min(first + PIXELS, len(series))
        out[first:last] = encoder.vectors(cube_of(series, first, last))[0]
    return out
