"""Names of the published tiles of 0.1 degrees, as areas and for import and export; names of military squares."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from tessera.base import InputError

from .zones import from_lonlat

_NAME = re.compile(r"grid_(-?\d{1,3}\.\d{2})_(-?\d{1,2}\.\d{2})", re.ASCII)


@dataclass(frozen=True, order=True)
class Tile:
    """A tile of 0.1 x 0.1 degrees; lon10 and lat10 are its south-west corner in tenths of a degree."""

    lon10: int
    lat10: int

    @property
    def name(self) -> str:
        """Its published name, made of its centre, such as "grid_-0.05_51.55"."""
        return f"grid_{self.lon10 / 10 + 0.05:.2f}_{self.lat10 / 10 + 0.05:.2f}"

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(west, south, east, north), degrees."""
        return self.lon10 / 10, self.lat10 / 10, (self.lon10 + 1) / 10, (self.lat10 + 1) / 10


def parse_tile(name: str) -> Tile:
    """The tile with a published name.

    Raises
    ------
    InputError
        The name has another form, or its coordinates are not the centre of a tile.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise InputError(f"tile name {name!r}; expected the form grid_-0.05_51.55")
    hundredths = [round(float(part) * 100) for part in match.groups()]
    if any((value - 5) % 10 for value in hundredths) or abs(hundredths[0]) > 18000 or abs(hundredths[1]) > 9000:
        raise InputError(f"tile name {name!r}; expected a centre at an odd 0.05 degree within the globe")
    tile = Tile((hundredths[0] - 5) // 10, (hundredths[1] - 5) // 10)
    if tile.name != name:
        raise InputError(f"tile name {name!r}; expected {tile.name}")
    return tile


def tiles_of(west: float, south: float, east: float, north: float) -> list[Tile]:
    """The tiles that a box of degrees touches, from south to north, then from west to east."""

    def index(value: float) -> int:
        # integer microdegrees: 0.1 is not exact in binary, and a tile's corner must belong to that tile
        return math.floor(round(value * 1e6) / 1e5)

    def last(value: float) -> int:
        return math.ceil(round(value * 1e6) / 1e5) - 1

    return [
        Tile(lon10, lat10)
        for lat10 in range(index(south), max(last(north), index(south)) + 1)
        for lon10 in range(index(west), max(last(east), index(west)) + 1)
    ]


def square_at(lon: float, lat: float, zone: int) -> str:
    """The 100 km square of a point in degrees, in a UTM zone.

    Military Grid Reference System (NGA.STND.0037): column letters repeat every three zones, row letters every two.
    """
    x, y = from_lonlat([lon], [lat], zone)
    easting, northing = float(x[0]), float(y[0]) % 2_000_000.0
    band = "CDEFGHJKLMNPQRSTUVWX"[min(19, max(0, int((lat + 80.0) // 8.0)))]
    column = ("STUVWXYZ", "ABCDEFGH", "JKLMNPQR")[zone % 3][max(0, min(7, int(easting // 100_000.0) - 1))]
    rows = "ABCDEFGHJKLMNPQRSTUV"
    row = rows[(int(northing // 100_000.0) + (5 if zone % 2 == 0 else 0)) % 20]
    return f"{zone:02d}{band}{column}{row}"
