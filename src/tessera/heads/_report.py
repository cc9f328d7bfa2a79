"""The report of a head: cross-validation that keeps groups together, and its table as plain text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, printable, shown

from ._places import FEW_PLACES, TOTALS, place_scores
from .codes import cell, code_note, map_values
from .linear import fit_linear
from .metrics import confusion, scores
from .splits import BLOCK_METRES, make_folds, testable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_FLATTERS = (
    "a random split tests on neighbours of what was learnt and flatters: in published comparisons its macro-F1 lies "
    "0.11 to 0.14 above that of a split by field"
)
_BY_PLACE = ("intervals", "per_place", "per_feature")
_LABELS = {"balanced_accuracy": "balanced accuracy", "macro_f1": "macro-F1", "accuracy": "accuracy"}
_PER_CLASS = ("precision", "recall", "f1")
_COUNTS = ("labels", "features", "places", "missing", "no_data", "folds")


def cross_validate(
    x: NDArray[np.float32],
    names: NDArray[np.object_],
    groups: NDArray[np.int64],
    *,
    split: str,
    seed: int,
    places: NDArray[np.int64] | None = None,
    features: NDArray[np.int64] | None = None,
) -> dict[str, Any]:
    """Fit on all folds but one, predict that one, and score all predictions together.

    A class that lies in one fold only cannot be tested: its labels are learnt from but not scored, and a note says so.

    Parameters
    ----------
    x : (N, D) float32, finite
    names : (N,) class of each
    groups : (N,) int64, labels that stay in one fold
    split : "spatial" or "random", for the notes
    seed : deals groups to folds
    places : (N,) int64, labels that err together, for intervals and scores by place; None: the groups
    features : (N,) int64, the point or polygon of each label; None: each is one

    Returns
    -------
    plain values: split, folds, places (how many groups), per_class, accuracy, balanced_accuracy, macro_f1, confusion,
    notes, and what `place_scores` returns; scores are None where there is nothing to score
    """
    classes = tuple(dict.fromkeys(sorted(names)))
    place = {name: index for index, name in enumerate(classes)}
    y = np.array([place[name] for name in names], dtype=np.int64)
    fold = make_folds(y, groups, seed=seed)
    tested = testable(y, fold, len(classes))
    notes = [_FLATTERS] if split == "random" else []
    unit = f"block of {BLOCK_METRES} m or polygon" if split == "spatial" else "fold"
    per_class: dict[str, dict[str, Any]] = {
        name: {"labels": int((y == index).sum()), "tested": 0, **dict.fromkeys(_PER_CLASS)}
        for name, index in place.items()
    }
    result: dict[str, Any] = {
        "split": split,
        "folds": 0,
        "places": len(np.unique(groups)),
        "per_class": per_class,
        **dict.fromkeys(TOTALS),
        "confusion": None,
        **dict.fromkeys(_BY_PLACE),
        "notes": notes,
    }
    if tested.sum() < 2:
        notes.append(f"not tested: fewer than two classes have labels in more than one {unit}")
        return result
    left_out = [name for name, index in place.items() if not tested[index]]
    if left_out:
        notes.append(f"learnt but not tested, as all labels lie in one {unit}: {', '.join(left_out)}")
    predicted = np.full(len(y), -1, dtype=np.int64)
    for number in np.unique(fold):
        train, test = fold != number, (fold == number) & tested[y]
        if not test.any():
            continue
        model = fit_linear(x[train], names[train], seed=seed)
        predicted[test] = np.array([place[name] for name in model.classes])[model.predict(x[test])]
    scored = predicted >= 0
    matrix = confusion(y[scored], predicted[scored], len(classes))
    found = scores(matrix)
    for name, index in place.items():
        per_class[name]["tested"] = int(found.support[index])
        if tested[index]:
            per_class[name].update({key: float(getattr(found, key)[index]) for key in _PER_CLASS})
    result.update({key: getattr(found, key) for key in TOTALS})
    by_place = place_scores(
        y[scored],
        predicted[scored],
        (groups if places is None else places)[scored],
        np.flatnonzero(scored) if features is None else features[scored],
        classes=len(classes),
        seed=seed,
    )
    if by_place["per_place"]["places"] < FEW_PLACES:
        notes.append(f"intervals are too narrow: {by_place['per_place']['places']} places, fewer than {FEW_PLACES}")
    result.update(by_place)
    result.update(folds=len(np.unique(fold)), confusion={"classes": list(classes), "counts": matrix.tolist()})
    return result


def parse_metrics(value: Any, classes: Sequence[str]) -> dict[str, Any]:
    """Check the metrics of a saved head, so that its report can be printed.

    Raises
    ------
    InputError
        A part is missing, of another type, or about other classes.
    """
    if not isinstance(value, dict):
        raise InputError(f"metrics are a {type(value).__name__}; expected an object")
    per_class, notes = value.get("per_class"), value.get("notes")
    rows = list(per_class.values()) if isinstance(per_class, dict) else []
    sound = (
        isinstance(per_class, dict)
        and set(per_class) == set(classes)
        and all(isinstance(row, dict) for row in rows)
        and all(_is_count(row.get(key)) for row in rows for key in ("labels", "tested"))
        and all(_is_share(row.get(key)) for row in rows for key in _PER_CLASS)
        and all(_is_share(value.get(key)) for key in TOTALS)
        and all(_is_count(value.get(key)) for key in _COUNTS)
        and isinstance(value.get("split"), str)
        and isinstance(notes, list)
        and all(isinstance(note, str) for note in notes)
        and _by_place_is_sound(value)
    )
    if not sound:
        raise InputError(
            "metrics are not what a head saves; expected counts, scores from 0 to 1 or null, a split, notes, and a row "
            "for each class"
        )
    return value


def _by_place_is_sound(value: dict[str, Any]) -> bool:
    """Whether scores by place are what `place_scores` returns, or absent, as in heads of earlier releases."""
    intervals, places, votes = (value.get(key) for key in _BY_PLACE)
    if intervals is None:
        return places is None and votes is None
    return (
        isinstance(intervals, dict)
        and all(_are_shares(intervals.get(key), 2) for key in TOTALS)
        and all(value.get(key) is not None for key in TOTALS)
        and isinstance(places, dict)
        and _is_count(places.get("places"))
        and all(_are_shares(places.get(key), 3) for key in TOTALS)
        and (votes is None or _votes_are_sound(votes))
    )


def _votes_are_sound(votes: Any) -> bool:
    return (
        isinstance(votes, dict)
        and all(_is_count(votes.get(key)) for key in ("features", "right"))
        and _are_shares(votes.get("accuracy"), 3)
    )


def _are_shares(value: Any, count: int) -> bool:
    return isinstance(value, list) and len(value) == count and all(_is_share(one) and one is not None for one in value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_share(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1)


def format_report(heading: str, metrics: dict[str, Any], classes: Sequence[str], column: str) -> str:
    """The report as plain text: labels, split, a row for each class, totals, notes."""
    dropped = [
        f"{metrics[key]} dropped, {reason}"
        for key, reason in (("no_data", "pixel without data"), ("missing", "no value or no place"))
        if metrics[key]
    ]
    spatial = metrics["split"] == "spatial"
    kept = f", {metrics['places']} places (blocks of {BLOCK_METRES} m, whole polygons) kept whole" if spatial else ""
    folds = f"{metrics['folds']} folds{kept}" if metrics["folds"] else "not tested"
    pooled = metrics["features"] != metrics["labels"]
    labels = f"{metrics['labels']} pixels of {metrics['features']} features" if pooled else str(metrics["labels"])
    names = [cell(name) for name in classes]
    width = max(len("class"), *(len(name) for name in names))
    lines = [
        heading,
        f"labels: {labels} of column {shown(column)}" + "".join(f"; {text}" for text in dropped),
        f"split: {metrics['split']}, {folds}",
        "",
        f"{'class':<{width}}  value  {'pixels' if pooled else 'labels'}  tested  precision  recall     F1",
    ]
    for name, label, value in zip(classes, names, map_values(classes), strict=True):
        row = metrics["per_class"][name]
        numbers = "  ".join(f"{_show(row[key]):>{size}}" for key, size in zip(_PER_CLASS, (9, 6, 5), strict=True))
        lines.append(f"{label:<{width}}  {value:>5}  {row['labels']:>6}  {row['tested']:>6}  {numbers}")
    lines += ["", *_total_lines(metrics)]
    notes = [*metrics["notes"], code_note(classes)]
    lines.extend(f"note: {printable(note)}" for note in notes if note)
    return "\n".join(lines)


def _total_lines(metrics: dict[str, Any]) -> list[str]:
    """The scores of pixels and, where they are known, of places and polygons, each with its interval."""
    intervals, places, votes = (metrics.get(key) for key in _BY_PLACE)
    if intervals is None or places is None:
        return [f"{label}: {_show(metrics[key])}" for key, label in _LABELS.items()]
    lines = [f"{label}: {_with_interval([metrics[key], *intervals[key]])}" for key, label in _LABELS.items()]
    count = places["places"]
    each = "; ".join(f"{label} {_with_interval(places[key])}" for key, label in _LABELS.items())
    lines.append(f"per place, each of {count} counting once: {each}")
    if votes is not None:
        lines.append(
            f"per feature, by the vote of its pixels: {votes['right']} of {votes['features']} right, accuracy "
            f"{_with_interval(votes['accuracy'])}"
        )
    lines.append("in brackets: 95 % intervals over places")
    return lines


def _with_interval(cell: list[float]) -> str:
    value, low, high = cell
    return f"{_show(value)} ({_show(low)} to {_show(high)})"


def _show(value: float | None) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.3f}"
