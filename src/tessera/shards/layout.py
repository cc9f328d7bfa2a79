"""The layout of a store: one frozen description of shards, chunks and arrays that writers, readers and clients share.

A zone's arrays cover the whole lattice and are sparse: a cell that was never written has no objects. One cell is one
shard. Inside a shard, chunks of 32 x 32 pixels lie in row order behind an index, each chunk's bytes pixel by pixel (all
bands of a pixel together) and followed by their CRC-32C: a pixel is one short range of bytes, and a whole chunk can be
verified. The published geometry (shards of 4096 pixels, chunks compressed band by band, the index at the end) is there
as an option.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from tessera.base import InputError, parsing
from tessera.embeddings import STREAMS
from tessera.geo import CELL_SIDES, CELL_SIZE, EAST, NORTH, SOUTH, WEST

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.geo import Cell

ROWS = NORTH - SOUTH
COLS = EAST - WEST
"""Pixels of a zone's arrays: 1,822,720 x 69,632."""
CHUNK = 32
"""Side of an inner chunk, pixels: 131 kB of 128 codes, as in the published stores."""
MOST_CHUNK_BYTES = 64 * 1024**2
"""Bytes of a chunk beyond which nothing is believed: it is unpacked in memory."""
MOST_CHUNKS = 512
"""Chunks along a side of a shard: its index then has at most 4 MiB."""
CRC_BYTES = 4
PUBLISHED_SHARD = 4096
"""Side of a shard of the published stores, pixels."""


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
    bands_last : whether Zarr readers find the band axis behind y and x, as in a picture, or before them
    """

    name: str
    axis: str | None
    bands: int
    dtype: str
    fill: float
    bands_last: bool = False

    @property
    def pixel_bytes(self) -> int:
        """Bytes of one pixel."""
        return self.bands * np.dtype(self.dtype).itemsize

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of its dimensions."""
        return self._each("time", str(self.axis), "y", "x")

    def sizes(self, time: int, rows: int, cols: int) -> tuple[int, ...]:
        """Lengths of its dimensions, for so many years, rows and columns."""
        return self._each(time, self.bands, rows, cols)

    def key(self, group: str, year_index: int, row: int, col: int) -> str:
        """Key of a shard of the array in a group; `row` and `col` count shards."""
        return f"{group}/{self.name}/c/{'/'.join(map(str, self._each(year_index, 0, row, col)))}"

    def blank(self, rows: int, cols: int) -> NDArray[Any]:
        """(rows, cols, bands), (rows, cols) without a band axis, in which nothing is written."""
        shape = (rows, cols) if self.axis is None else (rows, cols, self.bands)
        return np.full(shape, self.fill, dtype=self.dtype)

    def _each(self, time: Any, band: Any, y: Any, x: Any) -> tuple[Any, ...]:
        if self.axis is None:
            return (time, y, x)
        return (time, y, x, band) if self.bands_last else (time, band, y, x)


SCALES = ArraySpec("scales", None, 1, "float32", float("inf"))
COUNTS = ArraySpec("observation_counts", "stream", len(STREAMS), "uint16", 0)


MOST_DIMS = 512
"""Longest vectors of a store: students and v1 have 128, the teacher 1024."""


Compressor = Literal["blosc", "zstd", "gzip"]
"""Codecs of a chunk that stores in the wild use; our own chunks have none, or blosc in the published geometry."""


@dataclass(frozen=True)
class ShardFormat:
    """How the bytes of one array's shards are laid out, in Zarr's `sharding_indexed` terms.

    Attributes
    ----------
    shard, chunk : sides, pixels
    bands : length of the band axis, 1 without
    dtype : numpy name, little-endian
    fill : value of what is not written
    pixel_major : all bands of a pixel together, else all pixels of a band
    compressor : what chunks are packed with, None for raw bytes of one length
    chunk_crc, index_crc : whether a CRC-32C follows each chunk, and the index
    index_at_end : where the index lies
    """

    shard: int
    chunk: int
    bands: int
    dtype: str
    fill: float
    pixel_major: bool = True
    compressor: Compressor | None = None
    chunk_crc: bool = True
    index_crc: bool = True
    index_at_end: bool = False

    @property
    def side(self) -> int:
        """Chunks along a side of a shard."""
        return self.shard // self.chunk

    @property
    def index_bytes(self) -> int:
        """Bytes of a shard's index: offset and length (uint64) a chunk, then its CRC-32C."""
        return 16 * self.side**2 + (CRC_BYTES if self.index_crc else 0)

    @property
    def pixel_bytes(self) -> int:
        """Bytes of one pixel."""
        return self.bands * np.dtype(self.dtype).itemsize

    @property
    def chunk_bytes(self) -> int:
        """Bytes of an unpacked chunk without its CRC-32C."""
        return self.chunk**2 * self.pixel_bytes

    @property
    def exact(self) -> bool:
        """Whether a pixel's bytes are contiguous and their offset is known without reading the chunk."""
        return self.compressor is None and (self.pixel_major or self.bands == 1)


