"""A simulated place and year: scenes as a provider would give them, with the true land cover."""

from .classes import CLASSES, COLOURS
from .options import LandscapeOptions
from .quarters import ZONES
from .truth import TRUTHS, read_truth
from .write import Simulation, simulate

__all__ = [
    "CLASSES",
    "COLOURS",
    "TRUTHS",
    "ZONES",
    "LandscapeOptions",
    "Simulation",
    "read_truth",
    "simulate",
]
