"""The geometry of what is derived from a store: levels of larger pixels on its lattice, and their arrays.

Everything lies under the store's root, outside its consolidated metadata: `overviews/utm31/d160/...`. Arrays cover the
whole lattice, row 0 in the north, and are sparse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError
from tessera.geo import EAST, NORTH, PIXEL_SIZE, SOUTH, WEST, Window

if TYPE_CHECKING:
    from tessera.geo import Cell

FOLDER = "overviews"
"""What is derived lies in this folder of a store, the global pyramid beside it."""


@dataclass(frozen=True)
class Level:
    """Pixels of one size on a zone's lattice.

    Attributes
    ----------
    metres : side of a pixel, a multiple of 10
    shard : side of a shard, pixels
    """

    metres: int
    shard: int

    @property
    def factor(self) -> int:
        """Pixels of 10 m along a side of one of its pixels."""
        return self.metres // PIXEL_SIZE

    @property
    def name(self) -> str:
        """Its group in a zone: "d160"."""
        return f"d{self.metres}"

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a zone's arrays."""
        return (NORTH - SOUTH) // self.factor, (EAST - WEST) // self.factor

    @property
    def span(self) -> int:
        """Side of a shard in pixels of 10 m."""
        return self.shard * self.factor


FINE = Level(160, 512)
COARSE = Level(1280, 256)
LEVELS = (FINE, COARSE)
"""Overviews: a cell of 1024 pixels is 64 x 64 and 8 x 8 of them. A shard of the fine level spans 82 km, one of the
coarse level 328 km; the coarse one is smaller since each of the 16 fine shards that it covers writes it again."""
FULL = Level(10, 4096)
"""Colours of the store's own pixels; a shard holds whole cells of every size that a store may have."""


def parse_level(level: object) -> Level:
    """The overview level of a pixel size in metres.

    Raises
    ------
    InputError
        There is none of that size.
    """
    for known in LEVELS:
        if level == known.metres:
            return known
    raise InputError(f"overview level {level!r}; expected {' or '.join(str(known.metres) for known in LEVELS)} metres")


@dataclass(frozen=True)
class Layer:
    """One array of a level.

    Attributes
    ----------
    level : of its pixels
    name : in the level's group
    axis : name of its band axis, None without
    bands : length of that axis, 1 without
    dtype : numpy name, little-endian
    fill : value of what is not written
    chunk : side of an inner chunk, pixels
    bands_last : whether the band axis comes last for a Zarr reader, as in a picture, or before y and x
    """

    level: Level
    name: str
    axis: str | None
    bands: int
    dtype: str
    fill: float
    chunk: int = 32
    bands_last: bool = False

    @property
    def side(self) -> int:
        """Chunks along a side of a shard."""
        return self.level.shard // self.chunk

    @property
    def index_bytes(self) -> int:
        """Bytes of a shard's index: offset and length (uint64) a chunk, then its CRC-32C."""
        return 16 * self.side**2 + 4

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a chunk without its CRC-32C."""
        return self.chunk**2 * self.bands * np.dtype(self.dtype).itemsize

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of its dimensions."""
        if self.axis is None:
            return ("time", "y", "x")
        return ("time", "y", "x", self.axis) if self.bands_last else ("time", self.axis, "y", "x")

    def sizes(self, time: int, y: int, x: int) -> tuple[int, ...]:
        """One number a dimension."""
        if self.axis is None:
            return (time, y, x)
        return (time, y, x, self.bands) if self.bands_last else (time, self.bands, y, x)

    def shape(self, height: int, width: int) -> tuple[int, ...]:
        """Of an array in memory, which has its bands last or none."""
        return (height, width) if self.axis is None else (height, width, self.bands)

    def empty(self, height: int, width: int) -> Any:
        """An array in memory where nothing is written."""
        return np.full(self.shape(height, width), self.fill, dtype=self.dtype)

    def key(self, zone: int, year_index: int, row: int, col: int) -> str:
        """Key of a shard from the store's root; `row` and `col` count shards."""
        place = f"{year_index}/{row}/{col}"
        if self.axis is not None:
            place = f"{place}/0" if self.bands_last else f"{year_index}/0/{row}/{col}"
        return f"{FOLDER}/utm{zone:02d}/{self.level.name}/{self.name}/c/{place}"


def codes_of(level: Level, dims: int) -> Layer:
    """Codes of the mean vectors."""
    return Layer(level, "embeddings", "band", dims, "int8", 0)


def scales_of(level: Level) -> Layer:
    """Scales of the mean vectors: NaN = processed, no data; +inf = nothing written."""
    return Layer(level, "scales", None, 1, "float32", float("inf"))


def valid_of(level: Level) -> Layer:
    """Pixels of 10 m behind each mean, at most `level.factor` squared."""
    return Layer(level, "valid", None, 1, "uint16", 0)


def rgb_of(level: Level) -> Layer:
    """False colours with alpha, 0 where there is no data."""
    return Layer(level, "rgb", "rgba", 4, "uint8", 0, chunk=128, bands_last=True)


def layers_of(level: Level, dims: int) -> tuple[Layer, ...]:
    """Arrays of the means in the order in which they are written and opened: the scales last."""
    return codes_of(level, dims), valid_of(level), scales_of(level)


@dataclass(frozen=True)
class Box:
    """A rectangle of a level's arrays: its first row and column, and its sides, pixels."""

    row: int
    col: int
    height: int
    width: int

    @classmethod
    def around(cls, window: Window, level: Level) -> Box:
        """The smallest one that holds a window of the lattice."""
        row, col = (NORTH - window.north) // level.factor, (window.west - WEST) // level.factor
        south = -((window.south - NORTH) // level.factor)
        east = -((WEST - window.east) // level.factor)
        return cls(row, col, south - row, east - col)

    def window(self, zone: int, level: Level) -> Window:
        """Its pixels of 10 m."""
        side = level.factor
        return Window(zone, WEST + self.col * side, NORTH - self.row * side, self.width * side, self.height * side)


@dataclass(frozen=True, order=True)
class Unit:
    """A shard of a level in one zone and year: what is made and recorded as one.

    Attributes
    ----------
    zone : UTM zone
    row, col : position in shards
    """

    zone: int
    row: int
    col: int

    @property
    def name(self) -> str:
        """Name of its record: "utm31_12_4"."""
        return f"utm{self.zone:02d}_{self.row}_{self.col}"

    @classmethod
    def of(cls, cell: Cell, level: Level) -> Unit:
        """The one that holds a cell."""
        window = cell.window
        return cls(cell.zone, (NORTH - window.north) // level.span, (window.west - WEST) // level.span)

    def box(self, level: Level) -> Box:
        """Its pixels, cut at the end of the lattice."""
        rows, cols = level.shape
        row, col = self.row * level.shard, self.col * level.shard
        return Box(row, col, min(level.shard, rows - row), min(level.shard, cols - col))
