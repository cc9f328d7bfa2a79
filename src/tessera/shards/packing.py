"""Blosc compression that gives the same bytes on every machine and never decompresses to more than was expected."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from tessera.net import CorruptError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

Result = TypeVar("Result")
HEADER_BYTES = 16


def pack(values: NDArray[Any], level: int, shuffle: Literal["bit", "byte"]) -> bytes:
    """Compress numbers with Blosc and zstd, little-endian; the same numbers always give the same bytes."""
    return alone(lambda: pack_here(values, level, shuffle))


def pack_here(values: NDArray[Any], level: int, shuffle: Literal["bit", "byte"]) -> bytes:
    """Like `pack`, inside `alone`."""
    from numcodecs import blosc

    little = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False))
    kind = blosc.BITSHUFFLE if shuffle == "bit" else blosc.SHUFFLE
    return bytes(blosc.Blosc(cname="zstd", clevel=level, shuffle=kind).encode(little))


def alone(work: Callable[[], Result]) -> Result:
    """Run work outside the main thread: there Blosc uses one thread, in the main thread blocks come in any order."""
    if threading.current_thread() is not threading.main_thread():
        return work()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def unpack_blosc(data: bytes, length: int, name: str) -> bytes:
    """Decompress a Blosc buffer of exactly `length` bytes; the header is checked before memory is allocated.

    Raises
    ------
    CorruptError
        It claims another length, or cannot be unpacked.
    """
    from numcodecs import blosc

    # the header of blosc 1: bytes 4 to 8 are the unpacked length, 8 to 12 that of a block, 12 to 16 the packed one
    claimed, block, packed = (int.from_bytes(data[at : at + 4], "little") for at in (4, 8, 12))
    if len(data) < HEADER_BYTES or (claimed, packed) != (length, len(data)) or block > max(length, 1):
        raise CorruptError(f"{name} claims {claimed} bytes packed in {packed}; expected {length} in {len(data)}")
    try:
        return bytes(blosc.Blosc().decode(data))
    except (RuntimeError, ValueError) as error:
        raise CorruptError(f"{name} cannot be unpacked: {error}") from None


def zstd_length(data: bytes) -> int | None:
    """The decompressed size in the header of the first zstd frame (RFC 8878, 3.1.1.1), None where it has none."""
    if len(data) < 5 or data[:4] != b"\x28\xb5\x2f\xfd":
        return None
    form = data[4]
    single = form >> 5 & 1
    start = 6 - single + (0, 1, 2, 4)[form & 3]
    width = (single, 2, 4, 8)[form >> 6]
    told = data[start : start + width]
    return int.from_bytes(told, "little") + 256 * (width == 2) if width and len(told) == width else None
