"""What the reader of an evaluation has to know of its draws."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from tessera.heads import FEW

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .amounts import Amount
    from .folds import Fold


def draw_notes(folds: dict[Amount, list[Fold]], group: NDArray[np.int64], advice: str) -> list[str]:
    """Notes on what makes intervals too narrow, on amounts that are not there, and on those that are the same."""
    notes = []
    tested = min(len(np.unique(group[fold.test])) for parts in folds.values() for fold in parts)
    if tested < FEW:
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
