"""Cross-validation that keeps units together, and beside it what a random split would have shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import silent
from tessera.labels import FEW, LEAST_LABELS, Fold, HeldOut, bins_of, judged
from tessera.learners import SPATIAL, learn_and_score

from ._summary import fold_rows, pairs_of, places_of, worst_of
from .amounts import Amount, draw_subset, parse_amounts
from .by_unit import EACH_ONCE, NUMBER_TOTALS, TOTALS, unit_scores
from .intervals import intervals, left_out, parts_of, plain
from .out_of_fold import OutOfFold, counted_rows
from .scores import METRIC_NAMES, confusion, score_by_group, score_classes, score_numbers, scores
from .tuning import Tuned, tune

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from tessera.base import Progress

PER_CLASS = ("precision", "recall", "f1", "iou")
"""Scores of each class."""
BY_UNIT = ("intervals", "per_unit", "per_group")
"""What `unit_scores` adds to a report."""
CURVE_OF = {True: "macro_f1", False: "rmse"}
"""What a learning curve shows, of classes and of numbers."""
CHEAP = ("linear", "prototype", "knn")
"""Heads that get a learning curve without being asked: the others take long to fit."""
AMOUNTS = {True: ("5/class", "10/class", "20/class", "50/class", "100/class"), False: ("3%", "10%", "30%")}
_MANY = 2000
"""Labels from which two of five folds tell what a random split shows."""
_LESS = 0.8
"""A point of the learning curve has at most this part of the labels that a fold learns from."""


@dataclass(frozen=True, repr=False)
class Task:
    """What is learnt, and how: the arguments of `learn` that stay the same from fold to fold.

    Attributes
    ----------
    head, seed, settings, weights : as of `learn`
    x : N vectors, (N, D) or as a store keeps them, or windows around the labels
    y : (N,) int64 classes, or float64 numbers
    classes : how many; 0 of numbers
    groups : (N,) int64, the labels' own groups; None where every label stands alone
    apart : (N,) int64, what a learner that stops early holds out whole, such as blocks; the groups if None
    amount : (N,) float64, how many labels each stands for in a score; None: one
    """

    head: str
    x: Any
    y: NDArray[Any]
    classes: int
    seed: int = 0
    settings: Mapping[str, Any] | None = None
    weights: str = "even"
    groups: NDArray[np.int64] | None = None
    apart: NDArray[np.int64] | None = None
    amount: NDArray[np.float64] | None = None

    @property
    def weight(self) -> NDArray[np.float64]:
        """How many labels each stands for, (N,)."""
        return np.ones(len(self.y)) if self.amount is None else self.amount

    @property
    def stopping(self) -> NDArray[np.int64] | None:
        """What a learner that stops early holds out whole."""
        return self.groups if self.apart is None else self.apart

    def predict(
        self, train: NDArray[np.int64], test: NDArray[np.int64], settings: Mapping[str, Any] | None = None
    ) -> NDArray[np.float64]:
        """Learn from some labels and predict others."""
        return learn_and_score(
            self.head,
            self.x[train],
            self.y[train],
            self.classes,
            self.seed,
            self.x[test],
            settings=self.settings if settings is None else settings,
            weights=self.weights,
            groups=None if self.stopping is None else self.stopping[train],
        )

    def tuned(self, train: NDArray[np.int64], held: HeldOut) -> Tuned:
        """Settings chosen by inner folds of some labels, made as `held` makes those of all N."""
        inner = held.only(train)
        return tune(
            self.head,
            self.x[train],
            self.y[train],
            self.classes,
            inner.groups if self.stopping is None else self.stopping[train],
            self.seed,
            self.weights,
            settings=self.settings,
            held=inner,
            amount=None if self.amount is None else self.amount[train],
        )


def cross_validate(
    task: Task,
    classes: Sequence[str],
    held: HeldOut,
    *,
    units: NDArray[np.int64],
    tuning: bool = False,
    curve: bool | None = None,
    lonlat: NDArray[np.float64] | None = None,
    progress: Progress = silent,
) -> tuple[dict[str, Any], OutOfFold | None]:
    """Fit on all folds but one, predict that one, and score all predictions together.

    A class with fewer than three labels, or in one unit only, cannot be tested: its labels are learnt from but not
    scored, and a note says so. A label whose class its fold does not learn, though others do, counts as wrong:
    without it a score would be that of the easier labels. Beside stands what a random split of the same labels would
    have shown.

    Parameters
    ----------
    task : what is learnt
    classes : K names; () of numbers
    held : what stays in one fold, of the same N labels
    units : (N,) int64, what intervals leave out together, and what the inner folds of `tuning` do not divide
    tuning : choose settings within the training labels of each fold
    curve : measure scores by the number of labels; None: of heads that are quick to fit
    lonlat : (N, 2) degrees, so that examples have a place
    progress : called as `progress(done, total)`, fits

    Returns
    -------
    the metrics of a head (docs/validation.md), plain values, and the predictions; None where there is nothing to test
    """
    count, y = len(classes), task.y
    names = TOTALS if count else NUMBER_TOTALS
    notes = list(held.notes)
    folds = held.folds(y if count else bins_of(y), seed=task.seed)
    enough, can = _can_be_tested(y, held, folds, count)
    wanted = len(folds) >= (1 if held.test is not None else 2) and (not count or can.sum() >= 2)
    result: dict[str, Any] = {
        "split": held.split,
        "block_km": held.block_km,
        "buffer_km": held.buffer_km,
        "range_km": held.range_km,
        "split_why": held.why,
        "buffered": None,
        "folds": 0,
        "units": len(np.unique(held.groups)),
        "unit": held.unit,
        "validated": len(y),
        "per_class": _class_rows(y, classes),
        **dict.fromkeys(names),
        **dict.fromkeys(BY_UNIT),
        "per_fold": [],
        "confusion": None,
        "unmet": None,
        "random": None,
        "gap": None,
        "curve": None,
        "worst": [],
        "scatter": None,
        "points": places_of(lonlat, y, classes, np.full(len(y), -1), task.seed),
        "tuning": None,
        "notes": notes,
    }
    where = f"{held.unit} of {held.block_km:g} km" if held.block_km is not None else held.unit
    if not wanted:
        what = f"fewer than two classes have {LEAST_LABELS} labels" if count else "labels do not lie"
        notes.append(f"not tested: {what} in more than one {where}{held.advice}")
        return result, None
    curve = task.head in CHEAP if curve is None else curve
    amounts = _amounts(y, folds, count) if curve else ()
    beside = _random_folds(task, held)
    meter = _Meter(progress, len(folds) * (1 + len(amounts)) + len(beside))
    said, fold_of, met, searches = _out_of_fold(task, folds, held.inner(units) if tuning else None, meter)
    tested = fold_of >= 0
    rows = np.flatnonzero(tested & can[y] if count else tested)
    if met[rows].sum() < 2:
        notes.append(f"not tested: no label of a class that other folds hold{held.advice}")
        return result, None
    found = OutOfFold(y[rows], said[rows], units[rows], fold_of[rows], rows, met[rows], task.weight[rows])
    own = np.arange(len(y)) if task.groups is None else task.groups
    scored = unit_scores(
        found.truth, found.raw, found.unit, own[rows], classes=count, seed=task.seed, amount=found.amount
    )
    result |= scored
    if count:
        notes.extend(_class_notes(classes, enough, can, where))
        result["unmet"] = _unmet(found, classes)
        notes.extend(_unmet_notes(result["unmet"], len(rows)))
        result["confusion"] = _confusion(found, y[tested], said[tested], classes, task.seed)
        _fill_class_rows(result["per_class"], found, classes, can)
    notes.extend(_no_interval_notes(result, names))
    if result["per_unit"]["units"] < FEW:
        notes.append(
            f"intervals rest on {result['per_unit']['units']} blocks, fewer than {FEW}: they may be too narrow"
            f"{held.advice}"
        )
    result["folds"] = len({fold.name for fold in folds})
    result["buffered"] = _buffered(held, folds)
    result["random"] = _beside(task, beside, rows, _most_chosen(searches), names, meter)
    result["gap"] = _gap(result["random"], result, names)
    if amounts:
        result["curve"] = _curve(task, folds, found, amounts, searches, result, meter)
    result["tuning"] = _tuning(searches, folds)
    result["per_fold"] = fold_rows(found, folds, names, count)
    result["worst"] = worst_of(found, folds, classes, own, lonlat)
    result["scatter"] = None if count else pairs_of(found, task.seed)
    result["points"] = places_of(lonlat, y, classes, fold_of, task.seed)
    return result, found


@dataclass
class _Meter:
    progress: Progress
    total: int
    done: int = 0

    def step(self) -> None:
        self.done += 1
        self.progress(self.done, self.total)


def _class_rows(y: NDArray[Any], classes: Sequence[str]) -> dict[str, dict[str, Any]]:
    return {
        name: {"labels": int((y == index).sum()), "tested": 0, **dict.fromkeys(PER_CLASS)}
        for index, name in enumerate(classes)
    }


def _fill_class_rows(
    rows: dict[str, dict[str, Any]], found: OutOfFold, classes: Sequence[str], can: NDArray[np.bool_]
) -> None:
    count = len(classes)
    cells = found.truth * count + found.raw.argmax(axis=1)
    weighed = scores(np.bincount(cells, weights=found.amount, minlength=count**2).reshape(count, count))
    tested = np.bincount(found.truth, minlength=count)
    for index, name in enumerate(classes):
        rows[name]["tested"] = int(tested[index])
        if can[index] and tested[index]:
            rows[name].update({key: float(getattr(weighed, key)[index]) for key in PER_CLASS})


def _confusion(
    found: OutOfFold, truth: NDArray[np.int64], raw: NDArray[np.float64], classes: Sequence[str], seed: int
) -> dict[str, Any]:
    """Labels by class and prediction: those that are scored, all that were predicted, and the former part by part."""
    said, count = found.raw.argmax(axis=1), len(classes)
    return {
        "classes": list(classes),
        "counts": confusion(found.truth, said, count).tolist(),
        "predicted": confusion(truth, raw.argmax(axis=1), count).tolist(),
        "parts": counted_rows(parts_of(found.unit, seed), found.truth, said),
    }


def _can_be_tested(
    y: NDArray[Any], held: HeldOut, folds: Sequence[Fold], count: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(K,) bool: classes with enough labels and units, and those of them that some fold both tests and learns from;
    (1,) of numbers."""
    if not count:
        return np.ones(1, dtype=np.bool_), np.ones(1, dtype=np.bool_)
    if held.test is not None:
        learnt, tested = (np.bincount(y[part], minlength=count) for part in (~held.test, held.test))
        enough = (learnt >= 2) & (tested >= 1)
    else:
        enough = judged(y, held.groups, count)
    met = np.zeros(count, dtype=np.bool_)
    for fold in folds:
        met[np.intersect1d(y[fold.train], y[fold.test])] = True
    return enough, enough & met


