"""From observations of one modality to tokens: ragged rows, standardised rows, random draws of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .random import below, dealt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.models import Statistics


@dataclass(frozen=True)
class Stream:
    """Observations of one modality of B pixels; those of pixel i are rows offsets[i] to offsets[i + 1].

    Attributes
    ----------
    values : (M, C), uint16 or int16 as stored, float32 after an augmentation
    day : (M,) int16
    table : (M,) intp, row of the statistics for each observation; None if there is only one row
    offsets : (B + 1,) int64
    """

    values: NDArray[Any]
    day: NDArray[np.int16]
    table: NDArray[np.intp] | None
    offsets: NDArray[np.int64]

    @property
    def count(self) -> NDArray[np.int64]:
        """(B,) observations of each pixel."""
        return np.diff(self.offsets)

    @cached_property
    def pixel(self) -> NDArray[np.int64]:
        """(M,) the pixel of each observation."""
        return np.repeat(np.arange(len(self.offsets) - 1), self.count)

    def keep(self, kept: NDArray[np.bool_]) -> Stream:
        """Keep the observations in this (M,) mask."""
        if kept.all():
            return self
        rows = np.flatnonzero(kept)
        return Stream(
            self.values.take(rows, axis=0),
            self.day.take(rows),
            None if self.table is None else self.table.take(rows),
            np.searchsorted(rows, self.offsets),
        )

    def part(self, first: int, last: int) -> Stream:
        """Pixels `first` to `last` - 1, without a copy."""
        own = slice(self.offsets[first], self.offsets[last])
        return Stream(
            self.values[own],
            self.day[own],
            None if self.table is None else self.table[own],
            self.offsets[first : last + 1] - self.offsets[first],
        )


@dataclass(frozen=True)
class Scaler:
    """The statistics of one modality, a row for each of its kinds of observation (orbits)."""

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]

    @classmethod
    def of(cls, *statistics: Statistics) -> Scaler:
        """A scaler with these rows; 1e-9 is added to each deviation, as in the published code."""
        mean = np.asarray([part.mean for part in statistics], dtype=np.float32)
        return cls(mean, np.asarray([part.std for part in statistics], dtype=np.float32) + np.float32(1e-9))

    def tokens(self, stream: Stream) -> NDArray[np.float32]:
        """(M, C + 1) float32, standardised values and the day of year."""
        rows = np.empty((len(stream.values), self.mean.shape[1] + 1), dtype=np.float32)
        values = stream.values.astype(np.float32)
        if stream.table is None:
            values -= self.mean[0]
            np.divide(values, self.scale[0], out=rows[:, :-1])
        else:
            values -= self.mean.take(stream.table, axis=0)
            np.divide(values, self.scale.take(stream.table, axis=0), out=rows[:, :-1])
        rows[:, -1] = stream.day
        return rows


def draw_into(
    out: NDArray[np.float32],
    tokens: NDArray[np.float32],
    offsets: NDArray[np.int64],
    keys: NDArray[np.uint64],
    *,
    distinct: bool = False,
) -> None:
    """Fill (B, T, C) with T draws of each pixel's tokens, with replacement or `distinct`; zeros if it has none."""
    count = np.diff(offsets)
    empty = count == 0
    if len(tokens):
        rows = (dealt if distinct else below)(keys, count, out.shape[1])
        rows += offsets[:-1, None]
        # "clip" gathers directly into `out`; rows past the end are of pixels without tokens, zeroed below
        np.take(tokens, rows, axis=0, out=out, mode="clip")
    if empty.any():
        out[empty] = 0
