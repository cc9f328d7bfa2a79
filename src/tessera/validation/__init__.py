"""How far a prediction can be trusted: scores with intervals, cross-validation by place."""

from .applicability import Applicability, fit_applicability
from .areas import DESIGNS, NOT_A_SAMPLE, AreaEstimate, areas_of_confusion, count_areas, estimate_areas
from .by_place import NUMBER_TOTALS, TOTALS, place_scores
from .calibration import Calibration, Reliability, fit_calibration, reliability
from .conformal import abstention_threshold, held_quantiles, place_quantile
from .cross_validation import BY_PLACE, PER_CLASS, cross_validate
from .scores import (
    CLASS_METRICS,
    LOWER_IS_BETTER,
    METRIC_NAMES,
    NUMBER_METRICS,
    TIMES,
    UNRANKED,
    Scores,
    bootstrap,
    confusion,
    group_weights,
    interval,
    log_losses,
    score_by_group,
    score_classes,
    score_numbers,
    scores,
    squares,
)
from .trust import ACCURACY, LEVEL, Trust
from .trust_fitting import fit_trust
from .tuning import TUNED_BY, Tried, Tuned, tune

__all__ = [
    "ACCURACY",
    "BY_PLACE",
    "CLASS_METRICS",
    "DESIGNS",
    "LEVEL",
    "LOWER_IS_BETTER",
    "METRIC_NAMES",
    "NOT_A_SAMPLE",
    "NUMBER_METRICS",
    "NUMBER_TOTALS",
    "PER_CLASS",
    "TIMES",
    "TOTALS",
    "TUNED_BY",
    "UNRANKED",
    "Applicability",
    "AreaEstimate",
    "Calibration",
    "Reliability",
    "Scores",
    "Tried",
    "Trust",
    "Tuned",
    "abstention_threshold",
    "areas_of_confusion",
    "bootstrap",
    "confusion",
    "count_areas",
    "cross_validate",
    "estimate_areas",
    "fit_applicability",
    "fit_calibration",
    "fit_trust",
    "group_weights",
    "held_quantiles",
    "interval",
    "log_losses",
    "place_quantile",
    "place_scores",
    "reliability",
    "score_by_group",
    "score_classes",
    "score_numbers",
    "scores",
    "squares",
    "tune",
]
