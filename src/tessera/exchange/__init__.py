"""What a store holds in the files of others, out and in."""

from .points import estimate_points, export_points, point_notes
from .regions import estimate_region, export_region
from .sizes import Estimate
from .targets import check_region, check_table, targets_of
from .tile_export import TilesWritten, estimate_tiles, export_tiles
from .tile_import import ImportReport, estimate_import, import_tiles
from .tiles import EMBEDDINGS, tile_window
from .year_store_import import import_year_store
from .zonal import estimate_zonal, export_zonal

__all__ = [
    "EMBEDDINGS",
    "Estimate",
    "ImportReport",
    "TilesWritten",
    "check_region",
    "check_table",
    "estimate_import",
    "estimate_points",
    "estimate_region",
    "estimate_tiles",
    "estimate_zonal",
    "export_points",
    "export_region",
    "export_tiles",
    "export_zonal",
    "import_tiles",
    "import_year_store",
    "point_notes",
    "targets_of",
    "tile_window",
]
