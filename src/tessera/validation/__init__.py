"""How far a prediction can be trusted: scores with intervals, cross-validation by place."""

from .applicability import Applicability, fit_applicability
from .by_place import TOTALS, place_scores
from .calibration import Calibration
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
from .trust import Trust

__all__ = [
    "BY_PLACE",
    "CLASS_METRICS",
    "LOWER_IS_BETTER",
    "METRIC_NAMES",
    "NUMBER_METRICS",
    "PER_CLASS",
    "TIMES",
    "TOTALS",
    "Applicability",
    "Calibration",
    "Scores",
    "Trust",
    "bootstrap",
    "confusion",
    "cross_validate",
    "fit_applicability",
    "group_weights",
    "interval",
    "place_scores",
    "score_by_group",
    "score_classes",
    "score_numbers",
    "scores",
]
