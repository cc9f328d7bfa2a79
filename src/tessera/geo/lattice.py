"""The lattice: the 10 m pixels of every zone, and the cells of 1024 x 1024 pixels that are the unit of work.

Pixels are counted from the zone's origin: a pixel (px, py) covers eastings 10*px to 10*px + 10 and northings 10*py to
10*py + 10, both half-open, so that a point belongs to exactly one pixel. A cell (e, n) holds pixels 1024*e to
1024*e + 1023 and 1024*n to 1024*n + 1023. Arrays run from north to south: their row 0 is the northernmost pixel row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError

from .degrees import box_around
from .grid import Grid
from .zones import parse_zone, to_lonlat, zone_crs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PIXEL_SIZE = 10
"""Side of a pixel, metres (Sentinel-2's finest bands)."""
CELL_SIZE = 1024
"""Side of a cell, pixels; 10.24 km."""
CELL_EAST = range(15, 83)
"""Cell columns of the lattice: eastings 153,600 to 849,920 m contain a zone's 6 degrees at the equator."""
CELL_NORTH = range(-868, 912)
"""Cell rows of the lattice: northings -8,888,320 to 9,338,880 m contain 80 S to 84 N."""

CELL_SIDES = tuple(2**k for k in range(13))
"""Allowed sides of a cell: powers of two up to 4096, which all divide the lattice (68 x 1,780 cells of 1024)."""

WEST = CELL_EAST.start * CELL_SIZE
EAST = CELL_EAST.stop * CELL_SIZE
SOUTH = CELL_NORTH.start * CELL_SIZE
NORTH = CELL_NORTH.stop * CELL_SIZE
"""Edges of the lattice in pixels from the zone's origin."""

_NAME = re.compile(r"utm(\d{2})_e(\d{1,5})_n(-?\d{1,6})", re.ASCII)


@dataclass(frozen=True, order=True)
class Cell:
    """A square of 1024 x 1024 pixels.

    Attributes
    ----------
    zone : UTM zone, 1 to 60
    east, north : south-west corner in metres / 10,240 (15 to 82; -868 to 911), or in sides of a smaller `size`
    size : side in pixels, one of `CELL_SIDES`; sides other than 1024 are for small stores and the published geometry
    """

    zone: int
    east: int
    north: int
    size: int = CELL_SIZE

    def __post_init__(self) -> None:
        parse_zone(self.zone)
        if self.size not in CELL_SIDES:
            raise InputError(f"cell of {self.size} pixels; expected a divisor of {CELL_SIZE}, 2048 or 4096")
        step = self.size // self._unit
        east = range(WEST // self._unit, EAST // self._unit, step)
        north = range(SOUTH // self._unit, NORTH // self._unit, step)
        if self.east not in east or self.north not in north:
            every = f" in steps of {step}" if step > 1 else ""
            raise InputError(
                f"cell e{self.east} n{self.north} is off the lattice; expected e{east[0]} to e{east[-1]} and "
                f"n{north[0]} to n{north[-1]}{every}"
            )

    @property
    def _unit(self) -> int:
        """Pixels in one unit of `east` and `north`."""
        return min(self.size, CELL_SIZE)

    @property
    def name(self) -> str:
        """Its name, such as "utm31_e64_n548": signed metres / 10,240, not array indices."""
        return f"utm{self.zone:02d}_e{self.east}_n{self.north}"

    @property
    def window(self) -> Window:
        """The window of its pixels."""
        size = self.size
        return Window(self.zone, self.east * self._unit, self.north * self._unit + size, size, size)

    @classmethod
    def at(cls, zone: int, px: int, py: int, size: int = CELL_SIZE) -> Cell:
        """The cell that holds a pixel, counted from the zone's origin."""
        unit = min(size, CELL_SIZE)
        west = WEST + (px - WEST) // size * size
        south = SOUTH + (py - SOUTH) // size * size
        return cls(zone, west // unit, south // unit, size)


def parse_cell(name: str, size: int = CELL_SIZE) -> Cell:
    """The cell with a name such as "utm31_e64_n548" or "utm31_e64_n-12".

    Raises
    ------
    InputError
        The name has another form, or the cell is off the lattice.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise InputError(f"cell name {name!r}; expected the form utm31_e64_n548")
    zone, east, north = (int(part) for part in match.groups())
    cell = Cell(zone, east, north, size)
    if cell.name != name:
        raise InputError(f"cell name {name!r}; expected {cell.name}")
    return cell


@dataclass(frozen=True)
class Window:
    """A rectangle of a UTM zone's lattice, in pixels of 10 m from the zone's origin.

    Attributes
    ----------
    zone : UTM zone, 1 to 60
    west : px of the first column; easting / 10 m
    north : py of the northern edge; northing / 10 m. The first row is the pixel row north - 1
    width : columns
    height : rows

    Examples
    --------
    >>> import tessera
    >>> window = tessera.Window(zone=31, west=65855, north=561833, width=40, height=30)
    >>> window.bounds
    (658550.0, 5618030.0, 658950.0, 5618330.0)
    """

    zone: int
    west: int
    north: int
    width: int
    height: int

    def __post_init__(self) -> None:
        parse_zone(self.zone)
        if self.width < 1 or self.height < 1:
            raise InputError(f"window of {self.width} x {self.height} pixels; expected at least 1 x 1")
        if self.west < WEST or self.east > EAST or self.south < SOUTH or self.north > NORTH:
            raise InputError(
                f"eastings {self.west * PIXEL_SIZE} to {self.east * PIXEL_SIZE} m, northings {self.south * PIXEL_SIZE} "
                f"to {self.north * PIXEL_SIZE} m of zone {self.zone} leave the lattice; "
                f"expected {WEST * PIXEL_SIZE} to {EAST * PIXEL_SIZE} m and {SOUTH * PIXEL_SIZE} to "
                f"{NORTH * PIXEL_SIZE} m"
            )

    @property
    def east(self) -> int:
        """px after the last column."""
        return self.west + self.width

    @property
    def south(self) -> int:
        """py of the southern edge."""
        return self.north - self.height

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(left, bottom, right, top), metres in the zone's CRS."""
        return (
            float(self.west * PIXEL_SIZE),
            float(self.south * PIXEL_SIZE),
            float(self.east * PIXEL_SIZE),
            float(self.north * PIXEL_SIZE),
        )

    @property
    def lonlat_bounds(self) -> tuple[float, float, float, float]:
        """(west, south, east, north) of its outline, degrees; west > east where it crosses the date line."""
        left, bottom, right, top = self.bounds
        steps = np.linspace(0.0, 1.0, 33)
        x = np.concatenate([left + (right - left) * steps] * 2 + [np.full(33, left), np.full(33, right)])
        y = np.concatenate([np.full(33, bottom), np.full(33, top)] + [bottom + (top - bottom) * steps] * 2)
        lon, lat = to_lonlat(x, y, self.zone)
        middle = 6 * self.zone - 183
        turned = (lon - middle + 180) % 360 - 180 + middle
        west, east = ((value + 180) % 360 - 180 for value in (turned.min(), turned.max()))
        return float(west), float(lat.min()), float(east), float(lat.max())

    @property
    def grid(self) -> Grid:
        """The same pixels as a `Grid`."""
        transform = (
            float(PIXEL_SIZE),
            0.0,
            float(self.west * PIXEL_SIZE),
            0.0,
            -float(PIXEL_SIZE),
            float(self.north * PIXEL_SIZE),
        )
        return Grid(zone_crs(self.zone), transform, self.height, self.width)

    @classmethod
    def of_grid(cls, grid: Grid | None) -> Window:
        """The window of a grid.

        Raises
        ------
        InputError
            There is no grid, its CRS is not a UTM zone, its pixels are not 10 m squares of the lattice, or it leaves
            the lattice.
        """
        if grid is None:
            raise InputError("no CRS and no transform; expected a grid on a UTM zone's 10 m lattice")
        code = grid.crs.upper().removeprefix("EPSG:")
        if not (code.isdigit() and 32601 <= int(code) <= 32660):
            raise InputError(f"CRS {grid.crs[:60]}; expected a UTM zone, EPSG:32601 to EPSG:32660, as the lattice has")
        a, b, c, d, e, f = grid.transform
        if (a, b, d, e) != (PIXEL_SIZE, 0.0, 0.0, -PIXEL_SIZE):
            raise InputError(f"transform {grid.transform}; expected north-up pixels of 10 m")
        west, north = c / PIXEL_SIZE, f / PIXEL_SIZE
        if not (west.is_integer() and north.is_integer()):
            raise InputError(f"upper left corner {c}, {f}; expected multiples of 10 m, as the lattice has")
        return cls(int(code) - 32600, int(west), int(north), grid.width, grid.height)

    def intersection(self, other: Window) -> Window | None:
        """The pixels in both windows; None if there are none."""
        if self.zone != other.zone:
            return None
        west, east = max(self.west, other.west), min(self.east, other.east)
        south, north = max(self.south, other.south), min(self.north, other.north)
        if west >= east or south >= north:
            return None
        return Window(self.zone, west, north, east - west, north - south)

    def slices_in(self, outer: Window) -> tuple[slice, slice]:
        """Rows and columns of this window in an array that covers `outer`."""
        row, col = outer.north - self.north, self.west - outer.west
        return slice(row, row + self.height), slice(col, col + self.width)

    def cells(self, size: int = CELL_SIZE) -> Iterator[Cell]:
        """Yield the cells that the window touches, from north to south and then from west to east."""
        first = Cell.at(self.zone, self.west, self.north - 1, size).window
        for south in range(first.south, self.south - size, -size):
            for west in range(first.west, self.east, size):
                yield Cell.at(self.zone, west, south, size)


def lonlat_box(windows: Iterable[Window]) -> list[float] | None:
    """[west, south, east, north] of windows in degrees, west > east over the date line; None without windows."""
    boxes = np.array([window.lonlat_bounds for window in windows]).reshape(-1, 4)
    if not len(boxes):
        return None
    return [round(value, 5) for value in box_around(boxes)]
