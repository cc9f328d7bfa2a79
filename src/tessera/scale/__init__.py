"""Many pixels and long hours: cells embedded block by block, on several devices, continued after any stop."""

from .area import AreaReport, CellOutcome, embed_area, places_of
from .cells import embed_cube
from .cubes import Build, EmptyCellError, RefusedCellError
from .forecast import Forecast, forecast_area, forecast_cubes
from .pace import Pace, measure_pace
from .workers import Workers, devices_for

__all__ = [
    "AreaReport",
    "Build",
    "CellOutcome",
    "EmptyCellError",
    "Forecast",
    "Pace",
    "RefusedCellError",
    "Workers",
    "devices_for",
    "embed_area",
    "embed_cube",
    "forecast_area",
    "forecast_cubes",
    "measure_pace",
    "places_of",
]
