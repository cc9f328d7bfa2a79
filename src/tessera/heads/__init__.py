"""Heads: from labels to maps. Labels, splits, the linear head, its metrics, maps and pictures."""

from .codes import NO_DATA, map_values
from .fitting import fit
from .head import Head, check_head, load_head
from .labels import Labels, alike_notes, class_text, read_labels
from .linear import LinearModel, fit_linear
from .metrics import Scores, confusion, mean_interval, scores
from .raster import check_map
from .sidecars import MapClass, area_table, empty_share, read_map_classes
from .source import sample_labels
from .splits import join_groups, make_folds, spatial_groups

__all__ = [
    "NO_DATA",
    "Head",
    "Labels",
    "LinearModel",
    "MapClass",
    "Scores",
    "alike_notes",
    "area_table",
    "check_head",
    "check_map",
    "class_text",
    "confusion",
    "empty_share",
    "fit",
    "fit_linear",
    "join_groups",
    "load_head",
    "make_folds",
    "map_values",
    "mean_interval",
    "read_labels",
    "read_map_classes",
    "sample_labels",
    "scores",
    "spatial_groups",
]
