from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from catalogue_helpers import BASE, CELL, DATE_LINE, MODEL, SIDE, new_store, serving, settle, some
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.base import InputError, sha256_hex
from tessera.catalogue import read_manifest, write_manifest
from tessera.catalogue._outline import outlines
from tessera.geo import Cell, Window, to_lonlat
from tessera.shards import Layout
from tessera.store import Store, create_store, open_store

module = sys.modules["tessera.catalogue.manifest"]
PARTS = st.lists(
    st.tuples(st.integers(-100, 100), st.integers(-100, 100), st.integers(1, 150), st.integers(1, 150), st.booleans()),
    min_size=1,
    max_size=3,
)


@pytest.fixture(autouse=True)
def _few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MANY", 1)


def check_rows(store: Store) -> None:
    """Every row says what its record and its objects say, and no record is missing."""
    folder = store.objects.folder
    assert folder is not None
    rows = pq.read_table(folder / "manifest.parquet").to_pylist()
    assert [(row["year"], row["zone"], -row["north"], row["west"]) for row in rows] == sorted(
        (year, cell.zone, -cell.window.north, cell.window.west) for year in store.years for cell in store.cells(year)
    )
    for row in rows:
        cell = Cell.at(row["zone"], row["west"], row["north"] - 1, SIDE)
        record = store.commit(cell, row["year"])
        assert record is not None
        assert (row["cell"], row["size"]) == (cell.name, SIDE)
        assert {name: row[name] for name in ("valid", "no_data", "not_written")} == record.pixels
        assert row["chunks"].hex() == record.chunks
        assert row["partial"] == (record.pixels["not_written"] > 0)
        assert row["intact"] == all(part["intact"] for part in record.inputs)
        assert (row["model"], row["model_sha256"]) == ("test", record.model)
        held = {name: asset for name, asset in row["assets"].items() if asset is not None}
        assert set(held) == set(record.objects)
        for name, asset in held.items():
            data = (folder / asset["href"]).read_bytes()
            assert asset["href"] == record.objects[name]["key"]
            assert asset["file:size"] == len(data)
            assert asset["file:checksum"] == "1220" + sha256_hex(data)
        windows = [[part[key] for key in ("west", "north", "width", "height")] for part in row["parts"]]
        assert windows == [part["window"] for part in record.inputs]
        assert [json.loads(part["provenance"]) for part in row["parts"]] == [p["provenance"] for p in record.inputs]
        data = (folder / "commits" / str(row["year"]) / f"{cell.name}.json").read_bytes()
        assert (row["record_sha256"], row["record_bytes"]) == (sha256_hex(data), len(data))


@settings(max_examples=6)
@given(parts=PARTS)
def test_the_manifest_equals_the_records(parts: list[tuple[int, int, int, int, bool]], tmp_path_factory: Any) -> None:
    store = new_store(tmp_path_factory.mktemp("records") / "store")
    for seed, (west, north, width, height, first) in enumerate(parts):
        window = Window(31, BASE.west + west, BASE.north + north, width, height)
        store.write(some(window, seed, 0.3, cube_sha256=f"{seed:064x}", number=seed), 2023 if first else 2021)
        write_manifest(store)
    assert store.objects.folder is not None
    check_rows(open_store(store.objects.folder))


