"""Levels of larger pixels on a store's lattice, and the arrays of overviews.

Everything lies under the store's root, outside its consolidated metadata: `overviews/utm31/d160/...`. Arrays cover the
whole lattice, row 0 in the north, and are sparse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tessera.base import InputError
from tessera.geo import NORTH, PIXEL_SIZE, WEST, Window
from tessera.shards import (
    SCALES,
    ArraySpec,
    Extent,
    Reading,
    ShardedSource,
    ShardFormat,
    encode_shard,
    lattice_shape,
    zone_name,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tessera.geo import Cell
    from tessera.net import Objects

FOLDER = "overviews"
"""What is derived lies in this folder of a store, the global pyramid beside it."""


@dataclass(frozen=True)
class Level:
    """Pixels of one size on a zone's lattice."""

    metres: int  # side of a pixel, a multiple of 10
    shard: int  # side of a shard, pixels

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
        return lattice_shape(self.metres)

    def group(self, zone: int) -> str:
        """The group of a zone's arrays, from the store's root."""
        return f"{FOLDER}/{zone_name(zone)}/{self.name}"

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
    """The overview level of a pixel size in metres."""
    for known in LEVELS:
        if level == known.metres:
            return known
    raise InputError(f"overview level {level!r}; expected {' or '.join(str(known.metres) for known in LEVELS)} metres")


@dataclass(frozen=True)
class Layer:
    """One array of a level."""

    level: Level
    spec: ArraySpec
    chunk: int = 32  # side of an inner chunk, pixels

    @property
    def name(self) -> str:
        """Its name in the level's group."""
        return self.spec.name

    @property
    def form(self) -> ShardFormat:
        """How its shards are laid out: as the store's own, chunks pixel-major and raw, the index at the start."""
        return ShardFormat(self.level.shard, self.chunk, self.spec.bands, self.spec.dtype, self.spec.fill)

    def key(self, zone: int, year_index: int, row: int, col: int) -> str:
        """Key of a shard from the store's root; `row` and `col` count shards."""
        return self.spec.key(self.level.group(zone), year_index, row, col)

    def encode(self, values: NDArray[Any]) -> bytes | bytearray | None:
        """The bytes of a shard, None where all values are the fill value; chunks without others are left out."""
        return encode_shard(values, self.form)


def codes_of(level: Level, dims: int) -> Layer:
    """Codes of the mean vectors."""
    return Layer(level, ArraySpec("embeddings", "band", dims, "int8", 0))


def scales_of(level: Level) -> Layer:
    """Scales of the mean vectors: NaN = processed, no data; +inf = nothing written."""
    return Layer(level, SCALES)


def valid_of(level: Level) -> Layer:
    """Pixels of 10 m behind each mean, at most `level.factor` squared."""
    return Layer(level, ArraySpec("valid", None, 1, "uint16", 0))


def rgb_of(level: Level) -> Layer:
    """False colours with alpha, 0 where there is no data."""
    return Layer(level, ArraySpec("rgb", "rgba", 4, "uint8", 0, bands_last=True), chunk=128)


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

    @property
    def west(self) -> int:
        """Columns before it."""
        return self.col

    @property
    def east(self) -> int:
        """Columns before its end."""
        return self.col + self.width

    @property
    def north(self) -> int:
        """Rows before it, negative."""
        return -self.row

    @property
    def south(self) -> int:
        """Rows before its end, negative."""
        return -self.row - self.height

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width), pixels."""
        return self.height, self.width

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


def read_box(
    objects: Objects, layers: Sequence[Layer], zone: int, year_index: int, box: Box
) -> dict[str, NDArray[Any]]:
    """Arrays over a rectangle of one level, every chunk verified; codes only where scales say that there are any."""
    level = layers[0].level
    rows, cols = level.shape
    specs = tuple(sorted((layer.spec for layer in layers), key=lambda spec: spec != SCALES))
    source = ShardedSource(Reading(objects), specs, {layer.name: layer.form for layer in layers}, {}, whole=False)
    extent = Extent(zone, level.group(zone), 0, 0, cols, rows)
    return source.read_rectangle((extent,), box, year_index, specs)


@dataclass(frozen=True, order=True)
class Unit:
    """A shard of a level in one zone and year: what is made and recorded as one."""

    zone: int
    row: int  # row, col: position in shards
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
