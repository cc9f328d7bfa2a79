"""Change: two or more years of one place compared, with what changed, from what to what, and how sure that is."""

from .changing import change
from .distance import FALSE_ALARMS, Histogram, Threshold, cosine_distance, find_threshold
from .drift import LIMIT, Drift, measure_drift
from .files import check_change
from .result import Change, Moved
from .timeline import TimeLine
from .transitions import Transitions, correct_transitions, count_transitions, sample_transitions

__all__ = [
    "FALSE_ALARMS",
    "LIMIT",
    "Change",
    "Drift",
    "Histogram",
    "Moved",
    "Threshold",
    "TimeLine",
    "Transitions",
    "change",
    "check_change",
    "correct_transitions",
    "cosine_distance",
    "count_transitions",
    "find_threshold",
    "measure_drift",
    "sample_transitions",
]
