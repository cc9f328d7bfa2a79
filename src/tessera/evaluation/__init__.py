"""Label efficiency: how well any features tell labels apart, by how many labels a head learns from."""

from .amounts import Amount, parse_amounts
from .blocks import spatial_blocks
from .labelled import Labelled, parse_labels
from .learners import HEADS, parse_heads
from .pixel_years import read_pixel_years, scaled_db
from .places import read_places
from .plan import Fold, Plan, make_plan
from .result import Evaluation, Outcome, check_evaluation
from .run import evaluate
from .scoring import CLASS_METRICS, NUMBER_METRICS
from .vectors import encode_series, vectors_of

__all__ = [
    "CLASS_METRICS",
    "HEADS",
    "NUMBER_METRICS",
    "Amount",
    "Evaluation",
    "Fold",
    "Labelled",
    "Outcome",
    "Plan",
    "check_evaluation",
    "encode_series",
    "evaluate",
    "make_plan",
    "parse_amounts",
    "parse_heads",
    "parse_labels",
    "read_pixel_years",
    "read_places",
    "scaled_db",
    "spatial_blocks",
    "vectors_of",
]
