"""The one door to GeoTIFF: range reader, warp onto the lattice, COG writer."""

from .bands import EXTRA, GridFiles, gdal, write_band
from .cog import CogProfile, every_second, mean_of_valid, place_tags, write_cog
from .crop import fetch_crop
from .warp import Target

__all__ = [
    "EXTRA",
    "CogProfile",
    "GridFiles",
    "Target",
    "every_second",
    "fetch_crop",
    "gdal",
    "mean_of_valid",
    "place_tags",
    "write_band",
    "write_cog",
]