Geometry = Literal["pixels", "published"]


@dataclass(frozen=True)
class Layout:
    """Geometry of a store.

    Attributes
    ----------
    dims : length of the vectors
    prefixes : prefixes kept as arrays of their own, such as (16,)
    shard : side of a shard and a cell, pixels, a divisor of 1024, 2048 or 4096
    chunk : side of an inner chunk, pixels, a divisor of `shard`
    geometry : "pixels" (chunks pixel-major and raw, the index at the start) or "published" (chunks band by band, packed
        by blosc, the index at the end, as the published stores have it)
    """

    dims: int
    prefixes: tuple[int, ...] = ()
    shard: int = CELL_SIZE
    chunk: int = CHUNK
    geometry: Geometry = "pixels"

    def __post_init__(self) -> None:
        if self.shard not in CELL_SIDES:
            raise InputError(f"shard side {self.shard!r}; expected a divisor of {CELL_SIZE}, 2048 or 4096")
        if self.chunk < 1 or self.shard % self.chunk or self.shard // self.chunk > MOST_CHUNKS:
            least = -(-self.shard // MOST_CHUNKS)
            raise InputError(f"chunk side {self.chunk!r}; expected a divisor of {self.shard}, at least {least}")
        if self.geometry not in get_args(Geometry):
            raise InputError(f"geometry {self.geometry!r}; expected {' or '.join(get_args(Geometry))}")
        if not 1 <= self.dims <= MOST_DIMS:
            raise InputError(
                f"store of {self.dims!r} dims; expected 1 to {MOST_DIMS} (a teacher's vectors are for distillation)"
            )
        if self.chunk**2 * self.dims > MOST_CHUNK_BYTES:
            raise InputError(
                f"chunks of {self.chunk} pixels and {self.dims} dims; expected at most {MOST_CHUNK_BYTES} bytes"
            )
        if any(not 1 <= size < self.dims for size in self.prefixes) or len(set(self.prefixes)) < len(self.prefixes):
            raise InputError(f"prefix arrays of {self.prefixes} dims; expected each once and less than {self.dims}")

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
        """All arrays of a zone in the order of a commit: scales last, since they say which pixels have data."""
        return (self.codes, *self.prefix_arrays, COUNTS, SCALES)

    @classmethod
    def published(cls, dims: int, prefixes: tuple[int, ...] = ()) -> Layout:
        """The geometry of the published stores: shards of 4096, chunks of 32 packed by blosc, the index at the end."""
        return cls(dims, prefixes, PUBLISHED_SHARD, CHUNK, "published")

    @property
    def side(self) -> int:
        """Chunks along a side of a shard."""
        return self.shard // self.chunk

    def format(self, spec: ArraySpec) -> ShardFormat:
        """How the shards of an array are laid out."""
        parts = self.shard, self.chunk, spec.bands, spec.dtype, spec.fill
        if self.geometry == "pixels":
            return ShardFormat(*parts)
        return ShardFormat(*parts, pixel_major=False, compressor="blosc", chunk_crc=False, index_at_end=True)

    def key(self, spec: ArraySpec, cell: Cell, year_index: int) -> str:
        """Key of a cell's object, from the store's root."""
        row = (NORTH - cell.window.north) // self.shard
        col = (cell.window.west - WEST) // self.shard
        return spec.key(zone_name(cell.zone), year_index, row, col)

    def to_json(self) -> dict[str, Any]:
        """Plain values, the inverse of `from_json`."""
        return {
            "dims": self.dims,
            "prefixes": list(self.prefixes),
            "shard": self.shard,
            "chunk": self.chunk,
            "inner_order": "C",
            "index_location": "start" if self.geometry == "pixels" else "end",
            **({} if self.geometry == "pixels" else {"geometry": self.geometry}),
        }

    @classmethod
    def from_json(cls, value: Any) -> Layout:
        """Read what `to_json` wrote.

        Raises
        ------
        InputError
            A key is missing or of another type, or the order inside a shard is one that this reader does not know.
        """
        with parsing("layout cannot be read"):
            geometry = value.get("geometry", "pixels")
            place = "end" if geometry == "published" else "start"
            if value["inner_order"] != "C" or value["index_location"] != place:
                raise InputError(
                    f"shards of {geometry!r} geometry with {value['inner_order']!r} order and their index at the "
                    f"{value['index_location']!r}; expected C order and the {place}"
                )
            numbers = [value["dims"], value["shard"], value["chunk"], *value["prefixes"]]
            if not all(isinstance(number, int) and not isinstance(number, bool) for number in numbers):
                raise InputError(f"layout with the sizes {numbers}; expected whole numbers")
            return cls(value["dims"], tuple(value["prefixes"]), value["shard"], value["chunk"], geometry)


def zone_name(zone: int) -> str:
    """Name of a zone's group: "utm31"."""
    return f"utm{zone:02d}"
