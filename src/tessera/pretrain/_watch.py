"""Detection of failures in a run: a loss that is not finite, collapsed vectors."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tessera.base import TesseraError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .batch import Batch

COLLAPSE = 0.05
"""RankMe of the vectors below which they count as collapsed: for 128 dims an effective rank of 128 ** 0.05 = 1.3."""


@dataclass
class Watch:
    """Checks steps.

    Attributes
    ----------
    skip : most steps without a finite loss or gradient that are left out before the run fails
    skipped : numbers of the steps that were left out
    """

    skip: int = 0
    skipped: list[int] = field(default_factory=list)

    def broken(self, step: int, parts: Mapping[str, float], batches: Sequence[Batch], rate: float) -> bool:
        """Whether to leave out this 1-based step, because a part of the loss or the gradient norm is not finite.

        Raises
        ------
        TesseraError
            It is not finite, and `skip` steps were already left out.
        """
        bad = [name for name, value in parts.items() if not math.isfinite(value)]
        if not bad:
            return False
        if len(self.skipped) < self.skip:
            self.skipped.append(step)
            return True
        raise TesseraError(
            f"step {step}: {' and '.join(f'{name} is {parts[name]}' for name in bad)}{_blame(batches)}; "
            f"expected finite numbers, learning rate {rate:.2g}"
            + (f", {self.skip} such steps were left out before" if self.skip else "")
        )


def collapsed(step: int, rank: float) -> None:
    """Check the rank of the vectors after this 1-based step.

    Raises
    ------
    TesseraError
        They have collapsed, or are not finite.
    """
    if math.isnan(rank):
        raise TesseraError(f"step {step}: the vectors are not finite, RankMe nan; expected finite numbers")
    if rank < COLLAPSE:
        raise TesseraError(f"step {step}: the vectors have collapsed, RankMe {rank:.3f}; expected at least {COLLAPSE}")


def _blame(batches: Sequence[Batch]) -> str:
    """Whether the data are the cause, as text for the message."""
    bad = {
        name: sum(
            int((~np.isfinite(getattr(view, key))).any(axis=(1, 2)).sum())
            for batch in batches
            for view in (batch.first, batch.second)
        )
        for name, key in (("Sentinel-2", "s2"), ("Sentinel-1", "s1"))
    }
    said = [f"{name} of {count} views" for name, count in bad.items() if count]
    return f"; the batch holds values that are not finite: {', '.join(said)}" if said else "; the batch is finite"
