"""Heads: `fit` learns from labels in a store, `Head` predicts, maps and keeps its report in a file."""

from tessera.labels import Labels, read_labels

from .fitting import fit
from .head import Head, check_head, head_files, load_head
from .inputs import HeadInput, check_pixel_head
from .out_of_fold import check_out_of_fold
from .project import Project, load_project
from .sampling import Sample, parse_stores, sample_vectors

__all__ = [
    "Head",
    "HeadInput",
    "Labels",
    "Project",
    "Sample",
    "check_head",
    "check_out_of_fold",
    "check_pixel_head",
    "fit",
    "head_files",
    "load_head",
    "load_project",
    "parse_stores",
    "read_labels",
    "sample_vectors",
]
