"""Random streams and fields of the simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Field = NDArray[np.float32]

_STREAMS = (
    *("landscape", "climate", "units", "dates", "clouds", "optical", "radar"),
    *("roads", "trees", "quarters", "burns", "crops"),
)
"""The place of a name seeds its stream: new names come last."""


def stream(seed: int, name: str, index: int = 0) -> np.random.Generator:
    """The independent generator of a component, such as the clouds of date 7."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_STREAMS.index(name), index)))


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], *scales: float) -> Field:
    """Gaussian noise of mean 0 and deviation 1 that varies over each of `scales` pixels, the longest strongest.

    It is periodic: the left edge continues at the right one.
    """
    rows = np.fft.fftfreq(shape[0]).astype(np.float32)[:, None]
    cols = np.fft.rfftfreq(shape[1]).astype(np.float32)[None]
    radius = rows**2 + cols**2
    longest = max(scales)
    gain = np.zeros_like(radius)
    for scale in scales:
        size = min(scale, 0.4 * min(shape))
        # A Gaussian of width `size` passes about 1 / size**2 of the power, so it is weighed by its size.
        gain += (scale / longest) ** 0.8 * size * np.exp(-2.0 * (np.pi * size / 2.0) ** 2 * radius)
    white = rng.standard_normal(shape, dtype=np.float32)
    field = np.fft.irfft2(np.fft.rfft2(white) * gain, s=shape)
    field -= field.mean()
    return (field / max(float(field.std()), 1e-9)).astype(np.float32)


def blur(field: Field, side: float) -> Field:
    """Mix each pixel with its neighbours: weights (side, 1 - 2 * side, side) along rows and columns."""
    centre = np.float32(1.0 - 2.0 * side)
    weight = np.float32(side)
    for axis in (0, 1):
        out = centre * field
        first, last = [slice(None)] * field.ndim, [slice(None)] * field.ndim
        first[axis], last[axis] = slice(None, -1), slice(1, None)
        edge_first, edge_last = list(first), list(last)
        edge_first[axis], edge_last[axis] = slice(None, 1), slice(-1, None)
        out[tuple(last)] += weight * field[tuple(first)]
        out[tuple(first)] += weight * field[tuple(last)]
        out[tuple(edge_first)] += weight * field[tuple(edge_first)]
        out[tuple(edge_last)] += weight * field[tuple(edge_last)]
        field = out
    return field


def halve(field: Field) -> Field:
    """Means of blocks of 2 x 2 pixels: (H, W, ...) to (H / 2, W / 2, ...), both sides even."""
    return np.asarray(
        (field[0::2, 0::2] + field[1::2, 0::2] + field[0::2, 1::2] + field[1::2, 1::2]) * np.float32(0.25),
        dtype=np.float32,
    )


def smoothstep(value: Field, low: float, high: float) -> Field:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((value - np.float32(low)) / np.float32(high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), dtype=np.float32)
