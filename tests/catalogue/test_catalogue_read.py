from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from catalogue_helpers import BASE, SIDE, new_store, serving, some
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.base import InputError, TesseraError, page_headers
from tessera.catalogue import _schema, read, read_manifest, write_manifest
from tessera.geo import Window
from tessera.net import CorruptError, OversizeError
from tessera.store import open_store

Row = dict[str, Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of four cells and two years with its manifest."""
    folder = tmp_path_factory.mktemp("made") / "store"
    store = new_store(folder)
    for year in (2021, 2023):
        store.write(some(Window(31, BASE.west, BASE.north, 2 * SIDE, 2 * SIDE), year), year)
    write_manifest(store)
    return folder


@pytest.fixture
def served(made: Path, tmp_path: Path) -> Path:
    """A copy of its documents, to put another manifest into."""
    for name in ("tessera.json", "manifest.parquet"):
        shutil.copy(made / name, tmp_path / name)
    return tmp_path


def refused(folder: Path, error: type[TesseraError], words: str) -> None:
    """Over HTTP, the manifest there is refused with one line."""
    with serving(folder) as (url, _), pytest.raises(error, match=words) as caught:
        read_manifest(open_store(url, cache=False))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def rewrite(path: Path, change: Callable[[list[Row]], None], **options: Any) -> None:
    """Write the manifest again with other rows under its own schema."""
    table = pq.read_table(path)
    rows = table.to_pylist()
    change(rows)
    options = {"compression": "zstd", "use_dictionary": False, **options}
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path, **options)


def test_the_same_rows_by_path_and_by_url(made: Path) -> None:
    here = read_manifest(open_store(made))
    with serving(made) as (url, answers):
        store = open_store(url, cache=False)
        answers.clear()
        there = read_manifest(store)
        assert there.table.equals(here.table)
        assert len(answers) <= 4
        assert read_manifest(store, year=2021).column("year").tolist() == [2021] * 4
        assert len(read_manifest(store, (0, 0, 1, 1))) == 0
    whole = pq.read_table(made / "manifest.parquet")
    assert here.table.to_pylist() == whole.select(here.table.column_names).to_pylist()
    assert here.where.endswith("manifest.parquet")


def test_an_area_costs_its_own_row_groups(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_schema, "_GROUP_ROWS", 8)
    store = new_store(tmp_path / "store", (31,))
    record = json.loads(next((made / "commits" / "2023").glob("*.json")).read_bytes())
    folder = tmp_path / "store" / "commits" / "2023"
    folder.mkdir(parents=True)
    store.write(some(BASE), 2023)
    for north in range(4000, 4200):
        name = f"utm31_e500_n{north}"
        (folder / f"{name}.json").write_text(json.dumps({**record, "cell": name}))
    write_manifest(open_store(tmp_path / "store"))
    with serving(tmp_path / "store") as (url, answers):
        store = open_store(url, cache=False)
        answers.clear()
        assert len(read_manifest(store)) == 201
        everything = sum(one.sent for one in answers)
        box = pq.read_table(tmp_path / "store" / "manifest.parquet")["bbox"][100].as_py()
        answers.clear()
        found = read_manifest(store, (box["xmin"], box["ymin"] + 1e-4, box["xmax"], box["ymax"] - 1e-4))
        assert 1 <= len(found) <= 3
        footer = answers[1].sent
        assert sum(one.sent for one in answers) - footer < (everything - footer) / 8


def test_a_store_without_a_manifest_says_how_to_get_one(served: Path) -> None:
    (served / "manifest.parquet").unlink()
    refused(served, InputError, "tessera store catalogue writes it")


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 100, -1, -7, -8, -5000])
def test_a_truncated_manifest_is_refused_in_one_line(served: Path, kept: int) -> None:
    path = served / "manifest.parquet"
    data = path.read_bytes()
    path.write_bytes(data[:kept])
    refused(served, TesseraError, "manifest.parquet")


def test_what_is_no_parquet_is_refused(served: Path) -> None:
    path = served / "manifest.parquet"
    path.write_bytes(b"<html>not here</html>" * 50)
    refused(served, CorruptError, "does not end as a Parquet file")
    path.write_bytes(b"PAR1" + bytes(100) + (2**31 - 1).to_bytes(4, "little") + b"PAR1")
    refused(served, OversizeError, "footer of 2147483647")
    path.write_bytes(b"PAR1" + b"\xff" * 100 + (90).to_bytes(4, "little") + b"PAR1")
    refused(served, CorruptError, "cannot be read as Parquet")


def test_another_table_is_refused(served: Path) -> None:
    path = served / "manifest.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    refused(served, InputError, "expected 'tessera-manifest' 1")


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("year", pa.array(["2021"] * 8)),
        ("west", pa.array([1.5] * 8)),
        ("chunks", pa.array(["ff"] * 8)),
        ("assets", pa.array([{"scales": 1}] * 8)),
        ("bbox", pa.array([[1.0, 2.0]] * 8)),
    ],
)
def test_columns_of_other_types_are_refused(served: Path, name: str, column: pa.Array) -> None:
    path = served / "manifest.parquet"
    table = pq.read_table(path)
    pq.write_table(table.set_column(table.column_names.index(name), name, column), path)
    refused(served, InputError, f"column {name} is")
    pq.write_table(table.drop([name]), path)
    refused(served, InputError, f"column {name} is missing")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("year", 1999, "a year of the store"),
        ("zone", 32, "a zone of the store"),
        ("zone", -1, "a zone of the store"),
        ("west", 17, "a window on the lattice"),
        ("north", 2**31 - 1, "a window on the lattice"),
        ("size", 1024, "size 128"),
        ("valid", -5, "16384 pixels"),
        ("valid", 2**30, "16384 pixels"),
        ("chunks", b"", "expected 2 bytes"),
        ("chunks", None, "expected 2 bytes"),
        ("year", None, "a year of the store"),
    ],
)
def test_rows_that_cannot_be_are_refused(served: Path, name: str, value: object, words: str) -> None:
    def change(rows: list[Row]) -> None:
        rows[3][name] = value

    rewrite(served / "manifest.parquet", change)
    refused(served, InputError, words)


@pytest.mark.parametrize(
    "key",
    ["../../etc/passwd", "/etc/passwd", "utm31/../../x", "utm31//scales", "http://x/y", "a", "", "u/.g/x", None],
)
def test_keys_that_leave_the_store_are_refused(served: Path, key: str | None) -> None:
    def change(rows: list[Row]) -> None:
        rows[2]["assets"]["scales"]["href"] = key

    rewrite(served / "manifest.parquet", change)
    refused(served, InputError, "expected a key in the store")


@pytest.mark.parametrize(("field", "value"), [("file:size", -1), ("file:checksum", "1220zz"), ("file:checksum", None)])
def test_objects_without_size_or_hash_are_refused(served: Path, field: str, value: object) -> None:
    def change(rows: list[Row]) -> None:
        rows[2]["assets"]["scales"][field] = value

    rewrite(served / "manifest.parquet", change)
    refused(served, InputError, "no size or no SHA-256")


def test_what_inflates_is_refused_before_it_does(served: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = served / "manifest.parquet"
    data = path.read_bytes()

    def bomb(rows: list[Row]) -> None:
        rows[0]["chunks"] = bytes(80 * 1024**2)

    rewrite(path, bomb)
    assert path.stat().st_size < 100_000
    refused(served, OversizeError, "column .chunks. unpacks to")

    def repeated(rows: list[Row]) -> None:
        for row in rows:
            row["cell"] = "x" * 200_000

    path.write_bytes(data)
    rewrite(path, repeated, use_dictionary=True)
    refused(served, OversizeError, "dictionary")

    path.write_bytes(data)
    monkeypatch.setattr(read, "_ROW_LIMIT", 7)
    refused(served, OversizeError, "8 rows to read; at most 7")
    monkeypatch.setattr(read, "_ROW_LIMIT", 8)
    monkeypatch.setattr(read, "READ_LIMIT", 1000)
    refused(served, OversizeError, "bytes to read")


@settings(max_examples=150)
@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(1, 255))
def test_a_flipped_byte_gives_the_same_rows_or_one_line(made: Path, place: float, value: int) -> None:
    path = made / "manifest.parquet"
    data = bytearray(path.read_bytes())
    store = open_store(made)
    expected = read_manifest(store).table
    good = bytes(data)
    data[int(place * len(data))] ^= value
    said = ""
    try:
        path.write_bytes(data)
        found = read_manifest(store).table
    except TesseraError as error:
        said = str(error)
    finally:
        path.write_bytes(good)
    # only what nothing of ours depends on may change unseen, such as who wrote the file
    assert said or found.equals(expected) or len(found) < len(expected)
    assert "\n" not in said


@settings(max_examples=300)
@given(data=st.binary(max_size=200))
def test_page_headers_of_any_bytes_are_read_or_refused(data: bytes) -> None:
    said = ""
    try:
        page_headers(data, "column x")
    except InputError as error:
        said = str(error)
    assert not said or said.startswith("column x")


def test_page_headers_are_those_that_pyarrow_wrote(made: Path) -> None:
    path = made / "manifest.parquet"
    data = path.read_bytes()
    group = pq.ParquetFile(path).metadata.row_group(0)
    for index in range(group.num_columns):
        column = group.column(index)
        start = min(filter(None, (column.dictionary_page_offset, column.data_page_offset)))
        found = page_headers(data[start : start + column.total_compressed_size], "x")
        assert sum(page.values for page in found if not page.dictionary) == column.num_values
        assert any(page.dictionary for page in found) == column.has_dictionary_page
        assert sum(page.unpacked for page in found) <= column.total_uncompressed_size
