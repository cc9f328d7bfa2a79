"""Where a store has data: the manifest, the STAC catalogue, coverage and its picture."""

from .counting import Coverage, YearCoverage, coverage
from .manifest import Written, write_manifest
from .picture import draw_coverage
from .read import Manifest, read_manifest
from .stac import StacWritten, write_stac

__all__ = [
    "Coverage",
    "Manifest",
    "StacWritten",
    "Written",
    "YearCoverage",
    "coverage",
    "draw_coverage",
    "read_manifest",
    "write_manifest",
    "write_stac",
]
