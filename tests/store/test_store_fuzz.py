"""Whatever the parsers of a store are given, they return a value or raise one of our errors; no wrong value is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from store_helpers import BASE, CELL, LAYOUT, MODEL, new_store, random_embeddings

from tessera.base import TesseraError
from tessera.check import check_store
from tessera.geo import parse_cell, parse_tile
from tessera.net import CorruptError
from tessera.shards import Header, Layout, ShardFormat, decode_chunk, decode_index, encode_shard
from tessera.store import Commit, Store, open_store

FORM = LAYOUT.format(LAYOUT.codes)
HEADER = Header(MODEL, LAYOUT, (2024,), (31,))
RECORD = Commit(
    CELL.name,
    2024,
    MODEL.sha256,
    {"scales": {"key": "utm31/scales/c/0/1/2", "bytes": 5, "sha256": "ab" * 32}},
    "ffff",
    {"valid": 1, "no_data": 2, "not_written": 3},
    ({"window": [1, 2, 3, 4], "provenance": {"a": 1}, "intact": True},),
)
SPECIAL = st.sampled_from(
    [float("inf"), float("-inf"), float("nan"), 1e400, 2**63, 2**64, -(2**63), 10**300, -1, 0, True, "", "\0", "../x"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | SPECIAL,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value inside a document."""
    found = [path]
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inside in entries:
        found += places(inside, (*path, name))
    return found


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A document with another value, or with nothing where `new` is None, at one place."""
    if not path:
        return new
    name, *rest = path
    if isinstance(value, list):
        return [changed(item, tuple(rest), new) if index == name else item for index, item in enumerate(value)]
    if not rest and new is None:
        return {key: item for key, item in value.items() if key != name}
    return {key: changed(item, tuple(rest), new) if key == name else item for key, item in value.items()}


def mutations(good: Any) -> st.SearchStrategy[Any]:
    """A document of which one or two values are others."""
    one = st.tuples(st.sampled_from(places(good)), JSON | SPECIAL)

    def apply(changes: list[tuple[tuple[Any, ...], Any]]) -> Any:
        value = good
        for path, new in changes:
            with suppress(KeyError, TypeError, IndexError, AttributeError):
                value = changed(value, path, new)
        return value

    return st.lists(one, min_size=1, max_size=2).map(apply)


def only_ours(parse: Callable[[], Any]) -> Any:
    """What is parsed, None where it is refused by one of our errors."""
    try:
        return parse()
    except TesseraError:
        return None


DOCUMENT = json.loads(HEADER.encode())


@settings(max_examples=300)
@given(mutations(DOCUMENT))
def test_a_header_is_read_or_refused(value: Any) -> None:
    header = only_ours(lambda: Header.decode(json.dumps(value).encode(), "x"))
    if header is not None:
        # what is believed can be written and read again
        assert Header.decode(header.encode(), "x") == header


@settings(max_examples=200)
@given(st.binary(max_size=200), st.integers(0, 600), st.integers(0, 20))
def test_a_header_with_other_bytes_is_read_or_refused(data: bytes, position: int, removed: int) -> None:
    good = HEADER.encode()
    for document in (data, good[:position], good[:position] + data + good[position + removed :]):
        only_ours(lambda: Header.decode(document, "x"))  # noqa: B023 - called at once


@settings(max_examples=300)
@given(mutations(LAYOUT.to_json()) | JSON)
def test_a_layout_is_read_or_refused(value: Any) -> None:
    layout = only_ours(lambda: Layout.from_json(value))
    if layout is not None:
        assert Layout.from_json(layout.to_json()) == layout
        names = [spec.name for spec in layout.arrays]
        assert len(set(names)) == len(names)


@settings(max_examples=400)
@given(mutations(json.loads(RECORD.encode())) | JSON)
def test_a_record_is_read_or_refused(value: Any) -> None:
    record = only_ours(lambda: Commit.from_json(value, "x"))
    if record is not None:
        # bytes are compared: a provenance may hold NaN, which equals nothing
        assert Commit.from_json(json.loads(record.encode()), "x").encode() == record.encode()
        for info in record.objects.values():
            assert not Path(info["key"]).is_absolute()
            assert ".." not in info["key"]


FORMS = {
    "ours": FORM,
    "published": Layout(8, (2,), 128, 32, "published").format(LAYOUT.codes),
    "zstd": ShardFormat(128, 32, 8, "int8", 0, False, "zstd", True, True, True),
    "gzip": ShardFormat(128, 32, 8, "int8", 0, True, "gzip", False, False, False),
}
ENTRY = (
    st.integers(0, 2**64 - 1) | st.integers(0, 300_000) | st.sampled_from([2**64 - 1, 2**63, 2**32, FORM.index_bytes])
)


@pytest.mark.parametrize("kind", FORMS)
@settings(max_examples=150)
@given(st.lists(ENTRY, min_size=32, max_size=32), st.integers(-1, 2**63))
def test_an_index_is_read_or_refused(kind: str, entries: list[int], size: int) -> None:
    form = FORMS[kind]
    body = np.array(entries, dtype="<u8").tobytes()
    data = body + (int(google_crc32c.value(body)).to_bytes(4, "little") if form.index_crc else b"")
    index = only_ours(lambda: decode_index(data, size, form, "x"))
    if index is not None:
        there = index.offsets >= 0
        assert (index.offsets[there] + index.lengths[there] <= size).all()
        assert (index.lengths[there] > 0).all()
        assert (index.lengths[there] <= form.chunk_bytes + 2048).all()


@pytest.mark.parametrize("kind", FORMS)
@settings(max_examples=200)
@given(st.binary(max_size=300), st.booleans())
def test_a_chunk_is_read_or_refused(kind: str, data: bytes, signed: bool) -> None:
    form = FORMS[kind]
    if signed and form.chunk_crc:
        data += int(google_crc32c.value(data)).to_bytes(4, "little")
    with suppress(CorruptError):
        assert decode_chunk(data, form, "x").shape == (32, 32, 8)


def packed_chunk(kind: str) -> bytes:
    values = np.random.default_rng(0).integers(-3, 4, (8, 32, 32), dtype=np.int8).tobytes()
    if kind == "zstd":
        from numcodecs import zstd

        body = bytes(zstd.Zstd(3).encode(values))
        return body + int(google_crc32c.value(body)).to_bytes(4, "little")
    if kind == "gzip":
        import gzip

        return gzip.compress(values)
    from numcodecs import blosc

    return bytes(blosc.Blosc("zstd", 3, blosc.BITSHUFFLE).encode(values))


@pytest.mark.parametrize("kind", ["published", "zstd", "gzip"])
@settings(max_examples=200)
@given(st.integers(0, 10**6), st.integers(1, 255), st.integers(0, 10**6), st.booleans())
def test_a_packed_chunk_that_was_harmed_unpacks_to_its_length_or_is_refused(
    kind: str, position: int, bits: int, cut: int, signed: bool
) -> None:
    form, whole = FORMS[kind], packed_chunk(kind)
    harmed = bytearray(whole)
    harmed[position % len(whole)] ^= bits
    for data in (bytes(harmed), whole[: cut % len(whole)], whole + whole[: cut % 500]):
        if signed and form.chunk_crc:
            data = data[:-4] + int(google_crc32c.value(data[:-4])).to_bytes(4, "little")
        with suppress(CorruptError):
            assert decode_chunk(data, form, "x").shape == (32, 32, 8)


NAMES = st.text(max_size=40) | st.from_regex(r"utm[\d０-９]{1,3}_e-?[\d٣]{1,7}_n-?\d{1,8}\s?", fullmatch=True)


@settings(max_examples=300)
@given(NAMES)
@example("utm31_e064_n548")
@example("utm31_e64_n-0")
@example("utm３１_e64_n548")
@example("utm31_e64_n548\n")
def test_a_cell_has_one_name(name: str) -> None:
    cell = only_ours(lambda: parse_cell(name))
    assert cell is None or cell.name == name


@settings(max_examples=300)
@given(st.text(max_size=40) | st.from_regex(r"grid_-?[\d０-９]{1,4}\.\d{1,3}_-?\d{1,3}\.\d{1,3}\s?", fullmatch=True))
@example("grid_005.05_51.55")
@example("grid_-0.05_51.55")
@example("grid_0.05_٥1.55")
def test_a_tile_has_one_name(name: str) -> None:
    tile = only_ours(lambda: parse_tile(name))
    assert tile is None or tile.name == name


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, dict[str, bytes], dict[str, NDArray[Any]]]:
    """A store with one cell, the bytes of its objects, and its values."""
    store = new_store(tmp_path_factory.mktemp("fuzz") / "s")
    store.write(random_embeddings(BASE), 2024)
    record = store.commit(CELL, 2024)
    assert record is not None
    root = Path(store.objects.root)
    held = {info["key"]: (root / info["key"]).read_bytes() for info in record.objects.values()}
    return store, held, store.source.read_window(BASE, 0, LAYOUT.arrays)


@settings(max_examples=150)
@given(data=st.data())
def test_a_flipped_bit_anywhere_never_gives_a_wrong_value(
    whole: tuple[Store, dict[str, bytes], dict[str, NDArray[Any]]], data: st.DataObject
) -> None:
    store, held, values = whole
    key = data.draw(st.sampled_from(sorted(held)))
    good = held[key]
    # as often in the index as in all chunks
    position = data.draw(st.integers(0, len(good) - 1) | st.integers(0, FORM.index_bytes - 1))
    path = Path(store.objects.root) / key
    path.write_bytes(
        good[:position] + bytes([good[position] ^ 1 << data.draw(st.integers(0, 7))]) + good[position + 1 :]
    )
    try:
        found = open_store(store.objects.root).source.read_window(BASE, 0, LAYOUT.arrays)
    except CorruptError:
        pass
    else:
        assert all(
            np.array_equal(found[name], values[name], equal_nan=found[name].dtype.kind == "f") for name in values
        )
    finally:
        path.write_bytes(good)


def test_check_finds_every_flipped_bit_also_where_chunks_have_no_checksum(tmp_path: Path) -> None:
    from tessera.embeddings import ModelIdentity
    from tessera.store import create_store

    store = create_store(
        tmp_path / "s",
        8,
        ModelIdentity("test", "ab" * 32, 8),
        zones=(31,),
        layout=Layout(8, (), 128, 32, "published"),
    )
    store.write(random_embeddings(BASE), 2024)
    record = store.commit(CELL, 2024)
    assert record is not None
    rng = np.random.default_rng(1)
    for info in record.objects.values():
        path = tmp_path / "s" / info["key"]
        good = path.read_bytes()
        for position in rng.integers(0, len(good), 4).tolist():
            path.write_bytes(good[:position] + bytes([good[position] ^ 16]) + good[position + 1 :])
            assert check_store(store).broken == ((2024, CELL.name),)
        path.write_bytes(good)
    assert check_store(store).sound


@settings(max_examples=60)
@given(st.binary(max_size=60))
def test_a_shard_of_any_values_is_read_as_it_was_written(seed: bytes) -> None:
    values = np.frombuffer((seed + b"\0") * (128 * 128 * 8), dtype=np.int8)[: 128 * 128 * 8].reshape(128, 128, 8)
    data = bytes(encode_shard(values, LAYOUT.format(LAYOUT.codes), np.ones((4, 4), np.bool_)) or b"")
    index = decode_index(data[: FORM.index_bytes], len(data), FORM, "x")
    start, length = int(index.offsets[5]), int(index.lengths[5])
    chunk = decode_chunk(data[start : start + length], FORM, "x")
    assert np.array_equal(chunk, values[32:64, 32:64])
