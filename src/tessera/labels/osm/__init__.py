"""Labels of OpenStreetMap and Overture: tags to classes, areas whole, lines as wide as they are."""

from .extract import KIND, ODBL, OVERTURE, OsmLabels, Overlap, check_osm_labels, osm_labels
from .features import MOST_FEATURES
from .lines import LANE, WIDTHS, buffered, hectares, is_area, parse_width, width_of
from .tags import NOT_THERE, ClassRule, parse_tags, read_classes

__all__ = [
    "KIND",
    "LANE",
    "MOST_FEATURES",
    "NOT_THERE",
    "ODBL",
    "OVERTURE",
    "WIDTHS",
    "ClassRule",
    "OsmLabels",
    "Overlap",
    "buffered",
    "check_osm_labels",
    "hectares",
    "is_area",
    "osm_labels",
    "parse_tags",
    "parse_width",
    "read_classes",
    "width_of",
]
