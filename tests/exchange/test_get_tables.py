from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
import shapely
from get_helpers import WINDOW, bbox_of, lonlat_of, small_store

from tessera.base import InputError
from tessera.exchange import _tables as tables_module
from tessera.exchange import estimate_points, export_points, export_zonal
from tessera.exchange import points as points_module
from tessera.geo import read_vector
from tessera.store import Store

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return small_store(tmp_path_factory.mktemp("tables") / "s")


def scattered(count: int, seed: int = 0) -> list[tuple[float, float]]:
    rng = np.random.default_rng(seed)
    return [
        lonlat_of(WINDOW, x, y) for x, y in zip(rng.uniform(-9, 340, count), rng.uniform(-9, 310, count), strict=True)
    ]


def vectors(table: Any) -> np.ndarray:
    return np.stack([table[f"e{band}"].to_numpy() for band in range(8)], axis=1).astype(np.float32)


def parcels(count: int, seed: int = 0) -> geopandas.GeoDataFrame:
    rng = np.random.default_rng(seed)
    shapes = []
    for x, y in zip(rng.uniform(0, 330, count), rng.uniform(0, 300, count), strict=True):
        turn = rng.uniform(0, 6)
        corners = [(x + 12 * math.cos(turn + k), y + 9 * math.sin(turn + k)) for k in (0.1, 1.9, 3.4, 4.9)]
        shapes.append(shapely.Polygon([lonlat_of(WINDOW, *corner) for corner in corners]))
    return geopandas.GeoDataFrame(
        {"id": range(count), "crop": [*["wheat", None] * count][:count]}, geometry=shapes, crs=4326
    )