def _out_of_fold(
    task: Task, folds: Sequence[Fold], tuned_by: HeldOut | None, meter: _Meter
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_], list[Tuned]]:
    """Predictions, the fold that made each, -1 where none did, whether it had met the class, and what each search
    found."""
    y, count = task.y, task.classes
    said = np.full((len(y), count) if count else len(y), np.nan)
    fold_of, met = np.full(len(y), -1, dtype=np.int64), np.zeros(len(y), dtype=np.bool_)
    searches: list[Tuned] = []
    for number, fold in enumerate(folds):
        if tuned_by is not None:
            searches.append(task.tuned(fold.train, tuned_by))
        said[fold.test] = task.predict(fold.train, fold.test, searches[-1].settings if searches else None)
        fold_of[fold.test] = number
        met[fold.test] = np.isin(y[fold.test], y[fold.train]) if count else True
        meter.step()
    return said, fold_of, met, searches


def _class_notes(classes: Sequence[str], enough: NDArray[np.bool_], can: NDArray[np.bool_], where: str) -> list[str]:
    reasons = (
        (f"as they have fewer than {LEAST_LABELS} labels, or all in one {where}", ~enough),
        ("as no fold that tests them learns them too", enough & ~can),
    )
    return [
        f"learnt but not tested, {why}: {', '.join(name for name, one in zip(classes, which, strict=True) if one)}"
        for why, which in reasons
        if which.any()
    ]


