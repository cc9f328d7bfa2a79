"""A stranger's Parquet file: right values within limits, one line beyond them, nothing unpacked before that."""

from __future__ import annotations

import os
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tessera.base import InputError, open_parquet_bounded, read_parquet_bounded

if TYPE_CHECKING:
    from pathlib import Path

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
_MOST = 32 * 1024**2


def _read(path: Path) -> Any:
    return read_parquet_bounded(path, what="table", most_rows=1_000_000, most_bytes=_MOST)


def _written(folder: Path, table: Any, **how: Any) -> Path:
    path = folder / "t.parquet"
    pq.write_table(table, path, **how)
    return path


def _plain() -> Any:
    return pa.table(
        {
            "n": np.arange(10),
            "text": ["x", None] * 5,
            "lists": [["a", "b"], ["a"], None, [], ["c"]] * 2,
            "struct": [{"a": 1, "b": "q"}] * 10,
            "bytes": [b"1", None] * 5,
            "large": pa.array(["x", "y"] * 5, pa.large_string()),
            "coded": pa.array(["x", "y"] * 5).dictionary_encode(),
            "flag": [True] * 10,
            "map": pa.array([[("k", "v")]] * 10, pa.map_(pa.string(), pa.string())),
            "nothing": pa.nulls(10),
        }
    )


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("dictionary", [True, False])
@pytest.mark.parametrize("codec", ["none", "zstd", "snappy"])
def test_a_table_comes_out_as_it_was_written(tmp_path: Path, version: str, dictionary: bool, codec: str) -> None:
    table = _plain()
    path = _written(tmp_path, table, data_page_version=version, use_dictionary=dictionary, compression=codec)
    assert _read(path).equals(table)
    assert _read(_written(tmp_path, table.slice(0, 0))).equals(table.slice(0, 0))


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
def test_texts_of_other_encodings_are_read(tmp_path: Path, encoding: str) -> None:
    table = pa.table({"s": [f"{'x' * 50}{i}" for i in range(500)]})
    assert _read(_written(tmp_path, table, use_dictionary=False, column_encoding=encoding)).equals(table)


def test_columns_are_chosen_in_the_order_asked(tmp_path: Path) -> None:
    path = _written(tmp_path, _plain())
    with open_parquet_bounded(path, what="table", most_rows=10) as opened:
        assert opened.rows == 10
        assert opened.schema.names == _plain().schema.names
        assert opened.read(["text", "n"]).equals(_plain().select(["text", "n"]))
        assert pa.types.is_dictionary(opened.read(["text"], dictionaries=True).schema.field("text").type)


def _named_often() -> Any:
    indices = pa.array(np.zeros(200_000, dtype=np.int32))
    return pa.table(
        {"s": pa.DictionaryArray.from_arrays(indices, pa.array(["x" * 10_000])).cast(pa.dictionary("int32", "string"))}
    )


def _listed_often() -> Any:
    return pa.table({"s": pa.array([["x" * 10_000] * 100] * 50)})


BOMBS: dict[str, tuple[Any, dict[str, Any]]] = {
    "one long text, named 200,000 times": (_named_often, {}),
    "the same in lists": (_listed_often, {"compression": "zstd"}),
    "texts that each repeat the one before": (
        lambda: pa.table({"s": ["x" * 10_000] * 20_000}),
        {"use_dictionary": False, "column_encoding": "DELTA_BYTE_ARRAY", "compression": "zstd"},
    ),
    "zeros": (
        lambda: pa.table({f"c{i}": np.zeros(500_000) for i in range(9)}),
        {"use_dictionary": False, "compression": "zstd"},
    ),
    "zeros behind a dictionary": (lambda: pa.table({f"c{i}": np.zeros(500_000) for i in range(9)}), {}),
    "differences of zero": (
        lambda: pa.table({f"c{i}": np.zeros(500_000, dtype=np.int64) for i in range(9)}),
        {"use_dictionary": False, "column_encoding": "DELTA_BINARY_PACKED"},
    ),
    "too many rows": (lambda: pa.table({"s": np.zeros(1_000_001, dtype=np.int8)}), {}),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_one_line_and_is_not_unpacked(tmp_path: Path, name: str) -> None:
    make, how = BOMBS[name]
    path = _written(tmp_path, make(), **how)
    assert path.stat().st_size < 200_000
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="at most") as told:
            _read(path)
        assert tracemalloc.get_traced_memory()[1] < _MOST
    finally:
        tracemalloc.stop()
    assert "\n" not in str(told.value)
    assert pa.total_allocated_bytes() - before < _MOST


def test_a_column_of_more_packed_bytes_than_may_be_held_is_not_read(tmp_path: Path) -> None:
    path = _written(tmp_path, pa.table({"n": np.random.default_rng(0).integers(0, 2**60, 50_000)}))
    with pytest.raises(InputError, match=r"has 4[0-9]{2},[0-9]{3} bytes; at most 1,000 are read"):
        read_parquet_bounded(path, what="table", most_rows=100_000, most_bytes=1000)


def test_every_truncation_is_one_line(tmp_path: Path) -> None:
    data = _written(tmp_path, _plain()).read_bytes()
    part = tmp_path / "part.parquet"
    for length in range(0, len(data), 37):
        part.write_bytes(data[:length])
        with pytest.raises(InputError, match="table"):
            _read(part)


def test_flipped_bytes_give_values_or_one_line(tmp_path: Path) -> None:
    data = bytearray(_written(tmp_path, _plain(), write_page_checksum=True).read_bytes())
    rng = np.random.default_rng(5)
    part = tmp_path / "part.parquet"
    told = 0
    for place in rng.choice(len(data), 150, replace=False):
        flipped = bytearray(data)
        flipped[place] ^= 1 << int(rng.integers(8))
        part.write_bytes(flipped)
        try:
            _read(part)
        except InputError:
            told += 1
    assert told > 50


def test_what_is_no_regular_file_is_told_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, word in ((tmp_path / "pipe", "pipe"), (tmp_path, "folder"), (tmp_path / "none", "not found")):
        with pytest.raises(InputError, match=word):
            _read(path)
