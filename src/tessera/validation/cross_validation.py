"""Cross-validation that keeps groups together, and beside it what a random split would have shown."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.labels import FEW, HeldOut, bins_of, make_folds, testable
from tessera.learners import SPATIAL, learn_and_score

from .by_place import NUMBER_TOTALS, TOTALS, place_scores
from .scores import confusion, score_classes, score_numbers, scores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

PER_CLASS = ("precision", "recall", "f1")
"""Scores of each class."""
BY_PLACE = ("intervals", "per_place", "per_feature")
"""What `place_scores` adds to a report."""


def cross_validate(
    head: str,
    x: NDArray[np.float32],
    y: NDArray[Any],
    classes: Sequence[str],
    held: HeldOut,
    *,
    seed: int,
    places: NDArray[np.int64],
    features: NDArray[np.int64],
    test: NDArray[np.bool_] | None = None,
) -> dict[str, Any]:
    """Fit on all folds but one, predict that one, and score all predictions together.

    A class that lies in one fold only cannot be tested: its labels are learnt from but not scored, and a note says so.
    Beside stands what a random split would have shown.

    `head`, `x`, `y` and `seed` are those of `learn`, `places` and `features` those of `place_scores`. `held` says what
    stays in one fold, and `test`, (N,) bool, which labels a given split tests.

    Returns
    -------
    plain values: split, block_km, folds, places (how many groups), per_class, the scores, confusion, notes, random (the
    scores of a random split), and what `place_scores` returns; scores are None where there is nothing to score
    """
    count = len(classes)
    notes = list(held.notes)
    names = TOTALS if count else NUMBER_TOTALS
    per_class: dict[str, dict[str, Any]] = {
        name: {"labels": int((y == index).sum()), "tested": 0, **dict.fromkeys(PER_CLASS)}
        for index, name in enumerate(classes)
    }
    result: dict[str, Any] = {
        "split": held.split,
        "block_km": held.block_km,
        "folds": 0,
        "places": len(np.unique(held.groups)),
        "per_class": per_class,
        **dict.fromkeys(names),
        "confusion": None,
        "random": None,
        **dict.fromkeys(BY_PLACE),
        "notes": notes,
    }
    said, fold, tested = _predicted(head, x, y, count, held.groups, seed, test)
    unit = "group" if held.block_km is None else f"block of {held.block_km:g} km or polygon"
    if said is None:
        what = "fewer than two classes have labels" if count else "labels do not lie"
        notes.append(f"not tested: {what} in more than one {unit}{held.advice}")
        return result
    left_out = [name for index, name in enumerate(classes) if not tested[index]]
    if left_out:
        notes.append(f"learnt but not tested, as all labels lie in one {unit}: {', '.join(left_out)}")
    scored = np.isfinite(said).all(axis=1) if count else np.isfinite(said)
    truth, predicted = y[scored], said[scored].argmax(axis=1) if count else said[scored]
    if count:
        matrix = confusion(truth, predicted, count)
        found = scores(matrix)
        for index, name in enumerate(classes):
            per_class[name]["tested"] = int(found.support[index])
            if tested[index]:
                per_class[name].update({key: float(getattr(found, key)[index]) for key in PER_CLASS})
        result["confusion"] = {"classes": list(classes), "counts": matrix.tolist()}
    result |= place_scores(truth, predicted, places[scored], features[scored], classes=count, seed=seed)
    few = result["per_place"]["places"]
    if few < FEW:
        notes.append(f"intervals are too narrow: {few} places, fewer than {FEW}{held.advice}")
    result["folds"] = 1 if test is not None else len(np.unique(fold))
    # a network learns for minutes
    if held.split != "random" and head not in SPATIAL:
        result["random"] = _beside(head, x, y, count, seed)
    return result


def _predicted(
    head: str,
    x: NDArray[np.float32],
    y: NDArray[Any],
    count: int,
    groups: NDArray[np.int64],
    seed: int,
    test: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.float64] | None, NDArray[np.int64], NDArray[np.bool_]]:
    """What is predicted where it was not learnt, NaN where it cannot be; the folds; which classes can be tested.

    None where there is nothing to test.
    """
    fold = make_folds(y if count else bins_of(y), groups, seed=seed) if test is None else (~test).astype(np.int64)
    tested = testable(y, fold, count) if count else np.ones(1, dtype=np.bool_)
    if len(np.unique(fold)) < 2 or (count and tested.sum() < 2):
        return None, fold, tested
    said = np.full((len(y), count) if count else len(y), np.nan)
    for number in np.unique(fold) if test is None else (0,):
        train, held_out = fold != number, fold == number
        if count:
            held_out &= tested[y]
        if held_out.any():
            said[held_out] = learn_and_score(head, x[train], y[train], count, seed, x[held_out])
    return said, fold, tested


def _beside(
    head: str, x: NDArray[np.float32], y: NDArray[Any], count: int, seed: int
) -> dict[str, float | None] | None:
    """The scores of a random split."""
    said, _, _ = _predicted(head, x, y, count, np.arange(len(y), dtype=np.int64), seed)
    if said is None:
        return None
    scored = np.isfinite(said).all(axis=1) if count else np.isfinite(said)
    every = np.ones((1, int(scored.sum())))
    if count:
        found = score_classes(y[scored], said[scored].argmax(axis=1), every, classes=count)
    else:
        found = score_numbers(y[scored], said[scored], every)
    names = TOTALS if count else NUMBER_TOTALS
    return {name: float(value) if math.isfinite(value) else None for name, value in zip(names, found[0], strict=False)}
