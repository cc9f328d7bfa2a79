"""Label efficiency: how well any features tell labels apart, by how many labels a head learns from."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tessera.cubes import PixelSeries as Series
from tessera.cubes import series_of_arrays as make_series

from ._blocks import spatial_blocks
from .amounts import Amount, parse_amounts
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
    "Series",
    "check_evaluation",
    "encode_series",
    "evaluate",
    "make_plan",
    "make_series",
    "parse_amounts",
    "parse_heads",
    "parse_labels",
    "read_pixel_years",
    "read_places",
    "scaled_db",
    "spatial_blocks",
    "vectors_of",
]


class _Room(ModuleType):
    """The room is named as its verb: `tessera.evaluate(...)` works whether or not the room was imported before."""

    def __call__(self, *args: Any, **kwargs: Any) -> Evaluation:
        return evaluate(*args, **kwargs)


if not TYPE_CHECKING:
    sys.modules[__name__].__class__ = _Room
