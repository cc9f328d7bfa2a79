"""Shards that strangers packed by zarr-python: what they unpack to is known before anything is unpacked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError
from tessera.shards import zstd_length

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

_MOST_CHUNKS = 65_536
"""Chunks of a shard: 4 pixels in 1024; the convention has 4 in 256, which is 4,096."""
_HEAD_BYTES = 18
"""The longest header of a Zstandard frame; Blosc's has 16."""
_CRC_BYTES = 4
_EMPTY = 2**64 - 1


@dataclass(frozen=True)
class ShardForm:
    """How an array's shards are packed."""

    shape: tuple[int, ...]  # of a shard; of a chunk where it has no chunks in it
    chunk: tuple[int, ...]  # of a chunk in it
    chunk_bytes: int  # what a chunk unpacks to
    index: str | None  # "start" or "end", None where a shard is one chunk
    index_crc: bool  # index_crc, chunk_crc: whether a CRC-32C follows
    chunk_crc: bool
    packer: str | None  # "blosc", "zstd" or None

    @property
    def side(self) -> int:
        """Of a shard, pixels."""
        return self.shape[0]

    @property
    def chunks(self) -> int:
        """In a shard."""
        return math.prod(size // side for size, side in zip(self.shape, self.chunk, strict=True))


def parse_form(codecs: Any, shape: tuple[int, ...], itemsize: int, node: Path) -> ShardForm:
    """The form of an array's shards from its `codecs`, which must tell beforehand what they unpack to."""
    try:
        return _form(codecs, shape, itemsize)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(
            f"{node} has codecs that are not read here ({str(error)[:80]}); expected chunks, in shards or not, that "
            "are raw or packed by blosc or zstd"
        ) from None


def _form(codecs: Any, shape: tuple[int, ...], itemsize: int) -> ShardForm:
    index, index_crc, chunk = None, False, shape
    if len(codecs) == 1 and codecs[0]["name"] == "sharding_indexed":
        about = codecs[0]["configuration"]
        chunk = tuple(about["chunk_shape"])
        index = about.get("index_location", "end")
        if index not in ("start", "end"):
            raise ValueError(f"an index at {str(index)[:20]!r}")
        packer, index_crc = _chain(about["index_codecs"], transposed=False)
        if packer is not None:
            raise ValueError("an index that is packed")
        codecs = about["codecs"]
    packer, chunk_crc = _chain(codecs, transposed=True)
    if len(chunk) != len(shape) or not all(type(side) is int and side > 0 for side in chunk):
        raise ValueError(f"chunks of {str(chunk)[:40]}")
    if any(size % side for size, side in zip(shape, chunk, strict=True)):
        raise ValueError(f"chunks of {str(chunk)[:40]} in shards of {shape}")
    form = ShardForm(shape, chunk, math.prod(chunk) * itemsize, index, index_crc, chunk_crc, packer)
    if form.chunks > _MOST_CHUNKS:
        raise ValueError(f"{form.chunks} chunks in a shard, more than {_MOST_CHUNKS}")
    return form


def _chain(codecs: Sequence[Any], *, transposed: bool) -> tuple[str | None, bool]:
    """What packs, and whether a CRC-32C follows, of (transpose,) bytes, (blosc or zstd,) (crc32c)."""
    names = [codec["name"] for codec in codecs]
    if transposed and names[:1] == ["transpose"]:
        names = names[1:]
    if names[:1] != ["bytes"]:
        raise ValueError(f"codecs {str(names)[:40]}")
    if (codecs[-len(names)].get("configuration") or {}).get("endian", "little") != "little":
        raise ValueError("numbers that are not little-endian")
    names = names[1:]
    packer = names.pop(0) if names[:1] in (["blosc"], ["zstd"]) else None
    if names not in ([], ["crc32c"]):
        raise ValueError(f"codecs {str(names)[:40]}")
    return packer, names == ["crc32c"]


def check_shard(file: BinaryIO, form: ShardForm, path: Path) -> None:
    """Check that each chunk of a shard lies in its opened file and says that it unpacks to as much as a chunk holds."""
    size = file.seek(0, 2)
    for offset, length in _places(file, size, form, path):
        if offset + length > size:
            raise InputError(f"{path} has a chunk at {offset} to {offset + length}; the file has {size} bytes")
        body = length - _CRC_BYTES * form.chunk_crc
        file.seek(offset)
        told = _unpacked(file.read(min(_HEAD_BYTES, max(body, 0))), body, form.packer)
        if told != form.chunk_bytes:
            says = "does not say what it unpacks to" if told is None else f"unpacks to {told} bytes"
            raise InputError(f"{path} has a chunk that {says}; expected {form.chunk_bytes} bytes")


def _places(file: BinaryIO, size: int, form: ShardForm, path: Path) -> list[tuple[int, int]]:
    """Offset and length of each chunk that is there."""
    if form.index is None:
        return [(0, size)]
    length = 16 * form.chunks
    total = length + _CRC_BYTES * form.index_crc
    if size < total:
        raise InputError(f"{path} has {size} bytes; its index alone has {total}")
    file.seek(0 if form.index == "start" else size - total)
    entries: NDArray[np.uint64] = np.frombuffer(file.read(length), "<u8").reshape(-1, 2)
    there = entries[(entries != _EMPTY).any(axis=1)]
    return [(int(offset), int(count)) for offset, count in there.tolist()]


def _unpacked(head: bytes, body: int, packer: str | None) -> int | None:
    """What a chunk says that it unpacks to, None where it does not say it."""
    if packer is None:
        return body
    if packer == "blosc":
        # version, format, flags, type size, then bytes unpacked, of a block and packed, 4 bytes each
        packed = int.from_bytes(head[12:16], "little")
        return int.from_bytes(head[4:8], "little") if len(head) >= 16 and packed == body else None
    return zstd_length(head)
