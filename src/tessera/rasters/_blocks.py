"""A few blocks of a TIFF file as a small TIFF file in memory, so that GDAL unpacks them: every codec, nothing more."""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import _tiff as tiff

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._tiff import Image

_SHORT, _LONG, _DOUBLE = 3, 4, 12


@dataclass(frozen=True)
class Blocks:
    """A rectangle of blocks of an image: rows of blocks `top` to `bottom` (exclusive), columns likewise."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def count(self) -> int:
        return (self.bottom - self.top) * (self.right - self.left)


def mini_tiff(image: Image, blocks: Blocks, spans: Sequence[tuple[int, int]], parts: dict[int, bytes]) -> bytes:
    """A classic TIFF file that holds these blocks as they are packed.

    `spans` are the first byte and length of each block in the file it comes from, row by row, length 0 for one without
    data; `parts` are ranges of that file, by their first byte, which hold all of them.
    """
    starts = sorted(parts)
    entries = _entries(image, blocks)
    count = blocks.count
    tags = (tiff.TILE_OFFSETS, tiff.TILE_BYTES) if image.tiled else (tiff.STRIP_OFFSETS, tiff.STRIP_BYTES)
    entries += [(tag, _LONG, bytes(4 * count)) for tag in tags]
    entries.sort(key=lambda entry: entry[0])
    head = 8 + 2 + 12 * len(entries) + 4
    body = head + sum(len(packed) for _, _, packed in entries if len(packed) > 4)

    moved: dict[int, int] = {}
    at = body
    for start in starts:
        moved[start] = at
        at += len(parts[start])
    offsets, sizes = [], []
    for begin, length in spans:
        part = starts[bisect_right(starts, begin) - 1] if length else 0
        offsets.append(moved[part] + begin - part if length else 0)
        sizes.append(length)
    lists = dict(zip(tags, (offsets, sizes), strict=True))

    order = image.order
    directory, tail = [], []
    where = head
    for tag, kind, packed in entries:
        if tag in lists:
            packed = struct.pack(f"{order}{count}I", *lists[tag])
        size = {_SHORT: 2, _LONG: 4, _DOUBLE: 8}[kind]
        directory.append(struct.pack(order + "HHI", tag, kind, len(packed) // size))
        if len(packed) <= 4:
            directory.append(packed.ljust(4, b"\0"))
        else:
            directory.append(struct.pack(order + "I", where))
            tail.append(packed)
            where += len(packed)
    first = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return b"".join(
        [
            first,
            struct.pack(order + "H", len(entries)),
            *directory,
            bytes(4),
            *tail,
            *(parts[start] for start in starts),
        ]
    )


def _entries(image: Image, blocks: Blocks) -> list[tuple[int, int, bytes]]:
    """Tag, type and packed values of all that describes the pixels."""
    order = image.order
    # tiles at the edge are whole, and what lies beyond the image is never asked for; the last strip may be short
    width = (blocks.right - blocks.left) * image.columns
    height = min(blocks.bottom * image.rows, image.height) - blocks.top * image.rows
    longs = {tiff.WIDTH: width, tiff.HEIGHT: height}
    if image.tiled:
        longs |= {tiff.TILE_WIDTH: image.columns, tiff.TILE_HEIGHT: image.rows}
    else:
        longs |= {tiff.STRIP_ROWS: image.rows}
    shorts = {
        tiff.BITS: image.bits,
        tiff.CODEC: image.codec,
        262: 1,
        tiff.SAMPLES: 1,
        284: 1,
        tiff.FORMAT: image.sample_format,
    }
    if image.predictor != 1:
        shorts[tiff.PREDICTOR] = image.predictor
    # some grid, lest GDAL should warn that there is none
    doubles = {tiff.SCALE: (1.0, 1.0, 0.0), tiff.TIEPOINT: (0.0,) * 6}
    entries = [(tag, _LONG, struct.pack(order + "I", value)) for tag, value in longs.items()]
    entries += [(tag, _SHORT, struct.pack(order + "H", value)) for tag, value in shorts.items()]
    entries += [(tag, _DOUBLE, struct.pack(f"{order}{len(v)}d", *v)) for tag, v in doubles.items()]
    if image.lerc:
        entries.append((tiff.LERC_SETTINGS, _LONG, image.lerc))
    return entries
