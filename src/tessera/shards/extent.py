"""Where a zone's arrays lie: corner on the lattice, shape, and the shards that a window touches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from tessera.geo import NORTH, WEST

from .layout import COLS, ROWS, zone_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from .layout import ArraySpec

Slices = tuple[slice, slice]


class Rectangle(Protocol):
    """A rectangle of pixels to read, in any unit: pixels of the lattice, or larger pixels of an overview."""

    @property
    def west(self) -> int: ...
    @property
    def north(self) -> int: ...
    @property
    def east(self) -> int: ...
    @property
    def south(self) -> int: ...
    @property
    def shape(self) -> tuple[int, int]: ...


@dataclass(frozen=True)
class ShardPosition:
    """A square of a zone's arrays that one shard of each array holds.

    Attributes
    ----------
    extent : of the arrays
    row, col : position in shards, from the arrays' north-west corner
    size : side, pixels
    """

    extent: Extent
    row: int
    col: int
    size: int

    @property
    def name(self) -> str:
        """Its name in messages."""
        return f"{self.extent.group} shard {self.row}/{self.col}"

    @property
    def west(self) -> int:
        """px of its first column."""
        return self.extent.west + self.col * self.size

    @property
    def north(self) -> int:
        """py above its first row."""
        return self.extent.north - self.row * self.size

    def key(self, spec: ArraySpec, year_index: int) -> str:
        """Key of an array's object, from the store's root."""
        return spec.key(self.extent.group, year_index, self.row, self.col)

    def overlap(self, window: Rectangle) -> tuple[Slices, Slices] | None:
        """Intersect it with a window: rows and columns in the shard, and in the window; None where disjoint."""
        extent = self.extent
        north, south = min(self.north, window.north), max(self.north - self.size, window.south, extent.south)
        west, east = max(self.west, window.west), min(self.west + self.size, window.east, extent.east)
        if north <= south or east <= west:
            return None
        shape = (north - south, east - west)
        here, there = (self.north - north, west - self.west), (window.north - north, west - window.west)
        return _slices(here, shape), _slices(there, shape)


def _slices(corner: tuple[int, int], shape: tuple[int, int]) -> Slices:
    return slice(corner[0], corner[0] + shape[0]), slice(corner[1], corner[1] + shape[1])


@dataclass(frozen=True)
class Extent:
    """What a zone's arrays cover.

    Attributes
    ----------
    zone : UTM zone
    group : name of its Zarr group
    west, north : px of the first column, py above the first row
    width, height : pixels
    """

    zone: int
    group: str
    west: int = WEST
    north: int = NORTH
    width: int = COLS
    height: int = ROWS

    @property
    def east(self) -> int:
        """px behind the last column."""
        return self.west + self.width

    @property
    def south(self) -> int:
        """py of the last row."""
        return self.north - self.height

    def places(self, window: Rectangle, size: int) -> Iterator[ShardPosition]:
        """Yield the shards of `size` pixels that a window touches, from north to south, then from west to east."""
        north, south = min(window.north, self.north), max(window.south, self.south)
        west, east = max(window.west, self.west), min(window.east, self.east)
        if north <= south or east <= west:
            return
        for row in range((self.north - north) // size, (self.north - 1 - south) // size + 1):
            for col in range((west - self.west) // size, (east - 1 - self.west) // size + 1):
                yield ShardPosition(self, row, col, size)

    def place_points(
        self, px: NDArray[np.int64], py: NDArray[np.int64], size: int
    ) -> Iterator[tuple[ShardPosition, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
        """Group pixels by shard: the shard, which of the pixels (M,), their rows and columns (M,) inside it."""
        down, right = self.north - 1 - py, px - self.west
        inside = np.flatnonzero((down >= 0) & (down < self.height) & (right >= 0) & (right < self.width))
        if not len(inside):
            return
        down, right = down[inside], right[inside]
        shards, group = np.unique(np.stack([down // size, right // size], axis=1), axis=0, return_inverse=True)
        group = group.reshape(-1)
        order = np.argsort(group, kind="stable")
        ends = np.cumsum(np.bincount(group, minlength=len(shards)))
        for (row, col), members in zip(shards.tolist(), np.split(order, ends[:-1]), strict=True):
            yield ShardPosition(self, row, col, size), inside[members], down[members] % size, right[members] % size


def lattice_extent(zone: int) -> Extent:
    """The whole lattice of a zone, as our own stores have it."""
    return Extent(zone, zone_name(zone))
