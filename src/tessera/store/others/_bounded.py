"""zarr-python arrays with codecs that never decompress more than a chunk holds.

zarr-python believes the length that packed bytes claim, and gzip names none: a few kilobytes would take all memory.
"""

from __future__ import annotations

import asyncio
import math
from functools import cache
from typing import TYPE_CHECKING, Any

from tessera.base import InputError, shown
from tessera.shards import MOST_CHUNK_BYTES, unpack_within

if TYPE_CHECKING:
    import zarr

_FIXED = ("bytes", "transpose", "crc32c")
_PACKERS = ("blosc", "zstd", "gzip")


def bounded_array(array: zarr.Array[Any], kinds: str, where: str) -> zarr.Array[Any]:
    """The same array, read through codecs that are bounded by its chunks; its values must be of `kinds` ("iu")."""
    from zarr import Array
    from zarr.core.array import AsyncArray

    about: Any = array.metadata
    if array.dtype.kind not in kinds or array.dtype.hasobject:
        raise InputError(f"{where} has the type {array.dtype}; expected numbers")
    if getattr(about, "zarr_format", None) != 3:
        raise InputError(f"{where} is of another version of Zarr; expected version 3")
    for sides, what in ((array.chunks, "chunks"), (array.shards or (), "shards")):
        size = math.prod(int(side) for side in sides) * array.dtype.itemsize
        # a shard is read chunk by chunk, behind an index of 16 bytes a chunk
        if size > MOST_CHUNK_BYTES * (1 if what == "chunks" else 4096):
            raise InputError(f"{where} has {what} of {size:,} bytes; expected at most {MOST_CHUNK_BYTES:,}")
    if array.shards is not None:
        held = math.prod(int(s) // int(c) for s, c in zip(array.shards, array.chunks, strict=True))
        if 16 * held > MOST_CHUNK_BYTES:
            raise InputError(f"{where} has shards of {held:,} chunks; expected at most {MOST_CHUNK_BYTES // 16:,}")
    codecs = tuple(_bounded(codec, where, inside=False) for codec in about.codecs)
    _check_order([_name(codec) for codec in codecs], where)
    changed = type(about).from_dict(about.to_dict())
    object.__setattr__(changed, "codecs", codecs)
    return Array(AsyncArray(metadata=changed, store_path=array.store_path))


def _name(codec: Any) -> str:
    return str(codec.to_dict().get("name"))


def _check_order(names: list[str], where: str) -> None:
    """Refuse two packers, one of which would unpack what the other did, and a packer that is not next to the values."""
    fixed = [name for name in names if name != "transpose"]
    packers = [name for name in fixed if name in _PACKERS]
    if fixed == ["sharding_indexed"] or (
        fixed[:1] == ["bytes"] and fixed[1:] in (packers[:1], [*packers[:1], "crc32c"])
    ):
        return
    raise InputError(f"{where} has the codecs {shown(names)}; expected bytes, at most one packer, at most one crc32c")


def _bounded(codec: Any, where: str, *, inside: bool) -> Any:
    name = _name(codec)
    if name in _FIXED:
        return codec
    if name in _PACKERS:
        made = object.__new__(_packer(name))
        made.__dict__.update(codec.__dict__)
        return made
    if name == "sharding_indexed" and not inside:
        index = [_name(part) for part in codec.index_codecs]
        if index not in (["bytes"], ["bytes", "crc32c"]):
            raise InputError(f"{where} has an index with the codecs {shown(index)}; expected bytes and crc32c")
        inner = tuple(_bounded(part, where, inside=True) for part in codec.codecs)
        _check_order([_name(part) for part in inner], where)
        return type(codec)(
            chunk_shape=codec.chunk_shape,
            codecs=inner,
            index_codecs=codec.index_codecs,
            index_location=codec.index_location,
        )
    raise InputError(f"{where} has the codec {shown(name)}; expected {', '.join((*_FIXED, *_PACKERS))}")


@cache
def _packer(name: str) -> Any:
    """zarr-python's codec of a name, bounded."""
    from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec

    base: Any = {"blosc": BloscCodec, "zstd": ZstdCodec, "gzip": GzipCodec}[name]

    class Bounded(base):  # type: ignore[misc]
        async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
            return await asyncio.to_thread(self._decode_sync, chunk_bytes, chunk_spec)

        def _decode_sync(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
            kind = chunk_spec.dtype
            width = getattr(kind, "item_size", None) or kind.to_native_dtype().itemsize
            size = math.prod(chunk_spec.shape) * int(width)
            data = unpack_within(chunk_bytes.to_bytes(), size, name, "a chunk")
            return chunk_spec.prototype.buffer.from_bytes(data)

    return Bounded
