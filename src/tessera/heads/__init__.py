"""Heads: `fit` learns from labels in a store, `Head` predicts, maps and keeps its report in a file."""

from tessera.labels import Labels, read_labels

from .fitting import fit
from .head import Head, check_head, load_head
from .inputs import HeadInput, check_pixel_head

__all__ = ["Head", "HeadInput", "Labels", "check_head", "check_pixel_head", "fit", "load_head", "read_labels"]
