"""Learners: from features and labels to a model that predicts from arrays alone."""

from .forest import ForestModel, forest_of
from .knn import KnnModel
from .linear import LinearModel
from .mlp import MlpModel
from .model import Model
from .registry import HEADS, Learner, learn, learn_and_score, parse_heads
from .training import WEIGHTS, Training

__all__ = [
    "HEADS",
    "WEIGHTS",
    "ForestModel",
    "KnnModel",
    "Learner",
    "LinearModel",
    "MlpModel",
    "Model",
    "Training",
    "forest_of",
    "learn",
    "learn_and_score",
    "parse_heads",
]
