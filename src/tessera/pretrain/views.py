"""Views: what two looks at the same pixel's year would have seen, drawn for a whole batch at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tessera.base import InputError

from ._random import key_of, keys_of
from ._stream import Scaler, Stream, draw_into
from .augment import Augment

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.cubes import PixelSeries
    from tessera.models import InputSpec


DRAWS = 40
"""Observations that a view draws of each modality (published training-data tool)."""
_EPOCH, _STEP = 1, 2
_PIXELS = 512
"""Pixels that are worked on at a time, so that their tokens stay in the cache of a core."""
PLAIN = Augment()
"""The published rule: no augmentation."""


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


class Table(Protocol):
    """Where pixel-years are taken from: a `PixelSeries` in memory, or `Blocks` on disk."""

    def __len__(self) -> int: ...
    def digest(self) -> str:
        """SHA-256 that tells other data."""

    def take(self, pixels: NDArray[np.integer[Any]], /) -> PixelSeries:
        """The pixel-years of these indices, in this order."""


def draw_views(
    table: Table,
    pixels: NDArray[np.int64],
    draws: int,
    spec: InputSpec,
    *,
    seed: int,
    epoch: int,
    augment: Augment = PLAIN,
) -> tuple[View, View, NDArray[np.float32]]:
    """Two views of each pixel-year: T draws of either modality, uniform over what the view holds, with
    replacement unless `augment.distinct`.

    A view is a function of the pixel-year, its index, the seed, the epoch and which of the two it is: not of the batch
    that it is drawn in, and with fewer draws it is the beginning of the same. A modality without observations, in the
    data or by augmentation, is T tokens of zeros, which a network that pools takes for the single token of zeros that
    stands for it at inference.

    Parameters
    ----------
    table : pixel-years
    pixels : (B,) indices of them
    draws : T
    spec : statistics; each observation of Sentinel-1 by those of its orbit
    seed, epoch : whole numbers
    augment : what views lack

    Returns
    -------
    two views of (B, T, 11) and (B, T, 3) float32, unsorted; (B, K) float32 targets of the pixel-years

    Raises
    ------
    InputError
        `draws` is below 1, or a pixel-year has no observation at all.
    """
    _check_draws(draws)
    count = len(pixels)
    scalers = Scaler.of(spec.s2), Scaler.of(spec.s1_asc, spec.s1_desc)
    # [which, pixel, draw, channel]
    s2, s1 = (np.empty((2, count, draws, part.mean.shape[1] + 1), dtype=np.float32) for part in scalers)
    targets = []
    # at least once, so that no pixels have targets too
    for first in range(0, max(count, 1), _PIXELS):
        own = slice(first, first + _PIXELS)
        series = table.take(pixels[own])
        _draw_pair((s2[:, own], s1[:, own]), series, pixels[own], scalers, (seed, epoch), augment)
        targets.append(series.targets)
    return View(s2[0], s1[0]), View(s2[1], s1[1]), np.concatenate(targets)


def _draw_pair(
    out: tuple[NDArray[np.float32], NDArray[np.float32]],
    series: PixelSeries,
    pixels: NDArray[np.int64],
    scalers: tuple[Scaler, Scaler],
    key: tuple[int, int],
    augment: Augment,
) -> None:
    blank = int(((series.s2_count == 0) & (series.s1_count == 0)).sum())
    if blank:
        raise InputError(f"{blank} pixel-years without any observation; expected at least one of either modality")
    whole = (
        Stream(series.s2, series.s2_day, None, series.s2_offsets),
        Stream(series.s1, series.s1_day, series.s1_descending.astype(np.intp), series.s1_offsets),
    )
    seen, tokens = whole, [] if augment.active else _all_tokens(scalers, whole)
    for which in range(2):
        keys = [keys_of(key_of(*key, which, purpose), pixels) for purpose in range(3)]
        if augment.active:
            seen = augment.apply(*whole, keys[2])
            tokens = _all_tokens(scalers, seen)
        for modality, stream in enumerate(seen):
            draw_into(out[modality][which], tokens[modality], stream.offsets, keys[modality], distinct=augment.distinct)


def _all_tokens(scalers: tuple[Scaler, Scaler], streams: tuple[Stream, Stream]) -> list[NDArray[np.float32]]:
    return [scaler.tokens(stream) for scaler, stream in zip(scalers, streams, strict=True)]


def _check_draws(draws: int) -> None:
    if draws < 1:
        raise InputError(f"views of {draws} draws; expected at least 1")


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
    _check_draws(draws)
    s2_rows = _draw(series.s2_offsets, pixels, draws, generator, "Sentinel-2")
    s1_rows = _draw(series.s1_offsets, pixels, draws, generator, "Sentinel-1")
    return tokens_of(series, s2_rows, s1_rows, spec)


def tokens_of(series: PixelSeries, s2_rows: NDArray[np.int64], s1_rows: NDArray[np.int64], spec: InputSpec) -> View:
    """Standardise the observations in rows (B, T) and (B, T') of the streams of `series`."""
    s2, s1 = s2_rows.reshape(-1), s1_rows.reshape(-1)
    none = np.empty(0, dtype=np.int64)
    optical = Stream(series.s2.take(s2, axis=0), series.s2_day.take(s2), None, none)
    radar = Stream(series.s1.take(s1, axis=0), series.s1_day.take(s1), series.s1_descending.take(s1) * np.intp(1), none)
    return View(
        Scaler.of(spec.s2).tokens(optical).reshape(*s2_rows.shape, -1),
        Scaler.of(spec.s1_asc, spec.s1_desc).tokens(radar).reshape(*s1_rows.shape, -1),
    )


def recall(view: View) -> NDArray[np.float32]:
    """What a view saw, (B, 16): median of each band, mean of VV and VH, means of the cosine and sine of the day and of
    twice the day, all standardised or about 1; NaN where a modality is missing.

    Days are the optical ones, or where there are none the radar's.
    """
    optical, radar = (view.s2[..., -1] != 0).any(axis=1), (view.s1[..., -1] != 0).any(axis=1)
    bands = np.where(optical[:, None], np.median(view.s2[..., :-1], axis=1), np.nan)
    scatter = np.where(radar[:, None], view.s1[..., :-1].mean(axis=1), np.nan)
    waves = []
    for part in (view.s2, view.s1):
        angle = part[..., -1] * np.float32(2 * np.pi / 365.25)
        waves.append(np.stack([f(k * angle).mean(axis=1) for k in (1, 2) for f in (np.cos, np.sin)], axis=1))
    days = np.where(optical[:, None], waves[0], np.where(radar[:, None], waves[1], np.nan))
    return np.concatenate([bands, scatter, days], axis=1).astype(np.float32)


def _draw(
    offsets: NDArray[np.int64], pixels: NDArray[np.int64], draws: int, generator: np.random.Generator, what: str
) -> NDArray[np.int64]:
    counts = offsets[pixels + 1] - offsets[pixels]
    if (counts < 1).any():
        raise InputError(f"{int((counts < 1).sum())} pixels without a valid {what} observation; expected at least one")
    return offsets[pixels, None] + generator.integers(0, counts[:, None], size=(len(pixels), draws))


def _generator(seed: int, purpose: int, count: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed, (purpose << 56) | count]))
