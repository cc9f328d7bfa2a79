"""Learners: from features and labels to a model that predicts from arrays alone."""

from .forest import ForestModel, forest_of
from .knn import KnnModel
from .linear import LinearModel
from .mlp import MlpModel
from .model import Model
from .registry import HEADS, Learner, learn, learn_and_score, parse_heads

__all__ = [
    "HEADS",
    "ForestModel",
    "KnnModel",
    "Learner",
    "LinearModel",
    "MlpModel",
    "Model",
    "forest_of",
    "learn",
    "learn_and_score",
    "parse_heads",
]
