"""Overviews of a store: mean embeddings of larger pixels, false colours, and pictures."""

from .picture import draw_preview
from .preview import Report, Step, update_preview
from .read import read_overview

__all__ = [
    "Report",
    "Step",
    "draw_preview",
    "read_overview",
    "update_preview",
]
