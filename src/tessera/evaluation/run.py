"""The evaluation: every feature set, head and amount of labels over the same draws."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, checked, require, silent

from ._kept import keep as keep_scores
from ._kept import key_of, read_kept
from .amounts import parse_amounts
from .blocks import BLOCK_KM
from .labelled import CLASSES, Labelled
from .learners import HEADS, parse_heads
from .pixel_years import read_pixel_years
from .plan import make_plan
from .result import Evaluation, Outcome
from .scoring import CLASS_METRICS, NUMBER_METRICS, group_weights, score_classes, score_numbers
from .vectors import name_of, vectors_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from tessera.base import Progress

    from .plan import Fold, Plan

TIMES = 400
"""Bootstrap samples of an interval."""
_WEIGHTS = 4_000_000
"""Weights of tested labels held at once: 32 MB."""
_HEADS = ("linear", "forest")


@checked
def evaluate(
    encoder: Any,
    labelled: Labelled | str | Path,
    *,
    heads: str | Iterable[str] = _HEADS,
    labels: str | Iterable[str | int] | None = None,
    split: str = "auto",
    draws: int = 20,
    seed: int = 0,
    block_km: float = BLOCK_KM,
    year: int | None = None,
    times: int = TIMES,
    keep: str | Path | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """How well features tell labels apart, by how many labels a head learns from.

    Parameters
    ----------
    encoder : what makes the features: an `Encoder`, a name or path of one, None for the bundled one, a store, a
        function of the labelled set that returns (N, D), or such numbers; or a mapping of names to several of these,
        which are compared on the same labels, draws and tests
    labelled : labelled pixels, or the path of a table of pixel-years (see `read_pixel_years`)
    heads : of "linear", "knn", "mlp", "forest"
    labels : amounts such as 31, "5/class", "10%"; where left out, those of the usual ones that the labels allow
    split : "auto", "given", "group", "spatial" or "random", see `make_plan`
    draws : random subsets of each amount
    seed : of draws, heads and bootstrap; the same arguments give the same result
    block_km : side of a spatial block
    year : of a store
    times : bootstrap samples
    keep : a folder where finished scores stay, so that a later run repeats none
    progress : called with fits done and their number

    Raises
    ------
    InputError
        Something that is none of these, or labels too few for what is asked.

    Examples
    --------
    >>> import tessera
    >>> from tessera.evaluation import read_places
    >>> store, labelled = tessera.open_store("store.zarr"), read_places("labels.geojson", "class")
    >>> result = tessera.evaluate(store, labelled, heads="linear,knn", labels="5/class", draws=3, block_km=0.1)
    >>> [(record["head"], record["labels"]) for record in result.best()]
    [('linear', '5/class')]
    """
    if times < 1 or seed < 0:
        raise InputError(f"{times} bootstrap samples, seed {seed}; expected at least 1, and 0 or more")
    given = labelled if isinstance(labelled, Labelled) else read_pixel_years(labelled)
    chosen = parse_heads(heads if isinstance(heads, str) else tuple(heads))
    amounts = parse_amounts(labels, given.kind)
    makers = encoder if isinstance(encoder, Mapping) else {name_of(encoder, 0): encoder}
    if not makers:
        raise InputError("no feature sets; expected at least one")
    vectors = {str(name): vectors_of(maker, given, year=year) for name, maker in makers.items()}
    usable = np.logical_and.reduce([np.isfinite(x).all(axis=1) for x in vectors.values()])
    plan = make_plan(
        given, usable, amounts, split=split, draws=draws, seed=seed, block_km=block_km, drop=labels is None
    )
    folder = None if keep is None else Path(keep)
    total = len(vectors) * len(chosen) * sum(len(folds) for folds in plan.folds.values())
    outcomes, done = [], 0
    for name, x in vectors.items():
        for head in chosen:
            for amount, folds in plan.folds.items():
                key = key_of(x, plan, amount, head, times, seed)
                scores = read_kept(folder, key, (len(folds), times + 1))
                if scores is None:
                    scores = _scores(x, plan, folds, head, times, seed, lambda n, done=done: progress(done + n, total))
                    keep_scores(folder, key, scores)
                done += len(folds)
                progress(done, total)
                taken = float(np.mean([len(fold.train) for fold in folds]))
                outcomes.append(Outcome(name, head, str(amount), taken, scores))
    first = next(iter(plan.folds.values()))
    about = {
        "source": given.source,
        "column": given.column,
        "kind": given.kind,
        "labels": int((usable & (plan.target >= 0)).sum() if given.kind == CLASSES else usable.sum()),
        "classes": list(plan.classes),
        "groups": len(np.unique(plan.group)),
        "split": plan.split,
        "tested": float(np.mean([len(fold.test) for fold in first])),
        "draws": draws,
        "seed": seed,
        "bootstrap": times,
        "dims": {name: int(x.shape[1]) for name, x in vectors.items()},
        "notes": list(plan.notes),
    }
    metrics = CLASS_METRICS if given.kind == CLASSES else NUMBER_METRICS
    return Evaluation(about, metrics, tuple(outcomes), seed)


@contextmanager
def _torch_threads_kept() -> Iterator[None]:
    """A head that torch fits reads, and would leave, the one thread of the limit around it."""
    torch: Any = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else 0
    try:
        yield
    finally:
        if torch:
            torch.set_num_threads(threads)


def _scores(
    x: NDArray[np.float32], plan: Plan, folds: list[Fold], head: str, times: int, seed: int, step: Any
) -> NDArray[np.float64]:
    """(R, B + 1, metrics): a draw's scores, first as they are, then under each bootstrap sample of groups."""
    pools: Any = require("threadpoolctl", extra="heads", purpose="an evaluation")
    classes = len(plan.classes)
    groups = np.unique(plan.group, return_inverse=True)[1].reshape(-1).astype(np.int64)
    every = np.ones((1, int(groups.max(initial=-1)) + 1), dtype=np.float32)
    drawn = np.concatenate([every, group_weights(groups, times, seed)])
    out = []
    values = x.astype(np.float64)
    for index, fold in enumerate(folds):
        truth = plan.target[fold.test]
        # the products are small: threads that wait for each other cost more than they bring
        with _torch_threads_kept(), pools.threadpool_limits(limits=1):
            predict = HEADS[head](values[fold.train], plan.target[fold.train], classes, seed * 1009 + index)
            said = predict(values[fold.test])
        parts = []
        for rows in np.array_split(drawn, -(-drawn.shape[0] * len(fold.test) // _WEIGHTS)):
            # what lies together varies together, so a sample draws whole groups
            weights = rows[:, groups[fold.test]].astype(np.float64)
            if classes:
                parts.append(score_classes(truth.astype(np.int64), said.argmax(axis=1), said, weights))
            else:
                parts.append(score_numbers(truth.astype(np.float64), said, weights))
        out.append(np.concatenate(parts))
        step(index + 1)
    # as they are kept on disk, so that kept scores and new ones are the same
    return np.stack(out).astype(np.float32).astype(np.float64)
