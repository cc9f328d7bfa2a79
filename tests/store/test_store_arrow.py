"""Areas as Arrow batches: every valid pixel once, in bounded memory, for DuckDB and pandas."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely
from store_helpers import ACROSS, BASE, Counting, new_store, random_embeddings

from tessera.base import InputError
from tessera.geo import Window, from_lonlat, to_lonlat, zones_of
from tessera.store import Store
from tessera.store.queries import arrow


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = new_store(tmp_path_factory.mktemp("arrow") / "store.zarr")
    made.write(random_embeddings(ACROSS, seed=1, not_written=0.1), 2022)
    made.write(random_embeddings(ACROSS, seed=2), 2023)
    return made


def vectors(table: pa.Table) -> np.ndarray:
    codes = table["codes"].combine_chunks()
    return np.asarray(codes.flatten()).reshape(len(table), -1)


def test_every_valid_pixel_comes_once_as_it_was_written(store: Store) -> None:
    reader = store.arrow(ACROSS, 2022)
    assert isinstance(reader, pa.RecordBatchReader)
    assert str(reader.schema.field("codes").type) == "fixed_size_list<item: int8>[8]"
    table = reader.read_all()
    wrote = random_embeddings(ACROSS, seed=1, not_written=0.1)
    cols = np.rint((np.asarray(table["x"]) / 10) - 0.5).astype(int) - ACROSS.west
    rows = ACROSS.north - 1 - np.rint((np.asarray(table["y"]) / 10) - 0.5).astype(int)
    seen = np.zeros(ACROSS.shape, dtype=int)
    np.add.at(seen, (rows, cols), 1)
    assert np.array_equal(seen, np.isfinite(wrote.scales).astype(int))
    assert np.array_equal(vectors(table), wrote.codes[rows, cols])
    assert np.array_equal(np.asarray(table["scale"]), wrote.scales[rows, cols])
    for number, name in enumerate(("s2", "s1_ascending", "s1_descending")):
        assert np.array_equal(np.asarray(table[name]), wrote.counts[rows, cols, number])
    lon, lat = to_lonlat(np.asarray(table["x"]), np.asarray(table["y"]), 31)
    assert np.array_equal(np.asarray(table["lon"]), lon)
    assert np.array_equal(np.asarray(table["lat"]), lat)
    assert set(table["zone"].to_pylist()) == {31}
    assert table.schema.metadata[b"model_sha256"].decode() == store.model.sha256


def test_years_and_prefixes(store: Store) -> None:
    table = store.arrow(ACROSS, [2023, 2022], dims=2).read_all()
    years = np.asarray(table["year"])
    assert (np.diff(years.astype(int)) <= 0).all()
    for year in (2022, 2023):
        one = store.arrow(ACROSS, year).read_all()
        assert np.array_equal(vectors(table)[years == year], vectors(one)[:, :2])
    with pytest.raises(InputError, match="no year 2020"):
        store.arrow(ACROSS, 2020)


def test_pixels_lie_inside_a_polygon(store: Store) -> None:
    left, bottom, right, top = ACROSS.bounds
    ring = shapely.Polygon([(left + 105, bottom + 205), (right - 310, bottom + 400), (left + 400, top - 100)])
    degrees = shapely.transform(
        shapely.segmentize(ring, 100), lambda p: np.column_stack(to_lonlat(p[:, 0], p[:, 1], 31))
    )
    table = store.arrow(degrees, 2023).read_all()
    x, y = np.asarray(table["x"]), np.asarray(table["y"])
    everything = store.arrow(ACROSS, 2023).read_all()
    inside = shapely.contains_xy(ring, np.asarray(everything["x"]), np.asarray(everything["y"]))
    assert 500 < len(x) == inside.sum()
    assert shapely.contains_xy(ring, x, y).all()


def test_over_a_zone_border_each_place_comes_once(tmp_path: Path) -> None:
    made = new_store(tmp_path / "two.zarr", zones=(31, 32))
    east = Window(31, int(from_lonlat(6.0, 45.0, 31)[0] // 10) - 30, int(from_lonlat(6.0, 45.0, 31)[1] // 10), 60, 40)
    west = Window(32, int(from_lonlat(6.0, 45.0, 32)[0] // 10) - 30, int(from_lonlat(6.0, 45.0, 32)[1] // 10), 60, 40)
    for window in (east, west):
        made.write(random_embeddings(window, no_data=0.0), 2023)
    table = made.arrow((5.998, 44.997, 6.002, 44.9995), 2023).read_all()
    zones, lon = np.asarray(table["zone"]), np.asarray(table["lon"])
    assert set(zones.tolist()) == {31, 32}
    assert np.array_equal(zones, zones_of(lon))


def test_it_streams_and_ends_when_it_is_dropped(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow, "_BLOCK", 32)
    monkeypatch.setattr(arrow, "_BATCH", 100)
    counting: Any = Counting(store.source)
    watched = Store(store.objects, store.header, counting)
    reader = watched.arrow(ACROSS, 2023)
    assert counting.windows == []
    batch = reader.read_next_batch()
    assert batch.num_rows <= 100
    assert len(counting.windows) <= 6  # two reads a block, one block ahead
    del reader, batch
    assert not [thread for thread in threading.enumerate() if "tessera-prefetch" in thread.name]
    small = watched.arrow(ACROSS, 2023).read_all()
    monkeypatch.undo()
    whole = store.arrow(ACROSS, 2023).read_all()
    keys = [("y", "descending"), ("x", "ascending")]
    assert small.sort_by(keys).equals(whole.sort_by(keys))


def test_duckdb_scans_the_stream(store: Store) -> None:
    duckdb = pytest.importorskip("duckdb")
    base = duckdb.connect()
    base.register("pixels", store.arrow(BASE, 2023))
    found = base.sql("SELECT count(*), avg(codes[1] * scale), max(s2) FROM pixels").fetchall()[0]
    table = store.arrow(BASE, 2023).read_all()
    first = vectors(table)[:, 0] * np.asarray(table["scale"])
    assert found[0] == len(table)
    assert found[1] == pytest.approx(first.astype(float).mean(), rel=1e-4)
    assert found[2] == max(table["s2"].to_pylist())
    base.register("pixels", store.arrow(BASE, 2023))
    assert len(base.sql("SELECT * FROM pixels LIMIT 5").fetchall()) == 5


def test_pandas_reads_the_stream(store: Store) -> None:
    frame = store.arrow(BASE, 2023).read_pandas()
    assert len(frame.codes.iloc[0]) == 8
    assert frame.x.dtype == np.float64


def test_an_area_in_no_zone_of_the_store_is_refused(store: Store) -> None:
    with pytest.raises(InputError, match="zone"):
        store.arrow((20.0, 50.0, 20.1, 50.1), 2023)
    assert store.arrow((3.0, 60.0, 3.01, 60.01), 2023).read_all().num_rows == 0
