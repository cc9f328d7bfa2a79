"""The draws of an evaluation: which labels are learnt from and which test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .amounts import Amount


@dataclass(frozen=True)
class Fold:
    """A draw of training labels and the labels that test it, as indices of the labelled set, both ascending."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]


@dataclass(frozen=True)
class Plan:
    """All draws of an evaluation.

    Attributes
    ----------
    kind : "classification" or "regression"
    classes : names of the classes that are kept, in order; () of a regression
    target : (N,) float64, the number; or int64, the index into `classes`, -1 where the class is left out
    group : (N,) int64, what is held out together, also what the bootstrap draws
    split : "given", "group", "spatial" or "random"
    block_km : side of the blocks, kilometres; None where there are none
    told : the split in words
    folds : amount -> its draws
    notes : what the reader has to know
    """

    kind: str
    classes: tuple[str, ...]
    target: NDArray[np.float64] | NDArray[np.int64]
    group: NDArray[np.int64]
    split: str
    block_km: float | None
    told: str
    folds: dict[Amount, list[Fold]]
    notes: tuple[str, ...]
