"""Labels: classes or numbers from files, what a class is on a map, and what is held out together."""

from .backdrop import read_backdrop
from .blocks import FEW, spatial_blocks
from .chips import CHIP, ChipVectors, read_around, read_chips
from .codes import NO_DATA, cell, class_labels, code_note, kept_codes, left_to_right, map_values, one_line
from .folds import LEAST_LABELS, LEAST_UNITS, Fold, bins_of, judged, make_folds
from .held import SPLITS, HeldOut, hold_out
from .labels import (
    CLASSES,
    COUNTED,
    FEATURE,
    FEW_LABELS,
    KINDS,
    MAX_CLASSES,
    NUMBERS,
    Labels,
    alike_notes,
    check_class_names,
    class_text,
    parse_kind,
    parse_labels,
    sort_classes,
)
from .osm import ClassRule, OsmLabels, check_osm_labels, osm_labels, parse_tags, read_classes
from .read import read_labels
from .report import FEW_PLACES, LabelReport, LabelRow, describe_labels
from .save import check_labels, write_labels
from .source import EmbeddingSource, label_codes, nowhere, parse_source, parse_year, refuse_empty

__all__ = [
    "CHIP",
    "CLASSES",
    "COUNTED",
    "FEATURE",
    "FEW",
    "FEW_LABELS",
    "FEW_PLACES",
    "KINDS",
    "LEAST_LABELS",
    "LEAST_UNITS",
    "MAX_CLASSES",
    "NO_DATA",
    "NUMBERS",
    "SPLITS",
    "ChipVectors",
    "ClassRule",
    "EmbeddingSource",
    "Fold",
    "HeldOut",
    "LabelReport",
    "LabelRow",
    "Labels",
    "OsmLabels",
    "alike_notes",
    "bins_of",
    "cell",
    "check_class_names",
    "check_labels",
    "check_osm_labels",
    "class_labels",
    "class_text",
    "code_note",
    "describe_labels",
    "hold_out",
    "judged",
    "kept_codes",
    "label_codes",
    "left_to_right",
    "make_folds",
    "map_values",
    "nowhere",
    "one_line",
    "osm_labels",
    "parse_kind",
    "parse_labels",
    "parse_source",
    "parse_tags",
    "parse_year",
    "read_around",
    "read_backdrop",
    "read_chips",
    "read_classes",
    "read_labels",
    "refuse_empty",
    "sort_classes",
    "spatial_blocks",
    "write_labels",
]
