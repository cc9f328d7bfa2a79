"""From scenes to a pixel's year: sources, rules, readers, mosaics; and a simulator that writes scenes."""

from .build import MAX_LOST, LossError, build_cube, build_cubes, check_reading
from .coverage import LEAST_SEEN, AreaScenes, area_of, left_out_line, swapped_hint
from .doctor import Check, diagnose
from .plan import NoScenesError, where_scenes_are
from .recipe import Recipe
from .records import OFFSET, Asset, Scene, SceneTable, has_offset, is_clear, read_scenes, remove_offset, scale_s1
from .search import asked_of, search_scenes, source_names
from .sources import Address, Query, Source, check_credentials, parse_source
from .survey import Survey, survey_scenes

__all__ = [
    "LEAST_SEEN",
    "MAX_LOST",
    "OFFSET",
    "Address",
    "AreaScenes",
    "Asset",
    "Check",
    "LossError",
    "NoScenesError",
    "Query",
    "Recipe",
    "Scene",
    "SceneTable",
    "Source",
    "Survey",
    "area_of",
    "asked_of",
    "build_cube",
    "build_cubes",
    "check_credentials",
    "check_reading",
    "diagnose",
    "has_offset",
    "is_clear",
    "left_out_line",
    "parse_source",
    "read_scenes",
    "remove_offset",
    "scale_s1",
    "search_scenes",
    "source_names",
    "survey_scenes",
    "swapped_hint",
    "where_scenes_are",
]
