"""A shard's bytes: an index, then chunks in row order, each pixel-major and followed by its CRC-32C.

This is Zarr v3's `sharding_indexed` with the index at the start and the inner codecs transpose, bytes, crc32c; written
here so that chunks lie in row order, and read here so that one pixel is one range.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np

from tessera.net import CorruptError

from .layout import CRC_BYTES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .layout import ArraySpec, Layout

_ABSENT = np.uint64(2**64 - 1)


def chunk_bitmap(mask: NDArray[np.bool_], layout: Layout) -> NDArray[np.bool_]:
    """Which chunks of a shard hold a pixel of `mask` (shard, shard): (side, side) bool."""
    side, chunk = layout.side, layout.chunk
    return np.asarray(mask.reshape(side, chunk, side, chunk).any(axis=(1, 3)))


def encode_shard(values: NDArray[Any], present: NDArray[np.bool_], spec: ArraySpec, layout: Layout) -> bytes | None:
    """The bytes of a shard, None where no chunk is present.

    Parameters
    ----------
    values : (shard, shard, bands) of the array's dtype; (shard, shard) without a band axis
    present : (side, side) bool, which chunks to keep
    """
    if not present.any():
        return None
    side, chunk = layout.side, layout.chunk
    blocks = values.reshape(side, chunk, side, chunk, -1).astype(f"<{np.dtype(spec.dtype).str[1:]}", copy=False)
    length = layout.chunk_bytes(spec) + CRC_BYTES
    index = np.full((side * side, 2), _ABSENT, dtype="<u8")
    kept = np.flatnonzero(present)
    index[kept, 0] = layout.index_bytes + length * np.arange(len(kept), dtype=np.uint64)
    index[kept, 1] = length
    out = bytearray(layout.index_bytes + length * len(kept))
    head = index.tobytes()
    out[: len(head)] = head
    out[len(head) : layout.index_bytes] = _crc(head)
    position = layout.index_bytes
    for k in kept.tolist():
        body = np.ascontiguousarray(blocks[k // side, :, k % side]).tobytes()
        out[position : position + len(body)] = body
        out[position + len(body) : position + length] = _crc(body)
        position += length
    return bytes(out)


def _crc(data: bytes) -> bytes:
    return int(google_crc32c.value(data)).to_bytes(CRC_BYTES, "little")


@dataclass(frozen=True)
class ShardIndex:
    """Where each chunk of a shard lies: `offsets` (side * side,) int64, -1 where the chunk is absent."""

    offsets: NDArray[np.int64]

    def pixel(self, row: int, col: int, spec: ArraySpec, layout: Layout) -> int | None:
        """Offset of a pixel's bytes, None where its chunk is absent. `row` and `col` count from the shard's corner."""
        chunk = layout.chunk
        offset = int(self.offsets[(row // chunk) * layout.side + col // chunk])
        return None if offset < 0 else offset + ((row % chunk) * chunk + col % chunk) * spec.pixel_bytes


def decode_index(data: bytes, size: int, spec: ArraySpec, layout: Layout, name: str) -> ShardIndex:
    """Read a shard's index.

    Parameters
    ----------
    data : the shard's first `layout.index_bytes` bytes
    size : bytes of the whole object
    name : the object, for messages

    Raises
    ------
    CorruptError
        The checksum does not fit, or an entry points outside the object or claims another length than a chunk has.
    """
    if _crc(data[:-CRC_BYTES]) != data[-CRC_BYTES:]:
        raise CorruptError(f"{name}: the checksum of its index does not fit")
    index = np.frombuffer(data[:-CRC_BYTES], dtype="<u8").reshape(-1, 2)
    absent = (index == _ABSENT).all(axis=1)
    length = layout.chunk_bytes(spec) + CRC_BYTES
    offsets, lengths = index[~absent, 0], index[~absent, 1]
    limit = max(0, size - length)
    if (lengths != length).any() or (offsets < layout.index_bytes).any() or (offsets > limit).any():
        raise CorruptError(f"{name}: its index points outside its {size} bytes or at chunks of another length")
    found = np.full(len(index), -1, dtype=np.int64)
    found[~absent] = offsets.astype(np.int64)
    return ShardIndex(found)


def decode_chunk(data: bytes, spec: ArraySpec, layout: Layout, name: str) -> NDArray[Any]:
    """A chunk's values, (chunk, chunk, bands) or (chunk, chunk), from its bytes and their CRC-32C.

    Raises
    ------
    CorruptError
        The checksum does not fit.
    """
    body = data[:-CRC_BYTES]
    if _crc(body) != data[-CRC_BYTES:]:
        raise CorruptError(f"{name}: the checksum of a chunk does not fit")
    shape = (layout.chunk, layout.chunk) if spec.axis is None else (layout.chunk, layout.chunk, spec.bands)
    return np.frombuffer(body, dtype=f"<{np.dtype(spec.dtype).str[1:]}").reshape(shape)
