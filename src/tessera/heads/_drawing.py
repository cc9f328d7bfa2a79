"""Some of many labels: every class and every group keep their share, and no class vanishes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.validation import Task

EACH = 200
"""Labels of a class that are kept where there are as many, unless that takes more than half of the room."""


def draw_labels(task: Task, most: int, how: str) -> tuple[Task, NDArray[np.int64]]:
    """At most so many of the labels, and which.

    Within a class labels are taken at even steps along its groups, so that each group keeps its share.

    Parameters
    ----------
    task : N labels
    most : at most so many
    how : "even": as many of each class as there are or as have room; "share": of each class its share, but no fewer
        than 200 or all; "random": any

    Returns
    -------
    a task of these labels, whose `amount` says how many each stands for, and (n,) int64, which they are
    """
    count = len(task.y)
    if count <= most:
        return task, np.arange(count)
    generator = np.random.default_rng([task.seed, 83])
    if how == "random":
        rows, amount = np.sort(generator.permutation(count)[:most]), None
    else:
        kind = task.y if task.classes else np.zeros(count, dtype=np.int64)
        there = np.bincount(kind, minlength=max(1, task.classes))
        taken = _even(there, most) if how == "even" and task.classes else _shares(there, most)
        groups = np.arange(count) if task.groups is None else task.groups
        rows = np.sort(
            np.concatenate([_along(np.flatnonzero(kind == k), groups, taken[k], generator) for k in range(len(there))])
        )
        amount = (there / np.maximum(taken, 1))[kind[rows]]

    def part(values: NDArray[np.int64] | None) -> NDArray[np.int64] | None:
        return None if values is None else values[rows]

    return replace(task, x=task.x[rows], y=task.y[rows], groups=part(task.groups), amount=amount), rows


def _even(there: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """As many of each class as there are or as have room."""
    taken = np.zeros_like(there)
    for done, name in enumerate(np.argsort(there, kind="stable")):
        taken[name] = min(there[name], (most - taken.sum()) // (len(there) - done))
    return taken


def _shares(there: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Of each class its share, but no fewer than `EACH` or all."""
    least = np.minimum(there, min(EACH, most // (2 * len(there))))
    spare = there - least
    out: NDArray[np.int64] = least + (most - least.sum()) * spare // max(1, int(spare.sum()))
    # what rounding leaves goes to the largest classes
    for name in np.argsort(out - there, kind="stable")[: most - out.sum()]:
        out[name] += 1
    return out


def _along(
    rows: NDArray[np.int64], groups: NDArray[np.int64], taken: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """So many of some rows, at even steps along their groups in random order."""
    member = np.unique(groups[rows], return_inverse=True)[1].reshape(-1)
    place = generator.permutation(int(member.max(initial=-1)) + 1)[member]
    order = rows[np.lexsort((generator.random(len(rows)), place))]
    steps = np.floor((np.arange(taken) + generator.random()) * len(rows) / max(1, taken)).astype(np.int64)
    return order[np.minimum(steps, max(0, len(rows) - 1))]
