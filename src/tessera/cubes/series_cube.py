"""PixelSeries as a PixelCube: what reads cubes reads pixel-years too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .cube import PixelCube

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .series import PixelSeries


def cube_of(series: PixelSeries, first: int = 0, last: int | None = None) -> PixelCube:
    """Pixel-years as a cube of one row: the union of their days, with masks; a pixel's second look of one day gets a
    date of its own.

    Parameters
    ----------
    first, last : which pixels, as a slice

    Returns
    -------
    PixelCube of (1, N) pixels without a place, dates in the order of the year
    """
    last = len(series) if last is None else last
    a, b = (int(series.s2_offsets[i]) for i in (first, last))
    pixel2 = np.repeat(np.arange(last - first), series.s2_count[first:last])
    days2, step2 = _dates(pixel2, series.s2_day[a:b])
    s2 = np.zeros((len(days2), 1, last - first, series.s2.shape[1]), dtype=np.uint16)
    mask = np.zeros(s2.shape[:3], dtype=np.uint8)
    s2[step2, 0, pixel2] = series.s2[a:b]
    mask[step2, 0, pixel2] = 1
    a, b = (int(series.s1_offsets[i]) for i in (first, last))
    pixel1 = np.repeat(np.arange(last - first), series.s1_count[first:last])
    orbits = []
    for descending in (False, True):
        rows = np.flatnonzero(series.s1_descending[a:b] == descending)
        days, step = _dates(pixel1[rows], series.s1_day[a:b][rows])
        stack = np.zeros((len(days), 1, last - first, series.s1.shape[1]), dtype=np.int16)
        stack[step, 0, pixel1[rows]] = series.s1[a:b][rows]
        orbits.append((stack, days))
    return PixelCube(s2, mask, days2, orbits[0][0], orbits[0][1], orbits[1][0], orbits[1][1])


def _dates(pixel: NDArray[np.int64], day: NDArray[np.int16]) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
    """The dates that hold all observations, ascending, and the date of each observation."""
    order = np.lexsort((day, pixel))
    same = np.zeros(len(order), dtype=np.int64)
    if len(order) > 1:
        repeat = (np.diff(pixel[order]) == 0) & (np.diff(day[order]) == 0)
        starts = np.flatnonzero(np.concatenate([[True], ~repeat]))
        same = np.arange(len(order)) - np.repeat(starts, np.diff(np.concatenate([starts, [len(order)]])))
    which = np.empty(len(order), dtype=np.int64)
    which[order] = same
    keys, step = np.unique(day.astype(np.int64) * (len(order) + 1) + which, return_inverse=True)
    return (keys // (len(order) + 1)).astype(np.int16), step.reshape(-1).astype(np.int64)
