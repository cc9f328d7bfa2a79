"""The evaluation: every feature set, head and amount of labels over the same draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, check_folder, checked, silent
from tessera.labels import CLASSES, Labels
from tessera.learners import WEIGHTS, parse_heads, settings_by_head
from tessera.validation import (
    CLASS_METRICS,
    NUMBER_METRICS,
    TIMES,
    Task,
    group_weights,
    parse_amounts,
    score_by_group,
    score_classes,
    score_numbers,
)

from ._kept import keep as keep_scores
from ._kept import key_of, read_kept
from .pixel_years import read_pixel_years
from .plan import make_plan
from .result import Evaluation, Outcome, mean_of
from .vectors import name_of, vectors_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.base import Progress
    from tessera.labels import Fold
    from tessera.validation import Amount

    from .plan import Plan

_HEADS = ("linear", "forest")
_RANDOM_DRAWS = 3
"""Draws of the random split that stands beside."""


@checked
def evaluate(
    encoder: Any,
    labelled: Labels | str | Path,
    *,
    heads: str | Iterable[str] = _HEADS,
    labels: str | Iterable[str | int] | None = None,
    split: str = "auto",
    draws: int = 20,
    seed: int = 0,
    block_km: float | str | None = None,
    buffer_km: float | str | None = None,
    year: int | None = None,
    weights: str = "even",
    settings: Mapping[str, Any] | None = None,
    tune: bool = False,
    times: int = TIMES,
    beside: bool = True,
    keep: str | Path | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Measure how well features predict labels, by the number of labels that a head learns from.

    Parameters
    ----------
    encoder : what makes the features: an `Encoder`, the name or path of one, None for the bundled one, a store, an
        array (N, D), or a function of the labels that returns one. A mapping of names to several of these compares them
        on the same labels, draws and tests
    labelled : `Labels` with places or pixel-years, or the path of a table of pixel-years (see `read_pixel_years`)
    heads : names in `tessera.learners.HEADS`, with commas or as a list
    labels : amounts of labels, such as 31, "5/class" or "10%"; the usual ones that the labels allow if None
    split : "auto", "given", "group", "spatial", "region", "year" or "random", as in `fit`. "auto" takes the strictest
        that the labels allow, years and regions aside
    draws : random subsets of each amount
    seed : of draws, heads and bootstrap; the same arguments give the same result
    block_km, buffer_km : side of a block and width of the buffer around tested labels, kilometres; as in `fit` if None
    year : one of a store's years; its only year if None, or the labels' own years where they have some
    weights : "even": all classes weigh the same; "occur": as often as they are labelled
    settings : settings of the heads, by name; each goes to the heads that have it
    tune : choose settings, in each draw from the labels that it learns from alone
    times : bootstrap samples of an interval
    beside : also report what a random split would show of the largest amount
    keep : a folder for finished scores, so that a later run repeats none
    progress : called as `progress(done, total)`, fits

    Returns
    -------
    An `Evaluation`.

    Raises
    ------
    InputError
        The features or labels are none of these, or the labels are too few for what is asked.

    Examples
    --------
    >>> import tessera
    >>> from tessera.labels import read_labels
    >>> store, labelled = tessera.open_store("store.zarr"), read_labels("labels.geojson", "class")
    >>> result = tessera.evaluate(store, labelled, heads="linear,knn", labels="5/class", draws=3, block_km=0.1)
    >>> [(record["head"], record["labels"]) for record in result.best()]
    [('linear', '5/class')]
    """
    if times < 1 or seed < 0:
        raise InputError(f"{times} bootstrap samples, seed {seed}; expected at least 1, and 0 or more")
    given = labelled if isinstance(labelled, Labels) else read_pixel_years(labelled)
    chosen = parse_heads(heads if isinstance(heads, str) else tuple(heads), given.kind)
    if weights not in WEIGHTS:
        raise InputError(f"weights {weights!r}; expected {' or '.join(WEIGHTS)}")
    own_settings = settings_by_head(chosen, settings)
    amounts = parse_amounts(labels, given.kind)
    makers = encoder if isinstance(encoder, Mapping) else {name_of(encoder): encoder}
    if not makers:
        raise InputError("no feature sets; expected at least one")
    vectors = {str(name): vectors_of(maker, given, year=year) for name, maker in makers.items()}
    usable = np.logical_and.reduce([np.isfinite(x).all(axis=1) for x in vectors.values()])
    plan = make_plan(
        given,
        usable,
        amounts,
        split=split,
        draws=draws,
        seed=seed,
        block_km=block_km,
        buffer_km=buffer_km,
        drop=labels is None,
    )
    folder = None if keep is None else check_folder(keep, "folder of scores")
    last = list(plan.folds)[-1]
    random = _random_plan(given, usable, last, plan, min(draws, _RANDOM_DRAWS), seed) if beside else None
    jobs = [(plan, amount, times) for amount in plan.folds]
    jobs += [(random, last, 0)] if random is not None else []
    total = len(vectors) * len(chosen) * sum(len(which.folds[amount]) for which, amount, _ in jobs)
    metrics = CLASS_METRICS if given.kind == CLASSES else NUMBER_METRICS
    outcomes, done = [], 0
    flattering: dict[str, dict[str, dict[str, float | None]]] = {}
    for name, x in vectors.items():
        for head in chosen:
            for which, amount, samples in jobs:
                folds = which.folds[amount]
                task = Task(head, x, which.target, len(which.classes), seed, own_settings[head], weights, which.group)
                key = key_of(task, which, amount, samples, tuned=tune)
                scores = read_kept(folder, key, (len(folds), samples + 1))
                if scores is None:
                    scores = _scores(task, which, folds, samples, tune, progress, done, total)
                    keep_scores(folder, key, scores)
                done += len(folds)
                progress(done, total)
                if which is plan:
                    taken = float(np.mean([len(fold.train) for fold in folds]))
                    outcomes.append(Outcome(name, head, str(amount), taken, scores))
                else:
                    means = dict(zip(metrics, (mean_of(scores[:, 0, k]) for k in range(len(metrics))), strict=True))
                    flattering.setdefault(name, {})[head] = means
    first = next(iter(plan.folds.values()))
    about = {
        "source": given.source,
        "column": given.column,
        "kind": given.kind,
        "labels": int((usable & (plan.target >= 0)).sum() if given.kind == CLASSES else usable.sum()),
        "classes": list(plan.classes),
        "groups": len(np.unique(plan.group)),
        "split": plan.split,
        "block_km": plan.block_km,
        "buffer_km": plan.buffer_km,
        "told": plan.told,
        "tested": float(np.mean([len(fold.test) for fold in first])),
        "draws": draws,
        "seed": seed,
        "bootstrap": times,
        "weights": weights,
        "settings": {head: own for head, own in own_settings.items() if own},
        "tuned": tune,
        "dims": {name: int(x.shape[1]) for name, x in vectors.items()},
        "random": {"labels": str(last), "scores": flattering} if flattering else None,
        "notes": list(plan.notes),
    }
    return Evaluation(about, metrics, tuple(outcomes), seed)


