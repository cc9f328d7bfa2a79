"""Space and time: the lattice and its cells, UTM zones, tile names, areas, periods, points, vector files."""

from .archive import read_members
from .area import DENSIFY_DEGREES, Area, ZonePart, parse_area, to_zone
from .crs import parse_crs, places_of
from .degrees import box_around, check_degrees, swap_hint, wrapped
from .grid import Grid
from .lattice import CELL_SIDES, CELL_SIZE, EAST, NORTH, PIXEL_SIZE, SOUTH, WEST, Cell, Window, lonlat_box, parse_cell
from .period import Period, check_year_of, parse_day, parse_period, parse_year, period_of_provenance, year_of_provenance
from .points import lonlat_of, parse_points, points_in_zones
from .spans import Edges, Spans, polygon_edges
from .table import numbers_of, split_numbers
from .tiles import Tile, parse_tile, square_at, tiles_of
from .vector import VectorTable, read_vector
from .writing import VECTOR_SUFFIXES, check_vector, write_vector
from .xml import walk_xml
from .zones import from_lonlat, parse_zone, to_lonlat, zone_crs, zones_of

__all__ = [
    "CELL_SIDES",
    "CELL_SIZE",
    "DENSIFY_DEGREES",
    "EAST",
    "NORTH",
    "PIXEL_SIZE",
    "SOUTH",
    "VECTOR_SUFFIXES",
    "WEST",
    "Area",
    "Cell",
    "Edges",
    "Grid",
    "Period",
    "Spans",
    "Tile",
    "VectorTable",
    "Window",
    "ZonePart",
    "box_around",
    "check_degrees",
    "check_vector",
    "check_year_of",
    "from_lonlat",
    "lonlat_box",
    "lonlat_of",
    "numbers_of",
    "parse_area",
    "parse_cell",
    "parse_crs",
    "parse_day",
    "parse_period",
    "parse_points",
    "parse_tile",
    "parse_year",
    "parse_zone",
    "period_of_provenance",
    "places_of",
    "points_in_zones",
    "polygon_edges",
    "read_members",
    "read_vector",
    "split_numbers",
    "square_at",
    "swap_hint",
    "tiles_of",
    "to_lonlat",
    "to_zone",
    "walk_xml",
    "wrapped",
    "write_vector",
    "year_of_provenance",
    "zone_crs",
    "zones_of",
]
