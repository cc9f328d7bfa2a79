"""Predictions of labels by heads that had not met them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, repr=False)
class OutOfFold:
    """Predictions of labels by heads that had not met their units.

    Attributes
    ----------
    truth : (n,) int64 classes, or float64 numbers
    raw : (n, K) float64 probabilities, or (n,) numbers
    unit : (n,) int64, what intervals draw together
    fold : (n,) int64, the round that tested each
    rows : (n,) int64, which labels these are; a label that could not be tested is not among them
    met : (n,) bool, labels whose class the head of their fold had met; others can only be wrong
    amount : (n,) float64, how many labels each stands for, where some of a class were drawn
    """

    truth: NDArray[Any]
    raw: NDArray[np.float64]
    unit: NDArray[np.int64]
    fold: NDArray[np.int64]
    rows: NDArray[np.int64]
    met: NDArray[np.bool_]
    amount: NDArray[np.float64]


def counted_rows(*columns: NDArray[np.int64]) -> list[list[int]]:
    """Rows that occur, and how often: (n,) whole numbers each -> [..., count], in rising order."""
    rows, often = np.unique(np.column_stack(columns), axis=0, return_counts=True)
    out: list[list[int]] = np.column_stack([rows, often]).tolist()
    return out
