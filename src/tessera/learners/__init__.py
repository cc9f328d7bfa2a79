"""Learners: from features and labels to a model that predicts from arrays alone."""

from .coded import CodedLinearModel, CodedModel, coded_linear
from .forest import ForestModel, forest_of
from .knn import CodedKnnModel, KnnModel
from .linear import LinearModel
from .mlp import MlpModel
from .model import Model
from .registry import HEADS, LEARNERS, SPATIAL, Learner, learn, learn_and_score, parse_heads
from .spatial import SpatialModel
from .training import WEIGHTS, Training
from .unet import UnetModel

__all__ = [
    "HEADS",
    "LEARNERS",
    "SPATIAL",
    "WEIGHTS",
    "CodedKnnModel",
    "CodedLinearModel",
    "CodedModel",
    "ForestModel",
    "KnnModel",
    "Learner",
    "LinearModel",
    "MlpModel",
    "Model",
    "SpatialModel",
    "Training",
    "UnetModel",
    "coded_linear",
    "forest_of",
    "learn",
    "learn_and_score",
    "parse_heads",
]
