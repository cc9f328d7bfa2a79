"""The header of a GeoTIFF read by byte range: its first image, where it lies, and which bytes hold which block.

Classic TIFF and BigTIFF of both byte orders (TIFF 6.0, 1992; BigTIFF, 2007; OGC GeoTIFF 1.1, 19-008r4). What a header
claims is believed only within limits, before anything is made of its size.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from tessera.net import CorruptError, PermanentError

from ._georeference import Georeference, parse_georeference

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIRST = 16 * 1024
"""Bytes of the first read: the header of a cloud-optimised file of 10,980 pixels with blocks of 512, and to spare."""
HEADER_LIMIT = 4 * 1024**2
"""Bytes of header that are read of one file."""
BLOCK_LIMIT = 64 * 1024**2
"""Bytes of one block unpacked."""
_SIDE_LIMIT = 4 * 1024**2
_IMAGE_LIMIT = 2**36
"""Pixels of a file: 2,600 km by 2,600 km at 10 m."""
_ENTRIES = 1024
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Type of a field -> bytes of a value (TIFF 6.0, section 2; BigTIFF)."""
_NUMBERS = {1: "B", 3: "H", 4: "I", 11: "f", 12: "d", 13: "I", 16: "Q", 18: "Q"}
_CODECS = {1, 5, 8, 32773, 32946, 34887, 34925, 50000}
"""None, LZW, Deflate, PackBits, old Deflate, LERC, LZMA, Zstandard: all that keep every bit of what was written to
them, as far as their writer asked for it."""
LERC = 34887

WIDTH, HEIGHT, BITS, CODEC, FILL_ORDER, SAMPLES = 256, 257, 258, 259, 266, 277
STRIP_OFFSETS, STRIP_ROWS, STRIP_BYTES, PREDICTOR = 273, 278, 279, 317
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES = 322, 323, 324, 325
FORMAT, SCALE, TIEPOINT, MATRIX, GEO_KEYS, NO_DATA, LERC_SETTINGS = 339, 33550, 33922, 34264, 34735, 42113, 50674


class File(Protocol):
    """A file that is read by byte range; it raises the errors of `tessera.net`."""

    @property
    def name(self) -> str:
        """For messages."""
        ...

    def read(self, start: int, stop: int) -> bytes:
        """Bytes `start` to `stop` (exclusive), fewer only where the file ends."""
        ...


class Pieces:
    """Bytes of a file, none read twice; counts what was asked.

    Attributes
    ----------
    requests, bytes : asked and taken so far
    """

    def __init__(self, file: File) -> None:
        self.file, self.name = file, file.name
        self.requests = self.bytes = 0
        self._held: list[tuple[int, bytes]] = []
        self.fetch(0, FIRST)

    def fetch(self, start: int, stop: int) -> None:
        """Ask for a range and keep it."""
        data = self.file.read(start, stop)
        self.add(start, data)
        if len(data) > stop - start:
            raise CorruptError(f"{self.name}: {len(data)} bytes came; expected at most {stop - start}")

    def add(self, start: int, data: bytes) -> None:
        """Keep a range that somebody else asked for."""
        self.requests += 1
        self.bytes += len(data)
        self._held.append((start, data))

    def has(self, start: int, stop: int) -> memoryview | None:
        """A range that one of the pieces holds whole."""
        for begin, data in self._held:
            if begin <= start and stop <= begin + len(data):
                return memoryview(data)[start - begin : stop - begin]
        return None

    def take(self, start: int, stop: int) -> memoryview:
        """A range of the header, at most `HEADER_LIMIT`, asked for where it is not held."""
        found = self.has(start, stop)
        if found is None:
            if self.bytes + stop - start > HEADER_LIMIT:
                raise CorruptError(f"{self.name}: its header takes more than {HEADER_LIMIT} bytes")
            self.fetch(start, max(stop, start + FIRST))
            found = self.has(start, stop)
        if found is None:
            raise CorruptError(f"{self.name} ends within its header; expected bytes {start} to {stop}")
        return found


@dataclass(frozen=True)
class Field:
    """An entry of the directory: its values' type, number and first byte."""

    kind: int
    count: int
    at: int