def _unmet(found: OutOfFold, classes: Sequence[str]) -> dict[str, Any] | None:
    """The labels that can only be wrong, by class, and scores without them; None where there are none."""
    if found.met.all():
        return None
    counts = np.bincount(found.truth[~found.met], minlength=len(classes))
    known = found.met
    without = _score(found.truth[known], found.raw[known], len(classes), found.amount[known])
    return {
        "labels": int(counts.sum()),
        "classes": {name: int(many) for name, many in zip(classes, counts, strict=True) if many},
        "without": {name: plain(without[TOTALS.index(name)]) for name in EACH_ONCE},
    }


def _unmet_notes(unmet: dict[str, Any] | None, tested: int) -> list[str]:
    if unmet is None:
        return []
    which = ", ".join(f"{name} ({many})" for name, many in unmet["classes"].items())
    value = unmet["without"]["macro_f1"]
    without = "" if value is None else f"; without them macro-F1 is {value:.3f}"
    return [
        f"{unmet['labels']} of {tested} tested labels count as wrong, as no label of their class is learnt from in "
        f"their fold: {which}{without}"
    ]


def _no_interval_notes(result: dict[str, Any], names: Sequence[str]) -> list[str]:
    """Scores whose value some parts alone decide."""
    ends = result["intervals"]
    lost = [METRIC_NAMES[name] for name in names if result[name] is not None and ends[name][0] is None]
    if not lost or result["per_unit"]["units"] < 2:
        return []
    return [f"no interval of {', '.join(lost)}: undefined if one of the blocks is left out, or too long to compute"]


