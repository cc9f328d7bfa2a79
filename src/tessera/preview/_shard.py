"""The bytes of a derived shard: an index at the start and chunks in row order, Zarr v3's `sharding_indexed`.

A chunk is pixel-major and raw, and its CRC-32C follows it, as in the store itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np

from tessera.net import CorruptError, MissingError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tessera.net import Objects

    from ._levels import Layer

_ABSENT = np.uint64(2**64 - 1)
_CRC = 4
_GAP = 64 * 1024
"""Bytes between two chunks that are read along rather than asked for apart."""
_MOST = 8 * 1024**2
"""Bytes of one request."""


def _crc(data: bytes) -> bytes:
    return int(google_crc32c.value(data)).to_bytes(_CRC, "little")


def encode(values: NDArray[Any], layer: Layer) -> bytes | None:
    """The bytes of a shard, None where every value is the fill value; such chunks are left out.

    Parameters
    ----------
    values : (shard, shard[, bands]) of the layer's dtype
    """
    side, chunk = layer.side, layer.chunk
    little = values.astype(np.dtype(layer.dtype).newbyteorder("<"), copy=False)
    blocks = little.reshape(side, chunk, side, chunk, layer.bands)
    present = (blocks != layer.fill).any(axis=(1, 3, 4)).reshape(-1)
    if not present.any():
        return None
    index = np.full((side * side, 2), _ABSENT, dtype="<u8")
    parts, position = [b""], layer.index_bytes
    for k in np.flatnonzero(present).tolist():
        body = np.ascontiguousarray(blocks[k // side, :, k % side]).tobytes()
        parts += [body, _crc(body)]
        index[k] = position, len(body) + _CRC
        position += len(body) + _CRC
    head = index.tobytes()
    parts[0] = head + _crc(head)
    return b"".join(parts)


@dataclass(frozen=True)
class Opened:
    """A shard whose index was read.

    Attributes
    ----------
    key : of its object
    etag : its version, None where none is told
    offsets : (side * side,) int64, -1 where the chunk is absent
    """

    key: str
    etag: str | None
    offsets: NDArray[np.int64]


def open_shard(objects: Objects, key: str, layer: Layer) -> Opened | None:
    """Read the index of a shard; None where there is no such object.

    Raises
    ------
    CorruptError
        The checksum does not fit, or the index points outside the object or at chunks of another length.
    """
    try:
        piece = objects.edge(key, layer.index_bytes)
    except MissingError:
        return None
    if piece is None:
        raise CorruptError(f"{objects.root}/{key}: no bytes came")
    offsets = decode_index(piece.data, piece.size, layer, f"{objects.root}/{key}")
    return Opened(key, piece.etag, offsets)


def decode_index(data: bytes, size: int, layer: Layer, name: str) -> NDArray[np.int64]:
    """Offsets of the chunks, -1 where one is absent, from the index of an object of `size` bytes.

    Raises
    ------
    CorruptError
    """
    body = data[:-_CRC]
    if len(data) != layer.index_bytes or _crc(body) != data[-_CRC:]:
        raise CorruptError(f"{name}: the checksum of its index does not fit")
    index = np.frombuffer(body, dtype="<u8").reshape(-1, 2)
    absent = (index == _ABSENT).all(axis=1)
    length = layer.chunk_bytes + _CRC
    last = max(0, size - length)
    fits = (index[:, 1] == length) & (index[:, 0] >= layer.index_bytes) & (index[:, 0] <= last)
    if not (fits | absent).all():
        raise CorruptError(f"{name}: its index points outside its {size} bytes or at chunks of another length")
    return np.where(absent, -1, np.where(absent, 0, index[:, 0]).astype(np.int64))


def read_chunks(
    objects: Objects, opened: Opened, layer: Layer, wanted: NDArray[np.int64]
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Those of the wanted chunks that are there, as (chunk, chunk[, bands]), neighbours in one request.

    Raises
    ------
    CorruptError
        A checksum does not fit.
    ChangedError
        The shard was replaced meanwhile.
    """
    there = wanted[opened.offsets[wanted] >= 0]
    order = there[np.argsort(opened.offsets[there], kind="stable")]
    length = layer.chunk_bytes + _CRC
    run: list[int] = []
    for k in [*order.tolist(), None]:
        start = int(opened.offsets[run[0]]) if run else 0
        if run and (
            k is None
            or opened.offsets[k] - opened.offsets[run[-1]] > length + _GAP
            or opened.offsets[k] + length - start > _MOST
        ):
            data = objects.range(opened.key, start, int(opened.offsets[run[-1]]) + length, etag=opened.etag)
            for number in run:
                at = int(opened.offsets[number]) - start
                body = data[at : at + length - _CRC]
                if _crc(body) != data[at + length - _CRC : at + length]:
                    raise CorruptError(f"{objects.root}/{opened.key}: the checksum of a chunk does not fit")
                flat = np.frombuffer(body, dtype=np.dtype(layer.dtype).newbyteorder("<"))
                yield number, flat.reshape(layer.shape(layer.chunk, layer.chunk))
            run = []
        if k is not None:
            run.append(k)
