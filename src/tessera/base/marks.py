"""Marks that identify earlier outputs of this package: a key of a JSON object, a text of a PNG, a tag of a TIFF."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Any, BinaryIO

from .documents import read_json
from .paths import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_MOST = 1 << 20
"""Most bytes that are read to find a mark."""
_GDAL_METADATA = 42112
"""TIFF tag of GDAL's metadata, XML."""
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 13: 4, 16: 8}
"""TIFF type of texts and offsets -> bytes of a value."""


def png_mark(kind: str) -> dict[str, str]:
    """Metadata that marks a PNG of this kind, for `savefig(metadata=...)`."""
    return {"Software": f"tessera {kind}"}


def is_png(kind: str) -> Callable[[Path], bool]:
    """A test for files: a PNG with `png_mark(kind)`."""
    wanted = f"Software\0tessera {kind}".encode()

    def test(path: Path) -> bool:
        with open_regular(path, what="picture") as file:
            if file.read(8) != b"\x89PNG\r\n\x1a\n":
                return False
            # texts precede the image
            while len(head := file.read(8)) == 8:
                size, name = struct.unpack(">I4s", head)
                if name == b"IDAT" or file.tell() + size > _MOST:
                    return False
                if name == b"tEXt" and size == len(wanted):
                    return file.read(size) == wanted
                file.seek(size + 4, os.SEEK_CUR)
        return False

    return test


def is_json(**wanted: object) -> Callable[[Path], bool]:
    """A test for files: a JSON object with these values, such as is_json(format="tessera-head")."""

    def test(path: Path) -> bool:
        value = read_json(path, what="file")
        return all(value.get(key) == expected for key, expected in wanted.items())

    return test


def is_text(mark: str, most: int = 4096) -> Callable[[Path], bool]:
    """A test for files: the first `most` bytes contain the mark."""

    def test(path: Path) -> bool:
        with open_regular(path, what="file") as file:
            return mark.encode() in file.read(most)

    return test


def is_parquet(mark: str) -> Callable[[Path], bool]:
    """A test for files: a Parquet file with the mark as a metadata value in its footer."""

    def test(path: Path) -> bool:
        with open_regular(path, what="table") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 8))
            end = file.read(8)
            if len(end) != 8 or end[4:] != b"PAR1":
                return False
            length = min(_number("<I", end[:4]), _MOST, size - 8)
            file.seek(size - 8 - length)
            return mark.encode() in file.read(length)

    return test


def is_tiff(tag: str) -> Callable[[Path], bool]:
    """A test for files: a GeoTIFF with this GDAL metadata item, such as TESSERA_CLASSES."""
    wanted = f'name="{tag}"'.encode()

    def test(path: Path) -> bool:
        with open_regular(path, what="GeoTIFF") as file:
            return wanted in _metadata(file)

    return test


def _metadata(file: BinaryIO) -> bytes:
    """GDAL's metadata in the first directory of a TIFF, b"" without any."""
    start = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(start[:2])
    if order is None or len(start) < 16:
        return b""
    version = _number(order + "H", start[2:4])
    if version not in (42, 43):
        return b""
    big = version == 43
    file.seek(_number(order + "Q", start[8:16]) if big else _number(order + "I", start[4:8]))
    count = _number(order + ("Q" if big else "H"), file.read(8 if big else 2))
    entry = 20 if big else 12
    directory = file.read(min(count, 4096) * entry)
    for at in range(0, len(directory) - entry + 1, entry):
        tag, kind = struct.unpack(order + "HH", directory[at : at + 4])
        if tag != _GDAL_METADATA or kind not in _SIZES:
            continue
        size = _number(order + ("Q" if big else "I"), directory[at + 4 : at + (12 if big else 8)]) * _SIZES[kind]
        value = directory[at + (12 if big else 8) : at + entry]
        if size > len(value):
            file.seek(_number(order + ("Q" if big else "I"), value))
            value = file.read(min(size, _MOST))
        return value
    return b""


def _number(form: str, data: bytes) -> int:
    found: Any = struct.unpack(form, data)[0] if len(data) == struct.calcsize(form) else 0
    return int(found)
