"""Tables and layers: a user's columns go through unchanged, and every feature of a file is read or refused."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pyogrio
import pytest
import shapely
from vector_files import PLACES, frame, table, write_layers, zipped

from tessera.base import InputError
from tessera.geo import parse_area, parse_points, read_vector, swap_hint


def csv(folder: Path, data: str | bytes, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def test_cells_of_a_csv_stay_the_text_they_are(tmp_path: Path) -> None:
    text = 'lon,lat,plot,code,big,empty,quoted\n5,50,0000,01,9007199254740993,,""\n6,51,0010,1,,x," a "\n'
    found = read_vector(csv(tmp_path, text))
    assert {name: values.tolist() for name, values in found.columns.items()} == {
        "lon": [5.0, 6.0],
        "lat": [50.0, 51.0],
        "plot": ["0000", "0010"],
        "code": ["01", "1"],
        "big": ["9007199254740993", None],
        "empty": [None, "x"],
        "quoted": ["", " a "],
    }
    assert (found.typed, found.positions, found.notes) == (False, ("lon", "lat"), ())


@pytest.mark.parametrize("word", ["NA", "NaN", "nan", "NULL", "#N/A", "n/a", "Null"])
def test_what_programs_write_for_missing_is_missing_where_it_is_not_quoted(tmp_path: Path, word: str) -> None:
    found = read_vector(csv(tmp_path, f'lon,lat,c\n5,50,{word}\n6,51,"{word}"\n7,52,x\n'))
    assert found.column("c").tolist() == [None, word, "x"]
    # what goes through to another table is what stood there
    assert found.columns["c"].tolist() == [word, word, "x"]


def test_line_breaks_in_quotes_are_read_in_a_csv_of_any_size(tmp_path: Path) -> None:
    rows = "".join(f'5.25,50.75,"first line,\nsecond ""{number}"""\n' for number in range(60_000))
    found = read_vector(csv(tmp_path, "lon,lat,note\n" + rows))
    assert len(found) == 60_000
    assert found.column("note")[[0, -1]].tolist() == ['first line,\nsecond "0"', 'first line,\nsecond "59999"']


def test_a_long_cell_of_many_lines_and_text_behind_a_quote_are_read(tmp_path: Path) -> None:
    found = read_vector(csv(tmp_path, 'lon,lat,c\n5,50,"' + "x\n" * 100_000 + '"\n6,51,"a" b\n'))
    assert found.column("c").tolist() == ["x\n" * 100_000, "a b"]


