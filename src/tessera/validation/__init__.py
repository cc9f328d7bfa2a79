"""How far a prediction can be trusted: scores with intervals, cross-validation by place."""

from .by_place import TOTALS, place_scores
from .cross_validation import BY_PLACE, PER_CLASS, cross_validate
from .scores import (
    CLASS_METRICS,
    LOWER_IS_BETTER,
    METRIC_NAMES,
    NUMBER_METRICS,
    TIMES,
    Scores,
    bootstrap,
    confusion,
    group_weights,
    interval,
    score_by_group,
    score_classes,
    score_numbers,
    scores,
)

__all__ = [
    "BY_PLACE",
    "CLASS_METRICS",
    "LOWER_IS_BETTER",
    "METRIC_NAMES",
    "NUMBER_METRICS",
    "PER_CLASS",
    "TIMES",
    "TOTALS",
    "Scores",
    "bootstrap",
    "confusion",
    "cross_validate",
    "group_weights",
    "interval",
    "place_scores",
    "score_by_group",
    "score_classes",
    "score_numbers",
    "scores",
]
