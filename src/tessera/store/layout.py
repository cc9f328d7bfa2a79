"""One frozen Layout describes lattice, shards, chunks and arrays; writer and reader read it, and so does every client.

A zone's arrays cover the whole lattice and are sparse: a cell that was never written has no objects. One cell is one
shard. Inside a shard, chunks of 32 x 32 pixels lie in row order behind an index, each chunk's bytes pixel by pixel (all
bands of a pixel together) and followed by their CRC-32C: a pixel is one short range of bytes, and a whole chunk can be
verified.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError
from tessera.embeddings import STREAMS
from tessera.geo import CELL_SIZE, EAST, NORTH, SOUTH, WEST

if TYPE_CHECKING:
    from tessera.geo import Cell

ROWS = NORTH - SOUTH
COLS = EAST - WEST
"""Pixels of a zone's arrays: 1,822,720 x 69,632."""
CHUNK = 32
"""Side of an inner chunk, pixels: 131 kB of 128 codes, as in the published stores."""
CRC_BYTES = 4


@dataclass(frozen=True)
class ArraySpec:
    """One array of a zone.

    Attributes
    ----------
    name : its name in the zone's group
    axis : name of its band axis, None for an array without
    bands : length of that axis, 1 without
    dtype : numpy name, little-endian
    fill : value of what is not written
    """

    name: str
    axis: str | None
    bands: int
    dtype: str
    fill: float

    @property
    def pixel_bytes(self) -> int:
        """Bytes of one pixel."""
        return self.bands * np.dtype(self.dtype).itemsize

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of its dimensions."""
        return ("time", "y", "x") if self.axis is None else ("time", self.axis, "y", "x")


SCALES = ArraySpec("scales", None, 1, "float32", float("inf"))
COUNTS = ArraySpec("observation_counts", "stream", len(STREAMS), "uint16", 0)


MOST_DIMS = 512
"""Longest vectors of a store: students and v1 have 128, the teacher 1024."""


@dataclass(frozen=True)
class Layout:
    """Geometry of a store.

    Attributes
    ----------
    dims : length of the vectors
    prefixes : prefixes kept as arrays of their own, such as (16,)
    shard : side of a shard and a cell, pixels, a divisor of 1024
    chunk : side of an inner chunk, pixels, a divisor of `shard`
    """

    dims: int
    prefixes: tuple[int, ...] = ()
    shard: int = CELL_SIZE
    chunk: int = CHUNK

    def __post_init__(self) -> None:
        for name, value, whole in (("shard", self.shard, CELL_SIZE), ("chunk", self.chunk, self.shard)):
            if value < 1 or whole % value:
                raise InputError(f"{name} side {value!r}; expected a divisor of {whole}")
        if not 1 <= self.dims <= MOST_DIMS:
            raise InputError(
                f"store of {self.dims!r} dims; expected 1 to {MOST_DIMS} (a teacher's vectors are for distillation)"
            )
        if any(not 1 <= size < self.dims for size in self.prefixes):
            raise InputError(f"prefix arrays of {self.prefixes} dims; expected less than {self.dims}")

    @property
    def codes(self) -> ArraySpec:
        """The array of codes."""
        return ArraySpec("embeddings", "band", self.dims, "int8", 0)

    @property
    def prefix_arrays(self) -> tuple[ArraySpec, ...]:
        """Arrays of the first codes, which share the scales."""
        return tuple(ArraySpec(f"embeddings_d{n}", f"band_d{n}", n, "int8", 0) for n in self.prefixes)

    @property
    def arrays(self) -> tuple[ArraySpec, ...]:
        """All arrays of a zone in the order in which a commit moves them: scales last, since they say what is there."""
        return (self.codes, *self.prefix_arrays, COUNTS, SCALES)

    @property
    def side(self) -> int:
        """Chunks along a side of a shard."""
        return self.shard // self.chunk

    @property
    def index_bytes(self) -> int:
        """Bytes of a shard's index: offset and length (uint64) a chunk, then their CRC-32C."""
        return 16 * self.side**2 + CRC_BYTES

    def chunk_bytes(self, spec: ArraySpec) -> int:
        """Bytes of an inner chunk without its CRC-32C."""
        return self.chunk**2 * spec.pixel_bytes

    def shape(self, spec: ArraySpec, years: int) -> tuple[int, ...]:
        """Shape of an array with so many years."""
        return (years, ROWS, COLS) if spec.axis is None else (years, spec.bands, ROWS, COLS)

    def key(self, spec: ArraySpec, cell: Cell, year_index: int) -> str:
        """Key of a cell's object, from the store's root."""
        row = NORTH // self.shard - 1 - cell.north
        col = cell.east - WEST // self.shard
        bands = "" if spec.axis is None else "0/"
        return f"{zone_name(cell.zone)}/{spec.name}/c/{year_index}/{bands}{row}/{col}"

    def to_json(self) -> dict[str, Any]:
        """Plain values, the inverse of `from_json`."""
        return {
            "dims": self.dims,
            "prefixes": list(self.prefixes),
            "shard": self.shard,
            "chunk": self.chunk,
            "inner_order": "C",
            "index_location": "start",
        }

    @classmethod
    def from_json(cls, value: Any) -> Layout:
        """Read what `to_json` wrote.

        Raises
        ------
        InputError
            A key is missing or of another type, or the order inside a shard is one that this reader does not know.
        """
        try:
            if value["inner_order"] != "C" or value["index_location"] != "start":
                raise InputError(f"shards with {value['inner_order']!r} order; expected C order, index at the start")
            numbers = [value["dims"], value["shard"], value["chunk"], *value["prefixes"]]
            if not all(isinstance(number, int) and not isinstance(number, bool) for number in numbers):
                raise InputError(f"layout with the sizes {numbers}; expected whole numbers")
            return cls(value["dims"], tuple(value["prefixes"]), value["shard"], value["chunk"])
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"layout cannot be read: {error!r}") from None


def zone_name(zone: int) -> str:
    """Name of a zone's group: "utm31"."""
    return f"utm{zone:02d}"