def _buffered(held: HeldOut, folds: Sequence[Fold]) -> float | None:
    """The share of the labels outside the tested units that the buffer left out, mean over folds."""
    if held.buffer_km is None:
        return None
    shares = []
    for fold in folds:
        tested = np.zeros(len(held.groups), dtype=np.bool_)
        tested[fold.test] = True
        free = held.without_buffer(tested).sum()
        shares.append(1 - len(fold.train) / free if free else 0.0)
    return float(np.mean(shares))


def _random_folds(task: Task, held: HeldOut) -> list[Fold]:
    # a network learns for minutes
    if held.split == "random" or task.head in SPATIAL:
        return []
    alone = HeldOut("random", np.arange(len(task.y), dtype=np.int64))
    folds = alone.folds(task.y if task.classes else bins_of(task.y), seed=task.seed)
    if len(folds) < 2:
        return []
    return folds[:2] if len(task.y) >= _MANY else folds


def _most_chosen(searches: Sequence[Tuned]) -> Mapping[str, Any] | None:
    """The settings that most folds chose, the first of equals."""
    texts = [repr(sorted(one.settings.items())) for one in searches]
    return searches[max(range(len(texts)), key=lambda index: texts.count(texts[index]))].settings if texts else None


def _beside(
    task: Task,
    folds: Sequence[Fold],
    rows: NDArray[np.int64],
    settings: Mapping[str, Any] | None,
    names: Sequence[str],
    meter: _Meter,
) -> dict[str, float | None] | None:
    """The scores of a random split, of the labels that the honest one scored."""
    tested, raw = [], []
    for fold in folds:
        test = fold.test[np.isin(fold.test, rows)]
        if len(test):
            tested.append(test)
            raw.append(task.predict(fold.train, test, settings))
        meter.step()
    if not tested:
        return None
    every = np.concatenate(tested)
    found = _score(task.y[every], np.concatenate(raw), task.classes, task.weight[every])
    return {name: plain(value) for name, value in zip(names, found, strict=True)}


def _score(
    truth: NDArray[Any], raw: NDArray[np.float64], classes: int, amount: NDArray[np.float64]
) -> NDArray[np.float64]:
    once = amount[None]
    if classes:
        found = score_classes(truth, raw.argmax(axis=1), once, classes=classes, probabilities=raw)
    else:
        found = score_numbers(truth, raw, once)
    out: NDArray[np.float64] = found[0]
    return out


