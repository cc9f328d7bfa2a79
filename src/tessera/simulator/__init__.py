"""Simulated landscapes and pixel-years, made from physics: training data and test scenes with known truth."""

from .landscape import CLASSES, COLOURS, Simulation, read_truth, simulate
from .series import KIND_NAMES, SimulatedSeries, simulate_series

__all__ = [
    "CLASSES",
    "COLOURS",
    "KIND_NAMES",
    "SimulatedSeries",
    "Simulation",
    "read_truth",
    "simulate",
    "simulate_series",
]
