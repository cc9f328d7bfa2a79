"""Simulate scenes of a landscape, and pixel-years for training, with the truth known."""

from .landscape import CLASSES, COLOURS, TRUTHS, ZONES, LandscapeOptions, Simulation, read_truth, simulate
from .series import KIND_NAMES, SimulatedSeries, simulate_series

__all__ = [
    "CLASSES",
    "COLOURS",
    "KIND_NAMES",
    "TRUTHS",
    "ZONES",
    "LandscapeOptions",
    "SimulatedSeries",
    "Simulation",
    "read_truth",
    "simulate",
    "simulate_series",
]
