"""Heads: from labels to maps. Labels, splits, the linear head, its metrics, maps and pictures."""

from .colours import choose_colours
from .fitting import fit
from .head import Head, check_head, load_head
from .labels import Labels, read_labels
from .linear import NO_DATA, LinearModel, fit_linear
from .metrics import Scores, confusion, mean_interval, scores
from .picture import draw_map, draw_panels, false_colour
from .raster import check_map
from .splits import join_groups, make_folds, spatial_groups

__all__ = [
    "NO_DATA",
    "Head",
    "Labels",
    "LinearModel",
    "Scores",
    "check_head",
    "check_map",
    "choose_colours",
    "confusion",
    "draw_map",
    "draw_panels",
    "false_colour",
    "fit",
    "fit_linear",
    "join_groups",
    "load_head",
    "make_folds",
    "mean_interval",
    "read_labels",
    "scores",
    "spatial_groups",
]
