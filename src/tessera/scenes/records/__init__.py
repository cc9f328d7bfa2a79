"""What a search returns: scenes, their assets, the table that keeps them, and the rules that read their metadata."""

from .assets import S1_KEYS, S2_KEYS, SCL
from .check import CORNERS_LIMIT, SCENES_LIMIT, check_scene
from .footprints import cover_footprint, nearest_copy
from .rules import (
    OFFSET,
    bucket_of,
    copy_rank,
    covers_enough,
    has_offset,
    is_clear,
    item_order,
    keeps_offset,
    remove_offset,
    remove_offset_by_date,
    scale_s1,
    solar_date,
    take_first_valid,
    utc_date,
)
from .scene import S1_COLLECTIONS, S2_COLLECTIONS, Asset, Scene
from .table import SceneTable, read_scenes

__all__ = [
    "CORNERS_LIMIT",
    "OFFSET",
    "S1_COLLECTIONS",
    "S1_KEYS",
    "S2_COLLECTIONS",
    "S2_KEYS",
    "SCENES_LIMIT",
    "SCL",
    "Asset",
    "Scene",
    "SceneTable",
    "bucket_of",
    "check_scene",
    "copy_rank",
    "cover_footprint",
    "covers_enough",
    "has_offset",
    "is_clear",
    "item_order",
    "keeps_offset",
    "nearest_copy",
    "read_scenes",
    "remove_offset",
    "remove_offset_by_date",
    "scale_s1",
    "solar_date",
    "take_first_valid",
    "utc_date",
]
