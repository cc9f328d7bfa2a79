"""Overviews of a store: mean embeddings of larger pixels, false colours, and pictures."""

from .picture import draw_preview
from .preview import Report, Step, derived_bytes, update_preview
from .read import read_overview

__all__ = [
    "Report",
    "Step",
    "derived_bytes",
    "draw_preview",
    "read_overview",
    "update_preview",
]
