"""What people give by mistake: one clear line, or a note and the rest done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import geopandas
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from label_files import Source, box_at, collection, lonlat_at, point_at, read_labels, write_json

from tessera.base import InputError
from tessera.labels import describe_labels
from tessera.labels import read as reader

if TYPE_CHECKING:
    from pathlib import Path

POINTS = [point_at(at, 2 * at) for at in range(3, 11)]


def line_of(source: Any, *given: Any, **more: Any) -> str:
    """The one line that a source is refused with."""
    with pytest.raises(InputError) as caught:
        read_labels(source, *given, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_one_class_and_no_class() -> None:
    said = line_of(collection(POINTS, ["a"] * 8), "crop")
    assert "only the class 'a' (0 missing); expected at least two classes" in said
    assert "no value (8 missing)" in line_of(collection(POINTS, [None] * 8), "crop")


def test_a_class_of_one_sample_is_read_and_named_as_too_few() -> None:
    report = describe_labels(read_labels(collection(POINTS, ["a"] * 7 + ["b"]), "crop"))
    assert [(row.name, row.places, row.verdict) for row in report.rows] == [("a", 7, "few"), ("b", 1, "too few")]
    assert any("b (+19)" in line for line in report.advice)


def test_mixed_types_are_classes_by_their_text() -> None:
    labels = read_labels(collection(POINTS, ["forest", 1, 1.0, "1", True, "True", 2, "01"]), "crop")
    assert labels.classes == ("01", "1", "2", "True", "forest")
    assert labels.notes == ("'01' and '1' are different classes; expected one spelling if they are the same",)


def test_one_point_zero_is_one_and_leading_zeros_stay(tmp_path: Path) -> None:
    cells = ["1.0", "1", '"2,0"', "2", "01", "1.00"]
    rows = [f"{x},{y},{v}" for (x, y), v in zip(lonlat_at(np.arange(6), np.arange(6)), cells, strict=True)]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["lon,lat,crop", *rows]))
    labels = read_labels(path, "crop")
    assert labels.values.tolist() == ["1", "1", "2", "2", "01", "1"]
    assert any("numbers with a decimal point are the same class without it: 1.0 is 1" in note for note in labels.notes)
    # numbers with fractions make the column one of numbers, and zeros stay
    path.write_text("lon,lat,crop\n5,50,1.0\n5,51,2.5\n")
    assert read_labels(path, "crop").values.tolist() == [1.0, 2.5]


@pytest.mark.parametrize("values", [[1, 2, 1, 2, 1, 2, 1, 2], [1.0, 2.0] * 4, ["1", "2"] * 4])
def test_whole_numbers_are_classes_in_every_format(tmp_path: Path, values: list[Any]) -> None:
    frame = geopandas.GeoDataFrame({"crop": values}, geometry=POINTS, crs=4326)
    frame.to_file(tmp_path / "a.gpkg")
    frame.to_file(tmp_path / "a.fgb")
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_file(tmp_path / "a.shp")
    csv = frame.assign(lon=frame.geometry.x, lat=frame.geometry.y).drop(columns="geometry")
    csv.to_csv(tmp_path / "a.csv", index=False)
    for suffix in ("gpkg", "fgb", "parquet", "shp", "csv"):
        labels = read_labels(tmp_path / f"a.{suffix}", "crop")
        assert (labels.kind, labels.classes) == ("classification", ("1", "2")), suffix
    assert read_labels(collection(POINTS, values), "crop").classes == ("1", "2")


@pytest.mark.parametrize("values", [[0.5, 2.0] * 4, ["0.5", "2"] * 4])
def test_fractions_are_numbers(tmp_path: Path, values: list[Any]) -> None:
    frame = geopandas.GeoDataFrame({"crop": values}, geometry=POINTS, crs=4326)
    csv = frame.assign(lon=frame.geometry.x, lat=frame.geometry.y).drop(columns="geometry")
    csv.to_csv(tmp_path / "a.csv", index=False)
    found = read_labels(tmp_path / "a.csv", "crop")
    # never their ranks, never cut to whole numbers
    assert found.kind == "regression"
    assert found.values.tolist() == [0.5, 2.0] * 4


def test_kml_has_no_types(tmp_path: Path) -> None:
    rows = "".join(
        f'<Placemark><ExtendedData><Data name="h"><value>{value}</value></Data></ExtendedData><Point><coordinates>'
        f"{place.x},{place.y}</coordinates></Point></Placemark>"
        for place, value in zip(POINTS, [1.5, 2.5] * 4, strict=True)
    )
    path = tmp_path / "a.kml"
    path.write_text(f'<kml xmlns="http://www.opengis.net/kml/2.2"><Document>{rows}</Document></kml>')
    assert read_labels(path, "h").kind == "regression"


def test_nan_and_other_missing_values() -> None:
    labels = read_labels(collection(POINTS, ["a", None, float("nan"), "", "b", " ", "a", "b"]), "crop")
    assert (len(labels), labels.missing) == (4, 4)
    numbers = collection(POINTS, [1.5, None, float("nan"), -9999, 2.5, -9999.0, "n/a", 3.5])
    labels = read_labels(numbers, "crop", missing=["-9999"])
    assert labels.values.tolist() == [1.5, 2.5, 3.5]
    assert labels.missing == 5
    assert read_labels(collection(POINTS, [1, 2, 99, 99, 2, 1, 1, 2]), "crop", missing=[99]).classes == ("1", "2")
    assert "(--missing -9999)" in read_labels(numbers, "crop").notes[0]


def test_polygons_under_a_pixel_are_a_pixel_each() -> None:
    shapes = [box_at(10.1, 10.1, 10.3, 10.3), box_at(20.6, 20.6, 21.2, 21.2)]
    labels = read_labels(collection(shapes, ["a", "b"]), "crop")
    assert len(labels) == 2
    assert labels.counts == {"small": 2}
    assert labels.counted == ("2 polygons hold no pixel centre; each is one pixel, of a place inside",)


def test_too_many_features_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = geopandas.GeoDataFrame({"crop": list("abababab")}, geometry=POINTS, crs=4326)
    frame.to_file(tmp_path / "a.gpkg")
    frame.to_file(tmp_path / "a.fgb")
    frame.to_parquet(tmp_path / "a.parquet")
    write_json(tmp_path / "a.geojson", collection(POINTS, list("abababab")))
    frame.assign(lon=frame.geometry.x, lat=frame.geometry.y).drop(columns="geometry").to_csv(tmp_path / "a.csv")
    monkeypatch.setattr(reader, "MOST_FEATURES", 7)
    for suffix in ("gpkg", "fgb", "parquet", "geojson", "csv"):
        assert "at most 7" in line_of(tmp_path / f"a.{suffix}", "crop"), suffix


def test_another_planet(tmp_path: Path) -> None:
    frame = geopandas.GeoDataFrame({"crop": list("abababab")}, geometry=POINTS, crs="IAU_2015:30100")
    frame.to_file(tmp_path / "moon.gpkg")
    for source in (frame, tmp_path / "moon.gpkg"):
        assert "has the CRS 'Moon (2015) - Sphere / Ocentric', which is not of the Earth" in line_of(source, "crop")


def test_swapped_axes(tmp_path: Path) -> None:
    swapped = [shapely.Point(place.y, place.x) for place in POINTS]
    labels = read_labels(collection(swapped, list("abababab")), "crop")
    with pytest.raises(InputError, match=r"none of 8 labels .* has data in 2021; latitude seems to come first: 8 of 8"):
        describe_labels(labels, Source(), 2021)
    far = [shapely.Point(50, 100), shapely.Point(51, 101)]
    assert "latitude" in line_of(collection(far, ["a", "b"]), "crop")


def test_an_empty_layer_and_several_layers(tmp_path: Path) -> None:
    assert "holds no features" in line_of(collection([], []), "crop")
    frame = geopandas.GeoDataFrame({"crop": list("abababab")}, geometry=POINTS, crs=4326)
    path = tmp_path / "a.gpkg"
    frame.to_file(path, layer="plots")
    frame.iloc[:0].to_file(path, layer="none")
    frame.rename(columns={"crop": "name"}).to_file(path, layer="towns")
    assert "has the layers plots, towns, whose columns or geometries differ" in line_of(path, "crop")
    assert "has no layer 'fields'; it has " in line_of(path, "crop", layer="fields")
    assert "holds no features" in line_of(path, "crop", layer="none")
    assert len(read_labels(path, "crop", layer="plots")) == 8
    assert "layers 'plots' and 'none'; expected one" in line_of(f"{path}|layername=plots", "crop", layer="none")


def test_metres_need_a_crs(tmp_path: Path) -> None:
    frame = geopandas.GeoDataFrame({"crop": list("abababab")}, geometry=POINTS, crs=4326)
    flat = frame.to_crs(3035)
    path = tmp_path / "a.csv"
    flat.assign(x=flat.geometry.x, y=flat.geometry.y).drop(columns="geometry").to_csv(path, index=False)
    assert "not degrees, perhaps metres; expected longitude and latitude, or the CRS of the file" in line_of(
        path, "crop"
    )
    labels = read_labels(path, "crop", crs="EPSG:3035")
    np.testing.assert_allclose(labels.lonlat, [(place.x, place.y) for place in POINTS], atol=1e-9)
    pq.write_table(
        pa.table(
            {"Easting": flat.geometry.x.to_numpy(), "Northing": flat.geometry.y.to_numpy(), "crop": [*"abababab"]}
        ),
        tmp_path / "a.parquet",
    )
    again = read_labels(tmp_path / "a.parquet", "crop", crs="EPSG:3035")
    np.testing.assert_allclose(again.lonlat, labels.lonlat, atol=1e-9)
    flat.to_file(tmp_path / "a.shp")
    (tmp_path / "a.prj").unlink()
    assert "no CRS" in line_of(tmp_path / "a.shp", "crop")
    np.testing.assert_allclose(
        read_labels(tmp_path / "a.shp", "crop", crs="EPSG:3035").lonlat, labels.lonlat, atol=1e-9
    )
    frame.to_file(tmp_path / "b.gpkg")
    assert "declares the CRS 'WGS 84', not EPSG:3035" in line_of(tmp_path / "b.gpkg", "crop", crs="EPSG:3035")
    assert len(read_labels(tmp_path / "b.gpkg", "crop", crs="EPSG:4326")) == 8
    assert "CRS 'nonsense'" in line_of(path, "crop", crs="nonsense")


def test_geojson_of_before_2016_names_its_crs() -> None:
    flat = geopandas.GeoSeries(POINTS, crs=4326).to_crs(32631)
    source = collection(list(flat), list("abababab"))
    source["crs"] = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32631"}}
    np.testing.assert_allclose(read_labels(source, "crop").lonlat, [(p.x, p.y) for p in POINTS], atol=1e-9)


def test_options_are_checked() -> None:
    good = collection(POINTS, list("abababab"))
    assert "edges 'both'; expected drop or keep" in line_of(good, "crop", edges="both")
    assert "0 pixels a polygon" in line_of(good, "crop", per_polygon=0)
    assert "-1 m to the border" in line_of(good, "crop", edge_m=-1.0)
    assert "needs a column of classes or numbers (--column); it has crop" in line_of(good)
    assert "no column 'site'; it has crop" in line_of(good, "crop", group="site")


def test_a_damaged_geopackage_is_one_line_without_a_warning(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    frame = geopandas.GeoDataFrame({"crop": list("abababab")}, geometry=POINTS, crs=4326)
    frame.to_file(tmp_path / "a.gpkg")
    data = (tmp_path / "a.gpkg").read_bytes()
    capfd.readouterr()
    for name, broken in (("cut", data[: len(data) // 2]), ("mixed", data[:5000] + bytes(20_000) + data[25_000:])):
        path = tmp_path / f"{name}.gpkg"
        path.write_bytes(broken)
        line_of(path, "crop")
    assert capfd.readouterr() == ("", "")
