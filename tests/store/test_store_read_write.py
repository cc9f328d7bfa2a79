from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from store_helpers import ACROSS, BASE, LAYOUT, MODEL, centre_of, equal, new_store, random_embeddings, serving

from tessera.base import InputError
from tessera.embeddings import Embeddings, ModelIdentity
from tessera.exchange import export_points, export_region
from tessera.geo import EAST, NORTH, SOUTH, WEST, Grid, Window, from_lonlat
from tessera.net import NetError
from tessera.shards import Layout, ShardedSource
from tessera.store import Store, create_store, open_store
from tessera.testing import strategies

windows = strategies.windows(BASE)


@settings(max_examples=15)
@given(windows, st.integers(0, 99))
def test_a_region_written_and_read_back_is_bit_identical(
    tmp_path_factory: pytest.TempPathFactory, window: Window, seed: int
) -> None:
    store = new_store(tmp_path_factory.mktemp("store") / "s")
    given_ = random_embeddings(window, seed)
    cells = store.write(given_, 2024)
    assert [cell.name for cell in cells] == [cell.name for cell in window.cells(128)]
    assert equal(store.read_window(window, 2024), given_)
    region = store.read_region(window, 2024)
    assert np.array_equal(region.values, given_.values(), equal_nan=True)
    around = Window(31, window.west - 9, window.north + 9, window.width + 18, window.height + 18)
    outside = store.read_window(around, 2024).scales
    outside[9:-9, 9:-9] = np.inf
    assert np.isposinf(outside).all()


