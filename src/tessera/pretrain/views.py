"""Views: what two looks at the same pixel's year would have seen, drawn for a whole batch at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.models import InputSpec, Statistics

    from .data import PixelSeries

DRAWS = 40
"""Observations that a view draws of each modality (published training-data tool)."""
_EPOCH, _STEP = 1, 2


@dataclass(frozen=True)
class View:
    """A batch as a network reads it.

    Attributes
    ----------
    s2 : (B, T, 11) float32, ten standardised bands and the day of year
    s1 : (B, T, 3) float32, two standardised bands and the day of year
    """

    s2: NDArray[np.float32]
    s1: NDArray[np.float32]


def step_generator(seed: int, step: int) -> np.random.Generator:
    """Random numbers of one step; they depend on nothing but these two numbers, so that a run can resume anywhere."""
    return _generator(seed, _STEP, step)


def pixels_of_step(n: int, batch: int, seed: int, step: int) -> NDArray[np.int64]:
    """Indices of the pixel-years of a step: each epoch is one permutation of all, its remainder dropped.

    Returns
    -------
    (batch,) int64, distinct

    Raises
    ------
    InputError
        Fewer pixel-years than a batch.
    """
    if n < batch:
        raise InputError(f"{n} pixel-years for a batch of {batch}; expected at least as many")
    epoch, position = divmod(step, n // batch)
    order = _generator(seed, _EPOCH, epoch).permutation(n)
    return order[position * batch : (position + 1) * batch]


def draw_view(
    series: PixelSeries, pixels: NDArray[np.int64], draws: int, spec: InputSpec, generator: np.random.Generator
) -> View:
    """Draw `draws` observations of each modality with replacement, uniform over a pixel's valid ones, unsorted.

    Sentinel-1 is drawn over both orbits together, and each observation is standardised by the statistics of its own.

    Parameters
    ----------
    series : pixel-years
    pixels : (B,) indices of them
    draws : T
    spec : statistics
    generator : random numbers, see `step_generator`

    Raises
    ------
    InputError
        A pixel has no observation of a modality, or `draws` is below 1.
    """
    if draws < 1:
        raise InputError(f"views of {draws} draws; expected at least 1")
    s2_rows = _draw(series.s2_offsets, pixels, draws, generator, "Sentinel-2")
    s1_rows = _draw(series.s1_offsets, pixels, draws, generator, "Sentinel-1")
    return tokens_of(series, s2_rows, s1_rows, spec)


def tokens_of(series: PixelSeries, s2_rows: NDArray[np.int64], s1_rows: NDArray[np.int64], spec: InputSpec) -> View:
    """Standardise the observations in rows (B, T) and (B, T') of the streams of `series`."""
    s2_mean, s2_scale = _table(spec.s2)
    s1_mean, s1_scale = _table(spec.s1_asc, spec.s1_desc)
    orbit = series.s1_descending[s1_rows].astype(np.intp)
    return View(
        _tokens(series.s2[s2_rows], series.s2_day[s2_rows], s2_mean[0], s2_scale[0]),
        _tokens(series.s1[s1_rows], series.s1_day[s1_rows], s1_mean[orbit], s1_scale[orbit]),
    )


def _draw(
    offsets: NDArray[np.int64], pixels: NDArray[np.int64], draws: int, generator: np.random.Generator, what: str
) -> NDArray[np.int64]:
    counts = offsets[pixels + 1] - offsets[pixels]
    if (counts < 1).any():
        raise InputError(f"{int((counts < 1).sum())} pixels without a valid {what} observation; expected at least one")
    return offsets[pixels, None] + generator.integers(0, counts[:, None], size=(len(pixels), draws))


def _table(*statistics: Statistics) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    mean = np.asarray([part.mean for part in statistics], dtype=np.float32)
    return mean, np.asarray([part.std for part in statistics], dtype=np.float32) + np.float32(1e-9)


def _tokens(
    values: NDArray[Any], days: NDArray[np.int16], mean: NDArray[np.float32], scale: NDArray[np.float32]
) -> NDArray[np.float32]:
    tokens = np.empty((*values.shape[:2], values.shape[2] + 1), dtype=np.float32)
    np.divide(values.astype(np.float32) - mean, scale, out=tokens[..., :-1])
    tokens[..., -1] = days
    return tokens


def _generator(seed: int, purpose: int, count: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed, (purpose << 56) | count]))
