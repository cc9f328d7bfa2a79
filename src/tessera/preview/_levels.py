"""Levels of larger pixels on a store's lattice, and their arrays, such as `overviews/utm31/d160/embeddings`.

They lie under the store's root, outside its consolidated metadata. Arrays cover the whole lattice, row 0 in the north,
and are sparse.
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
"""Folder of the overviews in a store; the global pyramid lies beside it."""


@dataclass(frozen=True)
class Level:
    """Pixels of one size on a zone's lattice."""

    metres: int  # side of a pixel, a multiple of 10
    shard: int  # side of a shard, pixels

    @property
    def factor(self) -> int:
        """Side of a pixel in pixels of 10 m."""
        return self.metres // PIXEL_SIZE

    @property
    def name(self) -> str:
        """Name of its group in a zone, such as "d160"."""
        return f"d{self.metres}"

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of a zone's arrays."""
        return lattice_shape(self.metres)

    def group(self, zone: int) -> str:
        """Key of a zone's group."""
        return f"{FOLDER}/{zone_name(zone)}/{self.name}"

    @property
    def span(self) -> int:
        """Side of a shard in pixels of 10 m."""
        return self.shard * self.factor


FINE = Level(160, 512)
COARSE = Level(1280, 256)
LEVELS = (FINE, COARSE)
"""Overviews: a cell of 1024 pixels has 64 x 64 fine and 8 x 8 coarse ones. A fine shard spans 82 km, a coarse one
328 km. Each of the 16 fine shards under a coarse one rewrites it, so it holds fewer pixels."""
FULL = Level(10, 4096)
"""The store's own pixels, for colours. A shard holds whole cells, whatever their size."""


def parse_level(level: object) -> Level:
    """The overview level of a pixel size in metres."""
    for known in LEVELS:
        if level == known.metres:
            return known
    raise InputError(f"overview level {level!r}; expected {' or '.join(str(known.metres) for known in LEVELS)} metres")


@dataclass(frozen=True)
class Layer:
    """An array of a level."""

    level: Level
    spec: ArraySpec
    chunk: int = 32  # side of an inner chunk, pixels

    @property
    def name(self) -> str:
        """Its name in the level's group."""
        return self.spec.name

    @property
    def form(self) -> ShardFormat:
        """Format of its shards, the same as in the store."""
        return ShardFormat(self.level.shard, self.chunk, self.spec.bands, self.spec.dtype, self.spec.fill)

    def key(self, zone: int, year_index: int, row: int, col: int) -> str:
        """Key of a shard; `row` and `col` count shards."""
        return self.spec.key(self.level.group(zone), year_index, row, col)

    def encode(self, values: NDArray[Any]) -> bytes | bytearray | None:
        """The bytes of a shard, None if it holds fill values only."""
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
    """Arrays of the means in the order of writing, scales last."""
    return codes_of(level, dims), valid_of(level), scales_of(level)


@dataclass(frozen=True)
class Box:
    """A rectangle of a level's arrays: first row and column, height and width, in pixels."""

    row: int
    col: int
    height: int
    width: int

    @property
    def west(self) -> int:
        """First column."""
        return self.col

    @property
    def east(self) -> int:
        """Column after the last."""
        return self.col + self.width

    @property
    def north(self) -> int:
        """First row, negated."""
        return -self.row

    @property
    def south(self) -> int:
        """Row after the last, negated."""
        return -self.row - self.height

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width), pixels."""
        return self.height, self.width

    @classmethod
    def around(cls, window: Window, level: Level) -> Box:
        """The smallest box that holds a lattice window."""
        row, col = (NORTH - window.north) // level.factor, (window.west - WEST) // level.factor
        south = -((window.south - NORTH) // level.factor)
        east = -((WEST - window.east) // level.factor)
        return cls(row, col, south - row, east - col)

    def window(self, zone: int, level: Level) -> Window:
        """The lattice window of its 10 m pixels."""
        side = level.factor
        return Window(zone, WEST + self.col * side, NORTH - self.row * side, self.width * side, self.height * side)


def read_box(
    objects: Objects, layers: Sequence[Layer], zone: int, year_index: int, box: Box
) -> dict[str, NDArray[Any]]:
    """Read layers of one level over a rectangle, every chunk verified; codes only where scales have data."""
    level = layers[0].level
    rows, cols = level.shape
    specs = tuple(sorted((layer.spec for layer in layers), key=lambda spec: spec != SCALES))
    source = ShardedSource(Reading(objects), specs, {layer.name: layer.form for layer in layers}, {}, whole=False)
    extent = Extent(zone, level.group(zone), 0, 0, cols, rows)
    return source.read_rectangle((extent,), box, year_index, specs)


@dataclass(frozen=True, order=True)
class Unit:
    """A shard of a level in a zone: made and recorded as one."""

    zone: int
    row: int  # row, col: position in shards
    col: int

    @property
    def name(self) -> str:
        """Name of its record, such as "utm31_12_4"."""
        return f"utm{self.zone:02d}_{self.row}_{self.col}"

    @classmethod
    def of(cls, cell: Cell, level: Level) -> Unit:
        """The unit that holds a cell."""
        window = cell.window
        return cls(cell.zone, (NORTH - window.north) // level.span, (window.west - WEST) // level.span)

    def box(self, level: Level) -> Box:
        """Its pixels, cut at the edge of the lattice."""
        rows, cols = level.shape
        row, col = self.row * level.shard, self.col * level.shard
        return Box(row, col, min(level.shard, rows - row), min(level.shard, cols - col))
