"""A simulated place and year: scenes as a provider would give them, with the true land cover."""

from .classes import CLASSES, COLOURS
from .write import Simulation, read_truth, simulate

__all__ = [
    "CLASSES",
    "COLOURS",
    "Simulation",
    "read_truth",
    "simulate",
]
