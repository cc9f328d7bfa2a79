"""A year of observations: of a grid, in memory, on disk and as files of the reference pipeline; of single pixels."""

from .arrays import digest_of, offsets_of
from .counts import clear_counts
from .cube import S1_BANDS, S2_BANDS, PixelCube, parse_bands
from .dates import dates_of, period_of
from .disk import open_cube, write_cube
from .dpixel import export_dpixel, is_dpixel, open_dpixel
from .geotiff import SCL_KEPT, export_geotiff, import_geotiff, is_geotiff
from .own import cube_of_arrays, cube_of_xarray
from .picture import draw_cube
from .series import MINIMUM, PixelSeries, concatenate, series_of_arrays, series_of_cube
from .series_cube import cube_of
from .spool import CubeSpool, open_spool, sweep_spool

__all__ = [
    "MINIMUM",
    "S1_BANDS",
    "S2_BANDS",
    "SCL_KEPT",
    "CubeSpool",
    "PixelCube",
    "PixelSeries",
    "clear_counts",
    "concatenate",
    "cube_of",
    "cube_of_arrays",
    "cube_of_xarray",
    "dates_of",
    "digest_of",
    "draw_cube",
    "export_dpixel",
    "export_geotiff",
    "import_geotiff",
    "is_dpixel",
    "is_geotiff",
    "offsets_of",
    "open_cube",
    "open_dpixel",
    "open_spool",
    "parse_bands",
    "period_of",
    "series_of_arrays",
    "series_of_cube",
    "sweep_spool",
    "write_cube",
]
