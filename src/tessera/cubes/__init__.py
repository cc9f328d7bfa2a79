"""A year of observations on one grid: in memory, on disk, and as the reference d-pixel folder."""

from .cube import S1_BANDS, S2_BANDS, PixelCube, parse_bands
from .disk import open_cube, write_cube
from .dpixel import export_dpixel, is_dpixel, open_dpixel

__all__ = [
    "S1_BANDS",
    "S2_BANDS",
    "PixelCube",
    "export_dpixel",
    "is_dpixel",
    "open_cube",
    "open_dpixel",
    "parse_bands",
    "write_cube",
]
