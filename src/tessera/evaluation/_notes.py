"""What the reader of an evaluation has to know of its draws."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from .blocks import spatial_blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .amounts import Amount
    from .labelled import Labelled
    from .plan import Fold

FEW_GROUPS = 20
"""Tested groups below which intervals are too narrow: of made regressions with 12 groups they held 0.72, not 0.95."""
RANDOM_NOTE = (
    "random split: neighbours of the same field lie in training and test, which inflates scores (by 0.11 to 0.14 "
    "macro-F1 on fields of crops); use groups or spatial blocks for a figure to report"
)


def across_notes(labelled: Labelled, group: NDArray[np.int64], kept: NDArray[np.int64], block_km: float) -> list[str]:
    """Notes on what a given split divides."""
    notes: list[str] = []
    if labelled.test is None:
        return notes
    test = labelled.test[kept]
    if labelled.group is not None:
        both = np.intersect1d(group[kept][test], group[kept][~test])
        if len(both):
            notes.append(f"the given split divides {len(both)} groups: their labels are learnt from and tested")
    if labelled.lonlat is not None:
        block = spatial_blocks(labelled.lonlat, block_km)[kept]
        near = int(np.isin(block[test], block[~test]).sum())
        if near:
            notes.append(
                f"{near} of {int(test.sum())} tested labels lie in blocks of {block_km:g} km that are learnt from too"
            )
    return notes


def draw_notes(folds: dict[Amount, list[Fold]], group: NDArray[np.int64], advice: str) -> list[str]:
    """Notes on what makes intervals too narrow, on amounts that are not there, and on those that are the same."""
    notes = []
    tested = min(len(np.unique(group[fold.test])) for parts in folds.values() for fold in parts)
    if tested < FEW_GROUPS:
        notes.append(f"as few as {tested} groups are tested in a draw: intervals are too narrow{advice}")
    for amount, parts in folds.items():
        taken = max(len(fold.train) for fold in parts)
        if amount.unit == "" and taken < amount.number:
            notes.append(f"{amount} labels are asked for and {taken} are there to learn from")
    alike: dict[tuple[bytes, ...], list[Amount]] = {}
    for amount, parts in folds.items():
        alike.setdefault(tuple(hashlib.sha256(fold.train.tobytes()).digest() for fold in parts), []).append(amount)
    for amounts in alike.values():
        if len(amounts) > 1:
            counts = [len(fold.train) for fold in folds[amounts[0]]]
            low, high = min(counts), max(counts)
            count = f"{low}" if low == high else f"{low} to {high}"
            notes.append(f"{', '.join(map(str, amounts))} come to the same {count} labels: their scores are equal")
    return notes
