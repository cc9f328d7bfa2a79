"""The bytes of a cloud-optimised GeoTIFF: directories first, then tiles from the smallest overview to the full size.

The order is that of GDAL's COG driver, which computes overviews of a hundred bands that lie together very slowly and
needs a whole copy beside the target; here overviews are made on the way, and every tile is written once.
"""

from __future__ import annotations

import os
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import TesseraError

from .reading import writing_to
from .rows import RowsFile
from .strips import checksum, raster_bytes, read_back

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

    from .strips import RasterProfile

    Rows = Callable[[range], NDArray[Any]]
    Reduce = Callable[[NDArray[Any]], NDArray[Any]]

_GHOST = (
    b"LAYOUT=IFDS_BEFORE_DATA\nBLOCK_ORDER=ROW_MAJOR\nBLOCK_LEADER=SIZE_AS_UINT4\n"
    b"BLOCK_TRAILER=LAST_4_BYTES_REPEATED\nKNOWN_INCOMPATIBLE_EDITION=NO\n "
)
"""What GDAL knows a COG by; the space is where it notes that somebody edited the file."""
_SHORT, _LONG, _DOUBLE, _LONG8 = 3, 4, 12, 16
_FORMATS = {_SHORT: "H", _LONG: "I", _DOUBLE: "d", _LONG8: "Q"}
_SIZES = {1: 1, 2: 1, _SHORT: 2, _LONG: 4, _DOUBLE: 8, _LONG8: 8}
_COLOURS, _GDAL_NODATA = 320, 42113
_COPIED = (_COLOURS, 33550, 33922, 34264, 34735, 34736, 34737, 42112, _GDAL_NODATA)
"""Tags that say where a raster lies and what its bands are: colours, GeoTIFF's own, GDAL's metadata and no data."""
_LEVEL = 3
"""Of deflate; higher ones hardly shrink embeddings."""
_THREADS = 8

Entry = tuple[int, int, bytes]
"""A tag's type, count and values."""


@dataclass(frozen=True)
class Level:
    """One size of the raster."""

    height: int
    width: int
    rows: Rows


@dataclass(frozen=True)
class _Cog:
    """What a file is made of: its size and type, side of a tile, value beyond the edge, and tags of its place."""

    height: int
    width: int
    bands: int
    dtype: np.dtype[Any]
    tile: int
    fill: float
    entries: dict[int, Entry]


def _place_tags(profile: RasterProfile) -> dict[int, Entry]:
    """The tags of CRS, bands and metadata, as GDAL itself writes them in a raster of one pixel."""
    bands = profile.whole[2]
    data = raster_bytes(np.zeros((bands, 1, 1), profile.dtype), replace(profile, shape=(1, 1, bands)))
    if data[:4] != b"II*\0":
        raise TesseraError("GDAL wrote another kind of TIFF than expected")
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    found = {}
    for number in range(count):
        tag, kind, length = struct.unpack_from("<HHI", data, at + 2 + 12 * number)
        if tag in _COPIED:
            size = _SIZES[kind] * length
            start = at + 2 + 12 * number + 8
            if size > 4:
                (start,) = struct.unpack_from("<I", data, start)
            found[tag] = kind, length, data[start : start + size]
    return found


def write_cog(
    path: Path, profile: RasterProfile, rows: Rows, reduce: Reduce, *, tile: int, name: object = None
) -> None:
    """Write a COG and read it back; bytes of overviews lie in files beside it while it is made.

    Parameters
    ----------
    path : a path that nobody reads yet, such as one in a `staging` folder
    rows : rows of the full size, (rows, width, bands), asked for twice
    reduce : an even number of rows -> half of them and of the columns
    tile : side of a tile, pixels
    name : the file in messages, where it is not `path`

    Raises
    ------
    InputError
        rasterio is not installed.
    TesseraError
        GDAL refuses, or what was written does not read back as it was.
    OSError
        The disk refuses.
    """
    name = path if name is None else name
    made: list[Path] = []
    try:
        fill = 0.0 if profile.nodata is None else profile.nodata
        cog = _Cog(*profile.whole, np.dtype(profile.dtype), tile, fill, _place_tags(profile))
        levels = list(_levels(path, cog, rows, reduce, made))
        checks: list[tuple[int, int]] = []
        with path.open("w+b") as file, ThreadPoolExecutor(_THREADS) as pool:
            places = _write_head(file, cog, levels)
            for level, place in zip(levels[::-1], places[::-1], strict=True):
                offsets, counts, checks = _write_tiles(file, cog, level, pool)
                end = file.tell()
                for at, numbers in zip(place, (offsets, counts), strict=True):
                    file.seek(at)
                    file.write(np.asarray(numbers, dtype="<u8" if _is_big(cog) else "<u4").tobytes())
                file.seek(end)
            file.flush()
            os.fsync(file.fileno())
    finally:
        for extra in made:
            extra.unlink(missing_ok=True)
    # a disk may refuse late, and not say so
    with writing_to(name):
        read_back(path, checks, name)


