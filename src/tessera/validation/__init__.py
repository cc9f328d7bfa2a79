"""How far a prediction can be trusted: scores with intervals, cross-validation by place."""

from .amounts import Amount, draw_subset, parse_amounts
from .applicability import Applicability, fit_applicability
from .areas import DESIGNS, NOT_A_SAMPLE, AreaEstimate, areas_of_confusion, count_areas, estimate_areas
from .by_unit import EACH_ONCE, NUMBER_TOTALS, TOTALS, unit_scores
from .calibration import Calibration, Reliability, fit_calibration, reliability
from .cautions import few_tested, few_tested_text, wide_sets_text
from .conformal import abstention_threshold, place_quantile
from .cross_validation import BY_UNIT, PER_CLASS, Task, cross_validate
from .intervals import PARTS, intervals, left_out, left_out_at_once, parts_of
from .out_of_fold import OutOfFold, counted_rows
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
)
from .trust import ACCURACY, LEVEL, Trust
from .trust_fitting import FLATTERED, fit_trust
from .tuning import TUNED_BY, Tried, Tuned, tune

__all__ = [
    "ACCURACY",
    "BY_UNIT",
    "CLASS_METRICS",
    "DESIGNS",
    "EACH_ONCE",
    "FLATTERED",
    "LEVEL",
    "LOWER_IS_BETTER",
    "METRIC_NAMES",
    "NOT_A_SAMPLE",
    "NUMBER_METRICS",
    "NUMBER_TOTALS",
    "PARTS",
    "PER_CLASS",
    "TIMES",
    "TOTALS",
    "TUNED_BY",
    "UNRANKED",
    "Amount",
    "Applicability",
    "AreaEstimate",
    "Calibration",
    "OutOfFold",
    "Reliability",
    "Scores",
    "Task",
    "Tried",
    "Trust",
    "Tuned",
    "abstention_threshold",
    "areas_of_confusion",
    "bootstrap",
    "confusion",
    "count_areas",
    "counted_rows",
    "cross_validate",
    "draw_subset",
    "estimate_areas",
    "few_tested",
    "few_tested_text",
    "fit_applicability",
    "fit_calibration",
    "fit_trust",
    "group_weights",
    "interval",
    "intervals",
    "left_out",
    "left_out_at_once",
    "log_losses",
    "parse_amounts",
    "parts_of",
    "place_quantile",
    "reliability",
    "score_by_group",
    "score_classes",
    "score_numbers",
    "scores",
    "tune",
    "unit_scores",
    "wide_sets_text",
]