def _random_plan(
    labels: Labels, usable: NDArray[np.bool_], amount: Amount, plan: Plan, draws: int, seed: int
) -> Plan | None:
    """The draws of a random split of the same amount; None where it is the split already, or the labels are too few."""
    if plan.split == "random":
        return None
    try:
        return make_plan(labels, usable, (amount,), split="random", draws=draws, seed=seed)
    except InputError:
        return None


def _scores(
    task: Task,
    plan: Plan,
    folds: list[Fold],
    times: int,
    tune: bool,
    progress: Progress,
    done: int,
    total: int,
) -> NDArray[np.float64]:
    """(R, B + 1, metrics): a draw's scores, first as they are, then under each bootstrap sample of groups."""
    classes = len(plan.classes)
    groups = np.unique(plan.group, return_inverse=True)[1].reshape(-1).astype(np.int64)
    drawn = group_weights(groups, times, task.seed)
    out = []
    for index, fold in enumerate(folds):
        truth = plan.target[fold.test]
        own = replace(task, seed=(task.seed * 1009 + index) % 2**32)
        settings = own.tuned(fold.train, plan.held.inner(plan.group)).settings if tune else None
        said = own.predict(fold.train, fold.test, settings)

        def score(weights: NDArray[np.float64], truth: Any = truth, said: NDArray[np.float64] = said) -> Any:
            if not classes:
                return score_numbers(truth.astype(np.float64), said, weights)
            predicted = said.argmax(axis=1)
            return score_classes(truth.astype(np.int64), predicted, weights, classes=classes, probabilities=said)

        out.append(score_by_group(score, drawn, groups[fold.test]))
        progress(done + index + 1, total)
    # as they are kept on disk, so that kept scores and new ones are the same
    return np.stack(out).astype(np.float32).astype(np.float64)