def _gap(
    random: dict[str, float | None] | None, honest: dict[str, Any], names: Sequence[str]
) -> dict[str, float | None] | None:
    if random is None:
        return None
    out: dict[str, float | None] = {}
    for name in names:
        flattered, own = random[name], honest[name]
        out[name] = None if flattered is None or own is None else flattered - own
    return out


def _amounts(y: NDArray[Any], folds: Sequence[Fold], classes: int) -> tuple[Amount, ...]:
    """Amounts of labels that are clearly fewer than a fold learns from."""
    most = _LESS * min(len(fold.train) for fold in folds)
    out = []
    for amount in parse_amounts(AMOUNTS[classes > 0], "classification" if classes else "regression"):
        if classes:
            taken = np.minimum(np.bincount(y, minlength=classes), amount.number).sum()
        else:
            taken = amount.total(min(len(fold.train) for fold in folds))
        if 2 <= taken <= most:
            out.append(amount)
    return tuple(out)


def _curve(
    task: Task,
    folds: Sequence[Fold],
    found: OutOfFold,
    amounts: Sequence[Amount],
    searches: Sequence[Tuned],
    whole: dict[str, Any],
    meter: _Meter,
) -> dict[str, Any]:
    """Scores by the number of labels learnt from: the same folds, each with a part of its training labels and with the
    settings that it chose."""
    metric = CURVE_OF[task.classes > 0]
    points = []
    for amount in amounts:
        raw = np.full(found.raw.shape, np.nan)
        learnt = []
        for number, fold in enumerate(folds):
            mixed = np.random.default_rng([task.seed, 81, number]).permutation(fold.train)
            train = np.sort(draw_subset(mixed, task.y, task.classes, amount))
            tested = found.fold == number
            if tested.any() and (not task.classes or len(np.unique(task.y[train])) >= 2):
                settings = searches[number].settings if searches else None
                raw[tested] = task.predict(train, found.rows[tested], settings)
                learnt.append(len(train))
            meter.step()
        good = np.isfinite(raw).reshape(len(raw), -1).all(axis=1)
        if good.any():
            value = _interval_of(metric, found, good, raw[good], task)
            points.append({"labels": str(amount), "learnt": float(np.mean(learnt)), "draws": len(learnt), **value})
    honest = {"value": whole[metric], "low": whole["intervals"][metric][0], "high": whole["intervals"][metric][1]}
    every = float(np.mean([len(fold.train) for fold in folds]))
    points.append({"labels": "100%", "learnt": every, "draws": len(folds), **honest})
    return {"metric": metric, "points": points}


def _interval_of(
    metric: str, found: OutOfFold, rows: NDArray[np.bool_], raw: NDArray[np.float64], task: Task
) -> dict[str, float | None]:
    truth, amount = found.truth[rows], found.amount[rows]
    unit = np.unique(found.unit[rows], return_inverse=True)[1].reshape(-1).astype(np.int64)
    drawn = left_out(unit, task.seed)
    if task.classes:
        place, said = TOTALS.index(metric), raw.argmax(axis=1)
        values = score_by_group(lambda w: score_classes(truth, said, w, classes=task.classes), drawn, unit, amount)
    else:
        place = NUMBER_TOTALS.index(metric)
        values = score_by_group(lambda w: score_numbers(truth, raw, w), drawn, unit, amount)
    cell = intervals(values[:, place : place + 1], (metric,), int(unit.max()) + 1)[0]
    return dict(zip(("value", "low", "high"), cell, strict=True))


def _tuning(searches: Sequence[Tuned], folds: Sequence[Fold]) -> dict[str, Any] | None:
    """What each fold's search chose; `fit` adds what all labels choose."""
    if not searches:
        return None
    rows = [{"fold": fold.name, "chosen": dict(one.settings)} for fold, one in zip(folds, searches, strict=True)]
    return {"metric": searches[0].metric, "per_fold": rows}
