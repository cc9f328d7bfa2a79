"""From scenes to a pixel's year: sources, rules, readers, mosaics; and a simulator that writes scenes."""

from tessera.geo import Period, parse_period

from ._build import LossError, build_cube, build_cubes
from ._plan import NoScenesError, where_scenes_are
from ._search import search_scenes, source_names
from ._survey import Survey, WindowSurvey, survey_scenes
from .doctor import Check, diagnose
from .recipe import Recipe
from .scene import Asset, Scene
from .simulator import CLASSES, COLOURS, Simulation, simulate, simulate_cube
from .simulator.series import KIND_NAMES, SimulatedSeries, simulate_series
from .source import Address, Query, Source
from .sources import check_credentials, parse_source
from .table import SceneTable, read_scenes

__all__ = [
    "CLASSES",
    "COLOURS",
    "KIND_NAMES",
    "Address",
    "Asset",
    "Check",
    "LossError",
    "NoScenesError",
    "Period",
    "Query",
    "Recipe",
    "Scene",
    "SceneTable",
    "SimulatedSeries",
    "Simulation",
    "Source",
    "Survey",
    "WindowSurvey",
    "build_cube",
    "build_cubes",
    "check_credentials",
    "diagnose",
    "parse_period",
    "parse_source",
    "read_scenes",
    "search_scenes",
    "simulate",
    "simulate_cube",
    "simulate_series",
    "source_names",
    "survey_scenes",
    "where_scenes_are",
]