@dataclass(frozen=True)
class Image:
    """The first image of a file."""

    order: str  # "<" or ">", of the header and of the samples
    width: int
    height: int
    tiled: bool  # False for strips
    rows: int  # rows, columns: pixels of a block; a strip is as wide as the image
    columns: int
    dtype: str  # numpy's name of a sample's type
    bits: int  # bits, sample_format, codec, predictor: as the file has them
    sample_format: int
    codec: int
    predictor: int
    lerc: bytes  # what LERC needs to be unpacked, packed as in the file
    no_data: float | None  # the number that stands for no data besides 0 and NaN; None where there is no other
    place: Georeference
    offsets: Field  # offsets, sizes: where the lists of the blocks' first bytes and lengths are
    sizes: Field

    @property
    def across(self) -> int:
        """Blocks side by side."""
        return -(-self.width // self.columns)

    @property
    def down(self) -> int:
        """Blocks one below the other."""
        return -(-self.height // self.rows)

    @property
    def block_bytes(self) -> int:
        """Bytes of a block unpacked."""
        return self.rows * -(-self.columns * self.bits // 8)


def parse_tiff(pieces: Pieces) -> Image:
    """What the header of a GeoTIFF says of its first image; the lists of its blocks are left for `read_lists`.

    `PermanentError`: a sound file of a kind that is not read, such as one of several samples, of an unknown type or
    compression, without an EPSG code, or not north up.
    """
    order, fields = _directory(pieces)
    reader = _Values(pieces, order, fields)
    name = pieces.name
    width, height = reader.number(WIDTH), reader.number(HEIGHT)
    if not (0 < width <= _SIDE_LIMIT and 0 < height <= _SIDE_LIMIT):
        raise CorruptError(f"{name} claims {width} x {height} pixels; expected 1 to {_SIDE_LIMIT} a side")
    if width * height > _IMAGE_LIMIT:
        raise PermanentError(f"{name} claims {width} x {height} pixels; expected at most {_IMAGE_LIMIT} in all")
    samples = reader.number(SAMPLES, 1)
    if samples != 1:
        raise PermanentError(f"{name} has {samples} samples a pixel; expected 1")
    bits, sample_format = reader.number(BITS, 1), reader.number(FORMAT, 1)
    dtype = _dtype(bits, sample_format)
    if dtype is None:
        raise PermanentError(
            f"{name} has samples of {bits} bits, format {sample_format}; expected uint8, uint16, int16 or float32"
        )
    codec, predictor = reader.number(CODEC, 1), reader.number(PREDICTOR, 1)
    if codec not in _CODECS:
        raise PermanentError(f"{name} has compression {codec}; expected one of {', '.join(map(str, sorted(_CODECS)))}")
    if predictor not in (1, 2, 3) or reader.number(FILL_ORDER, 1) != 1:
        raise PermanentError(f"{name} has predictor {predictor} or bits in reverse; expected predictor 1, 2 or 3")
    tiled = TILE_WIDTH in fields or TILE_OFFSETS in fields
    if tiled:
        columns, rows = reader.number(TILE_WIDTH), reader.number(TILE_HEIGHT)
        offsets, sizes = reader.field(TILE_OFFSETS), reader.field(TILE_BYTES)
    else:
        columns, rows = width, min(height, reader.number(STRIP_ROWS, height))
        offsets, sizes = reader.field(STRIP_OFFSETS), reader.field(STRIP_BYTES)
    if not (0 < columns <= _SIDE_LIMIT and 0 < rows <= _SIDE_LIMIT):
        raise CorruptError(f"{name} claims blocks of {columns} x {rows} pixels; expected 1 to {_SIDE_LIMIT} a side")
    no_data = reader.text(NO_DATA)
    image = Image(
        order,
        width,
        height,
        tiled,
        rows,
        columns,
        dtype,
        bits,
        sample_format,
        codec,
        predictor,
        reader.packed(LERC_SETTINGS) if codec == LERC and LERC_SETTINGS in fields else b"",
        _number(no_data),
        parse_georeference(
            name,
            reader.floats(SCALE),
            reader.floats(TIEPOINT),
            reader.floats(MATRIX),
            reader.integers(GEO_KEYS),
        ),
        offsets,
        sizes,
    )
    if image.block_bytes > BLOCK_LIMIT:
        raise PermanentError(
            f"{name} has blocks of {columns} x {rows} pixels; expected at most {BLOCK_LIMIT} bytes unpacked"
        )
    for field in (offsets, sizes):
        if field.count != image.across * image.down or field.kind not in (3, 4, 16):
            raise CorruptError(
                f"{name} lists {field.count} blocks; expected {image.across * image.down} for "
                f"{width} x {height} pixels in blocks of {columns} x {rows}"
            )
    return image


def read_lists(pieces: Pieces, image: Image, start: int, stop: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """First bytes and lengths of blocks `start` to `stop` (exclusive)."""
    fields = (image.offsets, image.sizes)
    spans = [(f.at + start * _SIZES[f.kind], f.at + stop * _SIZES[f.kind]) for f in fields]
    (first, last) = min(spans)[0], max(spans)[1]
    if last - first <= 4 * FIRST + sum(b - a for a, b in spans) and any(pieces.has(*span) is None for span in spans):
        # they lie side by side: one request
        pieces.take(first, last)
    numbers = [
        np.frombuffer(pieces.take(*span), f"{image.order}u{_SIZES[field.kind]}").astype(np.uint64)
        for span, field in zip(spans, fields, strict=True)
    ]
    return numbers[0], numbers[1]


def _directory(pieces: Pieces) -> tuple[str, dict[int, Field]]:
    """Byte order and entries of the first directory."""
    name = pieces.name
    start = pieces.has(0, 16)
    magic = None if start is None else bytes(start[:4])
    if start is None or magic not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        raise CorruptError(f"{name} is not a TIFF file; expected a GeoTIFF")
    order = "<" if magic[:2] == b"II" else ">"
    big = b"+" in magic
    if big and struct.unpack(order + "HH", start[4:8]) != (8, 0):
        raise CorruptError(f"{name} is a damaged BigTIFF file")
    at: int = struct.unpack(order + "Q", start[8:16])[0] if big else struct.unpack(order + "I", start[4:8])[0]
    head, entry = (8, 20) if big else (2, 12)
    if not 8 <= at < 2**62:
        raise CorruptError(f"{name} has no directory; expected one behind its first 8 bytes")
    count: int = struct.unpack(order + ("Q" if big else "H"), pieces.take(at, at + head))[0]
    if not 1 <= count <= _ENTRIES:
        raise CorruptError(f"{name} has a directory of {count} entries; expected 1 to {_ENTRIES}")
    table = pieces.take(at + head, at + head + count * entry)
    fields: dict[int, Field] = {}
    for i in range(count):
        tag, kind = struct.unpack_from(order + "HH", table, i * entry)
        (values,) = struct.unpack_from(order + ("Q" if big else "I"), table, i * entry + 4)
        size = _SIZES.get(kind, 0) * values
        here = i * entry + (12 if big else 8)
        if size <= (8 if big else 4):
            where = at + head + here
        else:
            (where,) = struct.unpack_from(order + ("Q" if big else "I"), table, here)
        if where >= 2**62 or values >= 2**40:
            raise CorruptError(f"{name} is damaged: field {tag} of its directory lies at byte {where}")
        fields.setdefault(tag, Field(kind, values, where))
    return order, fields


class _Values:
    """Values of the fields of a directory."""

    def __init__(self, pieces: Pieces, order: str, fields: dict[int, Field]) -> None:
        self._pieces, self._order, self._fields = pieces, order, fields

    def field(self, tag: int) -> Field:
        if tag not in self._fields:
            raise CorruptError(f"{self._pieces.name} lacks field {tag} of its directory")
        return self._fields[tag]

    def packed(self, tag: int) -> bytes:
        """As the file has it, at most 64 KiB."""
        field = self.field(tag)
        size = _SIZES.get(field.kind, 0) * field.count
        if not 0 < size <= 65536:
            raise CorruptError(f"{self._pieces.name} is damaged: field {tag} has {field.count} values")
        return bytes(self._pieces.take(field.at, field.at + size))

    def _unpacked(self, tag: int) -> tuple[float, ...]:
        if tag not in self._fields:
            return ()
        field = self._fields[tag]
        if field.kind not in _NUMBERS:
            raise CorruptError(f"{self._pieces.name} is damaged: field {tag} is of type {field.kind}")
        return struct.unpack(f"{self._order}{field.count}{_NUMBERS[field.kind]}", self.packed(tag))

    def floats(self, tag: int) -> tuple[float, ...]:
        """Empty where the directory lacks it."""
        return tuple(float(value) for value in self._unpacked(tag))

    def integers(self, tag: int) -> tuple[int, ...]:
        """Empty where the directory lacks it."""
        values = self._unpacked(tag)
        if any(isinstance(value, float) for value in values):
            raise CorruptError(f"{self._pieces.name} is damaged: field {tag} is no whole number")
        return tuple(int(value) for value in values)

    def number(self, tag: int, default: int | None = None) -> int:
        """The first of its values."""
        if default is not None and tag not in self._fields:
            return default
        self.field(tag)
        return self.integers(tag)[0]

    def text(self, tag: int) -> str:
        """Empty where the directory lacks it."""
        return self.packed(tag).split(b"\0")[0].decode("latin-1") if tag in self._fields else ""


def _dtype(bits: int, sample_format: int) -> str | None:
    """What GDAL unpacks a sample as."""
    if sample_format in (1, 4) and 1 <= bits <= 16:
        return "uint8" if bits <= 8 else "uint16"
    return {(16, 2): "int16", (16, 3): "float32", (32, 3): "float32"}.get((bits, sample_format))


def _number(text: str) -> float | None:
    """GDAL's text for no data, None where it is 0, NaN or no number."""
    try:
        value = float(text)
    except ValueError:
        return None
    return None if value == 0 or math.isnan(value) else value