def test_points_keep_their_order_over_many_batches(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(points_module, "BATCH", 37)
    monkeypatch.setattr(tables_module, "BATCH", 29)
    points = [*scattered(200), (50.0, 10.0), (5.0, 85.0)]
    found = store.sample(points, 2024)
    done: list[tuple[int, int]] = []
    for name in ("p.csv", "p.parquet"):
        done.clear()
        count = export_points(store, points, 2024, tmp_path / name, progress=lambda a, b: done.append((a, b)))
        assert count == int(found.valid.sum()) > 100
        assert done[0] == (0, 6)
        assert done[-1] == (6, 6)
        read: Any = pyarrow.csv.read_csv if name.endswith("csv") else pyarrow.parquet.read_table
        table = read(tmp_path / name)
        np.testing.assert_allclose(vectors(table), found.values, rtol=1e-6, equal_nan=True)
        names = ["valid", "water", "no_data", "not_written", "outside"]
        assert table["status"].to_pylist() == [names[status] for status in found.status]
        assert np.array_equal(table["lon"].to_numpy(), found.lon)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.csv", "p.parquet"]


def test_several_years_are_rows(store: Store, tmp_path: Path) -> None:
    points = scattered(11)
    export_points(store, points, [2024, 2023], tmp_path / "p.parquet", dims=2)
    table = pyarrow.parquet.read_table(tmp_path / "p.parquet")
    assert table["year"].to_pylist() == [2024, 2023] * 11
    wanted = store.sample_points(points, [2024, 2023], 2).reshape(22, 2)
    assert np.array_equal(table["e1"].to_numpy(), wanted[:, 1], equal_nan=True)
    assert table.column_names == ["lon", "lat", "year", "e0", "e1", "status", "geometry"]
    assert export_points(store, [], 2024, tmp_path / "none.csv") == 0
    assert (tmp_path / "none.csv").read_text().startswith('"lon","lat","e0"')


def test_parquet_is_geoparquet(store: Store, tmp_path: Path) -> None:
    points = scattered(20)
    frame = geopandas.GeoDataFrame(
        {"k": range(20), "tags": [["a"]] * 20}, geometry=[shapely.Point(p) for p in points], crs=4326
    )
    export_points(store, frame.to_crs(3035), 2024, tmp_path / "p.parquet")
    again = geopandas.read_parquet(tmp_path / "p.parquet")
    assert again.crs.to_epsg() in (4326, None)
    assert again.crs.equals("OGC:CRS84") or again.crs.to_epsg() == 4326
    assert again["k"].tolist() == list(range(20))
    np.testing.assert_allclose(shapely.get_coordinates(again.geometry), points, atol=1e-7)
    about = json.loads(pyarrow.parquet.read_schema(tmp_path / "p.parquet").metadata[b"geo"])
    assert about["primary_column"] == "geometry"
    column = about["columns"]["geometry"]
    assert column["encoding"] == "WKB"
    assert column["geometry_types"] == ["Point"]
    wanted = [*np.min(points, axis=0), *np.max(points, axis=0)]
    np.testing.assert_allclose(column["bbox"], wanted, atol=1e-7)
    assert len(read_vector(tmp_path / "p.parquet")) == 20


def test_means_of_polygons_with_their_own_columns(store: Store, tmp_path: Path, run: Run) -> None:
    frame = parcels(30)
    frame.to_parquet(tmp_path / "f.parquet")
    wanted = store.zonal(frame, 2024)
    for name in ("z.csv", "z.parquet"):
        code, out, err = run(
            "get", store.objects.root, "--zonal", tmp_path / "f.parquet", "--year", 2024, "-o", tmp_path / name
        )
        assert code == 0, err
        assert "30 polygons, at most" in out or "30 polygons, 8 dims" in out
        assert f"{int((wanted.counts > 0).sum())} with data, {int(wanted.counts.sum()):,} pixels" in out
        read: Any = pyarrow.csv.read_csv if name.endswith("csv") else pyarrow.parquet.read_table
        table = read(tmp_path / name)
        np.testing.assert_allclose(vectors(table), wanted.means, rtol=1e-6, equal_nan=True)
        assert table["id"].to_pylist() == list(range(30))
        assert table["pixels"].to_pylist() == wanted.pixels.tolist()
        assert table["valid"].to_pylist() == wanted.counts.tolist()
        np.testing.assert_allclose(table["share"].to_numpy(), wanted.share, equal_nan=True)
    again = geopandas.read_parquet(tmp_path / "z.parquet")
    assert shapely.equals(again.geometry.to_numpy(), frame.geometry.to_numpy()).all()
    export_zonal(store, frame, [2023, 2024], tmp_path / "y.csv", dims=2, all_touched=True)
    both = store.zonal(frame, [2023, 2024], 2, all_touched=True)
    table = pyarrow.csv.read_csv(tmp_path / "y.csv")
    assert table["year"].to_pylist() == [2023, 2024] * 30
    assert table["valid"].to_pylist() == both.counts.reshape(-1).tolist()
    assert table["pixels"].to_pylist() == np.repeat(both.pixels, 2).tolist()
    np.testing.assert_allclose(table["e1"].to_numpy(), both.means[..., 1].reshape(-1), rtol=1e-6, equal_nan=True)


def test_names_that_the_vectors_need_are_refused(store: Store, tmp_path: Path) -> None:
    lon, lat = lonlat_of(WINDOW, 5, 5)
    for header, years, reason in (
        ("lon,lat,e3", 2024, "columns e3"),
        ("lon,lat,status", 2024, "columns status"),
        ("lon,lat,year", [2023, 2024], "columns year"),
    ):
        (tmp_path / "p.csv").write_text(f"{header}\n{lon},{lat},7\n")
        with pytest.raises(InputError, match=reason):
            export_points(store, tmp_path / "p.csv", years, tmp_path / "o.csv")
    (tmp_path / "p.csv").write_text(f"lon,lat,year\n{lon},{lat},1999\n")
    assert export_points(store, tmp_path / "p.csv", 2024, tmp_path / "o.csv") in (0, 1)
    frame = parcels(2).rename(columns={"id": "share"})
    with pytest.raises(InputError, match="columns share"):
        export_zonal(store, frame, 2024, tmp_path / "z.csv")
    with pytest.raises(InputError, match="is a Polygon; expected points only"):
        export_points(store, parcels(2), 2024, tmp_path / "o.csv")
    (tmp_path / "gap.csv").write_text(f"lon,lat\n{lon},{lat}\n,\n")
    with pytest.raises(InputError, match="feature 1 has no geometry"):
        export_points(store, tmp_path / "gap.csv", 2024, tmp_path / "o.csv")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_no_points_are_a_table_without_rows(store: Store, tmp_path: Path, suffix: str) -> None:
    (tmp_path / "p.csv").write_text("lon,lat,c\n")
    assert export_points(store, tmp_path / "p.csv", 2024, tmp_path / f"o.{suffix}") == 0
    read = pyarrow.csv.read_csv if suffix == "csv" else pyarrow.parquet.read_table
    found = read(tmp_path / f"o.{suffix}")
    assert (found.num_rows, found.column_names[:4]) == (0, ["lon", "lat", "c", "e0"])


def test_a_column_named_geometry_goes_through_to_csv(store: Store, tmp_path: Path) -> None:
    lon, lat = lonlat_of(WINDOW, 5, 5)
    (tmp_path / "p.csv").write_text(f"lon,lat,geometry\n{lon},{lat},POINT (1 2)\n")
    export_points(store, tmp_path / "p.csv", 2024, tmp_path / "o.csv")
    assert pyarrow.csv.read_csv(tmp_path / "o.csv")["geometry"].to_pylist() == ["POINT (1 2)"]
    with pytest.raises(InputError, match="columns geometry"):
        export_points(store, tmp_path / "p.csv", 2024, tmp_path / "o.parquet")


def test_points_on_the_command_line(store: Store, tmp_path: Path, run: Run) -> None:
    points = scattered(40, 3)
    (tmp_path / "p.csv").write_text("name,lat,lon\n" + "".join(f"a,{lat!r},{lon!r}\n" for lon, lat in points))
    command = ["get", store.objects.root, "--points", tmp_path / "p.csv", "--year", "2024", "-o", tmp_path / "o.csv"]
    code, out, _ = run(*command, "--dry-run", "--json")
    told = json.loads(out)["estimate"]
    assert told["what"] == "40 points"
    assert told == estimate_points(store, tmp_path / "p.csv", 2024, tmp_path / "o.csv").to_json()
    assert not (tmp_path / "o.csv").exists()
    code, out, _ = run(*command, "--search", 3, "--json")
    done = json.loads(out)
    assert done["points"] == 40
    assert done["valid"] == int(store.sample(points, 2024, search=3).valid.sum())
    assert (tmp_path / "o.csv").stat().st_size <= told["written"]
    bad = [*command[:3], tmp_path / "o.csv", *command[4:]]
    code, _, err = run(*bad)
    assert code == 2
    assert len(err.strip().splitlines()) == 1


def test_a_region_that_is_named_by_polygons_is_clipped_to_them(store: Store, tmp_path: Path, run: Run) -> None:
    frame = parcels(3, 5)
    frame.to_file(tmp_path / "a.geojson", driver="GeoJSON")
    options = ["--aoi", tmp_path / "a.geojson", "--year", 2024, "--clip"]
    code, _, err = run("get", store.objects.root, *options, "-o", tmp_path / "r.npy")
    assert code == 0, err
    wanted = store.read_region(frame, 2024, clip=True).values
    assert np.array_equal(np.load(tmp_path / "r.npy"), wanted, equal_nan=True)
    assert np.isfinite(wanted).any()
    west, south, east, north = bbox_of(WINDOW, 0, 0, 330, 300)
    assert west < frame.total_bounds[0] + 0.01
    assert (south, east) < (north, 180)


def test_points_are_verified_where_asked_and_never_written_over(tmp_path: Path, run: Run) -> None:
    store = small_store(tmp_path / "s")
    lon, lat = lonlat_of(WINDOW, 100.5, 90.5)
    points = tmp_path / "plots.csv"
    points.write_text(f"lon,lat,crop\n{lon},{lat},wheat\n")
    code, _, err = run("get", tmp_path / "s", "--points", points, "--year", 2024, "-o", points)
    assert code == 2
    assert "is, or lies in, the input" in err
    assert points.read_text().startswith("lon,lat,crop\n")
    ask = ("get", tmp_path / "s", "--points", points, "--year", 2024, "-o")
    assert run(*ask, tmp_path / "plain.csv")[0] == 0
    assert run(*ask, tmp_path / "sure.csv", "--verify")[0] == 0
    assert (tmp_path / "plain.csv").read_bytes() == (tmp_path / "sure.csv").read_bytes()
    for path in (tmp_path / "s" / "utm31" / "embeddings").rglob("c/*/0/*/*"):
        data = bytearray(path.read_bytes())
        start = store.layout.format(store.layout.codes).index_bytes
        data[start:] = bytes(byte ^ 1 for byte in data[start:])
        path.write_bytes(data)
    code, _, err = run(*ask, tmp_path / "sure.csv", "--verify")
    assert code == 1
    assert "checksum of a chunk does not fit" in err
    code, _, err = run("get", tmp_path / "s", "--bbox", "5,50,5.1,50.1", "--year", 2024, "--verify", "-o", "r.npy")
    assert code == 2
    assert "--verify does not go with --bbox" in err


@pytest.mark.parametrize("name", ["o.csv", "o.parquet"])
def test_columns_of_points_go_through_unchanged(store: Store, tmp_path: Path, run: Run, name: str) -> None:
    lon, lat = scattered(1)[0]
    (tmp_path / "p.csv").write_text(
        f'lon,lat,plot,id,iso,note\n{lon!r},{lat!r},0000,9007199254740993,NA,"a,\nb"\n{lon!r},{lat!r},01,,"NA",\n'
    )
    code, _, err = run("get", store.objects.root, "--points", tmp_path / "p.csv", "--year", 2024, "-o", tmp_path / name)
    assert code == 0, err
    if name.endswith("csv"):
        texts = {column: pyarrow.string() for column in ("plot", "id", "iso", "note")}
        options = pyarrow.csv.ConvertOptions(
            column_types=texts, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
        )
        parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
        table = pyarrow.csv.read_csv(tmp_path / name, convert_options=options, parse_options=parse)
    else:
        table = pyarrow.parquet.read_table(tmp_path / name)
    assert table["plot"].to_pylist() == ["0000", "01"]
    assert table["id"].to_pylist() == ["9007199254740993", None]
    assert table["iso"].to_pylist() == ["NA", "NA"]
    assert table["note"].to_pylist() == ["a,\nb", None]
    assert table["lon"].to_pylist() == [lon, lon]


def test_whole_numbers_with_gaps_stay_exact(store: Store, tmp_path: Path) -> None:
    place = shapely.Point(scattered(1)[0])
    features = [
        {"type": "Feature", "geometry": shapely.geometry.mapping(place), "properties": {"id": value, "x": 0.1}}
        for value in (2**53 + 1, None, 3)
    ]
    given = {"type": "FeatureCollection", "features": features}
    export_points(store, given, 2024, tmp_path / "p.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "p.parquet")
    assert table.schema.field("id").type == pyarrow.int64()
    assert table["id"].to_pylist() == [2**53 + 1, None, 3]
    export_points(store, given, 2024, tmp_path / "p.csv")
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert [line.split(",")[2] for line in lines[1:]] == [str(2**53 + 1), "", "3"]
    small = geopandas.GeoDataFrame({"v": np.array([0.1], dtype=np.float32)}, geometry=[place], crs=4326)
    export_points(store, small, 2024, tmp_path / "f.parquet")
    assert pyarrow.parquet.read_schema(tmp_path / "f.parquet").field("v").type == pyarrow.float32()


def test_attributes_named_lon_and_lat_are_kept_where_they_say_something_else(
    store: Store, tmp_path: Path, run: Run
) -> None:
    lon, lat = scattered(1)[0]
    point = {"type": "Point", "coordinates": [lon, lat]}
    feature = {"type": "Feature", "geometry": point, "properties": {"lon": "as surveyed 5.27", "lat": lat}}
    (tmp_path / "p.geojson").write_text(json.dumps(feature))
    out = tmp_path / "o.csv"
    code, said, err = run("get", store.objects.root, "--points", tmp_path / "p.geojson", "--year", 2024, "-o", out)
    assert code == 0, err
    assert "note: column lon says something else than the points and is kept as own_lon" in said
    table = pyarrow.csv.read_csv(out)
    assert table["own_lon"].to_pylist() == ["as surveyed 5.27"]
    assert table["lon"].to_pylist() == [pytest.approx(lon)]
    assert "own_lat" not in table.column_names


def test_one_rule_for_points_of_get_and_fit(store: Store, tmp_path: Path, run: Run) -> None:
    lon, lat = scattered(1)[0]
    one = {"type": "MultiPoint", "coordinates": [[lon - 360, lat]]}
    assert export_points(store, one, 2024, tmp_path / "o.csv") == export_points(
        store, [(lon, lat)], 2024, tmp_path / "p.csv"
    )
    assert (tmp_path / "o.csv").read_text().splitlines()[0] == (tmp_path / "p.csv").read_text().splitlines()[0]
    assert np.array_equal(store.sample_points(one, 2024), store.sample_points([(lon, lat)], 2024), equal_nan=True)
    swapped = {"type": "MultiPoint", "coordinates": [[lat, lon]]}
    (tmp_path / "s.geojson").write_text(json.dumps(swapped))
    where = tmp_path / "s.csv"
    code, said, err = run("get", store.objects.root, "--points", tmp_path / "s.geojson", "--year", 2024, "-o", where)
    assert code == 0, err
    assert ("latitude seems to come first" in said) == (not np.isnan(store.sample_points([(lon, lat)], 2024)).any())
