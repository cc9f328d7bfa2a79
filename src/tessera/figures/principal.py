"""Principal axes of vectors, and false colours along them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLANK = 255
"""White, where there is no data."""
_SAMPLE = 50_000
"""Pixels whose principal axes are taken for all."""
_STRETCH = (2.0, 98.0)
"""Percentiles stretched to 0 and 255, as image viewers do."""


def principal_axes(
    sample: NDArray[np.float64], count: int = 3
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean, first principal axes, and variances of vectors.

    The sign of an axis is such that its largest part is above 0: the same vectors always get the same axes.

    Parameters
    ----------
    sample : (N, D), N from 1
    count : how many axes; D where there are fewer

    Returns
    -------
    mean (D,); axes (count, D) of length 1; variances (D,) along all axes, the largest first
    """
    mean = sample.mean(axis=0)
    dims = sample.shape[1]
    spread = np.cov(sample, rowvar=False).reshape(dims, dims) if len(sample) > 1 else np.zeros((dims, dims))
    variances, vectors = np.linalg.eigh(spread)
    axes = vectors[:, ::-1].T[:count].copy()
    for axis in axes:
        axis *= 1 if axis[np.abs(axis).argmax()] >= 0 else -1
    return mean, axes, variances[::-1]


def false_colour(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Three principal components as red, green and blue.

    Each component is stretched between its 2nd and 98th percentile. Its sign is such that its largest loading is
    positive, so that the same values always get the same colours.

    Parameters
    ----------
    values : (H, W, D) float32; a pixel with a value that is not finite has no data

    Returns
    -------
    (H, W, 3) uint8, white where there is no data

    Raises
    ------
    InputError
        Another number of axes.
    """
    if values.ndim != 3:
        raise InputError(f"values of shape {values.shape}; expected (H, W, D)")
    good = np.isfinite(values).all(axis=2)
    out = np.full((*good.shape, 3), _BLANK, dtype=np.uint8)
    if not good.any():
        return out
    pixels = values[good]
    sample = pixels[:: math.ceil(len(pixels) / _SAMPLE)].astype(np.float64)
    mean, axes, _ = principal_axes(sample)
    axes = axes.T
    low, high = np.percentile((sample - mean) @ axes, _STRETCH, axis=0)
    flat = high - low <= 1e-12
    scaled = ((pixels - mean.astype(np.float32)) @ axes.astype(np.float32) - low) / np.where(flat, 1.0, high - low)
    shades = np.where(flat, 128.0, np.clip(scaled, 0, 1) * 255)
    colours = np.full((len(pixels), 3), 128, dtype=np.uint8)
    colours[:, : axes.shape[1]] = np.rint(shades).astype(np.uint8)
    out[good] = colours
    return out