def overview_shapes(height: int, width: int, tile: int) -> list[tuple[int, int]]:
    """Height and width of each overview, halved until one tile holds it."""
    shapes = []
    while max(height, width) > tile:
        height, width = -(-height // 2), -(-width // 2)
        shapes.append((height, width))
    return shapes


def mean_of_valid(values: NDArray[Any]) -> NDArray[Any]:
    """The mean of each 2 x 2 pixels (fewer at an odd edge) that are not NaN: (r, c, D) -> (r / 2, c / 2, D)."""
    total = np.zeros((-(-values.shape[0] // 2), -(-values.shape[1] // 2), values.shape[2]), dtype=np.float32)
    count = np.zeros((*total.shape[:2], 1), dtype=np.float32)
    for row in (0, 1):
        for col in (0, 1):
            part = values[row::2, col::2]
            good = ~np.isnan(part[..., :1])
            into = slice(0, part.shape[0]), slice(0, part.shape[1])
            total[into] += np.where(good, part, 0)
            count[into] += good
    return np.where(count > 0, total / np.maximum(count, 1), np.float32(np.nan))


def mode_of_valid(nodata: int) -> Reduce:
    """A reducer of classes: the commonest of each 2 x 2 pixels that are not `nodata`, the first of equals.

    It takes (r, c, bands) uint8 and returns (r / 2, c / 2, bands), rounded up.
    """

    def reduce(values: NDArray[Any]) -> NDArray[Any]:
        height, width = -(-values.shape[0] // 2), -(-values.shape[1] // 2)
        four = np.full((4, height, width, values.shape[2]), nodata, dtype=values.dtype)
        for place in range(4):
            part = values[place // 2 :: 2, place % 2 :: 2]
            four[place, : part.shape[0], : part.shape[1]] = part
        votes = np.stack([(four == one).sum(axis=0) for one in four])
        votes[four == nodata] = 0
        first = votes.argmax(axis=0)
        return np.asarray(np.take_along_axis(four, first[None], axis=0)[0])

    return reduce


def every_second(values: NDArray[Any]) -> NDArray[Any]:
    """Every second row and column."""
    return values[::2, ::2]


def _levels(path: Path, profile: _Cog, rows: Rows, reduce: Reduce, made: list[Path]) -> Iterator[Level]:
    level = Level(profile.height, profile.width, rows)
    yield level
    for number, (height, width) in enumerate(overview_shapes(profile.height, profile.width, profile.tile)):
        extra = path.with_name(f"{path.name}.{number}.overview")
        made.append(extra)
        held = RowsFile(extra, (height, width, profile.bands), profile.dtype)
        for start in range(0, height, profile.tile // 2):
            stop = min(start + profile.tile // 2, height)
            held.write(start, reduce(level.rows(range(2 * start, min(2 * stop, level.height)))))
        level = Level(height, width, held.read)
        yield level


def _is_big(profile: _Cog) -> bool:
    """Whether offsets may need more than 32 bits."""
    pixel = profile.bands * profile.dtype.itemsize
    shapes = [(profile.height, profile.width), *overview_shapes(profile.height, profile.width, profile.tile)]
    tiles = sum(-(-height // profile.tile) * -(-width // profile.tile) for height, width in shapes)
    return tiles * (profile.tile**2 * pixel + 1024) > 2**32 - 2**24


def _write_head(file: BinaryIO, profile: _Cog, levels: list[Level]) -> list[tuple[int, int]]:
    """Write the header and directories; returns where each level's offsets and byte counts go."""
    big = _is_big(profile)
    file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0) if big else struct.pack("<2sHI", b"II", 42, 0))
    file.write(b"GDAL_STRUCTURAL_METADATA_SIZE=%06d bytes\n" % len(_GHOST) + _GHOST)
    link = 8 if big else 4
    places = []
    for number, level in enumerate(levels):
        at = file.tell() + file.tell() % 2
        file.seek(link)
        file.write(struct.pack("<Q" if big else "<I", at))
        file.seek(at)
        entries = _entries(profile, level, number, big)
        entry = 20 if big else 12
        values = at + (8 if big else 2) + entry * len(entries) + (8 if big else 4)
        head, body, spots = b"", b"", {}
        for tag, (kind, count, data) in sorted(entries.items()):
            inline = 8 if big else 4
            spots[tag] = at + (8 if big else 2) + len(head) + (12 if big else 8)
            if len(data) > inline:
                spots[tag] = values + len(body)
                field = struct.pack("<Q" if big else "<I", spots[tag])
                body += data + b"\0" * (len(data) % 2)
            else:
                field = data.ljust(inline, b"\0")
            head += struct.pack("<HHQ" if big else "<HHI", tag, kind, count) + field
        link = at + (8 if big else 2) + len(head)
        file.write(struct.pack("<Q" if big else "<H", len(entries)) + head + b"\0" * (8 if big else 4) + body)
        places.append((spots[324], spots[325]))
    return places


def _entries(profile: _Cog, level: Level, number: int, big: bool) -> dict[int, Entry]:
    tiles = -(-level.height // profile.tile) * -(-level.width // profile.tile)
    bands = profile.bands
    kind = {"f": 3, "i": 2, "u": 1}[profile.dtype.kind]
    wide = _LONG8 if big else _LONG

    def numbers(code: int, *values: int) -> Entry:
        return code, len(values), struct.pack(f"<{len(values)}{_FORMATS[code]}", *values)

    entries = {
        254: numbers(_LONG, int(number > 0)),
        256: numbers(_LONG, level.width),
        257: numbers(_LONG, level.height),
        258: numbers(_SHORT, *[8 * profile.dtype.itemsize] * bands),
        259: numbers(_SHORT, 8),
        262: numbers(_SHORT, 3 if _COLOURS in profile.entries else 1),
        277: numbers(_SHORT, bands),
        284: numbers(_SHORT, 1),
        322: numbers(_LONG, profile.tile),
        323: numbers(_LONG, profile.tile),
        324: (wide, tiles, bytes(tiles * _SIZES[wide])),
        325: (wide, tiles, bytes(tiles * _SIZES[wide])),
        339: numbers(_SHORT, *[kind] * bands),
    }
    if bands > 1:
        entries[338] = numbers(_SHORT, *[0] * (bands - 1))
    shared = _COPIED if number == 0 else (_COLOURS, _GDAL_NODATA)
    return entries | {tag: profile.entries[tag] for tag in shared if tag in profile.entries}


def _write_tiles(
    file: BinaryIO, profile: _Cog, level: Level, pool: ThreadPoolExecutor
) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """Write a level's tiles; returns their places and lengths, and the last row and checksum of each row of tiles."""
    side = profile.tile
    offsets, counts, checks = [], [], []
    for top in range(0, level.height, side):
        values = level.rows(range(top, min(top + side, level.height)))
        checks.append((top + len(values), checksum(values)))

        def pack(left: int, values: NDArray[Any] = values) -> bytes:
            tile = np.full((side, side, profile.bands), profile.fill, dtype=profile.dtype)
            part = values[:, left : left + side]
            tile[: part.shape[0], : part.shape[1]] = part
            return zlib.compress(tile.astype(profile.dtype.newbyteorder("<"), copy=False).tobytes(), _LEVEL)

        for data in pool.map(pack, range(0, level.width, side)):
            # GDAL then reads a tile whose place it guessed without asking for its size
            offsets.append(file.tell() + 4)
            counts.append(len(data))
            file.write(struct.pack("<I", len(data)) + data + data[-4:])
    return offsets, counts, checks
