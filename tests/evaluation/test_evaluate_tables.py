"""Tables of pixel-years and labelled places."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluate_made import rows_of, write_table
from hypothesis import given
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.cubes import S2_BANDS
from tessera.evaluation import read_pixel_years
from tessera.labels import read_labels


def test_a_table_becomes_pixel_years(tmp_path: Path) -> None:
    rows = rows_of()
    order = np.random.default_rng(0).permutation(len(rows["date"]))
    mixed = {name: [values[i] for i in order] for name, values in rows.items()}
    table = read_pixel_years(write_table(tmp_path / "plots.parquet", mixed))
    assert (len(table), table.kind, table.source) == (12, "classification", "plots.parquet")
    names = list(dict.fromkeys(mixed["sample_id"]))
    series = table.series
    assert series is not None
    for place, name in enumerate(names):
        own = [i for i, sample in enumerate(rows["sample_id"]) if sample == name]
        optical = [i for i in own if rows["valid"][i]]
        span = slice(series.s2_offsets[place], series.s2_offsets[place + 1])
        assert series.s2[span].tolist() == [[rows[band][i] for band in S2_BANDS] for i in optical]
        assert series.s2_day[span].tolist() == [rows["date"][i].timetuple().tm_yday for i in optical]
        radar = [i for i in own if rows["VV"][i] is not None]
        span = slice(series.s1_offsets[place], series.s1_offsets[place + 1])
        assert series.s1[span, 0].tolist() == [round((2 * rows["VV"][i] + 50) * 200) for i in radar]
        assert series.s1_descending[span].tolist() == [rows["orbit"][i] == "descending" for i in radar]
        assert table.values[place] == rows["label"][own[0]]
        assert table.lonlat is not None
        assert table.lonlat[place].tolist() == [rows["lon"][own[0]], 50.0]
    assert table.groups is not None
    assert len(np.unique(table.groups)) == 12


def test_floats_are_regressed_and_never_made_classes(tmp_path: Path) -> None:
    rows = rows_of(label=lambda pixel: pixel * 1.25)
    path = write_table(tmp_path / "t.parquet", rows)
    table = read_pixel_years(path)
    assert table.kind == "regression"
    assert table.values.tolist() == [pixel * 1.25 for pixel in range(12)]
    assert table.groups is not None
    assert len(np.unique(table.groups)) == 6
    with pytest.raises(InputError, match="fraction"):
        read_pixel_years(path, kind="classification")


def test_the_least_table(tmp_path: Path) -> None:
    rows = {name: values for name, values in rows_of().items() if name in ("sample_id", "date", "label", *S2_BANDS)}
    table = read_pixel_years(write_table(tmp_path / "t.parquet", rows))
    assert table.groups is None
    assert table.lonlat is None
    assert table.test is None
    assert table.series is not None
    assert table.series.s2_count.tolist() == [6] * 12
    assert table.series.s1_count.tolist() == [0] * 12


def _with(
    name: str, values: Callable[[list[Any]], list[Any]]
) -> Callable[[dict[str, list[Any]]], dict[str, list[Any]]]:
    return lambda rows: {**rows, name: values(rows.get(name, rows["date"]))}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: {k: v for k, v in rows.items() if k != "B8A"}, "lacks B8A"),
        (lambda rows: {k: v for k, v in rows.items() if k != "lat"}, "a column lon alone"),
        (_with("B04", lambda values: [v / 10_000 for v in values]), None),
        (_with("date", lambda values: [*values[:-1], values[-1].replace(year=2023)]), "spans"),
        (_with("date", lambda values: [str(v) + " noon" for v in values]), "expected dates"),
        (_with("date", lambda values: list(range(len(values)))), "expected dates"),
        (_with("label", lambda values: ["rye", *values[1:]]), "label of a pixel changes"),
        (_with("label", lambda values: [None, *values[1:]]), "empty cells"),
        (_with("VV", lambda values: [v if v is None else -v * 20 for v in values]), "expected backscatter in dB"),
        (_with("orbit", lambda values: ["up" if v else None for v in values]), "expected ascending or descending"),
        (_with("lat", lambda values: ["north" for _ in values]), "lon and lat hold what is no number"),
        (_with("lat", lambda values: [values[0] + 1e-5, *values[1:]]), "lat of a pixel changes"),
        (_with("date", lambda values: [f"{v:%Y%m%d}" for v in values]), "no date of 1970 to 2100"),
        (_with("label", lambda values: ["x" * 2000 for _ in values]), "a text of 2000 bytes"),
        (_with("lat", lambda values: [95.0 for _ in values]), "expected degrees"),
        (_with("test", lambda values: [2 for _ in values]), "more than true and false"),
        (_with("B02", lambda values: ["dark" for _ in values]), "expected numbers"),
        (_with("B02", lambda values: [-5 for _ in values]), "expected reflectance x 10000"),
    ],
)
def test_tables_refused(tmp_path: Path, change: Callable[..., dict[str, list[Any]]], message: str | None) -> None:
    path = write_table(tmp_path / "t.parquet", change(rows_of()))
    if message is None:
        # one band in other units among ten is not told from darkness; all of them are
        rows = rows_of()
        for band in S2_BANDS:
            rows[band] = [v / 10_000 for v in rows[band]]
        path, message = write_table(tmp_path / "u.parquet", rows), "expected reflectance x 10000"
    with pytest.raises(InputError, match=message) as caught:
        read_pixel_years(path)
    assert "\n" not in str(caught.value)


def test_reflectance_of_0_to_1_with_a_stray_number_is_refused(tmp_path: Path) -> None:
    rows = rows_of()
    for band in S2_BANDS:
        rows[band] = [value / 10_000 for value in rows[band]]
    rows["B02"][0] = 12.0
    with pytest.raises(InputError, match="expected reflectance x 10000"):
        read_pixel_years(write_table(tmp_path / "t.parquet", rows))


def test_linear_power_and_endless_looks_are_refused(tmp_path: Path) -> None:
    rows = rows_of()
    for band in ("VV", "VH"):
        rows[band] = [value if value is None else 10 ** (value / 10) for value in rows[band]]
    with pytest.raises(InputError, match=r"VV, VH from 0\.0199526 to 0\.1; expected backscatter in dB"):
        read_pixel_years(write_table(tmp_path / "t.parquet", rows))
    rows = rows_of(1, 63)
    rows["date"] = [rows["date"][0]] * 63
    with pytest.raises(InputError, match="42 observations by Sentinel-2 of a pixel on a day; expected at most 20"):
        read_pixel_years(write_table(tmp_path / "t.parquet", rows))


def test_a_column_twice_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table(rows_of())
    parquet.write_table(table.append_column("B02", table.column("B03")), tmp_path / "t.parquet")
    with pytest.raises(InputError, match="two columns of one name"):
        read_pixel_years(tmp_path / "t.parquet")


def test_places_and_other_names_in_place_of_pixel_years_are_told(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    rows = rows_of()
    places = pa.table({name: rows[name] for name in ("lon", "lat", "label")})
    parquet.write_table(places, tmp_path / "p.parquet")
    with pytest.raises(
        InputError, match=r"no observations \(columns lon, lat, label\); .* for places: CSV or GeoParquet, and a store"
    ):
        read_pixel_years(tmp_path / "p.parquet")
    parquet.write_table(places.replace_schema_metadata({"geo": "{}"}), tmp_path / "g.parquet")
    with pytest.raises(InputError, match=r"for places: tessera evaluate STORE .*g.parquet --column NAME"):
        read_pixel_years(tmp_path / "g.parquet")
    many = write_table(tmp_path / "many.parquet", {f"c{k}": [1] for k in range(99)})
    with pytest.raises(InputError, match=r"columns c0, .*, c11 and 87 more\)"):
        read_pixel_years(many)
    rows["Label"], rows["crop"] = rows["label"], rows.pop("label")
    with pytest.raises(InputError, match="no column label, but Label, crop; expected the class or number"):
        read_pixel_years(write_table(tmp_path / "t.parquet", rows))


def test_lines_and_no_features_are_refused(tmp_path: Path) -> None:
    path = _geojson(tmp_path / "lines.geojson", [1.5, 2.5])
    content = json.loads(path.read_text())
    content["features"][1]["geometry"] = {"type": "LineString", "coordinates": [[5, 50], [6, 50]]}
    path.write_text(json.dumps(content))
    assert read_labels(path, "height").counts == {"shape": 1}
    content["features"] = content["features"][1:]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="feature 0 is a LineString; expected points or polygons"):
        read_labels(path, "height")
    with pytest.raises(InputError, match="holds no features; expected labelled points or polygons"):
        read_labels(_geojson(tmp_path / "none.geojson", []), "height")


def test_files_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file"):
        read_pixel_years(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("sample_id,date\n")
    with pytest.raises(InputError, match=r"no Parquet table of pixel-years; for places: tessera evaluate STORE"):
        read_pixel_years(tmp_path / "text.parquet")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        read_pixel_years(tmp_path / "cut.parquet")
    # what counts is what it holds
    assert len(read_pixel_years(write_table(tmp_path / "plots.pq", rows_of()))) == 12
    with pytest.raises(InputError, match="has 0 rows"):
        read_pixel_years(write_table(tmp_path / "e.parquet", {name: [] for name in rows_of()}))


@given(st.integers(0, 100_000))
def test_a_damaged_file_is_refused_or_read(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    whole = write_table(folder / "t.parquet", rows_of(6, 3)).read_bytes()
    rng = np.random.default_rng(seed)
    damaged = bytearray(whole)
    for place in rng.integers(0, len(whole), 3):
        damaged[place] ^= int(rng.integers(1, 256))
    (folder / "d.parquet").write_bytes(bytes(damaged))
    with contextlib.suppress(InputError):
        read_pixel_years(folder / "d.parquet")


def _geojson(path: Path, values: list[Any], *, polygons: bool = False) -> Path:
    def geometry(index: int) -> dict[str, Any]:
        x, y = 5.0 + index / 100, 50.0
        if not polygons:
            return {"type": "Point", "coordinates": [x, y]}
        ring = [[x, y], [x + 5e-4, y], [x + 5e-4, y + 5e-4], [x, y + 5e-4], [x, y]]
        return {"type": "Polygon", "coordinates": [ring]}

    features = [
        {"type": "Feature", "properties": {"height": value}, "geometry": geometry(index)}
        for index, value in enumerate(values)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_places(tmp_path: Path) -> None:
    crops = read_labels(_geojson(tmp_path / "a.geojson", ["oak", "ash", None, "oak"], polygons=True), "height")
    assert (crops.kind, crops.missing) == ("classification", 1)
    assert crops.groups is not None
    assert len(crops) > len(np.unique(crops.groups)) == 3
    heights = read_labels(_geojson(tmp_path / "b.geojson", [1.5, 20, None, 3], polygons=True), "height")
    assert heights.kind == "regression"
    assert heights.groups is not None
    for feature, height in ((0, 1.5), (1, 20.0), (3, 3.0)):
        assert set(heights.values[heights.groups == feature].tolist()) == {height}
    whole = read_labels(_geojson(tmp_path / "c.geojson", [1, 20, 1, 3]), "height", kind="regression")
    assert whole.values.tolist() == [1.0, 20.0, 1.0, 3.0]
    assert read_labels(tmp_path / "c.geojson", "height").kind == "classification"
    with pytest.raises(InputError, match="is not a number"):
        read_labels(tmp_path / "a.geojson", "height", kind="regression")
    with pytest.raises(InputError, match="continuous"):
        read_labels(tmp_path / "b.geojson", "height", kind="classification")
    with pytest.raises(InputError, match="expected classification or regression"):
        read_labels(tmp_path / "b.geojson", "height", kind="ranking")


def test_numbers_of_a_csv_are_numbers_when_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("lon;lat;height\n5;50;1,5\n6;51;20\n7;52;NA\n8;53;\n")
    found = read_labels(path, "height")
    assert (found.kind, found.values.tolist()) == ("regression", [1.5, 20.0])
    assert "decimal commas are read as points" in " ".join(found.notes)
    assert found.missing == 2
    path.write_text("lon,lat,height\n5,50,12\n6,51,20\n7,52,12\n")
    assert read_labels(path, "height").values.tolist() == ["12", "20", "12"]
    assert read_labels(path, "height", kind="regression").values.tolist() == [12.0, 20.0, 12.0]
    path.write_text("lon,lat,height\n5,50,12\n6,51,tall\n")
    with pytest.raises(InputError, match="is not a number"):
        read_labels(path, "height", kind="regression")
    text = _geojson(tmp_path / "a.geojson", ["1.5", "2.5", "1.5"])
    assert read_labels(text, "height").kind == "classification"
    assert read_labels(text, "height", kind="regression").values.tolist() == [1.5, 2.5, 1.5]