def test_a_point_read_through_stock_zarr_equals_ours(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    given_ = random_embeddings(ACROSS)
    store.write(given_, 2023)
    store.write(random_embeddings(ACROSS, 1), 2024)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        group = zarr.open_group(tmp_path / "s", mode="r", use_consolidated=True)
    codes: Any = group["utm31/embeddings"]
    prefix: Any = group["utm31/embeddings_d2"]
    scales: Any = group["utm31/scales"]
    counts: Any = group["utm31/observation_counts"]
    years: Any = group["utm31/time"]
    assert years[:].tolist() == [2023, 2024]
    row0, col0 = NORTH - ACROSS.north, ACROSS.west - WEST
    box = (slice(row0, row0 + 130), slice(col0, col0 + 150))
    assert np.array_equal(np.moveaxis(codes[0, :, *box], 0, -1), given_.codes)
    assert np.array_equal(np.moveaxis(prefix[0, :, *box], 0, -1), given_.codes[..., :2])
    assert np.array_equal(scales[0, *box], given_.scales, equal_nan=True)
    assert np.array_equal(np.moveaxis(counts[0, :, *box], 0, -1), given_.counts)
    for row, col in ((0, 0), (129, 149), (17, 63), (57, 58)):
        ours = store.sample_points([centre_of(ACROSS, row, col)], 2023)[0]
        theirs = codes[0, :, row0 + row, col0 + col].astype(np.float32) * scales[0, row0 + row, col0 + col]
        assert np.array_equal(ours, np.where(np.isfinite(theirs), theirs, np.nan), equal_nan=True)


def test_xarray_opens_a_zone_and_finds_a_pixel_by_its_coordinates(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    given_ = random_embeddings(ACROSS, no_data=0)
    store.write(given_, 2024)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        data = xarray.open_zarr(tmp_path / "s", group="utm31", chunks=None, consolidated=False)
    assert data.embeddings.dims == ("time", "band", "y", "x")
    x, y = (ACROSS.west + 5.5) * 10, (ACROSS.north - 7.5) * 10
    assert (data.embeddings.sel(time=2024, x=x, y=y).values == given_.codes[7, 5]).all()
    assert float(data.scales.sel(time=2024, x=x, y=y)) == given_.scales[7, 5]
    assert (data.x[0], data.y[0]) == (WEST * 10 + 5, NORTH * 10 - 5)
    assert (data.sizes["x"], data.sizes["y"]) == (EAST - WEST, NORTH - SOUTH)


def test_the_default_store_has_sixty_zones_one_small_document_and_a_consolidated_root(tmp_path: Path) -> None:
    model = ModelIdentity("test", "ab" * 32, 128, (16, 32, 64, 128))
    store = create_store(tmp_path / "s", 128, model)
    assert store.zones == tuple(range(1, 61))
    assert (tmp_path / "s" / "tessera.json").stat().st_size <= 4096
    root = json.loads((tmp_path / "s" / "zarr.json").read_text())
    nodes = root["consolidated_metadata"]["metadata"]
    shard = nodes["utm60/embeddings"]["codecs"][0]["configuration"]
    assert nodes["utm60/embeddings"]["shape"] == [0, 128, 1_822_720, 69_632]
    assert nodes["utm60/embeddings"]["chunk_grid"]["configuration"]["chunk_shape"] == [1, 128, 1024, 1024]
    assert shard["chunk_shape"] == [1, 128, 32, 32]
    assert shard["index_location"] == "start"
    assert [codec["name"] for codec in shard["codecs"]] == ["transpose", "bytes", "crc32c"]
    assert nodes["utm01/scales"]["fill_value"] == "Infinity"
    assert {spec.name for spec in store.layout.arrays} == {
        "embeddings",
        "embeddings_d16",
        "observation_counts",
        "scales",
    }
    assert root["attributes"]["geotessera:mask_source"] == "source_nodata"
    for path, node in nodes.items():
        assert json.loads((tmp_path / "s" / path / "zarr.json").read_text()) == node
    assert (tmp_path / "s" / "utm31" / "y" / "c" / "0").stat().st_size < 20_000


@settings(max_examples=12)
@given(st.lists(st.tuples(windows, st.integers(0, 9)), min_size=2, max_size=4))
def test_parts_merge_new_valid_pixels_win_and_no_data_never_overwrites(
    tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[Window, int]]
) -> None:
    store = new_store(tmp_path_factory.mktemp("store") / "s")
    canvas = Window(31, BASE.west - 140, BASE.north + 140, 500, 500)
    codes = np.zeros((500, 500, 8), np.int8)
    scales = np.full((500, 500), np.inf, np.float32)
    counts = np.zeros((500, 500, 3), np.uint16)
    for window, seed in parts:
        part = random_embeddings(window, seed, 0.5)
        store.write(part, 2024)
        box = window.slices_in(canvas)
        take = part.valid | (np.isnan(part.scales) & ~np.isfinite(scales[box]))
        codes[box][part.valid] = part.codes[part.valid]
        scales[box][take] = part.scales[take]
        counts[box][take] = part.counts[take]
    assert equal(store.read_window(canvas, 2024), Embeddings(codes, scales, counts, MODEL, canvas.grid))


def test_writing_the_same_again_changes_no_byte(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")

    def files() -> dict[str, bytes]:
        return {str(p.relative_to(tmp_path)): p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file()}

    store.write(random_embeddings(ACROSS, cube_sha256="x"), 2024)
    before = files()
    open_store(tmp_path / "s").write(random_embeddings(ACROSS, cube_sha256="x"), 2024)
    assert files() == before
    assert store.holds(ACROSS, 2024, {"cube_sha256": "x"})
    assert not store.holds(ACROSS, 2024, {"cube_sha256": "y"})
    assert not store.holds(replace(ACROSS, west=ACROSS.west - 1), 2024, {"cube_sha256": "x"})
    assert not store.holds(ACROSS, 2025, {"cube_sha256": "x"})


def test_what_a_window_was_made_from_is_known_by_some_of_its_provenance(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    known: dict[str, Any] = {"period": ["2024-01-01", "2024-12-31"], "recipe": {"day": "solar"}}
    store.write(random_embeddings(ACROSS, cube_sha256="x", **known), 2024)
    store = open_store(tmp_path / "s")
    assert store.made_from(ACROSS, 2024, known)
    assert store.made_from(ACROSS, 2024, {"cube_sha256": "x"})
    others: list[dict[str, Any]] = [{"period": ["2024-01-01"]}, {"recipe": {}}, {"source": "mpc"}, {"source": None}]
    for other in others:
        assert not store.made_from(ACROSS, 2024, known | other)
    assert not store.made_from(ACROSS, 2025, known)
    assert not store.made_from(replace(ACROSS, width=ACROSS.width - 1), 2024, known)
    # a part that was written over does not count, and a cell that lost an object neither
    beside = replace(ACROSS, width=20)
    store.write(random_embeddings(beside, seed=1, cube_sha256="y"), 2024)
    assert not store.made_from(ACROSS, 2024, known)
    assert store.made_from(beside, 2024, {"cube_sha256": "y"})
    record = store.commit(next(beside.cells(128)), 2024)
    assert record is not None
    (tmp_path / "s" / record.objects["scales"]["key"]).unlink()
    assert not store.made_from(beside, 2024, {"cube_sha256": "y"})


def test_a_new_year_moves_nothing_that_exists(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s", (31, 32))
    store.write(random_embeddings(ACROSS), 2024)
    shards = {p: p.stat().st_mtime_ns for p in (tmp_path / "s").rglob("*") if p.is_file() and "/c/0/0" in str(p)}
    store.write(random_embeddings(ACROSS, 5), 2019)
    assert store.years == open_store(tmp_path / "s").years == (2024, 2019)
    assert {p: p.stat().st_mtime_ns for p in shards} == shards
    assert equal(store.read_window(ACROSS, 2024), random_embeddings(ACROSS))
    assert equal(store.read_window(ACROSS, 2019), random_embeddings(ACROSS, 5))


def test_points_come_back_in_their_order_with_prefixes_and_verified(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    given_ = random_embeddings(ACROSS)
    store.write(given_, 2024)
    rng = np.random.default_rng(1)
    rows, cols = rng.integers(0, 130, 200), rng.integers(0, 150, 200)
    points = np.array([centre_of(ACROSS, int(row), int(col)) for row, col in zip(rows, cols, strict=True)])
    wanted = given_.values()[rows, cols]
    for verify in (False, True):
        found = store.sample_points(points, 2024, verify=verify)
        assert np.array_equal(found, wanted, equal_nan=True)
    assert np.array_equal(store.sample_points(points, 2024, dims=2), wanted[:, :2], equal_nan=True)
    far = store.sample_points([(5.0, 10.0), centre_of(ACROSS, 0, 0), (0.5, -10.0)], 2024)
    assert np.isnan(far[[0, 2]]).all()
    assert store.sample_points([], 2024).shape == (0, 8)


def test_a_region_over_two_zones_takes_each_pixel_from_its_own(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s", (31, 32))
    area = (5.995, 50.5, 6.005, 50.505)
    from tessera.geo import parse_area

    for seed, part in enumerate(parse_area(area).parts()):
        store.write(random_embeddings(part.window, seed, 0), 2024)
    region = store.read_region(area, 2024)
    grid = store.region_grid(area)
    assert region.attrs["crs"] in ("EPSG:32631", "EPSG:32632")
    rows, cols = np.meshgrid(range(0, grid.height, 5), range(0, grid.width, 5), indexing="ij")
    points = np.array([centre_of(grid, int(r), int(c)) for r, c in zip(rows.flat, cols.flat, strict=True)])
    inside = (points[:, 0] > area[0]) & (points[:, 0] < area[2]) & (points[:, 1] > area[1]) & (points[:, 1] < area[3])
    found = region.values[rows.flatten(), cols.flatten()]
    assert inside.sum() > 50
    assert {True, False} == {bool(lon < 6) for lon in points[inside, 0]}
    assert np.array_equal(found[inside], store.sample_points(points[inside], 2024))
    strips = np.concatenate([strip.values for strip in store.iter_region(area, 2024, rows=7)])
    assert np.array_equal(strips, region.values, equal_nan=True)
    other = store.read_region(area, 2024, crs="EPSG:32631" if grid.zone == 32 else "EPSG:32632")
    assert other.attrs["crs"] != region.attrs["crs"]
    assert np.isfinite(other.values).any()


@settings(max_examples=15)
@given(windows, st.one_of(st.none(), st.integers(1, 70)))
def test_strips_are_the_region(tmp_path_factory: pytest.TempPathFactory, window: Window, rows: int | None) -> None:
    store = new_store(tmp_path_factory.mktemp("store") / "s")
    store.write(random_embeddings(ACROSS), 2024)
    strips = [strip.values for strip in store.iter_region(window, 2024, rows=rows)]
    assert np.array_equal(np.concatenate(strips), store.read_region(window, 2024).values, equal_nan=True)


def test_over_http_the_answers_are_the_same_and_opening_is_one_request(tmp_path: Path, closed_port: int) -> None:
    local = new_store(tmp_path / "s")
    local.write(random_embeddings(ACROSS), 2024)
    with serving(tmp_path) as (url, requests):
        remote = open_store(f"{url}/s")
        assert [one.path for one in requests] == ["/s/tessera.json"]
        assert equal(remote.read_window(ACROSS, 2024), local.read_window(ACROSS, 2024))
        points = [centre_of(ACROSS, 3, 4), centre_of(ACROSS, 100, 140)]
        requests.clear()
        assert np.array_equal(remote.sample_points(points, 2024), local.sample_points(points, 2024), equal_nan=True)
        assert all(one.wanted is not None for one in requests)
        assert len(requests) <= 8
        assert remote.info()["years"] == [2024]
        with pytest.raises(InputError, match="read by URL"):
            remote.write(random_embeddings(ACROSS), 2024)
        with pytest.raises(InputError, match="no store"):
            open_store(f"{url}/elsewhere")
    with pytest.raises(NetError, match="no server answers at this address"):
        open_store(f"http://127.0.0.1:{closed_port}/s")


def test_coverage_is_the_share_of_the_region_also_over_a_border(tmp_path: Path) -> None:
    from tessera.geo import parse_area

    store = new_store(tmp_path / "s", (31, 32))
    area = (5.995, 50.0, 6.005, 50.005)
    for seed, part in enumerate(parse_area(area).parts()):
        store.write(random_embeddings(part.window, seed), 2024)
        wanted = np.isfinite(store.read_region(area, 2024).values[..., 0]).mean()
        assert store.coverage(area, 2024) == wanted > 0.3
    with pytest.raises(InputError, match="no zone 40"):
        store.coverage(replace(ACROSS, zone=40), 2024)


def test_the_box_of_what_is_there_closes_over_the_date_line(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s", (1, 31, 60))
    for lon, lat in ((179.9, 10.0), (-179.9, 10.1)):
        zone = 60 if lon > 0 else 1
        x, y = from_lonlat(lon, lat, zone)
        store.write(random_embeddings(Window(zone, int(x // 10), int(y // 10), 40, 40)), 2024)
    west, south, east, north = store.info()["cells"]["2024"]["bbox"]
    assert 179.8 < west < 180
    assert -180 < east < -179.8
    assert 9.9 < south < north < 10.2


def test_points_keep_columns_of_any_kind(tmp_path: Path) -> None:
    import pandas as pd
    import pyarrow.csv
    import pyarrow.parquet

    store = new_store(tmp_path / "s")
    store.write(random_embeddings(ACROSS, no_data=0), 2024)
    lon, lat = centre_of(ACROSS, 3, 4)
    odd: dict[str, list[Any]] = {
        "tags": [["a"], ["b", "c"]],
        "mixed": [1, "x"],
        "big": [2**70, 1],
        "gap": [None, 3],
        "when": [pd.Timestamp("2023-05-01"), pd.NaT],
    }
    frame = pd.DataFrame({"lon": [lon, lon], "lat": [lat, lat], **odd})
    for name in ("p.csv", "p.parquet"):
        assert export_points(store, frame, 2024, tmp_path / name) == 2
    for table in (pyarrow.csv.read_csv(tmp_path / "p.csv"), pyarrow.parquet.read_table(tmp_path / "p.parquet")):
        row = table.to_pylist()[0]
        assert str(row["mixed"]) == "1"
        assert "2023-05-01" in str(row["when"])
        assert int(row["big"]) == 2**70
    with pytest.raises(InputError, match="columns e0, as the vectors have"):
        export_points(store, frame.rename(columns={"gap": "e0"}), 2024, tmp_path / "q.csv")


def test_what_another_zone_gives_is_read_in_small_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = new_store(tmp_path / "s", (31, 32))
    store.write(random_embeddings(ACROSS), 2024)
    boxes: list[Window] = []

    read = ShardedSource.read_window

    def noting(source: ShardedSource, window: Window, *rest: Any) -> Any:
        boxes.append(window)
        return read(source, window, *rest)

    monkeypatch.setattr(ShardedSource, "read_window", noting)
    next(iter(store.iter_region((5.0, 60.0, 7.0, 60.5), 2024)))
    assert {box.zone for box in boxes} == {31, 32}
    own = store.region_grid((5.0, 60.0, 7.0, 60.5)).zone
    assert max(box.width * box.height for box in boxes if box.zone != own) <= 256 * 256


def other_model() -> Embeddings:
    model = ModelIdentity("other", "cd" * 32, 8)
    return replace(random_embeddings(ACROSS), model=model)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (other_model, "a store holds one model"),
        (lambda: replace(random_embeddings(ACROSS), grid=None), "no CRS and no transform"),
        (
            lambda: replace(random_embeddings(ACROSS), grid=Grid("EPSG:4326", (1, 0, 0, 0, -1, 0), 130, 150)),
            "EPSG:4326",
        ),
        (lambda: random_embeddings(replace(ACROSS, zone=40)), "no zone 40; it has 31"),
    ],
)
def test_embeddings_that_do_not_belong_are_refused(tmp_path: Path, make: Any, reason: str) -> None:
    store = new_store(tmp_path / "s")
    with pytest.raises(InputError, match=reason) as caught:
        store.write(make(), 2024)
    assert "\n" not in str(caught.value)
    assert store.years == ()


def test_questions_that_have_no_answer_are_one_line(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    store.write(random_embeddings(ACROSS), 2024)
    text: Any = "2024"
    questions: list[tuple[Any, str]] = [
        (lambda: store.sample_points([(5, 86)], 2024), "outside the grid"),
        (lambda: store.sample_points([(5, 50), (-70, 10)], 2024), "1 of 2 points, such as longitude -70"),
        (lambda: store.sample_points([(5, 50)], 2023), "no year 2023; it has 2024"),
        (lambda: store.sample_points([(5, 50)], text), "year '2024'"),
        (lambda: store.sample_points([(5, 50)], 2024, dims=3), "one of 2, 8"),
        (lambda: store.read_region((5, 84, 6, 85), 2024), "85 N"),
        (lambda: store.read_region(ACROSS, 2024, crs="EPSG:99999"), "EPSG:99999"),
        (lambda: store.read_region(replace(ACROSS, zone=7), 2024), "no zone 7"),
        (lambda: create_store(tmp_path / "s", 8, MODEL), "exists"),
        (lambda: create_store(tmp_path / "t", 9, MODEL), "9 dims"),
        (lambda: create_store(tmp_path / "t"), "expected an encoder"),
        (lambda: create_store(tmp_path / "t", 8, MODEL, zones=(0,)), "UTM zone 0"),
        (lambda: Layout(8, shard=100), "shard side 100"),
        (lambda: open_store(tmp_path / "none"), "not found"),
        (lambda: open_store(tmp_path), "no store"),
        (lambda: open_store("ftp://nowhere/x"), "'ftp'"),
    ]
    for ask, reason in questions:
        with pytest.raises(InputError, match=reason) as caught:
            ask()
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "t").exists()


def test_exports_hold_what_the_store_holds(tmp_path: Path) -> None:
    import pyarrow.csv
    import pyarrow.parquet
    import rasterio

    store = new_store(tmp_path / "s")
    given_ = random_embeddings(ACROSS)
    store.write(given_, 2024)
    points = [centre_of(ACROSS, 3, 4), (5.0, 10.0)]
    wanted = store.sample_points(points, 2024)
    found = int(np.isfinite(wanted[:, 0]).sum())
    assert export_points(store, points, 2024, tmp_path / "p.csv") == found
    assert export_points(store, points, 2024, tmp_path / "p.parquet") == found
    for table in (pyarrow.csv.read_csv(tmp_path / "p.csv"), pyarrow.parquet.read_table(tmp_path / "p.parquet")):
        assert table.column_names[:10] == ["lon", "lat", *(f"e{k}" for k in range(8))]
        rows = np.array([[row[f"e{k}"] for k in range(8)] for row in table.to_pylist()], dtype=np.float32)
        np.testing.assert_allclose(rows, wanted, rtol=1e-6, equal_nan=True)
    assert export_region(store, ACROSS, 2024, tmp_path / "r.npy") == (130, 150, 8, int(given_.valid.sum()))
    assert np.array_equal(np.load(tmp_path / "r.npy"), given_.values(), equal_nan=True)
    export_region(store, ACROSS, 2024, tmp_path / "r.tif", dims=2)
    with rasterio.open(tmp_path / "r.tif") as raster:
        assert raster.crs.to_epsg() == 32631
        assert tuple(raster.transform)[:6] == ACROSS.grid.transform
        assert np.array_equal(raster.read(), np.moveaxis(given_.values()[..., :2], -1, 0), equal_nan=True)
    with pytest.raises(InputError, match="ends in one of \\.csv"):
        export_points(store, points, 2024, tmp_path / "p.xls")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.csv", "p.parquet", "r.npy", "r.tif", "s"]


def test_info_counts_what_is_there(tmp_path: Path) -> None:
    store: Store = new_store(tmp_path / "s")
    given_ = random_embeddings(ACROSS)
    cells = store.write(given_, 2024)
    year = store.info()["cells"]["2024"]
    assert year["names"] == sorted(cell.name for cell in cells)
    assert year["pixels"] == {"valid": int(given_.valid.sum()), "no_data": int((~given_.valid).sum())}
    assert year["zones"] == [31]
    west, south, east, north = year["bbox"]
    corners = np.array([centre_of(ACROSS, row, col) for row in (0, 129) for col in (0, 149)])
    assert west < corners[:, 0].min() < corners[:, 0].max() < east < west + 0.05
    assert south < corners[:, 1].min() < corners[:, 1].max() < north < south + 0.05
    assert store.coverage(ACROSS, 2024) == given_.valid.mean()
    shards = [p for spec in LAYOUT.arrays for p in (tmp_path / "s" / "utm31" / spec.name / "c").rglob("*")]
    on_disk = sum(p.stat().st_size for p in shards if p.is_file())
    assert on_disk == year["bytes"]
