"""What a simulated landscape may have besides land cover: roads, trees, towns, fires, several years."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from tessera.base import InputError, check_fields

_MOST_BURNS = 20


@dataclass(frozen=True)
class LandscapeOptions:
    """What `simulate` adds to a landscape. Each option comes with its truth, which `read_truth` reads.

    Attributes
    ----------
    roads : roads of 5 to 14 m; truth road.tif (1 = at least a third of the pixel is road) and roads.geojson (lines
        with `width`, metres, and `kind`)
    trees : heights and biomass of trees; truth height.tif (m) and biomass.tif (t/ha), float32, 0 = no trees
    towns : larger towns, with quarters of six local climate zones; truth zone.tif and zones.geojson: squares of 100 m
        with the property `zone` and the share of their pixels that are of this zone
    burns : dates of fires. Each burns one patch of woods and grass. A fire of an earlier year leaves what has not yet
        grown back, one of a later year nothing. Truth burn.tif: severity 0 to 1 of all fires to the end of the year
    year_seed : seed of what differs between years of one place: weather, crops, dates of acquisition, clouds and noise.
        None: `seed` decides these too. Soils, woods, grassland, towns, roads and places of fires follow `seed` alone

    Raises
    ------
    InputError
        A date is no date, there are more than 20 fires, or the seed is below 0.

    Examples
    --------
    >>> import datetime as dt
    >>> from tessera.simulator import LandscapeOptions
    >>> LandscapeOptions(roads=True, burns=(dt.date(2023, 7, 20),), year_seed=2023).roads
    True
    """

    roads: bool = False
    trees: bool = False
    towns: bool = False
    burns: tuple[dt.date, ...] = ()
    year_seed: int | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if len(self.burns) > _MOST_BURNS or not all(type(day) is dt.date for day in self.burns):
            raise InputError(f"burns {self.burns!r}; expected up to {_MOST_BURNS} dates (datetime.date)")
        if self.year_seed is not None and self.year_seed < 0:
            raise InputError(f"year_seed {self.year_seed}; expected a whole number from 0")