@pytest.mark.parametrize(
    ("data", "columns", "note"),
    [
        ("lon;lat;c\n5,25;50,75;1,5\n", {"c": ["1,5"]}, "decimal commas are read as points"),
        ("lon\tlat\tc\n5.25\t50.75\ta,b\n", {"c": ["a,b"]}, ""),
        ("lon|lat|c\n5.25|50.75|a\n", {"c": ["a"]}, ""),
        ('"lon";"lat";"a,b,c,d,e"\n5.25;50.75;x\n', {"a,b,c,d,e": ["x"]}, ""),
        ("sep=;\nlon;lat;c\n5.25;50.75;a\n", {"c": ["a"]}, ""),
        ("\n\nlon,lat,c\n5.25,50.75,a\n", {"c": ["a"]}, ""),
        ("lon,lat,c\r\n5.25,50.75,a\r\n", {"c": ["a"]}, ""),
        ("\ufefflon,lat,c\n5.25,50.75,é\n", {"c": ["é"]}, ""),
        ("lon,lat,c\n5.25,50.75,é\n".encode("utf-16"), {"c": ["é"]}, ""),
        ("lon,lat,Straße\n5.25,50.75,é\n".encode("cp1252"), {"Straße": ["é"]}, "read as Windows-1252"),
        (" Lon , LATITUDE,c\n 5.25 , 50.75 ,a\n", {"c": ["a"]}, ""),
        ("id,y,x\n007,50.75,5.25\n", {"id": ["007"]}, ""),
    ],
)
def test_forms_of_csv(tmp_path: Path, data: str | bytes, columns: dict[str, list[str]], note: str) -> None:
    found = read_vector(csv(tmp_path, data))
    assert shapely.get_coordinates(found.geometries).tolist() == [[5.25, 50.75]]
    own = {name: values.tolist() for name, values in found.columns.items() if name not in found.positions}
    assert own == columns
    assert note in " ".join(found.notes)
    assert bool(note) == bool(found.notes)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ('lon,lat,c\n5,50,"open\n6,51,x\n7,52,y\n', "line 2 has a quote that never closes"),
        ('lon,lat,c\n4,49,a\n5,50,"open\n6,51,x\n7,52,"y\n8,53,z\n', "line 3 has a quote that never closes, or closes"),
        ('lon;lat;c\r\n5;50;"open\r\n6;51;"x"\r\n'.encode("utf-16"), "line 2 has a quote"),
        ("lon,lat,c\n5,50,é\n".encode("utf-16-le"), "not a vector file"),
        (b"lon,lat,c\n5,50,\x00\n", "not a vector file"),
        ("easting,northing\n1,2\n", "columns easting, northing; expected lon and lat"),
        ("lon,lat,c\n5,50\n", "not a CSV table"),
        ("lon,lat\n5,50 N\n", "column 'lat' of positions holds a value that is no number"),
        ("PROJCS[", "give its .shp"),
        ("!table\n!version 300\n", "a MapInfo table"),
    ],
)
def test_csv_that_would_lose_something_is_refused(tmp_path: Path, data: str | bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        read_vector(csv(tmp_path, data))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["tsv", "xlsx", "ods", "dbf", "gpkg", "parquet"])
def test_tables_without_geometry_are_read_by_lon_and_lat(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t.{suffix}"
    if suffix == "tsv":
        table().to_csv(path, sep="\t", index=False)
    elif suffix == "parquet":
        table().to_parquet(path)
    else:
        driver = {"xlsx": "XLSX", "ods": "ODS", "dbf": "ESRI Shapefile", "gpkg": "GPKG"}[suffix]
        pyogrio.write_dataframe(table(), path, driver=driver)
    found = read_vector(path)
    assert shapely.get_coordinates(found.geometries).tolist() == [list(place) for place in PLACES]
    assert found.column("code").tolist() == ["01", "1", None]
    whole = [str(2**53 + 1), None, "7"] if suffix == "tsv" else [2**53 + 1, None, 7]
    assert found.column("id").tolist() == whole
    with pytest.raises(InputError, match="no polygon"):
        parse_area(path)
    other = table().rename(columns={"lon": "east"})
    if suffix == "gpkg":
        path.unlink()
        pyogrio.write_dataframe(other, path, driver="GPKG", layer="t")
        with pytest.raises(InputError, match="tables t without lon and lat"):
            read_vector(path)
    elif suffix == "dbf":
        pyogrio.write_dataframe(other, path, driver="ESRI Shapefile")
        with pytest.raises(InputError, match="columns east, lat, code, id; expected features with a geometry"):
            read_vector(path)


def test_all_layers_of_a_file_are_read_where_they_fit(tmp_path: Path) -> None:
    data = frame()
    layers = {"beet": data.iloc[:2], "maize": data.iloc[2:]}
    found = read_vector(write_layers(tmp_path / "a.gpkg", layers))
    assert shapely.get_coordinates(found.geometries).tolist() == [list(place) for place in PLACES]
    assert found.column("layer").tolist() == ["beet", "beet", "maize"]
    assert found.column("id").tolist() == [2**53 + 1, None, 7]
    assert "2 layers are read together" in found.notes[0]
    one = read_vector(f"{tmp_path}/a.gpkg|layername=maize")
    assert (len(one), "layer" in one.columns) == (1, False)
    with pytest.raises(InputError, match="has no layer 'oats'; it has beet, maize"):
        read_vector(f"{tmp_path}/a.gpkg|layername=oats")


def test_layers_that_differ_are_listed(tmp_path: Path) -> None:
    data = frame()
    other = data.drop(columns="id")
    areas = data.set_geometry(shapely.buffer(data.geometry.to_numpy(), 0.01)).set_crs(4326)
    for number, odd in enumerate((other, areas)):
        path = write_layers(tmp_path / f"{number}.gpkg", {"a": data, "b": odd})
        with pytest.raises(InputError, match=r"has the layers a, b, .*choose one: .*gpkg\|layername=a"):
            read_vector(path)
        assert len(read_vector(f"{path}|layername=b")) == 3


@pytest.mark.filterwarnings("error")
def test_tables_beside_layers_are_passed_over_without_a_warning(tmp_path: Path) -> None:
    path = write_layers(tmp_path / "a.gpkg", {"plots": frame()})
    styles = pandas.DataFrame({"f_table_name": ["plots"], "lon": [1.0], "lat": [2.0]})
    pyogrio.write_dataframe(styles, path, driver="GPKG", layer="layer_styles")
    found = read_vector(path)
    assert (len(found), list(found.columns), found.notes) == (3, ["code", "id"], ())


def test_kml_of_all_folders_and_gpx_waypoints(tmp_path: Path) -> None:
    extended = "<ExtendedData><Data name='code'><value>01</value></Data></ExtendedData>"
    mark = f"<Placemark><name>{{}}</name>{extended}{{}}</Placemark>"
    point = "<Point><coordinates> 5.25,50.75,3 </coordinates></Point>"
    ring = "<LinearRing><coordinates>5,50 6,50 6,51 5,50</coordinates></LinearRing>"
    hole = "<LinearRing><coordinates>5.7,50.2 5.8,50.2 5.8,50.3 5.7,50.2</coordinates></LinearRing>"
    area = (
        f"<MultiGeometry><Polygon><outerBoundaryIs>{ring}</outerBoundaryIs><innerBoundaryIs>{hole}</innerBoundaryIs>"
        "</Polygon></MultiGeometry>"
    )
    text = (
        "<Folder><name>beet</name>{}</Folder><Folder><name>maize</name><Folder><name>late</name>{}</Folder></Folder>{}"
    )
    body = text.format(mark.format("a", point), mark.format("b", area), mark.format("c &amp; d", ""))
    kml = f'<?xml version="1.0"?><k:kml xmlns:k="http://www.opengis.net/kml/2.2"><Document>{body}</Document></k:kml>'
    (tmp_path / "a.kml").write_text(kml)
    for path in (tmp_path / "a.kml", zipped(tmp_path / "a.kmz", {"doc.kml": kml.encode(), "files/a.png": b"x"})):
        found = read_vector(path)
        assert found.column("name").tolist() == ["a", "b", "c & d"]
        assert found.column("folder").tolist() == ["beet", "late", None]
        assert found.column("code").tolist() == ["01", "01", "01"]
        assert found.geometries[0].equals(shapely.Point(5.25, 50.75))
        assert found.geometries[1].area == pytest.approx(0.5 - 0.005)
        assert found.geometries[2] is None
    gpx = '<gpx><wpt lat="50.75" lon="5.25"><name>01</name><ele>3.0</ele></wpt><trk><trkseg/></trk></gpx>'
    (tmp_path / "a.gpx").write_text(gpx)
    found = read_vector(tmp_path / "a.gpx")
    assert parse_points(found).tolist() == [[5.25, 50.75]]
    assert {name: values.tolist() for name, values in found.columns.items()} == {"name": ["01"], "ele": ["3.0"]}
    (tmp_path / "b.gpx").write_text("<gpx><trk/></gpx>")
    with pytest.raises(InputError, match="tracks and routes are not read"):
        read_vector(tmp_path / "b.gpx")


def test_zipped_folders_files_and_several_datasets(tmp_path: Path) -> None:
    frame().to_file(tmp_path / "plots.shp")
    parts: dict[str, bytes | Path] = {f"my plots/{path.name}": path for path in tmp_path.glob("plots.*")}
    found = read_vector(zipped(tmp_path / "folder.zip", parts))
    assert found.column("code").tolist() == ["01", "1", None]
    gdb = tmp_path / "plots.gdb"
    pyogrio.write_dataframe(frame()[["code", "geometry"]], gdb, driver="OpenFileGDB")
    assert read_vector(gdb).column("code").tolist() == ["01", "1", None]
    with zipfile.ZipFile(tmp_path / "gdb.zip", "w") as archive:
        for part in gdb.iterdir():
            archive.write(part, f"in/{part.parent.name}/{part.name}")
    assert len(read_vector(tmp_path / "gdb.zip")) == 3
    one = b'{"type": "Feature", "geometry": {"type": "Point", "coordinates": [5, 50]}, "properties": {"n": 1}}'
    several = zipped(tmp_path / "two.zip", {"a/beet.geojson": one, "b/maize.geojson": one})
    assert read_vector(several).column("layer").tolist() == ["beet", "maize"]
    assert len(read_vector(f"{several}|layername=maize")) == 1
    lone = zipped(tmp_path / "lone.zip", {"a/plots.shp": tmp_path / "plots.shp"})
    with pytest.raises(InputError, match=r"lacks its index .*\.shx"):
        read_vector(lone)


def test_bytes_are_left_out_and_told(tmp_path: Path) -> None:
    frame(raw=[b"\xff", b"x", None]).to_parquet(tmp_path / "a.parquet")
    found = read_vector(tmp_path / "a.parquet")
    assert list(found.columns) == ["code", "id"]
    assert "columns of bytes are left out: raw" in found.notes[0]


def test_columns_named_alike_are_offered(tmp_path: Path) -> None:
    found = read_vector(csv(tmp_path, "lon,lat,class\n5,50,a\n"))
    with pytest.raises(InputError, match="no column 'Class'; did you mean 'class'"):
        found.column("Class")


def test_a_longitude_beyond_180_is_wrapped_for_points_and_polygons_alike() -> None:
    assert parse_points([(180.001, 10.0), (-190.0, 5.0), (360.0, 0.0), (180.0, 1.0)]) == pytest.approx(
        np.array([(-179.999, 10.0), (170.0, 5.0), (0.0, 0.0), (180.0, 1.0)])
    )
    over = shapely.box(179.0, 10.0, 181.0, 11.0)
    for area in (over, (179.0, 10.0, 181.0, 11.0), (-181.0, 10.0, -179.0, 11.0), (179.0, 10.0, -179.0, 11.0)):
        assert parse_area(area).geometry.equals(
            shapely.union(shapely.box(179, 10, 180, 11), shapely.box(-180, 10, -179, 11))
        )
    for area in (shapely.box(361, 10, 362, 11), shapely.box(640_000, 5_600_000, 640_100, 5_600_100)):
        with pytest.raises(InputError, match="not degrees, perhaps metres"):
            parse_area(area)
    with pytest.raises(InputError, match="does latitude come first"):
        parse_points([(50.0, 120.0)])
    with pytest.raises(InputError, match="does latitude come first"):
        parse_area(shapely.box(50, 120, 51, 121))


def test_a_multipoint_of_one_is_a_point() -> None:
    def several(*places: tuple[float, float]) -> dict[str, Any]:
        return {"type": "MultiPoint", "coordinates": [list(place) for place in places]}

    assert parse_points(several((5.0, 50.0))).tolist() == [[5.0, 50.0]]
    for shape, reason in ((several((5, 50), (6, 51)), "is 2 points; expected one"), (several(), "has no geometry")):
        with pytest.raises(InputError, match=reason):
            parse_points(shape)


@pytest.mark.parametrize(
    "shape",
    [
        {"type": "Polygon", "coordinates": []},
        {"type": "MultiPolygon", "coordinates": []},
        {"type": "GeometryCollection", "geometries": [{"type": "Polygon", "coordinates": []}]},
        shapely.Polygon(),
        shapely.MultiPolygon(),
        shapely.GeometryCollection([shapely.Polygon(), shapely.MultiPolygon()]),
    ],
)
def test_an_area_of_nothing_is_one_line(shape: Any) -> None:
    with pytest.raises(InputError, match="has no polygon"):
        parse_area(shape)


def test_half_a_letter_in_a_column_is_refused() -> None:
    feature = {"type": "Feature", "geometry": None, "properties": {"a": "\ud800"}}
    with pytest.raises(InputError, match="half of a character"):
        read_vector(feature)
    with pytest.raises(InputError, match="half of a character"):
        read_vector({**feature, "properties": {"\udfff": 1}})


def test_coordinates_that_changed_places_are_found() -> None:
    places = np.array([(50.5, 5.25), (50.75, 5.5), (10.0, 10.0)])

    def with_data(lonlat: np.ndarray[Any, Any]) -> int:
        return int((lonlat[:, 1] > 40).sum())

    assert (
        swap_hint(places, with_data)
        == "latitude seems to come first: 2 of 3 places tried with both exchanged have data"
    )
    assert swap_hint(places[:, ::-1], with_data) == ""
