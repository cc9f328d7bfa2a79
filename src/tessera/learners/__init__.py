"""Learners: from features and labels to a model that predicts from arrays alone."""

from .boosting import BoostingModel, boosting_of
from .coded import CodedLinearModel, CodedModel, coded_linear
from .forest import ForestModel, forest_of
from .knn import CodedKnnModel, KnnModel
from .linear import LinearModel
from .mlp import MlpModel
from .model import Model
from .registry import (
    HEADS,
    LEARNERS,
    SPATIAL,
    Learner,
    learn,
    learn_and_score,
    parse_heads,
    parse_settings,
    settings_by_head,
)
from .settings import Setting
from .spatial import SpatialModel
from .training import WEIGHTS, Training
from .unet import UnetModel

__all__ = [
    "HEADS",
    "LEARNERS",
    "SPATIAL",
    "WEIGHTS",
    "BoostingModel",
    "CodedKnnModel",
    "CodedLinearModel",
    "CodedModel",
    "ForestModel",
    "KnnModel",
    "Learner",
    "LinearModel",
    "MlpModel",
    "Model",
    "Setting",
    "SpatialModel",
    "Training",
    "UnetModel",
    "boosting_of",
    "coded_linear",
    "forest_of",
    "learn",
    "learn_and_score",
    "parse_heads",
    "parse_settings",
    "settings_by_head",
]
