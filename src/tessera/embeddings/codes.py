"""Codes and scales: value = code x scale, one scale a pixel; the scale also tells whether a pixel is valid.

A finite scale above zero means a valid pixel, NaN a pixel that was processed but has no data, +inf one that was never
written. A scale of 1 or more, or of 0 or less, is an error: scales of real embeddings are near 0.06 (99.99 % below
0.14), and corrupt published tiles had huge ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def is_valid(scales: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether each pixel has an embedding: bool of the shape of `scales`. This is the one test of validity."""
    return np.isfinite(scales) & (scales > 0)


def parse_scales(scales: NDArray[np.float32]) -> NDArray[np.float32]:
    """Check scales before they are stored.

    Raises
    ------
    InputError
        A scale is 0 or less, or 1 or more but not +inf, or -inf.
    """
    with np.errstate(invalid="ignore"):
        bad = (scales <= 0) | ((scales >= 1) & ~np.isposinf(scales))
    if bad.any():
        value = scales[bad].flat[0]
        raise InputError(f"{int(bad.sum())} scales such as {value:g}; expected between 0 and 1, or NaN for no data")
    return scales


def quantise(
    values: NDArray[np.float32], floor: float = 1e-12, low: int = -127
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Symmetric int8 with one scale a vector: scale = max(max|value|, floor) / 127, rounded half to even.

    Parameters
    ----------
    values : (..., D) float32, finite
    floor : lower bound of max|value|; 1e-12 for the v2 students
    low : lowest code; -127 for the v2 students

    Returns
    -------
    codes (..., D) int8, scales (...) float32
    """
    peak = np.maximum(np.abs(values).max(axis=-1), np.float32(floor)).astype(np.float32)
    scales = peak / np.float32(127)
    codes = np.clip(np.rint(values / scales[..., None]), low, 127).astype(np.int8)
    return codes, scales


def dequantise(codes: NDArray[np.int8], scales: NDArray[np.float32]) -> NDArray[np.float32]:
    """code x scale as float32 (..., D); NaN where the pixel is not valid."""
    factor = np.where(is_valid(scales), scales, np.float32(np.nan)).astype(np.float32)
    # in one pass, since a float copy of the codes would be as large as the result
    return np.multiply(codes, factor[..., None], dtype=np.float32)
