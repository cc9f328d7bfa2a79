"""Pixel-years from physics, without scenes, each with its true values.

It models leaves by PROSPECT-D and canopies by 4SAIL (package `prosail`, extra `train`) over soils, litter, water,
snow, roofs and char; plants driven by a weather of temperature, rain and soil water in fifteen climates; calendars and
clouds of Sentinel-2, orbits of Sentinel-1, a water-cloud model for its backscatter; single dates or monthly composites.

It lacks neighbours (there is no map; light from around a pixel is one of two spectra), terrain shadow and
radar layover, crowns in three dimensions (their shade is one factor), tides, floating plants, pests, the true crop
calendar of any one region, species that keep to their soils, Sentinel-2B's own response, coherent speckle, leap days.
The frequency of kinds of land is chosen, not that on Earth.
"""

from .kinds import KIND_NAMES
from .simulate import SimulatedSeries, simulate_series

__all__ = [
    "KIND_NAMES",
    "SimulatedSeries",
    "simulate_series",
]
