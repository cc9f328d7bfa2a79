"""What is there and where: the manifest, STAC, coverage and its picture."""

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
