"""Predictions of labels by heads that had not met them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
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
    """

    truth: NDArray[Any]
    raw: NDArray[np.float64]
    unit: NDArray[np.int64]
    fold: NDArray[np.int64]
    rows: NDArray[np.int64]
