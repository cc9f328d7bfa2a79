"""What a learner learns from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from tessera.embeddings import StackedVectors

EVEN, OCCUR = "even", "occur"
WEIGHTS = (EVEN, OCCUR)
"""Whether all classes weigh the same, or each label does."""


@dataclass(frozen=True, repr=False)
class Training:
    """Features and labels, checked by `learn`, and how to learn from them.

    Attributes
    ----------
    x : (N, D) float64, finite
    y : (N,) int64, 0 to `classes` - 1, each of which occurs; or float64 numbers
    classes : how many, K; 0 of a number
    seed : of whatever the learner draws; the same training gives the same model
    weights : "even": all classes weigh the same; "occur": all labels do
    settings : every setting of the learner, by name
    groups : (N,) labels of one group are never split, such as by a learner that holds some out to stop early; None:
        every label is a group
    codes : the features as a store keeps them, of which `x` are the values; None if they are not from a store
    """

    x: NDArray[np.float64]
    y: NDArray[Any]
    classes: int
    seed: int = 0
    weights: str = EVEN
    settings: Mapping[str, Any] = field(default_factory=dict)
    groups: NDArray[Any] | None = None
    codes: StackedVectors | None = None
