"""The one door to GeoTIFF: open, read by range, warp onto the lattice, write strip by strip or as a COG."""

from .bands import GridFiles
from .cog import every_second, mean_of_valid, mode_of_valid, write_cog
from .crop import fetch_crop
from .reading import open_raster, reading
from .rows import RowsFile
from .samples import RasterSample, is_raster, sample_raster
from .strips import RasterProfile, raster_bytes, write_raster, write_scene, writing_strips
from .warp import Target

__all__ = [
    "GridFiles",
    "RasterProfile",
    "RasterSample",
    "RowsFile",
    "Target",
    "every_second",
    "fetch_crop",
    "is_raster",
    "mean_of_valid",
    "mode_of_valid",
    "open_raster",
    "raster_bytes",
    "reading",
    "sample_raster",
    "write_cog",
    "write_raster",
    "write_scene",
    "writing_strips",
]
