"""Maps: a head over an area as a GeoTIFF, with its legend and picture in files beside it."""

from .asked import LegendHead
from .legend import MapClass, area_table, empty_share, read_map_classes
from .map import HEAD_TAG, check_map, layer_path, map_files, write_map
from .polygons import TOLERANCE
from .ranges import edges_of, ramp, range_names, range_of, varies
from .sources import head_digest

__all__ = [
    "HEAD_TAG",
    "TOLERANCE",
    "LegendHead",
    "MapClass",
    "area_table",
    "check_map",
    "edges_of",
    "empty_share",
    "head_digest",
    "layer_path",
    "map_files",
    "ramp",
    "range_names",
    "range_of",
    "read_map_classes",
    "varies",
    "write_map",
]
