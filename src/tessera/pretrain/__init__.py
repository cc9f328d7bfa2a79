"""Pixel-years without labels to an encoder: views, the Barlow Twins losses, a loop that resumes to the bit."""

from .data import MINIMUM, PixelSeries, concatenate, series_of_arrays, series_of_cube
from .embed import embed_series
from .loop import learning_rate, pretrain
from .losses import barlow_twins, correlation, mix_term, rankme, whiten
from .projector import Projector
from .views import DRAWS, View, draw_view, pixels_of_step, step_generator

__all__ = [
    "DRAWS",
    "MINIMUM",
    "PixelSeries",
    "Projector",
    "View",
    "barlow_twins",
    "concatenate",
    "correlation",
    "draw_view",
    "embed_series",
    "learning_rate",
    "mix_term",
    "pixels_of_step",
    "pretrain",
    "rankme",
    "series_of_arrays",
    "series_of_cube",
    "step_generator",
    "whiten",
]
