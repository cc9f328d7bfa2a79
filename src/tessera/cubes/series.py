"""PixelSeries: pixel-years of raw observations, ragged, as integers until a view of them is drawn."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError

from .arrays import check_array, digest_of, offsets_of
from .cube import S1_BANDS, S2_BANDS, PixelCube, parse_bands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MINIMUM = 10
"""Valid observations of each modality that a pixel-year needs (published training-data tool)."""
_ROWS = 128


@dataclass(frozen=True, repr=False)
class PixelSeries:
    """A table of N pixel-years; the observations of pixel i are rows offsets[i] to offsets[i + 1] of its streams.

    Only valid observations are held. Values are those of `PixelCube`: no float until a view is drawn.

    Attributes
    ----------
    s2 : (M, 10) uint16, surface reflectance x 10000, bands in the order of `S2_BANDS`
    s2_day : (M,) int16, day of year 1 to 366
    s2_offsets : (N + 1,) int64, from 0 to M
    s1 : (K, 2) int16, scaled dB of VV and VH, (2 dB + 50) * 200
    s1_day : (K,) int16
    s1_descending : (K,) bool, the orbit of each observation: each has statistics of its own
    s1_offsets : (N + 1,) int64, from 0 to K
    targets : (N, number of truths) float32, what is known of each pixel-year, NaN where unknown; (N, 0) by default
    """

    s2: NDArray[np.uint16]
    s2_day: NDArray[np.int16]
    s2_offsets: NDArray[np.int64]
    s1: NDArray[np.int16]
    s1_day: NDArray[np.int16]
    s1_descending: NDArray[np.bool_]
    s1_offsets: NDArray[np.int64]
    targets: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), dtype=np.float32))

    def __post_init__(self) -> None:
        rows2, rows1 = len(self.s2), len(self.s1)
        check_array("s2", self.s2, np.uint16, (rows2, len(S2_BANDS)))
        check_array("s2_day", self.s2_day, np.int16, (rows2,))
        check_array("s1", self.s1, np.int16, (rows1, len(S1_BANDS)))
        check_array("s1_day", self.s1_day, np.int16, (rows1,))
        check_array("s1_descending", self.s1_descending, np.bool_, (rows1,))
        for name, offsets, rows in (("s2", self.s2_offsets, rows2), ("s1", self.s1_offsets, rows1)):
            check_array(f"{name}_offsets", offsets, np.int64, (len(self.s2_offsets),))
            if len(offsets) < 1 or offsets[0] != 0 or offsets[-1] != rows or (np.diff(offsets) < 0).any():
                raise InputError(f"{name}_offsets of {len(offsets)}; expected ascending values from 0 to {rows}")
        for name, day in (("s2", self.s2_day), ("s1", self.s1_day)):
            if day.size and not (day.min() >= 1 and day.max() <= 366):
                raise InputError(f"{name}_day from {day.min()} to {day.max()}; expected days of the year, 1 to 366")
        if self.targets.shape == (0, 0):
            object.__setattr__(self, "targets", np.empty((len(self), 0), dtype=np.float32))
        if self.targets.dtype != np.float32 or self.targets.ndim != 2 or len(self.targets) != len(self):
            raise InputError(
                f"targets is {self.targets.dtype} {self.targets.shape}; expected float32 ({len(self)}, truths)"
            )
        endless = int(np.isinf(self.targets).sum())
        if endless:
            raise InputError(f"{endless} targets are infinite; expected finite numbers, NaN where unknown")

    def __len__(self) -> int:
        return len(self.s2_offsets) - 1

    def __repr__(self) -> str:
        seen = f"{len(self.s2)} Sentinel-2 and {len(self.s1)} Sentinel-1 observations"
        return f"PixelSeries({len(self)} pixel-years, {seen})"

    @property
    def s2_count(self) -> NDArray[np.int64]:
        """(N,) valid Sentinel-2 observations of each pixel."""
        return np.diff(self.s2_offsets)

    @property
    def s1_count(self) -> NDArray[np.int64]:
        """(N,) valid Sentinel-1 observations of each pixel, both orbits together."""
        return np.diff(self.s1_offsets)

    def take(self, pixels: NDArray[np.integer[Any]]) -> PixelSeries:
        """The pixel-years of these indices, in this order, repeats allowed."""
        chosen = np.asarray(pixels, dtype=np.int64)
        rows2, offsets2 = _rows(self.s2_offsets, chosen)
        rows1, offsets1 = _rows(self.s1_offsets, chosen)
        return PixelSeries(
            self.s2.take(rows2, axis=0),
            self.s2_day.take(rows2),
            offsets2,
            self.s1.take(rows1, axis=0),
            self.s1_day.take(rows1),
            self.s1_descending.take(rows1),
            offsets1,
            self.targets.take(chosen, axis=0),
        )

    def without_s1(self) -> PixelSeries:
        """The same pixel-years as if Sentinel-1 had never passed; some may have no observation left."""
        none = {name: getattr(self, name)[:0] for name in ("s1", "s1_day", "s1_descending")}
        return replace(self, **none, s1_offsets=np.zeros_like(self.s1_offsets))

    def keep(self, minimum: int = MINIMUM) -> PixelSeries:
        """The pixel-years with at least `minimum` valid observations of each modality."""
        return self.take(np.flatnonzero((self.s2_count >= minimum) & (self.s1_count >= minimum)))

    def digest(self) -> str:
        """SHA-256 of every value, so that a resumed run can tell other data."""
        parts: list[NDArray[Any]] = [self.s2, self.s2_day, self.s2_offsets]
        parts += [self.s1, self.s1_day, self.s1_descending, self.s1_offsets]
        if self.targets.shape[1]:
            # a table without truths keeps the digest that it had before there were any
            parts.append(self.targets)
        return digest_of(*parts)


def concatenate(parts: Sequence[PixelSeries]) -> PixelSeries:
    """One table of the pixel-years of all parts, in their order; a part without targets gets unknown ones.

    Raises
    ------
    InputError
        No part is given, or parts have other numbers of targets.
    """
    if not parts:
        raise InputError("0 tables of pixel-years to put together; expected at least one")
    truths = sorted({part.targets.shape[1] for part in parts} - {0})
    if len(truths) > 1:
        raise InputError(f"tables with {' and '.join(map(str, truths))} targets a pixel; expected one number, or none")
    width = truths[0] if truths else 0
    targets = [
        part.targets if part.targets.shape[1] == width else np.full((len(part), width), np.nan, np.float32)
        for part in parts
    ]
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("s2", "s2_day", "s1", "s1_day", "s1_descending")
    }
    for name in ("s2", "s1"):
        joined[f"{name}_offsets"] = offsets_of(np.concatenate([getattr(part, f"{name}_count") for part in parts]))
    return PixelSeries(**joined, targets=np.concatenate(targets))


def series_of_arrays(
    s2: NDArray[np.uint16],
    s2_valid: NDArray[np.bool_],
    s2_day: NDArray[np.int16],
    s1: NDArray[np.int16],
    s1_day: NDArray[np.int16],
    s1_descending: NDArray[np.bool_],
) -> PixelSeries:
    """A table from dense arrays; an observation of Sentinel-1 is valid where VV or VH is not 0.

    Parameters
    ----------
    s2 : (N, T, 10) uint16
    s2_valid : (N, T) bool
    s2_day : (N, T) or (T,) int16
    s1 : (N, T', 2) int16
    s1_day, s1_descending : (N, T') or (T',)

    Raises
    ------
    InputError
        Another shape or type, or a day that is none.
    """
    if s2.ndim != 3 or s1.ndim != 3 or len(s2) != len(s1):
        raise InputError(f"s2 {s2.shape} and s1 {s1.shape}; expected (N, T, {len(S2_BANDS)}), (N, T', {len(S1_BANDS)})")
    check_array("s2_valid", s2_valid, np.bool_, s2.shape[:2])
    s1_valid = (s1 != 0).any(axis=2)
    return PixelSeries(
        s2[s2_valid],
        np.broadcast_to(s2_day, s2.shape[:2])[s2_valid],
        offsets_of(s2_valid.sum(axis=1)),
        s1[s1_valid],
        np.broadcast_to(s1_day, s1.shape[:2])[s1_valid],
        np.broadcast_to(s1_descending, s1.shape[:2])[s1_valid],
        offsets_of(s1_valid.sum(axis=1)),
    )


def series_of_cube(cube: PixelCube, every: int = 1, minimum: int = MINIMUM) -> PixelSeries:
    """The pixel-years of a cube, in memory or on disk.

    Parameters
    ----------
    cube : a year of observations
    every : take the pixels of one row and one column in so many
    minimum : least number of valid observations of each modality

    Raises
    ------
    InputError
        Bands in another order, or `every` below 1.
    """
    if every < 1:
        raise InputError(f"one pixel in {every}; expected a whole number from 1")
    parse_bands(cube.s2_bands, S2_BANDS, "Sentinel-2")
    parse_bands(cube.s1_bands, S1_BANDS, "Sentinel-1")
    descending = np.repeat([False, True], [cube.s1_asc.shape[0], cube.s1_desc.shape[0]])
    parts = []
    for start, stop in cube.row_blocks(max(1, _ROWS // every) * every):
        block = cube.window(start, stop)
        stacks = [
            _by_pixel(np.asarray(stack)[:, ::every, ::every])
            for stack in (block.s2, np.asarray(block.s2_mask)[..., None], block.s1_asc, block.s1_desc)
        ]
        parts.append(
            series_of_arrays(
                stacks[0],
                stacks[1][..., 0] != 0,
                cube.s2_doy,
                np.concatenate(stacks[2:], axis=1),
                np.concatenate([cube.s1_asc_doy, cube.s1_desc_doy]),
                descending,
            ).keep(minimum)
        )
    return concatenate(parts)


def _by_pixel(stack: NDArray[Any]) -> NDArray[Any]:
    """(T, H, W, C) to (H * W, T, C)."""
    steps, height, width, bands = stack.shape
    return stack.transpose(1, 2, 0, 3).reshape(height * width, steps, bands)


def _rows(offsets: NDArray[np.int64], pixels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    counts = offsets[pixels + 1] - offsets[pixels]
    ends = offsets_of(counts)
    return np.arange(ends[-1]) + np.repeat(offsets[pixels] - ends[:-1], counts), ends
