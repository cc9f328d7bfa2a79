"""Settings of a learner, chosen by folds of the labels that it may learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, silent
from tessera.labels import HeldOut, bins_of
from tessera.learners import LEARNERS, learn_and_score, parse_settings

from .scores import CLASS_METRICS, LOWER_IS_BETTER, NUMBER_METRICS, score_classes, score_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from tessera.base import Progress

INNER_FOLDS = 3
"""Folds within the labels that a learner may learn from."""
TUNED_BY = {True: "macro_f1", False: "rmse"}
"""Of classes and of numbers."""


@dataclass(frozen=True)
class Tried:
    """Settings that were tried.

    Attributes
    ----------
    settings : name -> value, those that the search varies
    score : over all inner folds together; None if it is undefined
    """

    settings: dict[str, Any]
    score: float | None


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Attributes
    ----------
    settings : name -> value, for `learn`; {} = the learner's own
    tried : everything that was tried, the learner's own settings first
    metric : the name of the score
    """

    settings: dict[str, Any]
    tried: tuple[Tried, ...]
    metric: str

    def to_json(self) -> dict[str, Any]:
        """Plain values: `chosen`, `tried` and `metric`."""
        tried = [{"settings": dict(one.settings), "score": one.score} for one in self.tried]
        return {"tried": tried, "chosen": dict(self.settings), "metric": self.metric}


def tune(
    head: str,
    x: Any,
    y: NDArray[Any],
    classes: int,
    groups: NDArray[Any] | None = None,
    seed: int = 0,
    weights: str = "even",
    metric: str | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    candidates: Sequence[Mapping[str, Any]] | None = None,
    held: HeldOut | None = None,
    amount: NDArray[np.float64] | None = None,
    folds: int = INNER_FOLDS,
    progress: Progress = silent,
) -> Tuned:
    """Choose settings by inner folds, and nothing else: call it with the training part of a fold.

    Inner folds are made by what makes the outer ones, with the same buffer: settings that gain from neighbours, such as
    a single one, would win by them elsewhere.

    The learner's own settings are tried first and stay unless others score higher. Every setting is tested on the same
    folds, and is scored once over the predictions of all of them. With one group, or if no learner can be tested, the
    learner's own settings stay and nothing is tried.

    Parameters
    ----------
    head, x, y, classes, seed, weights : as of `learn`; a class may be missing in `y`
    groups : (N,) what a learner that stops early holds out whole, and what is never split where `held` is None; None:
        every label is a group
    metric : a name of `CLASS_METRICS` or `NUMBER_METRICS`; macro-F1 or RMSE if None
    settings : fixed by the user, and tried with all others
    candidates : what to try; the learner's own `grid` if None
    held : what the inner folds hold out, of these N labels, and the buffer around it; None: `groups`, without a buffer
    amount : (N,) how many labels each stands for in the score; None: one
    folds : at most this many
    progress : called as `progress(done, total)`, fits

    Raises
    ------
    InputError
        No such head, setting or metric.
    """
    chosen = metric or TUNED_BY[classes > 0]
    names = CLASS_METRICS if classes else NUMBER_METRICS
    if chosen not in names:
        raise InputError(f"metric {chosen!r}; expected one of {', '.join(names)}")
    fixed = parse_settings(head, settings)
    own = LEARNERS[head].defaults
    given = LEARNERS[head].grid(classes) if candidates is None else candidates
    wanted: list[dict[str, Any]] = [dict(fixed)]
    for one in given:
        # what the user fixed is not searched
        settled = {**parse_settings(head, one), **fixed}
        if all({**own, **settled} != {**own, **other} for other in wanted):
            wanted.append(settled)
    group = np.arange(len(y)) if groups is None else np.unique(groups, return_inverse=True)[1].reshape(-1)
    strata = y.astype(np.int64) if classes else bins_of(y.astype(np.float64))
    apart = HeldOut("group", group.astype(np.int64)) if held is None else held
    rounds = [
        fold
        for fold in apart.folds(strata, seed=seed, folds=folds)
        if not classes or len(np.unique(y[fold.train])) >= 2
    ]
    if len(rounds) < 2 or len(wanted) < 2 or len(np.unique(y)) < 2:
        return Tuned(fixed, (), chosen)
    tested = np.sort(np.concatenate([fold.test for fold in rounds]))
    each = np.ones(len(tested)) if amount is None else amount[tested]
    tried, best, place, done = [], -np.inf, 0, 0
    for index, one in enumerate(wanted):
        said = np.zeros((len(y), classes)) if classes else np.zeros(len(y))
        for fold in rounds:
            train, test = fold.train, fold.test
            said[test] = learn_and_score(
                head, x[train], y[train], classes, seed, x[test], settings=one, weights=weights, groups=group[train]
            )
            done += 1
            progress(done, len(wanted) * len(rounds))
        score = _score(y[tested], said[tested], each, classes, chosen)
        tried.append(Tried(one, score))
        value = -np.inf if score is None else -score if chosen in LOWER_IS_BETTER else score
        if value > best:
            best, place = value, index
    return Tuned(wanted[place], tuple(tried), chosen)


def _score(
    y: NDArray[Any], said: NDArray[np.float64], amount: NDArray[np.float64], classes: int, metric: str
) -> float | None:
    once = amount[None]
    if classes:
        found = score_classes(y.astype(np.int64), said.argmax(axis=1), once, classes=classes, probabilities=said)
        value = float(found[0, CLASS_METRICS.index(metric)])
    else:
        value = float(score_numbers(y.astype(np.float64), said, once)[0, NUMBER_METRICS.index(metric)])
    return value if np.isfinite(value) else None
