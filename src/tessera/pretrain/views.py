"""Views: two random samples of the observations of each pixel-year, drawn for a whole batch at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tessera.base import InputError

from .data import Augment, Scaler, Stream, draw_into, key_of, keys_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.cubes import PixelSeries
    from tessera.models import InputSpec


DRAWS = 40
"""Observations that a view draws of each modality (published training-data tool)."""
_PIXELS = 512
"""Pixels processed together, so that their tokens fit a core's cache."""
PLAIN = Augment()
"""The published rule: no augmentation."""


@dataclass(frozen=True)
class View:
    """One view of a batch, in the form that a network reads.

    Attributes
    ----------
    s2 : (B, T, 11) float32, ten standardised bands and the day of year
    s1 : (B, T, 3) float32, two standardised bands and the day of year
    """

    s2: NDArray[np.float32]
    s1: NDArray[np.float32]


class Table(Protocol):
    """A source of pixel-years: a `PixelSeries` in memory, or `Blocks` on disk."""

    def __len__(self) -> int: ...
    def digest(self) -> str:
        """SHA-256 that identifies the data."""

    def take(self, pixels: NDArray[np.integer[Any]], /) -> PixelSeries:
        """The pixel-years of these indices, in this order."""


def span_of(draws: int | tuple[int, int]) -> tuple[int, int]:
    """Fewest and most draws of a view; InputError for a span that is none."""
    low, high = (draws, draws) if isinstance(draws, int) else draws
    if not 1 <= low <= high:
        raise InputError(f"views of {draws} draws; expected at least 1, or (low, high)")
    return low, high


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
    """Two views of each pixel-year: T draws of each modality, uniform over the view's observations, with replacement
    unless `augment.distinct`.

    A view depends on the pixel-year, its index, the seed, the epoch and which of the two it is, but not on its batch;
    with fewer draws it is the beginning of the same view. A modality without observations, in the data or by
    augmentation, is T tokens of zeros; for a network that pools they equal the single token of zeros at inference.

    Parameters
    ----------
    table : pixel-years
    pixels : (B,) indices of them
    draws : T
    spec : statistics; Sentinel-1 observations use those of their orbit
    seed, epoch : integers
    augment : augmentation of views

    Returns
    -------
    two views of (B, T, 11) and (B, T, 3) float32, unsorted; (B, K) float32 targets of the pixel-years

    Raises
    ------
    InputError
        `draws` is below 1, or a pixel-year has no observation at all.
    """
    if draws < 1:
        raise InputError(f"views of {draws} draws; expected at least 1")
    count = len(pixels)
    scalers = Scaler.of(spec.s2), Scaler.of(spec.s1_asc, spec.s1_desc)
    # [which, pixel, draw, channel]
    s2, s1 = (np.empty((2, count, draws, part.mean.shape[1] + 1), dtype=np.float32) for part in scalers)
    targets = []
    # at least once, so that an empty batch has targets too
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


def recall(view: View) -> NDArray[np.float32]:
    """Summary of a view, (B, 16): median of each band, mean of VV and VH, means of cosine and sine of the day and of
    twice the day, all standardised or near 1; NaN where a modality is missing.

    Days are those of Sentinel-2, or without any those of Sentinel-1.
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
