"""What a saved head says of its tests, checked so that its report can be printed."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from tessera.base import InputError
from tessera.validation import BY_PLACE, NUMBER_TOTALS, PER_CLASS, TOTALS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_COUNTS = ("labels", "features", "places", "missing", "no_data", "folds")


def parse_metrics(value: Any, classes: Sequence[str]) -> dict[str, Any]:
    """Check the metrics of a saved head: no part is missing, of another type, or about other classes."""
    if not isinstance(value, dict):
        raise InputError(f"metrics are a {type(value).__name__}; expected an object")
    names, is_score = (TOTALS, _is_share) if classes else (NUMBER_TOTALS, _is_number)
    notes, block, beside = value.get("notes"), value.get("block_km"), value.get("random")
    sound = (
        (not classes or _rows_are_sound(value.get("per_class"), classes))
        and _are_scores(value, names, is_score)
        and all(_is_count(value.get(key)) for key in _COUNTS)
        and isinstance(value.get("split"), str)
        and (block is None or (_is_number(block) and block > 0))
        and (beside is None or (isinstance(beside, dict) and _are_scores(beside, names, is_score)))
        and isinstance(notes, list)
        and all(isinstance(note, str) for note in notes)
        and _by_place_is_sound(value, names, is_score)
    )
    if not sound:
        raise InputError(
            "metrics are not what a head saves; expected counts, scores or null, a split, notes and a row a class"
        )
    try:
        # what is not looked at above is saved again, too
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        raise InputError("metrics with a number that is not finite; expected null in its place") from None
    return value


def _are_scores(value: dict[str, Any], names: Sequence[str], is_score: Callable[[Any], bool]) -> bool:
    return value.keys() >= set(names) and all(value[key] is None or is_score(value[key]) for key in names)


def _rows_are_sound(rows: Any, classes: Sequence[str]) -> bool:
    return (
        isinstance(rows, dict)
        and set(rows) == set(classes)
        and all(isinstance(row, dict) for row in rows.values())
        and all(_is_count(row.get(key)) for row in rows.values() for key in ("labels", "tested"))
        and all(_are_scores(row, PER_CLASS, _is_share) for row in rows.values())
    )


def _by_place_is_sound(value: dict[str, Any], names: Sequence[str], is_score: Callable[[Any], bool]) -> bool:
    """Whether scores by place are what `place_scores` returns, or absent, as in heads of earlier releases."""
    intervals, places, votes = (value.get(key) for key in BY_PLACE)
    if intervals is None:
        return places is None and votes is None

    def are(cells: Any, count: int) -> bool:
        full = isinstance(cells, list) and len(cells) == count
        return full and all(is_score(one) or (one is None and is_score is _is_number) for one in cells)

    return (
        isinstance(intervals, dict)
        and all(are(intervals.get(key), 2) for key in names)
        and all(value.get(key) is not None or is_score is _is_number for key in names)
        and isinstance(places, dict)
        and _is_count(places.get("places"))
        and all(are(places.get(key), 3) for key in names)
        and (votes is None or _votes_are_sound(votes, are))
    )


def _votes_are_sound(votes: Any, are: Callable[[Any, int], bool]) -> bool:
    return (
        isinstance(votes, dict)
        and all(_is_count(votes.get(key)) for key in ("features", "right"))
        and are(votes.get("accuracy"), 3)
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
