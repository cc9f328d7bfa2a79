"""Label efficiency: how well any features tell labels apart, by how many labels a head learns from."""

from tessera.validation import Amount, parse_amounts

from .pixel_years import read_pixel_years, scaled_db
from .plan import Plan, make_plan
from .result import Evaluation, Outcome, check_evaluation
from .run import evaluate
from .vectors import encode_series, vectors_of

__all__ = [
    "Amount",
    "Evaluation",
    "Outcome",
    "Plan",
    "check_evaluation",
    "encode_series",
    "evaluate",
    "make_plan",
    "parse_amounts",
    "read_pixel_years",
    "scaled_db",
    "vectors_of",
]
