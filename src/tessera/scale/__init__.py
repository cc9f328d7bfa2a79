"""Scenes or cubes into a store: cell by cell, on several devices, continued after any stop."""

from .area import embed_area, places_of
from .cells import embed_cube
from .cubes import CubeSource, EmptyCellError, RefusedCellError
from .forecast import Forecast
from .from_cubes import embed_cubes, forecast_embed_cubes
from .how import How
from .made_from import made_from_in_words
from .pace import measure_pace
from .report import CellOutcome, CubeOutcome, EmbedReport, Reporter
from .scenes import embed, forecast_embed
from .workers import Workers, devices_for

__all__ = [
    "CellOutcome",
    "CubeOutcome",
    "CubeSource",
    "EmbedReport",
    "EmptyCellError",
    "Forecast",
    "How",
    "RefusedCellError",
    "Reporter",
    "Workers",
    "devices_for",
    "embed",
    "embed_area",
    "embed_cube",
    "embed_cubes",
    "forecast_embed",
    "forecast_embed_cubes",
    "made_from_in_words",
    "measure_pace",
    "places_of",
]
