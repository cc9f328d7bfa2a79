"""Scores that are kept on disk by the content of what made them, so that a second run repeats nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tessera.base import Kept, sha256_hex, writing
from tessera.cubes import digest_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.validation import Amount, Task

    from .plan import Plan

VERSION = 4
"""Raise it when heads, scores or plans change."""
_LIMIT = 64 * 1024 * 1024


def key_of(task: Task, plan: Plan, amount: Amount, times: int, *, tuned: bool) -> str:
    """The name of the file: SHA-256 of all that a score depends on, versions of the libraries aside."""
    arrays = [
        task.x,
        plan.target,
        plan.group,
        *(part for fold in plan.folds[amount] for part in (fold.train, fold.test)),
    ]
    how = f"{task.weights} {sorted((task.settings or {}).items())} {tuned}"
    if tuned:
        # what a search holds out depends on the split itself, not on the folds alone
        held = plan.held
        how += f" {held.split} {held.buffer_km}"
        arrays += [part for part in (held.groups, held.own, held.places, held.years) if part is not None]
    about = f"{VERSION} {plan.kind} {len(plan.classes)} {task.head} {times} {task.seed} {digest_of(*arrays)} {how}"
    return f"{sha256_hex(about.encode())}.part"


def read_kept(folder: Path | None, key: str, shape: tuple[int, int]) -> NDArray[np.float64] | None:
    """(R, B + 1, metrics) of an earlier run, or None; what is no such array counts as absent."""
    if folder is None:
        return None
    found = (Kept(folder).get(key, _LIMIT) or {}).get("scores")
    fits = found is not None and found.dtype == np.float32 and found.ndim == 3 and found.shape[:2] == shape
    return found.astype(np.float64) if found is not None and fits else None


def keep(folder: Path | None, key: str, scores: NDArray[np.float64]) -> None:
    """Keep scores, as float32."""
    if folder is not None:
        with writing(folder):
            Kept(folder).put(key, {"scores": scores.astype(np.float32)})
