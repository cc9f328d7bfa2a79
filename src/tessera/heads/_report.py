"""The report of a head as plain text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tessera.base import printable, shown
from tessera.labels import cell, code_note, map_values
from tessera.validation import BY_PLACE, METRIC_NAMES, NUMBER_TOTALS, PER_CLASS, TIMES, TOTALS

if TYPE_CHECKING:
    from collections.abc import Sequence


def format_report(
    heading: str, metrics: dict[str, Any], classes: Sequence[str], column: str, span: tuple[float, float] | None = None
) -> str:
    """The report as plain text: labels, split, a row for each class, totals, notes.

    Parameters
    ----------
    span : of numbers, the least and the greatest
    """
    dropped = [
        f"{metrics[key]} dropped, {reason}"
        for key, reason in (("no_data", "pixel without data"), ("missing", "no value or no place"))
        if metrics[key]
    ]
    pooled = metrics["features"] != metrics["labels"]
    labels = f"{metrics['labels']} pixels of {metrics['features']} features" if pooled else str(metrics["labels"])
    reach = "" if span is None else f", {span[0]:g} to {span[1]:g}"
    lines = [
        printable(heading),
        f"labels: {labels} of column {shown(column)}{reach}" + "".join(f"; {text}" for text in dropped),
        f"split: {printable(metrics['split'])}, {_split_text(metrics)}",
        "",
    ]
    if classes:
        names = [cell(name) for name in classes]
        width = max(len("class"), *(len(name) for name in names))
        lines.append(f"{'class':<{width}}  value  {'pixels' if pooled else 'labels'}  tested  precision  recall     F1")
        for name, label, value in zip(classes, names, map_values(classes), strict=True):
            row = metrics["per_class"][name]
            numbers = "  ".join(f"{_show(row[key]):>{size}}" for key, size in zip(PER_CLASS, (9, 6, 5), strict=True))
            lines.append(f"{label:<{width}}  {value:>5}  {row['labels']:>6}  {row['tested']:>6}  {numbers}")
        lines.append("")
    lines += _total_lines(metrics, TOTALS if classes else NUMBER_TOTALS)
    notes = [*metrics["notes"], code_note(classes)]
    lines.extend(f"note: {printable(note)}" for note in notes if note)
    return "\n".join(lines)


def _split_text(metrics: dict[str, Any]) -> str:
    """The folds in words: "5 folds, 62 groups (blocks of 2 km, whole polygons) kept whole"."""
    if not metrics["folds"]:
        return "not tested"
    blocks = "" if metrics.get("block_km") is None else f" (blocks of {metrics['block_km']:g} km, whole polygons)"
    apart = "" if metrics["split"] == "random" else f", {metrics['places']} groups{blocks} kept whole"
    folds = "1 fold" if metrics["folds"] == 1 else f"{metrics['folds']} folds"
    return f"{folds}{apart}"


def _total_lines(metrics: dict[str, Any], names: Sequence[str]) -> list[str]:
    """The scores of pixels and, where they are known, of places and polygons, each with its interval."""
    intervals, places, votes = (metrics.get(key) for key in BY_PLACE)
    if intervals is None or places is None:
        return [f"{METRIC_NAMES[key]}: {_show(metrics[key])}" for key in names]
    lines = [f"{METRIC_NAMES[key]}: {_with_interval([metrics[key], *intervals[key]])}" for key in names]
    count = places["places"]
    each = "; ".join(f"{METRIC_NAMES[key]} {_with_interval(places[key])}" for key in names)
    lines.append(f"per place, each of {count} counting once: {each}")
    if votes is not None:
        lines.append(
            f"per feature, by the vote of its pixels: {votes['right']} of {votes['features']} right, accuracy "
            f"{_with_interval(votes['accuracy'])}"
        )
    lines.append(f"in brackets: 95 % intervals, a bootstrap of {TIMES} samples over {count} places")
    beside = metrics.get("random")
    if beside is not None:
        shown_beside = ", ".join(f"{METRIC_NAMES[key]} {_show(beside[key])}" for key in names)
        key = names[0]
        high = intervals[key][1]
        flattered = None not in (beside[key], high) and beside[key] > high
        why = ": neighbours of what was learnt flatter it" if flattered else ""
        lines.append(f"a random split would show {shown_beside}{why}")
    return lines


def _with_interval(cell: list[float | None]) -> str:
    value, low, high = (_show(one, cell[0]) for one in cell)
    return f"{value} ({low} to {high})"


def _show(value: float | None, like: float | None = None) -> str:
    """A number with the decimals of one `like` it: three below 10, else four digits."""
    if value is None or not math.isfinite(value):
        return "-"
    size = abs(value if like is None else like)
    return f"{value:.{3 if size < 10 else 2 if size < 100 else 1 if size < 1000 else 0}f}"
