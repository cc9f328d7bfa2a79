"""Where things are: the lattice and its cells, UTM zones, tile names, areas of interest, points and vector files."""

from ._table import listed, numbers_of
from .area import Area, ZonePart, parse_area
from .degrees import check_degrees, swap_hint, wrapped
from .grid import Grid
from .lattice import CELL_SIDES, CELL_SIZE, EAST, NORTH, PIXEL_SIZE, SOUTH, WEST, Cell, Window, parse_cell
from .points import lonlat_of, parse_points, points_in_zones
from .tiles import Tile, parse_tile, tiles_of
from .vector import VectorTable, read_vector
from .zones import from_lonlat, parse_zone, to_lonlat, zone_crs, zones_of

__all__ = [
    "CELL_SIDES",
    "CELL_SIZE",
    "EAST",
    "NORTH",
    "PIXEL_SIZE",
    "SOUTH",
    "WEST",
    "Area",
    "Cell",
    "Grid",
    "Tile",
    "VectorTable",
    "Window",
    "ZonePart",
    "check_degrees",
    "from_lonlat",
    "listed",
    "lonlat_of",
    "numbers_of",
    "parse_area",
    "parse_cell",
    "parse_points",
    "parse_tile",
    "parse_zone",
    "points_in_zones",
    "read_vector",
    "swap_hint",
    "tiles_of",
    "to_lonlat",
    "wrapped",
    "zone_crs",
    "zones_of",
]
