"""The report of a head as plain text: the honest number first."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tessera.base import printable, shortened, shown
from tessera.labels import FEATURE, cell, code_note, map_values
from tessera.validation import (
    EACH_ONCE,
    LOWER_IS_BETTER,
    METRIC_NAMES,
    NUMBER_TOTALS,
    few_tested,
    few_tested_text,
    left_out_at_once,
    wide_sets_text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_COLUMNS = (("precision", "precision", 9), ("recall", "recall", 6), ("f1", "F1", 5), ("iou", "IoU", 5))
_FIRST = {True: ("macro_f1", "balanced_accuracy", "accuracy", "mean_iou", "kappa", "log_loss"), False: NUMBER_TOTALS}
"""Totals in the order in which they are printed."""
_ROWS = 40
"""Classes that are listed; a report stays readable, and the file has them all."""
_WORST = 5
_NAME = 22


def format_report(
    heading: str, metrics: dict[str, Any], classes: Sequence[str], column: str, span: tuple[float, float] | None = None
) -> str:
    """The report as plain text: labels, split, scores, a row for each class, what is behind them, notes.

    Parameters
    ----------
    span : of numbers, the least and the greatest
    """
    dropped = [
        f"{metrics[key]:,} left out, {reason}"
        for key, reason in (
            ("outside", "outside what the store holds"),
            ("no_data", "pixel without data"),
            ("missing", "no value or no place"),
        )
        if metrics[key]
    ]
    pooled = metrics["groups"] != metrics["labels"]
    labels = f"{metrics['labels']:,}" + (f" in {metrics['groups']:,} groups" if pooled else "")
    reach = "" if span is None else f", {span[0]:g} to {span[1]:g}"
    lines = [
        printable(heading),
        f"labels: {labels}, column {shown(column)}{reach}" + "".join(f"; {text}" for text in dropped),
        f"split: {printable(metrics['split'])}, {_split_text(metrics)}",
    ]
    lines += [f"  {printable(metrics['split_why'])}"] if metrics["split_why"] else []
    lines += _tuning_lines(metrics)
    lines += ["", *_total_lines(metrics, classes), ""]
    lines += _class_lines(metrics, classes) if classes else []
    lines += _fold_lines(metrics, bool(classes))
    lines += _trust_lines(metrics, len(classes))
    lines += _curve_lines(metrics)
    lines += _worst_lines(metrics, bool(classes))
    notes = [*metrics["notes"], code_note(classes)]
    lines.extend(f"note: {printable(note)}" for note in notes if note)
    return "\n".join(lines)


def _split_text(metrics: dict[str, Any]) -> str:
    """The folds in words: "5 folds, 62 blocks of 2 km held apart, buffer 0.3 km (11 % of labels left out)"."""
    if not metrics["folds"]:
        return "not tested"
    folds = "1 fold" if metrics["folds"] == 1 else f"{metrics['folds']} folds"
    if metrics["split"] == "random":
        return folds
    side = "" if metrics["block_km"] is None else f" of {metrics['block_km']:g} km"
    apart = f"{folds}, {metrics['units']} {metrics['unit']}s{side} held apart"
    buffer = metrics["buffer_km"]
    if buffer is None:
        return apart
    lost = metrics.get("buffered")
    told = "" if lost is None else f" ({lost:.0%} of the training labels left out)"
    width = f"{buffer * 1000:.0f} m" if buffer < 1 else f"{buffer:.3g} km"
    return f"{apart}, buffer {width}{told}"


def _tuning_lines(metrics: dict[str, Any]) -> list[str]:
    """What the search for settings chose."""
    tuning = metrics.get("tuning")
    chosen = tuning.get("chosen") if isinstance(tuning, dict) else None
    if not isinstance(chosen, dict):
        return []
    named = (
        f"{key} = {value:.4g}" if isinstance(value, float) else f"{key} = {value}" for key, value in chosen.items()
    )
    return [f"settings that the search chose: {printable(', '.join(named) or 'as they are')}"]


def _total_lines(metrics: dict[str, Any], classes: Sequence[str]) -> list[str]:
    """The scores with their intervals, and what a random split would have shown."""
    intervals = metrics["intervals"] or {}
    tested = sum(bool(metrics["per_class"][name]["tested"]) for name in classes)
    names = [name for name in _FIRST[bool(classes)] if metrics[name] is not None or name in EACH_ONCE or not classes]
    lines = []
    for key in names:
        reach = _reach(metrics[key], intervals.get(key))
        of = f", {tested} of {len(classes)} classes" if key == "macro_f1" and 0 < tested < len(classes) else ""
        lines.append(f"{METRIC_NAMES[key]}: {_show(metrics[key])}{reach}{of}")
    units, votes = metrics["per_unit"], metrics["per_group"]
    if units is None:
        return lines
    lines.append(f"in brackets: 95 % intervals, leaving out {left_out_at_once(units['units'])} at a time")
    beside = metrics["random"]
    if beside is not None:
        lines.append(_random_line(metrics, beside, names[:3]))
    each = EACH_ONCE if classes else NUMBER_TOTALS
    told = "; ".join(f"{METRIC_NAMES[key]} {_show(units[key][0])}{_reach(*_split(units[key]))}" for key in each)
    lines.append(f"each block counting once: {told}")
    if votes is not None:
        lines.append(
            f"each group counting once, by the vote of its labels: {votes['right']} of {votes['groups']} right, "
            f"accuracy {_show(votes['accuracy'][0])}{_reach(*_split(votes['accuracy']))}"
        )
    return lines


def _split(cell_: Sequence[float | None]) -> tuple[float | None, Sequence[float | None]]:
    return cell_[0], cell_[1:]


def _reach(value: float | None, ends: Sequence[float | None] | None) -> str:
    if ends is None or value is None or None in tuple(ends):
        return ""
    return f" ({_show(ends[0], value)} to {_show(ends[1], value)})"


def _random_line(metrics: dict[str, Any], beside: dict[str, Any], names: Sequence[str]) -> str:
    key = names[0]
    gap = (metrics["gap"] or {}).get(key)
    told = "" if gap is None else f" ({gap:+.3f})"
    parts = [f"{METRIC_NAMES[name]} {_show(beside[name])}{told if name == key else ''}" for name in names]
    ends = (metrics["intervals"] or {}).get(key) or (None, None)
    better = None
    if beside[key] is not None and None not in ends:
        better = beside[key] < ends[0] if key in LOWER_IS_BETTER else beside[key] > ends[1]
    why = ": neighbours of what was learnt flatter it" if better else ""
    return f"a random split would show {', '.join(parts)}{why}"


def _class_lines(metrics: dict[str, Any], classes: Sequence[str]) -> list[str]:
    names = [cell(name) for name in classes[:_ROWS]]
    width = max(len("class"), *(len(name) for name in names))
    head = "  ".join(f"{title:>{size}}" for _, title, size in _COLUMNS)
    # heads of before do not count places
    found = {name: metrics["per_class"][name].get("places") for name in classes}
    places = {name: int(count) for name, count in found.items() if count is not None}
    few = few_tested(places)
    lines = [f"{'class':<{width}}  value   labels  tested  {'places   ' if places else ''}{head}"]
    for name, label, value in zip(classes, names, map_values(classes), strict=False):
        row = metrics["per_class"][name]
        numbers = "  ".join(f"{_show(row[key]):>{size}}" for key, _, size in _COLUMNS)
        count = f"{places[name]:>6}{'*' if name in few else ' '}  " if name in places else ""
        lines.append(f"{label:<{width}}  {value:>5}  {row['labels']:>7}  {row['tested']:>6}  {count}{numbers}")
    if len(classes) > _ROWS:
        lines.append(f"and {len(classes) - _ROWS} classes more, in the file")
    return [*lines, *([f"* {few_tested_text(places)}"] if few else []), ""]


def _fold_lines(metrics: dict[str, Any], classes: bool) -> list[str]:
    """Each region or year by itself."""
    if metrics["split"] not in ("region", "year") or not metrics["per_fold"]:
        return []
    keys = ("macro_f1", "accuracy") if classes else ("r2", "rmse")
    lines = [f"{metrics['split']:<{_NAME}}  learnt  tested  " + "  ".join(f"{METRIC_NAMES[key]:>8}" for key in keys)]
    for row in metrics["per_fold"]:
        name = shortened(printable(str(row.get("name"))), _NAME)
        numbers = "  ".join(f"{_show(row.get(key)):>8}" for key in keys)
        lines.append(f"{name:<{_NAME}}  {_count(row, 'learnt'):>6}  {_count(row, 'tested'):>6}  {numbers}")
    return [*lines, ""]


def _trust_lines(metrics: dict[str, Any], classes: int) -> list[str]:
    lines = []
    calibration, conformal = metrics["calibration"], metrics["conformal"]
    if calibration is not None and calibration.get("error"):
        before, after = (_with_reach(calibration.get(key)) for key in ("error", "error_calibrated"))
        method = printable(str(calibration.get("method")))
        if method == "none":
            # the reason stands among the notes; heads of before have none
            known = isinstance(calibration.get("why"), str)
            what = "not calibrated" + ("" if known else ", as nothing tried lowered the log loss")
        else:
            what = f"{after} after calibration ({method}), which lowered the log loss"
        lines.append(f"probabilities: calibration error {before}, {what}")
    if conformal is not None and conformal.get("coverage"):
        what = "sets of" if metrics["kind"] == "classification" else "intervals of mean width"
        unit = " classes" if metrics["kind"] == "classification" else ""
        level, size = _first(conformal.get("level")), _first(conformal.get("size"))
        held = _first(conformal["coverage"])
        width = f"{size:.2f}" if unit and size is not None else _show(size)
        lines.append(f"{what} {width}{unit} hold {_show(held)} of held-out labels; {_show(level)} was wanted")
        lines += [text for text in [wide_sets_text(size, classes)] if text]
    flattered = next((found["note"] for found in (calibration, conformal) if found and found.get("note")), None)
    if lines and isinstance(flattered, str):
        lines.append(f"  {printable(flattered)}")
    return lines


def _with_reach(value: Any) -> str:
    """A calibration error with its interval; one of 0.000 says nothing without."""
    ends = value[1:] if isinstance(value, list) and len(value) == 3 else None
    found = _first(value)
    reach = _reach(found, ends)
    return f"{_show(found)}{reach}" if reach or found is None or found >= 0.0005 else "not known"


def _first(value: Any) -> float | None:
    found = value[0] if isinstance(value, list) and value else value
    return float(found) if isinstance(found, (int, float)) else None


def _curve_lines(metrics: dict[str, Any]) -> list[str]:
    curve = metrics["curve"]
    if curve is None or len(curve["points"]) < 2:
        return []
    points = ", ".join(f"{_show(point['value'])} with {point['labels']}" for point in curve["points"])
    return [f"by labels learnt from, {METRIC_NAMES.get(curve['metric'], curve['metric'])}: {printable(points)}"]


def _worst_lines(metrics: dict[str, Any], classes: bool) -> list[str]:
    lines, grouped_by = [], metrics.get("grouped_by")
    for row in metrics["worst"][:_WORST]:
        if classes:
            what = f"{cell(str(row.get('truth')))}, taken for {cell(str(row.get('predicted')))}"
            lines.append(f"  {what}{_where(row, grouped_by)}, with probability {_show(row.get('probability'))}")
        else:
            lines.append(
                f"  {_show(row.get('truth'))}, predicted {_show(row.get('predicted'))}{_where(row, grouped_by)}"
            )
    counted = " (features counted from 0)" if any(f" in {FEATURE} " in line for line in lines) else ""
    return [f"look at these labels first, held out and worst{counted}:", *lines] if lines else []


def _where(row: dict[str, Any], grouped_by: Any) -> str:
    """The group of a label by its own name, and its place: " in field 12 at 5.24197,50.68743"."""
    called = row.get("name")
    own = called if isinstance(called, str) and isinstance(grouped_by, str) and grouped_by else ""
    if own and grouped_by != FEATURE and not own.casefold().startswith((FEATURE, grouped_by.casefold())):
        own = f"{grouped_by} {own}"
    lon, lat = row.get("lon"), row.get("lat")
    there = isinstance(lon, (int, float)) and isinstance(lat, (int, float))
    place = f" at {lon:.5f},{lat:.5f}" if there else ""
    return f"{f' in {printable(shortened(own, 60))}' if own else ''}{place}"


def _count(row: dict[str, Any], key: str) -> int:
    found = row.get(key, 0)
    return found if isinstance(found, int) else 0


def _show(value: float | None, like: float | None = None) -> str:
    """A number with the decimals of one `like` it: three below 10, else four digits."""
    if value is None or not math.isfinite(value):
        return "-"
    size = abs(value if like is None else like)
    return f"{value:.{3 if size < 10 else 2 if size < 100 else 1 if size < 1000 else 0}f}"
