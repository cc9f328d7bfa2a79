"""The batch of one part of a step, and the protocol of its maker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tessera.models import InputSpec

    from .views import View


@dataclass(frozen=True)
class Batch:
    """The batch of one part of a step.

    Attributes
    ----------
    first, second : views of the same B pixel-years, (B, T, 11) and (B, T, 3) float32
    targets : (B, K) float32, NaN where unknown
    alpha : weight of the first view in the mix term, Beta(1, 1), the same in every part of a step
    order : (B,) int64, permutation within this part, for the mix term
    seed : for torch before the networks run; another in each part
    """

    first: View
    second: View
    targets: NDArray[np.float32]
    alpha: float
    order: NDArray[np.int64]
    seed: int


class Maker(Protocol):
    """Makes batches; see `Batches`."""

    batch: int
    parts: int
    draws: tuple[int, int]
    spec: InputSpec

    def length(self, step: int) -> int:
        """T of a step."""

    def part(self, step: int, part: int) -> Batch:
        """The batch of one part of a step."""