def test_what_the_provenance_says_is_in_columns(tmp_path: Path) -> None:
    store = new_store(tmp_path / "store")
    half = Window(31, BASE.west, BASE.north, 64, SIDE)
    rest = Window(31, BASE.west + 64, BASE.north, 64, SIDE)
    told: dict[str, Any] = {
        "cube_sha256": "c" * 64,
        "statistics_sha256": "d" * 64,
        "scenes_found": 9,
        "scenes_used": 7,
        "scenes_lost": 1,
        "s2_dates": ["2023-01-05", "2023-03-01"],
        "s1_asc_dates": ["2023-02-01"],
        "s1_desc_dates": [],
    }
    store.write(some(half, **told), 2023)
    row = pq.read_table(write_manifest(store).path).to_pylist()[0]
    assert [row[f"scenes_{name}"] for name in ("found", "used", "lost")] == [9, 7, 1]
    assert [row[name] for name in ("s2_dates", "s1_ascending_dates", "s1_descending_dates")] == [2, 1, 0]
    assert (str(row["first_date"]), str(row["last_date"])) == ("2023-01-05", "2023-03-01")
    assert (row["inputs_sha256"], row["statistics_sha256"]) == (["c" * 64], ["d" * 64])
    assert (row["partial"], row["intact"]) == (True, True)
    assert row["software"] is not None
    # the other half does not say: then nor does the row
    store.write(some(rest, 1, s2_dates=["2023-03-01", "2023-12-31"]), 2023)
    row = pq.read_table(write_manifest(store).path).to_pylist()[0]
    assert (row["scenes_used"], row["s1_ascending_dates"], row["s2_dates"]) == (None, None, 3)
    assert (row["partial"], str(row["last_date"])) == (False, "2023-12-31")


def test_it_is_geoparquet_for_geopandas_and_pyarrow(tmp_path: Path) -> None:
    store = new_store(tmp_path / "store")
    store.write(some(Window(31, BASE.west, BASE.north, 3 * SIDE, SIDE)), 2023)
    path = write_manifest(store).path
    geo = json.loads(pq.read_schema(path).metadata[b"geo"])
    assert (geo["version"], geo["primary_column"]) == ("1.1.0", "geometry")
    assert geo["columns"]["geometry"]["geometry_types"] == ["Polygon"]
    frame = geopandas.read_parquet(path)
    assert frame.crs.to_authority() == ("OGC", "CRS84")
    assert len(frame) == 3
    assert np.allclose(frame.total_bounds, geo["columns"]["geometry"]["bbox"])
    assert all(ring.exterior.is_ccw for ring in frame.geometry)
    boxes = [tuple(box.values()) for box in pq.read_table(path)["bbox"].to_pylist()]
    assert np.allclose(boxes, shapely.bounds(frame.geometry.to_numpy()))
    middle = frame.geometry.iloc[1].representative_point()
    near = geopandas.read_parquet(path, bbox=(middle.x, middle.y, middle.x, middle.y))
    assert near["cell"].tolist() == [frame["cell"].iloc[1]]
    assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"


def test_cells_over_the_date_line_are_cut_there(tmp_path: Path) -> None:
    store = new_store(tmp_path / "store")
    store.write(some(DATE_LINE), 2023)
    path = write_manifest(store).path
    frame = geopandas.read_parquet(path)
    shape = frame.geometry.iloc[0]
    assert shape.geom_type == "MultiPolygon"
    assert shape.is_valid
    assert sorted(part.bounds[0] for part in shape.geoms)[0] == -180
    assert sorted(part.bounds[2] for part in shape.geoms)[1] == 180
    assert all(part.exterior.is_ccw for part in shape.geoms)
    metres = 111_320 * np.cos(np.radians(17.0)) * 110_650
    assert shape.area * metres == pytest.approx((SIDE * 10) ** 2, rel=0.01)
    for side in (179.9999, -179.9999):
        assert len(geopandas.read_parquet(path, bbox=(side - 1e-5, -90, side + 1e-5, 90))) == 1
    assert json.loads(pq.read_schema(path).metadata[b"geo"])["columns"]["geometry"]["geometry_types"] == [
        "MultiPolygon"
    ]
    assert len(read_manifest(store, (179.9, -18, -179.9, -16))) == 1
    assert len(read_manifest(store, (179.9, -18, 180, -16))) == 1
    assert len(read_manifest(store, (170, 10, -170, 16))) == 0


