"""Registries of tiles: what they say is checked, whichever of the two kinds says it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tile_helpers import BESIDE, NORTH_TILE, YEAR, filled_store, new_store

from tessera.base import InputError, sha256_hex
from tessera.exchange import export_tiles, import_tiles
from tessera.exchange._registry import KINDS, FileFacts, TileRow, key_of, read_registries, write_registries
from tessera.exchange.tiles import TileFiles
from tessera.geo import Tile
from tessera.store import Dataset

pytest.importorskip("rasterio", reason="tiles need the extra geo")

DATASET = Dataset("1.1", "cambridge", None)
facts = st.builds(FileFacts, st.integers(0, 2**40), st.binary(min_size=32, max_size=32).map(bytes.hex))
rows = st.builds(
    TileRow,
    st.builds(Tile, st.integers(-1800, 1799), st.integers(-800, 839)),
    st.integers(2017, 2025),
    st.fixed_dictionaries(dict.fromkeys(KINDS, facts)),
)


@given(made=st.lists(rows, min_size=1, max_size=8, unique_by=lambda row: row.tile))
def test_what_is_written_is_read(made: list[TileRow], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("registry")
    write_registries(folder, made, DATASET)
    found = read_registries(folder, [(row.year, row.tile) for row in made], DATASET)
    assert found.names == ("manifest.parquet", "registry.parquet", "landmasks.parquet")
    for row in made:
        assert found.lists(row.tile, row.year)
        assert not found.lists(row.tile, row.year + 1)
        for kind in KINDS:
            found.check(kind, row.tile, row.year, row.files[kind], "x")
            with pytest.raises(InputError, match="bytes; the registry says"):
                found.check(kind, row.tile, row.year, FileFacts(-1, row.files[kind].sha256), "x")
            with pytest.raises(InputError, match="SHA-256"):
                found.check(kind, row.tile, row.year, FileFacts(row.files[kind].size, "0"), "x")
    others = read_registries(folder, [(row.year, row.tile) for row in made], Dataset("1.1", "dclimate", None))
    assert all(FileFacts(None, None) not in told for told in others.facts.values())
    assert set(pq.read_schema(folder / "manifest.parquet").names) >= {"year", "lon", "lat", "grid_size", "scales_size"}
    hashed = {"lat", "lon", "year", "hash", "file_size", "scales_hash", "scales_size"}
    assert set(pq.read_schema(folder / "registry.parquet").names) >= hashed
    assert set(pq.read_schema(folder / "landmasks.parquet").names) >= {"lat", "lon", "hash", "file_size"}


def test_rows_of_another_dataset_say_nothing(tmp_path: Path) -> None:
    files = dict.fromkeys(KINDS, FileFacts(5, "ab" * 32))
    write_registries(tmp_path, [TileRow(NORTH_TILE, YEAR, files)], DATASET)
    (tmp_path / "registry.parquet").unlink()
    found = read_registries(tmp_path, [(YEAR, NORTH_TILE)], Dataset("1.1", "dclimate", None))
    assert not found.lists(NORTH_TILE, YEAR)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("made")
    store = filled_store(made / "a.zarr", [NORTH_TILE, BESIDE], 30)
    export_tiles(store, (3.01, 83.81, 3.19, 83.89), YEAR, made / "tiles")
    return made / "tiles"


def rewrite(path: Path, **columns: Any) -> None:
    table = pq.read_table(path)
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    pq.write_table(table, path)


def test_an_export_lists_lengths_and_digests(folder: Path) -> None:
    found = read_registries(folder, [(YEAR, NORTH_TILE), (YEAR, BESIDE)], None)
    for tile in (NORTH_TILE, BESIDE):
        files = TileFiles(folder, tile, YEAR)
        for kind, path in (("codes", files.codes), ("scales", files.scales), ("landmask", files.landmask)):
            told = found.facts[key_of(kind, tile, YEAR)]
            data = path.read_bytes()
            assert FileFacts(len(data), sha256_hex(data)) in told
            assert {facts.size for facts in told} == {len(data)}


@pytest.mark.parametrize(
    ("name", "column", "says"),
    [
        ("manifest", "grid_size", "bytes; the registry says 7"),
        ("manifest", "scales_size", "bytes; the registry says 7"),
        ("registry", "hash", "SHA-256"),
        ("registry", "scales_hash", "SHA-256"),
        ("landmasks", "hash", "SHA-256"),
        ("landmasks", "file_size", "bytes; the registry says 7"),
    ],
)
def test_a_mismatch_is_one_line_and_the_others_go_on(
    name: str, column: str, says: str, folder: Path, tmp_path: Path
) -> None:
    source = shutil.copytree(folder, tmp_path / "tiles")
    path = source / f"{name}.parquet"
    held = pq.read_table(path).column(column).to_pylist()
    rewrite(path, **{column: ["ab" * 32 if "hash" in column else 7, *held[1:]]})
    report = import_tiles(source, new_store(tmp_path / "b.zarr"))
    assert report.written == 1
    assert len(report.failed) == 1
    assert says in report.failed[0]
    assert "the registry says" in report.failed[0]


def test_tiles_that_no_registry_lists_are_counted(folder: Path, tmp_path: Path) -> None:
    source = shutil.copytree(folder, tmp_path / "tiles")
    for name in ("manifest", "registry"):
        path = source / f"{name}.parquet"
        pq.write_table(pq.read_table(path).slice(0, 1), path)
    report = import_tiles(source, new_store(tmp_path / "b.zarr"))
    assert (report.written, report.unlisted, report.failed) == (2, 1, [])


def test_a_registry_that_cannot_be_read_stops_before_anything(folder: Path, tmp_path: Path) -> None:
    for number, damage in enumerate(("truncate", "column", "nan", "link")):
        source = shutil.copytree(folder, tmp_path / f"tiles{number}")
        path = source / "manifest.parquet"
        if damage == "truncate":
            path.write_bytes(path.read_bytes()[:-40])
        elif damage == "column":
            pq.write_table(pq.read_table(path).drop_columns(["lat"]), path)
        elif damage == "nan":
            rewrite(path, lon=[np.nan, 1.0])
        else:
            outside = tmp_path / "outside.parquet"
            path.rename(outside)
            path.symlink_to(outside)
        store = new_store(tmp_path / f"b{number}.zarr")
        with pytest.raises(InputError, match=r"manifest\.parquet"):
            import_tiles(source, store)
        assert store.years == ()
