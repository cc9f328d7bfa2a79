"""A pixel-year as a record of fixed size: room for observations of each modality, and their number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, mix_in_place
from tessera.cubes import S1_BANDS, S2_BANDS, PixelSeries

from .augment import lowest
from .random import key_of, keys_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ALIGN = 64
LARGEST = 4096
"""Most observations of a modality, and most targets, in a record: several times those of any year."""


@dataclass(frozen=True)
class Layout:
    """The layout of a record.

    Attributes
    ----------
    s2, s1 : observations that a record has room for
    targets : truths a pixel-year
    """

    s2: int
    s1: int
    targets: int

    def __post_init__(self) -> None:
        if not (0 < self.s2 <= LARGEST and 0 < self.s1 <= LARGEST and 0 <= self.targets <= LARGEST):
            raise InputError(
                f"records of {self.s2} and {self.s1} observations and {self.targets} targets; expected 1 to {LARGEST} "
                f"observations, 0 to {LARGEST} targets"
            )

    @property
    def dtype(self) -> np.dtype[np.void]:
        """The dtype of a record, little-endian; its size is a multiple of 64 bytes."""
        parts = [
            ("targets", "<f4", (self.targets,)),
            ("counts", "<u2", (2,)),
            ("s2", "<u2", (self.s2, len(S2_BANDS))),
            ("s2_day", "<i2", (self.s2,)),
            ("s1", "<i2", (self.s1, len(S1_BANDS))),
            ("s1_day", "<i2", (self.s1,)),
            ("s1_descending", "u1", (self.s1,)),
        ]
        packed = np.dtype(parts)
        offsets = [packed.fields[name][1] for name, *_ in parts] if packed.fields else []
        return np.dtype(
            {
                "names": [name for name, *_ in parts],
                "formats": [np.dtype((form, shape)) for _, form, shape in parts],
                "offsets": offsets,
                "itemsize": -(-packed.itemsize // _ALIGN) * _ALIGN,
            }
        )


def pack(series: PixelSeries, layout: Layout, first: int, seed: int) -> tuple[NDArray[np.uint64], NDArray[np.void]]:
    """Sort keys of N pixel-years, (N,) uint64 and distinct over the whole source, and their (N,) records.

    A year with more observations than a record has room for keeps a uniform random subset, in order. Keys and subsets
    depend only on the seed and on `first`, the number of the first pixel-year in the whole source.
    """
    numbers = np.arange(first, first + len(series))
    records = np.zeros(len(series), dtype=layout.dtype)
    records["targets"] = series.targets
    for column, (offsets, room, names) in enumerate(
        (
            (series.s2_offsets, layout.s2, ("s2", "s2_day")),
            (series.s1_offsets, layout.s1, ("s1", "s1_day", "s1_descending")),
        )
    ):
        count = np.diff(offsets)
        rows = np.arange(offsets[-1])
        if (count > room).any():
            place = rows - np.repeat(offsets[:-1], count)
            lots = keys_of(key_of(seed, 1, column), np.repeat(numbers, count)) ^ keys_of(key_of(seed, 2), place)
            lots = mix_in_place(lots)
            rows = rows[lowest(lots, offsets, np.minimum(count, room))]
            count = np.minimum(count, room)
        pixel = np.repeat(np.arange(len(series)), count)
        place = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
        for name in names:
            records[name][pixel, place] = getattr(series, name)[rows]
        records["counts"][:, column] = count
    return keys_of(key_of(seed, 0), numbers), records


def unpack(records: NDArray[np.void], layout: Layout, order: NDArray[np.integer[Any]]) -> PixelSeries:
    """The pixel-years of the records at these indices, in this order.

    Raises
    ------
    InputError
        A record claims more observations than it has room for, or has an invalid day.
    """
    counts = records["counts"].astype(np.int64)[order]
    if (counts > (layout.s2, layout.s1)).any():
        most = counts.max(axis=0)
        raise InputError(
            f"a record claims {most[0]} and {most[1]} observations; expected at most {layout.s2} and {layout.s1}"
        )
    parts: dict[str, NDArray[Any]] = {}
    for column, (room, names) in enumerate(
        ((layout.s2, ("s2", "s2_day")), (layout.s1, ("s1", "s1_day", "s1_descending")))
    ):
        own = counts[:, column]
        offsets = np.concatenate([[0], np.cumsum(own)])
        rows = np.arange(offsets[-1]) + np.repeat(order * room - offsets[:-1], own)
        for name in names:
            # copying whole fields and then picking rows takes half the time of picking from the records
            whole = np.ascontiguousarray(records[name])
            parts[name] = whole.reshape(-1, *whole.shape[2:]).take(rows, axis=0)
        parts[f"{names[0]}_offsets"] = offsets
    parts["s1_descending"] = parts["s1_descending"] != 0
    parts["targets"] = records["targets"][order].astype(np.float32)
    return PixelSeries(**parts)