@pytest.mark.parametrize(("north", "size"), [(9_300_000, 1024), (-8_800_000, 1024), (-8_800_000, 4096), (10, 128)])
def test_an_outline_is_true_to_its_cell(north: int, size: int) -> None:
    window = Cell.at(33, 80 * 1024, north // 10, size).window
    shapes, bounds = outlines(33, np.array([window.west]), np.array([window.north]), size)
    assert shapely.is_valid(shapes[0])
    assert np.allclose(bounds[0], shapes[0].bounds)
    # places on the edges lie within 2 m of the outline
    steps = np.linspace(0, size * 10, 41)
    left, bottom, right, top = window.bounds
    x = np.concatenate([left + steps, np.full(41, right), left + steps, np.full(41, left)])
    y = np.concatenate([np.full(41, bottom), bottom + steps, np.full(41, top), bottom + steps])
    lon, lat = to_lonlat(x, y, 33)
    off = shapely.distance(shapely.points(lon, lat), shapes[0].exterior)
    assert off.max() * 111_320 < 2
    assert shapes[0].exterior.is_ccw


def test_unchanged_records_are_not_read_again_and_give_the_same_bytes(tmp_path: Path) -> None:
    store = new_store(tmp_path / "store")
    store.write(some(Window(31, BASE.west, BASE.north, 2 * SIDE, 2 * SIDE), cube_sha256="a"), 2023)
    store.write(some(DATE_LINE, 3), 2021)
    settle(store)
    first = write_manifest(store)
    whole = first.path.read_bytes()
    about = first.path.stat()
    assert (first.rows, first.read) == (5, 5)
    again = write_manifest(store)
    assert (again.rows, again.read) == (5, 0)
    assert first.path.read_bytes() == whole
    assert first.path.stat().st_mtime_ns == about.st_mtime_ns
    store.write(some(Window(31, BASE.west, BASE.north, 10, 10), 9, cube_sha256="b"), 2023)
    changed = write_manifest(store)
    assert (changed.rows, changed.read) == (5, 1)
    check_rows(open_store(tmp_path / "store"))
    # from nothing, the same bytes
    kept = first.path.read_bytes()
    first.path.unlink()
    assert write_manifest(store).read == 5
    assert first.path.read_bytes() == kept
    next((tmp_path / "store" / "commits" / "2021").glob("*.json")).unlink()
    assert write_manifest(store).rows == 4


def test_a_young_record_is_read_again(tmp_path: Path) -> None:
    store = new_store(tmp_path / "store")
    store.write(some(BASE), 2023)
    write_manifest(store)
    assert write_manifest(store).read == 1
    settle(store)
    write_manifest(store)
    assert write_manifest(store).read == 0


def test_a_small_store_keeps_no_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MANY", 2)
    store = new_store(tmp_path / "store")
    store.write(some(BASE), 2023)
    settle(store)
    for _ in range(2):
        assert write_manifest(store).read == 1
    assert not list((tmp_path / "store").rglob("seen.parquet"))
    store.write(some(BASE), 2021)
    settle(store)
    for read in (2, 0):
        assert write_manifest(store).read == read


def test_a_manifest_that_is_not_ours_is_made_anew(tmp_path: Path) -> None:
    store = new_store(tmp_path / "store")
    store.write(some(BASE), 2023)
    settle(store)
    path = write_manifest(store).path
    whole = path.read_bytes()
    for data in (whole[:-10], whole[: len(whole) // 2] + b"\0" + whole[len(whole) // 2 + 1 :], b"", b"PAR1"):
        path.write_bytes(data)
        assert write_manifest(store).read == 1
        assert path.read_bytes() == whole
    (tmp_path / "store" / ".tessera" / "catalogue" / "seen.parquet").write_bytes(b"no parquet")
    assert write_manifest(store).read == 1
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"{",
        b"[]",
        b'{"format": "tessera-commit"}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_record_that_cannot_be_read_is_left_out_and_named(tmp_path: Path, broken: bytes) -> None:
    store = new_store(tmp_path / "store")
    store.write(some(Window(31, BASE.west, BASE.north, 2 * SIDE, SIDE)), 2023)
    path = tmp_path / "store" / "commits" / "2023" / f"{CELL.name}.json"
    path.write_bytes(broken)
    (path.parent / "utm99_e1_n1.json").write_bytes(b"{}")
    done = write_manifest(store)
    assert done.rows == 1
    assert len(done.left_out) == 2
    assert all("\n" not in line for line in done.left_out)
    assert any(CELL.name in line for line in done.left_out)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pixels", {"valid": -1, "no_data": 0, "not_written": SIDE**2 + 1}),
        ("pixels", {"valid": 1, "no_data": 1, "not_written": 1}),
        ("chunks", "ff"),
        ("chunks", "zz" * 2),
        ("cell", "utm31_e501_n4300"),
        ("objects", {"scales": {"key": "../../etc/passwd", "bytes": 1, "sha256": "a" * 64}}),
        ("objects", {"scales": {"key": "/etc/passwd", "bytes": 1, "sha256": "a" * 64}}),
        ("objects", {"scales": {"key": "utm31/scales", "bytes": 1, "sha256": "short"}}),
        ("year", 2022),
    ],
)
def test_a_record_that_says_what_cannot_be_is_left_out(tmp_path: Path, field: str, value: object) -> None:
    store = new_store(tmp_path / "store")
    store.write(some(BASE), 2023)
    path = tmp_path / "store" / "commits" / "2023" / f"{CELL.name}.json"
    record = json.loads(path.read_bytes())
    path.write_text(json.dumps({**record, field: value}))
    done = write_manifest(store)
    assert (done.rows, len(done.left_out)) == (0, 1)


def test_it_needs_the_records(tmp_path: Path) -> None:
    new_store(tmp_path / "store")
    with serving(tmp_path / "store") as (url, _), pytest.raises(InputError, match="commit records"):
        write_manifest(open_store(url))


def test_an_empty_store_has_an_empty_manifest(tmp_path: Path) -> None:
    store = new_store(tmp_path / "store")
    assert write_manifest(store).rows == 0
    assert len(read_manifest(store)) == 0


def test_an_empty_prefix_array_and_a_store_of_another_layout(tmp_path: Path) -> None:
    store = create_store(tmp_path / "store", 8, MODEL, zones=(31,), layout=Layout(8, (), shard=256, chunk=32))
    nothing = some(Window(31, BASE.west, BASE.north, 5, 5))
    nothing.scales[:] = np.nan
    nothing.codes[:] = 0
    store.write(nothing, 2023)
    row = pq.read_table(write_manifest(store).path).to_pylist()[0]
    assert set(row["assets"]) == {"embeddings", "observation_counts", "scales"}
    assert row["assets"]["embeddings"] is None
    assert (row["valid"], row["no_data"], row["size"]) == (0, 25, 256)


_CHILD = """
import sys
sys.path.insert(0, sys.argv[2])
from catalogue_helpers import BASE, SIDE, some
from tessera.catalogue import write_manifest
from tessera.geo import Window
from tessera.store import open_store
store = open_store(sys.argv[1])
print("go", flush=True)
for seed in range(10_000):
    store.write(some(Window(31, BASE.west + seed % 100, BASE.north, 40, 40), seed, number=seed), 2023)
    write_manifest(store)
"""


def test_a_kill_at_any_moment_leaves_a_whole_manifest(tmp_path: Path) -> None:
    store = new_store(tmp_path / "store")
    store.write(some(BASE), 2023)
    write_manifest(store)
    moments = random.Random(4)
    for turn in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(tmp_path / "store"), str(Path(__file__).parent)],
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(moments.uniform(0.05, 0.6))
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        assert len(read_manifest(store)) >= 1
        write_manifest(store)
        assert len(read_manifest(store)) >= 1
        # a kill within the write leaves its commit to the next writer
        store.write(some(BASE, 20_000 + turn, number=20_000 + turn), 2023)
        write_manifest(store)
        check_rows(open_store(tmp_path / "store"))
