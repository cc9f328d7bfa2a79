"""From scenes to a pixel's year: rules, readers, mosaics; and a simulator that writes scenes."""

from ._build import build_cube, build_cubes
from ._catalogue import catalogue_id
from .simulator import CLASSES, COLOURS, Simulation, simulate, simulate_cube

__all__ = ["CLASSES", "COLOURS", "Simulation", "build_cube", "build_cubes", "catalogue_id", "simulate", "simulate_cube"]
