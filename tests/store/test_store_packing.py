"""What is packed has the same bytes in every thread, and what a stranger packed is bounded before it is unpacked."""

from __future__ import annotations

import struct
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from numcodecs import blosc, zstd
from store_helpers import MODEL

from tessera.net import CorruptError
from tessera.shards import (
    Header,
    Layout,
    ShardFormat,
    encode_shard,
    pack,
    store_documents,
    unpack,
    unpack_blosc,
    zstd_length,
)


def header() -> Header:
    return Header(replace(MODEL, dims=8), Layout(8, (2,), shard=128, chunk=32), (2024,), (31,))


def test_a_store_s_documents_have_the_same_bytes_in_every_thread() -> None:
    from tessera.shards import documents as metadata

    def made(_: int) -> dict[str, bytes]:
        metadata._coordinate_chunks.cache_clear()
        return dict(store_documents(header()))

    threads = blosc.set_nthreads(8)
    try:
        first = made(0)
        with ThreadPoolExecutor(4) as pool:
            others = [made(1), *pool.map(made, range(4)), made(2)]
    finally:
        blosc.set_nthreads(threads)
    assert all(other == first for other in others)
    # 7 MB of northings, in many blocks
    assert len(blosc.Blosc().decode(first["utm31/y/c/0"])) > 10**7


def test_a_shard_of_large_chunks_has_the_same_bytes_in_every_thread() -> None:
    layout = Layout(256, (), shard=256, chunk=128, geometry="published")
    codes = np.random.default_rng(1).normal(0, 20, (256, 256, 256)).astype(np.int8)
    present = np.ones((2, 2), dtype=np.bool_)
    form = layout.format(layout.codes)
    threads = blosc.set_nthreads(8)
    try:
        first = encode_shard(codes, form, present)
        with ThreadPoolExecutor(3) as pool:
            others = list(pool.map(lambda _: encode_shard(codes, form, present), range(3)))
        again = encode_shard(codes, form, present)
    finally:
        blosc.set_nthreads(threads)
    assert first is not None
    assert all(other == first for other in (*others, again))


def form(compressor: str) -> ShardFormat:
    return ShardFormat(1, 1, 64, "int32", 0, True, compressor, False, False, False)  # type: ignore[arg-type]


def test_what_blosc_claims_is_checked_before_anything_is_allocated() -> None:
    values = np.arange(64, dtype=np.int32)
    good = pack(values, 9, "bit")
    assert np.array_equal(np.frombuffer(unpack_blosc(good, 256, "x"), "<i4"), values)
    for at in (4, 8, 12):
        for claim in (2**31 - 1, 2**32 - 1, 257, 10**9):
            bad = bytearray(good)
            bad[at : at + 4] = struct.pack("<I", claim)
            with pytest.raises(CorruptError, match="claims"):
                unpack_blosc(bytes(bad), 256, "x")
    for data in (b"", good[:3], good[:15], good[:-1], good + b"x"):
        with pytest.raises(CorruptError):
            unpack_blosc(data, 256, "x")


def test_small_chunks_that_unpack_to_gigabytes_are_refused_in_bounded_memory() -> None:
    frame = bytes(zstd.Zstd(level=3).encode(np.zeros(2**28, dtype=np.uint8)))
    assert len(frame) < 100_000
    bombs = {"blosc": pack(np.zeros(2**24, dtype=np.int32), 9, "bit"), "zstd": frame, "gzip": zipped(2**28)}
    for name, data in bombs.items():
        tracemalloc.start()
        try:
            # gzip says no length: one byte more than a chunk is unpacked, which the caller refuses
            with suppress(CorruptError):
                assert len(unpack(data, form(name), "shard")) == 257
            assert tracemalloc.get_traced_memory()[1] < 2 * 1024**2, name
        finally:
            tracemalloc.stop()


def zipped(size: int) -> bytes:
    import gzip

    return gzip.compress(bytes(size), 1)


def test_a_frame_of_zstd_that_says_another_length_is_refused() -> None:
    for count in (1, 63, 65, 200, 70_000):
        frame = bytes(zstd.Zstd(level=3).encode(np.arange(count, dtype=np.int32)))
        assert zstd_length(frame) == 4 * count
        # a shorter one would leave zeros behind its end
        with pytest.raises(CorruptError, match=f"claims {4 * count} bytes; expected 256"):
            unpack(frame, form("zstd"), "shard")
    frame = bytes(zstd.Zstd(level=3).encode(np.arange(64, dtype=np.int32)))
    assert np.array_equal(np.frombuffer(unpack(frame, form("zstd"), "shard"), "<i4"), np.arange(64))
    assert zstd_length(b"") is zstd_length(frame[:4]) is zstd_length(b"other bytes") is None


def test_flipped_bits_of_a_packed_chunk_are_one_line() -> None:
    rng = np.random.default_rng(3)
    good = pack(rng.integers(0, 9, 64).astype(np.int32), 9, "bit")
    for _ in range(400):
        bad = bytearray(good)
        bad[rng.integers(len(bad))] ^= 1 << rng.integers(8)
        try:
            found = unpack(bytes(bad), form("blosc"), "shard")
        except CorruptError as error:
            assert "\n" not in str(error)  # noqa: PT017 - most flips are told, some only change numbers
        else:
            assert len(found) == 256
