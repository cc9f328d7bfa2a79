"""A simulated place and year: scenes as a provider would give them, with the true land cover."""

from ._classes import CLASSES, COLOURS
from ._cube import simulate_cube
from ._write import Simulation, simulate

__all__ = ["CLASSES", "COLOURS", "Simulation", "simulate", "simulate_cube"]
