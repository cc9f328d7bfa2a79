"""Encode and decode shards: an index and chunks in row order, as Zarr v3's `sharding_indexed` codec defines them.

Writing them here keeps chunks in row order; reading them here makes one pixel one range of bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np

from tessera.net import CorruptError

from .layout import CRC_BYTES
from .packing import alone, pack_here, unpack_blosc, zstd_length

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .layout import Layout, ShardFormat

_ABSENT = np.uint64(2**64 - 1)
_PACKED_MOST = 1024
"""Bytes by which a packed chunk may exceed the chunk itself: blosc, zstd and gzip add less to what does not shrink."""


def chunk_bitmap(mask: NDArray[np.bool_], form: ShardFormat | Layout) -> NDArray[np.bool_]:
    """Find the chunks of a shard that hold a True pixel of `mask` (shard, shard): (side, side) bool."""
    side, chunk = form.side, form.chunk
    return np.asarray(mask.reshape(side, chunk, side, chunk).any(axis=(1, 3)))


def encode_shard(
    values: NDArray[Any], form: ShardFormat, present: NDArray[np.bool_] | None = None
) -> bytes | bytearray | None:
    """The bytes of a shard, None where no chunk is present.

    Parameters
    ----------
    values : (shard, shard, bands) of the array's dtype; (shard, shard) without a band axis
    present : (side, side) bool, which chunks to keep; None for those that hold anything but the fill value
    """
    side, chunk = form.side, form.chunk
    blocks = values.reshape(side, chunk, side, chunk, -1).astype(f"<{np.dtype(form.dtype).str[1:]}", copy=False)
    if present is None:
        present = (blocks != form.fill).any(axis=(1, 3, 4))
    if not present.any():
        return None
    kept = np.flatnonzero(present)
    index = np.full((side * side, 2), _ABSENT, dtype="<u8")
    if form.compressor is None:
        out = bytearray(form.index_bytes + (form.chunk_bytes + CRC_BYTES) * len(kept))
        position = form.index_bytes
        for k in kept.tolist():
            body = np.ascontiguousarray(blocks[k // side, :, k % side]).tobytes()
            stop = position + form.chunk_bytes
            out[position:stop] = body
            out[stop : stop + CRC_BYTES] = _crc(body)
            index[k] = position, form.chunk_bytes + CRC_BYTES
            position = stop + CRC_BYTES
        head = index.tobytes()
        out[: form.index_bytes] = head + _crc(head)
        return out

    def pack_all() -> list[bytes]:
        planes = (np.moveaxis(blocks[k // side, :, k % side], -1, 0) for k in kept.tolist())
        # as Zarr's default for a number of that size: bits are shuffled in bytes, and bytes in wider numbers
        return [pack_here(plane, 3, "bit" if plane.dtype.itemsize == 1 else "byte") for plane in planes]

    packed, position = alone(pack_all), 0
    for k, part in zip(kept.tolist(), packed, strict=True):
        index[k] = position, len(part)
        position += len(part)
    tail = index.tobytes()
    return b"".join([*packed, tail, _crc(tail)])


def _crc(data: bytes | NDArray[np.uint8]) -> bytes:
    return int(google_crc32c.value(data)).to_bytes(CRC_BYTES, "little")


@dataclass(frozen=True)
class ShardIndex:
    """Where each chunk of a shard lies: (side * side,) int64 each, offsets -1 where the chunk is absent."""

    offsets: NDArray[np.int64]
    lengths: NDArray[np.int64]


def decode_index(data: bytes, size: int, form: ShardFormat, name: str) -> ShardIndex:
    """Decode a shard's index.

    Parameters
    ----------
    data : its `form.index_bytes` bytes
    size : bytes of the whole object
    name : the object, for messages

    Raises
    ------
    CorruptError
        The checksum does not fit, or an entry points outside the object or claims a length that no chunk has.
    """
    body = data
    if form.index_crc:
        body = data[:-CRC_BYTES]
        if _crc(body) != data[-CRC_BYTES:]:
            raise CorruptError(f"{name}: the checksum of its index does not fit")
    index = np.frombuffer(body, dtype="<u8").reshape(-1, 2)
    absent = (index == _ABSENT).all(axis=1)
    offsets, lengths = index[~absent, 0], index[~absent, 1]
    whole = form.chunk_bytes + (CRC_BYTES if form.chunk_crc else 0)
    least, most = (whole, whole) if form.compressor is None else (1, whole + _PACKED_MOST)
    first, last = (0, size - form.index_bytes) if form.index_at_end else (form.index_bytes, size)
    fits = (lengths >= least) & (lengths <= most) & (offsets >= first) & (offsets <= max(last, 0))
    # both numbers are small once they fit, so that their sum cannot overflow
    if not fits.all() or (offsets + lengths > max(last, 0)).any():
        raise CorruptError(f"{name}: its index points outside its {size} bytes or at chunks of another length")
    places = np.full((2, len(index)), -1, dtype=np.int64)
    places[0, ~absent] = offsets.astype(np.int64)
    places[1, ~absent] = lengths.astype(np.int64)
    return ShardIndex(places[0], places[1])


def decode_chunk(data: bytes | memoryview, form: ShardFormat, name: str) -> NDArray[Any]:
    """Decode a chunk to (chunk, chunk, bands) and verify its CRC-32C.

    Raises
    ------
    CorruptError
        The checksum does not fit, or what is packed has another length than a chunk.
    """
    body = np.frombuffer(data, dtype=np.uint8)
    if form.chunk_crc:
        body, crc = body[:-CRC_BYTES], body[-CRC_BYTES:].tobytes()
        if _crc(body) != crc:
            raise CorruptError(f"{name}: the checksum of a chunk does not fit")
    if form.compressor is not None:
        body = np.frombuffer(unpack(body.tobytes(), form, name), dtype=np.uint8)
    if len(body) != form.chunk_bytes:
        raise CorruptError(f"{name}: a chunk has {len(body)} bytes; expected {form.chunk_bytes}")
    flat = body.view(f"<{np.dtype(form.dtype).str[1:]}")
    if form.pixel_major:
        return flat.reshape(form.chunk, form.chunk, form.bands)
    return np.moveaxis(flat.reshape(form.bands, form.chunk, form.chunk), 0, -1)


def unpack(data: bytes, form: ShardFormat, name: str) -> bytes:
    """Decompress a chunk; the length that it claims is checked before memory is allocated for it.

    Raises
    ------
    CorruptError
        It claims another length than a chunk of `form` has, or cannot be unpacked.
    """
    return unpack_within(data, form.chunk_bytes, form.compressor or "", f"{name}: a chunk")


def unpack_within(data: bytes, size: int, packer: str, name: str) -> bytes:
    """Decompress data ("blosc", "zstd", else gzip) that must have `size` bytes.

    Raises
    ------
    CorruptError
        It claims another length, or cannot be decompressed; nothing larger is allocated.
    """
    import zlib

    from numcodecs import zstd

    if packer == "blosc":
        return unpack_blosc(data, size, name)
    try:
        out = bytearray(size)
        if packer == "zstd":
            if zstd_length(data) not in (None, size):
                raise CorruptError(f"{name} claims {zstd_length(data)} bytes; expected {size}")
            return bytes(zstd.Zstd().decode(data, out))
        inflate = zlib.decompressobj(wbits=31)
        return inflate.decompress(data, size + 1)
    except (RuntimeError, ValueError, zlib.error) as error:
        raise CorruptError(f"{name} cannot be unpacked: {error}") from None
