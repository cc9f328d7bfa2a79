"""From scenes to a pixel's year: sources, rules, readers, mosaics; and a simulator that writes scenes."""

from .build import LossError, build_cube, build_cubes
from .doctor import Check, diagnose
from .plan import NoScenesError, where_scenes_are
from .recipe import Recipe
from .records import OFFSET, Asset, Scene, SceneTable, has_offset, is_clear, read_scenes, remove_offset, scale_s1
from .search import search_scenes, source_names
from .sources import Address, Query, Source, check_credentials, parse_source
from .survey import Survey, WindowSurvey, survey_scenes

__all__ = [
    "OFFSET",
    "Address",
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
    "WindowSurvey",
    "build_cube",
    "build_cubes",
    "check_credentials",
    "diagnose",
    "has_offset",
    "is_clear",
    "parse_source",
    "read_scenes",
    "remove_offset",
    "scale_s1",
    "search_scenes",
    "source_names",
    "survey_scenes",
    "where_scenes_are",
]
