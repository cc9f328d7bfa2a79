"""A simulated place and year: scenes as a provider would give them, with the true land cover."""

from .classes import CLASSES, COLOURS
from .cube import simulate_cube
from .write import Simulation, simulate

__all__ = [
    "CLASSES",
    "COLOURS",
    "Simulation",
    "simulate",
    "simulate_cube",
]
