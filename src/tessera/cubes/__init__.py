"""A year of observations on one grid: in memory, on disk date by date, and as the files of the reference pipeline."""

from ._counts import clear_counts
from ._dates import dates_of, period_of
from .cube import S1_BANDS, S2_BANDS, PixelCube, parse_bands
from .disk import open_cube, write_cube
from .dpixel import export_dpixel, is_dpixel, open_dpixel
from .geotiff import SCL_KEPT, export_geotiff, import_geotiff, is_geotiff
from .picture import draw_cube
from .spool import CubeSpool, open_spool, sweep_spool

__all__ = [
    "S1_BANDS",
    "S2_BANDS",
    "SCL_KEPT",
    "CubeSpool",
    "PixelCube",
    "clear_counts",
    "dates_of",
    "draw_cube",
    "export_dpixel",
    "export_geotiff",
    "import_geotiff",
    "is_dpixel",
    "is_geotiff",
    "open_cube",
    "open_dpixel",
    "open_spool",
    "parse_bands",
    "period_of",
    "sweep_spool",
    "write_cube",
]
