"""One label a pixel: what to do where several lie in the same one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError, shown
from tessera.geo import NORTH, SOUTH, WEST, points_in_zones

from ._values import AS_NUMBERS, low_note
from .labels import MAX_CLASSES, NUMBERS, Labels, alike_notes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._features import Placed

_MANY = 12
"""Whole numbers above which they may be counts."""

_COLUMNS, _ROWS = 100_000, NORTH - SOUTH
"""Numbers apart for every pixel of a zone, and every zone."""


def pixel_keys(lonlat: NDArray[np.float64], years: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """(N, 2) degrees -> (N,) int64: the same number for places in the same lattice pixel, and of the same year."""
    keys = np.empty(len(lonlat), dtype=np.int64)
    for zone, index, px, py in points_in_zones(lonlat):
        keys[index] = (zone * _COLUMNS + px - WEST) * _ROWS + py - SOUTH
    if years is None:
        return keys
    distinct, number = np.unique(years, return_inverse=True)
    return keys * len(distinct) + number.reshape(-1)


def one_class_a_pixel(
    keys: NDArray[np.int64], codes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], dict[str, int]]:
    """Which labels stay: the first of a pixel and class, and none of a pixel with several classes.

    Returns
    -------
    their indices, ascending; the indices of labels in pixels with several classes; counts "duplicate" and "conflict"
    """
    order = np.lexsort((np.arange(len(keys)), codes, keys))
    first = np.flatnonzero(np.append(True, np.diff(keys[order]) != 0)[: len(keys)])
    size = np.diff(np.append(first, len(keys)))
    low, high = codes[order][first], codes[order][first + size - 1]
    torn = np.repeat(low != high, size)
    again = np.zeros(len(keys), dtype=np.bool_)
    again[1:] = ~torn[1:] & (np.diff(keys[order]) == 0)
    counts = {"duplicate": int(again.sum()), "conflict": int(torn.sum())}
    return np.sort(order[~torn & ~again]), np.sort(order[torn]), {key: n for key, n in counts.items() if n}


def one_number_a_pixel(
    keys: NDArray[np.int64], numbers: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], dict[str, int]]:
    """Which labels stay, the first of a pixel, and the mean of the pixel's numbers.

    Returns
    -------
    their indices, ascending; the number of each; counts "duplicate" (the same number) and "averaged" (different ones)
    """
    _, first, member, size = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    member = member.reshape(-1)
    same = numbers == numbers[first][member]
    differs = np.bincount(member, ~same) > 0
    mean = np.where(differs, np.bincount(member, numbers) / size, numbers[first])
    counts = {"duplicate": int((size[~differs] - 1).sum()), "averaged": int((size[differs] - 1).sum())}
    order = np.argsort(first)
    return first[order].astype(np.int64), mean[order], {key: n for key, n in counts.items() if n}


def one_label_a_pixel(placed: Placed, column: str, kind: str | None) -> Labels:
    """Values at places as labels, of which each pixel has one.

    Parameters
    ----------
    column : what the values are called
    kind : as the caller gave it

    Raises
    ------
    InputError
        No number with a place, fewer than 2 or more than 255 classes, or too few of them in pixels of their own.
    """
    keys = pixel_keys(placed.lonlat, placed.year)
    where, lost = f"{placed.source}, column {shown(column)}", placed.lost
    notes = list(placed.notes)
    if placed.kind == NUMBERS:
        numbers = placed.values.astype(np.float64)
        if not len(numbers):
            raise InputError(f"{where} holds no number with a place ({lost} missing); expected at least one")
        notes += low_note(numbers, column)
        kept, taken, more = one_number_a_pixel(keys, numbers)
    else:
        distinct = sorted(set(placed.values.tolist()))
        _check_classes(distinct, where, lost)
        index = {name: number for number, name in enumerate(distinct)}
        codes = np.array([index[name] for name in placed.values.tolist()], dtype=np.int64)
        kept, torn, more = one_class_a_pixel(keys, codes)
        notes += [*alike_notes(set(distinct)), *_torn_notes(codes, torn, kept, distinct)]
        if kind is None and len(distinct) > _MANY and all(name.removeprefix("-").isdecimal() for name in distinct):
            notes.append(f"{len(distinct)} whole numbers taken as classes; {AS_NUMBERS} reads them as numbers")
        left = len(np.unique(codes[kept]))
        if left < 2:
            raise InputError(
                f"{where}: {more['conflict']} labels lie in pixels with two classes or more, and what is left has "
                f"{left} classes; expected at least two classes in pixels of their own"
            )
        taken = placed.values[kept]
    return Labels(
        taken,
        placed.kind,
        None if placed.group is None else placed.group[kept],
        placed.lonlat[kept],
        source=placed.source,
        column=column,
        missing=lost,
        notes=tuple(notes),
        regions=None if placed.region is None else placed.region[kept],
        years=None if placed.year is None else placed.year[kept],
        counts=placed.counts | more,
        grouped_by=placed.grouped_by,
        group_names=placed.group_names,
    )


def _check_classes(distinct: list[str], where: str, lost: int) -> None:
    if len(distinct) < 2:
        what = f"only the class {shown(distinct[0])}" if distinct else "no value"
        raise InputError(f"{where} has {what} ({lost} missing); expected at least two classes")
    if len(distinct) > MAX_CLASSES:
        raise InputError(
            f"{where} has {len(distinct)} distinct values; expected at most {MAX_CLASSES} classes "
            f"(for numbers: {AS_NUMBERS})"
        )


def _torn_notes(
    codes: NDArray[np.int64], torn: NDArray[np.int64], kept: NDArray[np.int64], names: list[str]
) -> list[str]:
    """What to say of classes that lost every label, since all lie in pixels of other classes too."""
    gone = np.setdiff1d(np.unique(codes[torn]), np.unique(codes[kept]))
    return [
        f"class {shown(names[code], 40)} is left out: all its labels lie in pixels of other classes too"
        for code in gone
    ]
