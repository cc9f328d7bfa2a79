"""What a saved head says of its tests, checked so that its report can be printed; schema 1 becomes schema 2."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from tessera.base import InputError
from tessera.validation import EACH_ONCE, NUMBER_TOTALS, PER_CLASS, TOTALS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SCHEMA = 2
_COUNTS = ("labels", "groups", "missing", "no_data", "outside", "folds", "units")
_TEXTS = ("split", "unit", "split_why")
_SIZES = ("block_km", "buffer_km", "range_km")
_OBJECTS = ("random", "gap", "calibration", "conformal", "abstention", "applicability", "curve", "tuning", "sample")
_RENAMED = {"features": "groups", "places": "units", "per_place": "per_unit", "per_feature": "per_group"}
"""Names of schema 1."""
_SINCE_2: dict[str, Any] = {
    "schema": SCHEMA,
    "outside": 0,
    "unit": "group",
    "split_why": "",
    "buffer_km": None,
    "range_km": None,
    "block_km": None,
    "random": None,
    "confusion": None,
    "gap": None,
    "per_fold": [],
    "curve": None,
    "worst": [],
    "scatter": None,
    "points": None,
    "calibration": None,
    "conformal": None,
    "abstention": None,
    "applicability": None,
    "tuning": None,
    "sample": None,
}
"""What schema 1 does not say."""
_ERRORS = ("log_loss", "brier")
_MOST_ROWS = 5000


def parse_metrics(value: Any, classes: Sequence[str]) -> dict[str, Any]:
    """Check the metrics of a saved head: no part is missing, of another type, or about other classes.

    Metrics of schema 1 (heads of before) become schema 2, without what they do not say.
    """
    if not isinstance(value, dict):
        raise InputError(f"metrics are a {type(value).__name__}; expected an object")
    if value.get("schema", 1) == 1:
        value = _as_schema_2(value, bool(classes))
    checked: dict[str, Any] = value
    if not _is_sound(checked, classes):
        raise InputError(
            "metrics are not what a head saves; expected counts, scores or null, a split, notes and a row a class"
        )
    try:
        # what is not looked at above is saved again, too
        json.dumps(checked, allow_nan=False)
    except (ValueError, RecursionError):
        raise InputError("metrics with a number that is not finite; expected null in its place") from None
    return checked


def _as_schema_2(value: dict[str, Any], classes: bool) -> dict[str, Any]:
    names = TOTALS if classes else NUMBER_TOTALS
    out = {**_SINCE_2, **dict.fromkeys(names), **{_RENAMED.get(key, key): part for key, part in value.items()}}
    for key in ("intervals", "per_unit", "per_group"):
        out.setdefault(key, None)
    for key, old, new in (("per_unit", "places", "units"), ("per_group", "features", "groups")):
        if isinstance(out[key], dict) and old in out[key]:
            out[key] = {new if name == old else name: part for name, part in out[key].items()}
    if isinstance(out["intervals"], dict):
        out["intervals"] = {**{name: [None, None] for name in names}, **out["intervals"]}
    if isinstance(out["per_unit"], dict):
        each = EACH_ONCE if classes else names
        out["per_unit"] = {**{name: [None, None, None] for name in each}, **out["per_unit"]}
    if isinstance(out.get("random"), dict):
        out["random"] = {**dict.fromkeys(names), **out["random"]}
    rows = out.get("per_class")
    if isinstance(rows, dict):
        out["per_class"] = {name: {"iou": None, **row} if isinstance(row, dict) else row for name, row in rows.items()}
    if out.get("block_km") is not None:
        out["unit"] = "block"
    return out


def _is_sound(value: dict[str, Any], classes: Sequence[str]) -> bool:
    names = TOTALS if classes else NUMBER_TOTALS
    notes, folds, worst = value.get("notes"), value.get("per_fold"), value.get("worst")
    return (
        value.get("schema") == SCHEMA
        and value.keys() >= {*_SINCE_2, "intervals", "per_unit", "per_group"}
        and (not classes or _rows_are_sound(value.get("per_class"), classes))
        and _are_scores(value, names)
        and all(_is_count(value.get(key)) for key in _COUNTS)
        and all(isinstance(value.get(key), str) for key in _TEXTS)
        and all(value.get(key) is None or (_is_number(value[key]) and value[key] >= 0) for key in _SIZES)
        and all(value.get(key) is None or isinstance(value[key], dict) for key in _OBJECTS)
        and (value.get("buffered") is None or _is_share(value["buffered"]))
        and (value.get("random") is None or _are_scores(value["random"], names))
        and isinstance(notes, list)
        and all(isinstance(note, str) for note in notes)
        and _are_rows(folds)
        and _are_rows(worst)
        and _by_unit_is_sound(value, names, EACH_ONCE if classes else names)
        and _curve_is_sound(value.get("curve"))
    )


def _are_rows(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= _MOST_ROWS and all(isinstance(row, dict) for row in value)


def _is_score(name: str) -> Callable[[Any], bool]:
    if name in ("rmse", "mae", *_ERRORS):
        return lambda value: _is_number(value) and value >= 0
    return _is_number if name in ("r2", "bias", "kappa") else _is_share


def _are_scores(value: dict[str, Any], names: Sequence[str]) -> bool:
    return value.keys() >= set(names) and all(value[key] is None or _is_score(key)(value[key]) for key in names)


def _rows_are_sound(rows: Any, classes: Sequence[str]) -> bool:
    return (
        isinstance(rows, dict)
        and set(rows) == set(classes)
        and all(isinstance(row, dict) for row in rows.values())
        and all(_is_count(row.get(key)) for row in rows.values() for key in ("labels", "tested"))
        and all(row.get("places") is None or _is_count(row["places"]) for row in rows.values())
        and all(_are_scores(row, PER_CLASS) for row in rows.values())
    )


def _are_cells(cells: Any, count: int) -> bool:
    return isinstance(cells, list) and len(cells) == count and all(one is None or _is_number(one) for one in cells)


def _by_unit_is_sound(value: dict[str, Any], names: Sequence[str], each: Sequence[str]) -> bool:
    """Whether scores by unit are what `unit_scores` returns, or absent, as in heads that were not tested."""
    intervals, units, votes = (value.get(key) for key in ("intervals", "per_unit", "per_group"))
    if intervals is None:
        return units is None and votes is None
    return (
        isinstance(intervals, dict)
        and all(value.get(key) is not None for key in each if key in EACH_ONCE)
        and all(_are_cells(intervals.get(key), 2) for key in names)
        and isinstance(units, dict)
        and _is_count(units.get("units"))
        and all(_are_cells(units.get(key), 3) for key in each)
        and (votes is None or _votes_are_sound(votes))
    )


def _votes_are_sound(votes: Any) -> bool:
    return (
        isinstance(votes, dict)
        and all(_is_count(votes.get(key)) for key in ("groups", "right"))
        and _are_cells(votes.get("accuracy"), 3)
    )


def _curve_is_sound(curve: Any) -> bool:
    if curve is None:
        return True
    points = curve.get("points")
    return (
        isinstance(curve.get("metric"), str)
        and _are_rows(points)
        and all(
            isinstance(point.get("labels"), str)
            and all(point.get(key) is None or _is_number(point[key]) for key in ("learnt", "value", "low", "high"))
            for point in points
        )
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    # a whole number of 400 digits is no float
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= 1e300 and math.isfinite(value)
    )


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1
