"""What must come back, computed from the pixels alone: no code of the library, of odc-stac or of GDAL."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from real_pixels import FINE, Ground

from tessera.geo import Window

BANDS = ("B04", "B02", "B03", "B08", "B8A", "B05", "B06", "B07", "B11", "B12")
CLEAR = (4, 5, 6, 7, 10, 11)


def finer(image: NDArray[Any], times: int, *, missing: float | None = 0) -> NDArray[np.float64]:
    """Bilinear from coarse pixels onto pixels `times` finer, in float64.

    The centre of fine pixel i lies at (i + 1/2) / times - 1/2 in coarse pixels; the four neighbours weigh by distance.
    A neighbour that is missing or outside has no weight, and the others share; a pixel whose neighbours all are missing
    is 0, and one whose own coarse pixel is missing takes what its neighbours give.
    """
    height, width = image.shape
    known = np.isfinite(image.astype(np.float64)) & (
        np.ones(image.shape, bool) if missing is None else image != missing
    )
    total = np.zeros((height * times, width * times))
    weight = np.zeros_like(total)
    y = (np.arange(height * times) + 0.5) / times - 0.5
    x = (np.arange(width * times) + 0.5) / times - 0.5
    for row_step in (0, 1):
        rows = np.floor(y).astype(int) + row_step
        row_weight = 1 - np.abs(y - rows)
        for col_step in (0, 1):
            cols = np.floor(x).astype(int) + col_step
            col_weight = 1 - np.abs(x - cols)
            inside = ((rows >= 0) & (rows < height))[:, None] & ((cols >= 0) & (cols < width))[None, :]
            here = np.ix_(rows.clip(0, height - 1), cols.clip(0, width - 1))
            part = np.outer(row_weight, col_weight) * (inside & known[here])
            total += part * np.where(known, image, 0).astype(np.float64)[here]
            weight += part
    return np.where(weight > 0, total / np.where(weight > 0, weight, 1), 0.0)


def rounded(image: NDArray[np.float64]) -> NDArray[np.uint16]:
    """To the nearest whole number, halves up."""
    return np.floor(image + 0.5).astype(np.uint16)


def reflectance(ground: Ground, date: int) -> NDArray[np.uint16]:
    """(H, W, 10) before masking: 10 m bands as they are, 20 m bands bilinear."""
    images = [
        ground.bands[band][date] if band in FINE else rounded(finer(ground.bands[band][date], 2)) for band in BANDS
    ]
    return np.stack(images, axis=-1)


def clear(ground: Ground, date: int) -> NDArray[np.bool_]:
    """(H, W): the class of the 20 m pixel that holds the pixel is kept."""
    return np.isin(ground.scl[date], CLEAR).repeat(2, axis=0).repeat(2, axis=1)


def scaled(power: NDArray[np.float32] | None, shape: tuple[int, int]) -> NDArray[np.int16]:
    """clip((20 log10(power) + 50) * 200, 0, 32767), cut off; 0 where there is no power, or no image."""
    if power is None:
        return np.zeros(shape, dtype=np.int16)
    there = np.isfinite(power) & (power > 0)
    value = (20 * np.log10(np.where(there, power, 1).astype(np.float64)) + 50) * 200
    return np.where(there, np.clip(value, 0, 32767), 0).astype(np.int16)


def cut(image: NDArray[Any], ground: Ground, window: Window) -> NDArray[Any]:
    """A window of an image (H, W, ...) of the whole ground."""
    row, col = ground.window.north - window.north, window.west - ground.window.west
    assert row >= 0
    assert col >= 0
    return image[row : row + window.height, col : col + window.width]
