"""Files of someone who wants more than to be read: other files, the network, all memory, a crash."""

from __future__ import annotations

import json
import os
import socket
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyogrio
import pytest
import shapely
from pyarrow import parquet
from vector_files import PLACES, SECRET, change, frame, table, vrt, wfs, write_layers, zipped

from tessera.base import InputError
from tessera.geo import parse_area, parse_crs, parse_points, read_vector
from tessera.geo._wkb import MAX_DEPTH, from_wkb
from tessera.geo.crs import to_degrees

KML = (
    '<?xml version="1.0"?>{}<kml xmlns="http://www.opengis.net/kml/2.2"><Document><NetworkLink><Link><href>{}</href>'
    "</Link></NetworkLink><Placemark><name>a</name><Point><coordinates>5.25,50.75</coordinates></Point></Placemark>"
    "</Document></kml>"
)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server that nobody should call."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(0)
        yield server
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize("suffix", ["gpkg", "shp", "vrt", "xml", "kml", "gml", "csv", "geojson", "dbf", "xlsx", "tif"])
def test_what_refers_to_other_files_or_the_network_is_not_read(
    tmp_path: Path, listener: socket.socket, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setenv("GDAL_HTTP_TIMEOUT", "1")
    (tmp_path / "other.csv").write_text(f"lon,lat,word\n5,50,{SECRET}\n")
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    for text in (
        vrt(tmp_path / "other.csv"),
        "\n <!-- x --> " + vrt(f"/vsicurl/{url}/a.csv"),
        vrt(tmp_path / "other.csv").replace("<OGRVRTDataSource>", '<?xml version="1.0"?><OGRVRTDataSource>'),
        wfs(url),
        f'<GDAL_WMS><Service name="WMS"><ServerUrl>{url}</ServerUrl></Service></GDAL_WMS>',
        f'<VRTDataset rasterXSize="1" rasterYSize="1"><Source>{tmp_path}/other.csv</Source></VRTDataset>',
        '<ogr:FeatureCollection xmlns:ogr="http://ogr.maptools.org/" xmlns:gml="http://www.opengis.net/gml"/>',
        "\ufeff" + wfs(url),
    ):
        path = tmp_path / f"labels.{suffix}"
        path.write_text(text, encoding="utf-8")
        held = sorted(tmp_path.iterdir())
        for read in (read_vector, parse_points, parse_area):
            with pytest.raises(InputError) as caught:
                read(path)
            assert SECRET not in str(caught.value)
            assert "\n" not in str(caught.value)
        assert sorted(tmp_path.iterdir()) == held


def test_a_reference_inside_of_a_file_that_is_read_stays_text(tmp_path: Path, listener: socket.socket) -> None:
    (tmp_path / "other.csv").write_text(f"lon,lat,word\n5,50,{SECRET}\n")
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/x.kml"
    for prolog in ("", f"<!-- {vrt(tmp_path / 'other.csv')} -->", f"<?x {vrt(tmp_path / 'other.csv')} ?>"):
        (tmp_path / "a.kml").write_text(KML.format(prolog, url))
        found = read_vector(tmp_path / "a.kml")
        assert shapely.get_coordinates(found.geometries).tolist() == [[5.25, 50.75]]
        assert {name: values.tolist() for name, values in found.columns.items()} == {"name": ["a"]}
    (tmp_path / "a.csv").write_text(f"lon,lat,word\n5,50,{vrt(tmp_path / 'other.csv')}\n".replace('"', "'"))
    assert "OGRVRTDataSource" in read_vector(tmp_path / "a.csv").column("word")[0]


@pytest.mark.parametrize(
    "prolog", ["<!-- a -->" + " " * 3000, "<!---->" * 400, "<?a?>" * 400, "<!DOCTYPE " + " " * 3000]
)
def test_what_stands_before_the_root_is_looked_at_once(tmp_path: Path, prolog: str) -> None:
    (tmp_path / "a.kml").write_text(prolog + "x")
    with pytest.raises(InputError, match="XML of the kind 'unknown'"):
        read_vector(tmp_path / "a.kml")


def test_an_encoding_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.kml").write_text('<?xml version="1.0" encoding="utf-99"?><kml/>')
    with pytest.raises(InputError, match="is not XML: unknown encoding: utf-99"):
        read_vector(tmp_path / "a.kml")


@pytest.mark.parametrize("kind", ["SYSTEM", "entity"])
def test_a_document_type_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "other").write_text(SECRET)
    entity = f'SYSTEM "file://{tmp_path}/other"' if kind == "SYSTEM" else '"lol"'
    doctype = f"<!DOCTYPE kml [<!ENTITY x {entity}>]>"
    (tmp_path / "a.kml").write_text(KML.format(doctype, "x").replace("<name>a", "<name>&x;"))
    with pytest.raises(InputError, match="document type"):
        read_vector(tmp_path / "a.kml")


@pytest.mark.parametrize(
    "name",
    ["/vsicurl/http://127.0.0.1:1/a.gpkg", "/vsizip/a.zip", "http://127.0.0.1:1/a.csv", "WFS:http://127.0.0.1:1"],
)
def test_names_that_only_gdal_understands_are_no_files(name: str) -> None:
    with pytest.raises(InputError, match="not found"):
        read_vector(name)


def test_no_file_appears_beside_what_is_read(tmp_path: Path) -> None:
    data = frame()
    data.to_file(tmp_path / "a.shp")
    data.to_file(tmp_path / "a.fgb", driver="FlatGeobuf", SPATIAL_INDEX="NO")
    data.to_file(tmp_path / "a.gpkg", driver="GPKG")
    data.to_parquet(tmp_path / "a.parquet")
    zipped(
        tmp_path / "a.zip",
        {f"in/{path.name}": path for path in tmp_path.glob("a.[sdc]*")} | {"in/a.prj": tmp_path / "a.prj"},
    )
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    for suffix in ("shp", "fgb", "gpkg", "parquet", "zip"):
        assert shapely.get_coordinates(read_vector(tmp_path / f"a.{suffix}").geometries).tolist() == [
            list(place) for place in PLACES
        ]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_side_files_of_a_shapefile_that_are_no_files_are_told(tmp_path: Path) -> None:
    frame().to_file(tmp_path / "a.shp")
    (tmp_path / "a.cpg").unlink()
    os.mkfifo(tmp_path / "a.cpg")
    with pytest.raises(InputError, match="is a pipe; expected a regular file"):
        read_vector(tmp_path / "a.shp")


@pytest.mark.parametrize("suffix", ["csv", "geojson", "gpkg", "shp", "parquet", "zip"])
def test_pipes_and_devices_are_told_at_once(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    os.mkfifo(path)
    for target, kind in ((path, "a pipe"), (Path("/dev/zero"), "a device"), (tmp_path, "a folder")):
        with pytest.raises(InputError, match=kind):
            read_vector(target)


@pytest.mark.parametrize(
    ("statements", "reason"),
    [
        (("DROP TABLE a", "CREATE VIEW a AS SELECT 1 AS fid, ogr_geocode('x') AS geom"), "no such function"),
        (("DROP TABLE a", "CREATE VIEW a AS SELECT load_extension('x.so') AS geom"), "load_extension"),
        (("DROP TABLE a", "CREATE VIEW a AS SELECT zeroblob(900000000) AS geom"), "too big"),
        (
            (
                "DROP TABLE a",
                "CREATE VIEW a AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS geom "
                "FROM n WHERE i < 0",
            ),
            "interrupted",
        ),
        (
            (
                "DROP TABLE a",
                "CREATE VIEW a AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT NULL AS geom, "
                "hex(zeroblob(1000000)) AS word FROM n",
            ),
            "unpacks to more than its file holds",
        ),
        (("ALTER TABLE a ADD COLUMN w TEXT GENERATED ALWAYS AS (hex(zeroblob(50000000)))",), "too big"),
        (
            ("DROP TABLE a", f"CREATE VIEW a AS SELECT {', '.join(f'zeroblob(20000000) c{k}' for k in range(60))}"),
            "too big",
        ),
        (
            tuple(
                f"ALTER TABLE a ADD COLUMN w{k} TEXT GENERATED ALWAYS AS (hex(zeroblob(10000000)))" for k in range(60)
            ),
            "too big",
        ),
        (("DROP TABLE gpkg_spatial_ref_sys",), "no such table"),
        (("UPDATE gpkg_geometry_columns SET srs_id = 0",), "has no CRS"),
        (("UPDATE a SET geom = x'00'",), "not a GeoPackage geometry"),
        (("UPDATE a SET geom = 'x'",), "not a GeoPackage geometry"),
        (("UPDATE gpkg_contents SET table_name = 'b'", "DROP TABLE gpkg_geometry_columns"), "no layer of features"),
        (
            (
                "UPDATE gpkg_spatial_ref_sys SET organization = 'X', definition = '+init=/etc/hostname:x'",
                "UPDATE gpkg_geometry_columns SET srs_id = 4326",
            ),
            "expected an authority's code, WKT or PROJJSON",
        ),
    ],
)
def test_a_geopackage_sets_nothing_off(tmp_path: Path, statements: tuple[str, ...], reason: str) -> None:
    path = write_layers(tmp_path / "a.gpkg", {"a": frame()})
    change(path, *statements)
    held = path.read_bytes()
    with pytest.raises(InputError, match=reason) as caught:
        read_vector(path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == held
    assert [other.name for other in tmp_path.iterdir()] == ["a.gpkg"]


@pytest.mark.filterwarnings("error")
def test_a_damaged_geopackage_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_layers(tmp_path / "a.gpkg", {"a": frame()})
    data = path.read_bytes()
    for cut in (20, 100, 5000, len(data) // 2):
        path.write_bytes(data[:cut])
        with pytest.raises(InputError):
            read_vector(path)
    path.write_bytes(data[:100] + bytes(np.random.default_rng(0).integers(0, 256, 8000, dtype=np.uint8)) + data[8100:])
    with pytest.raises(InputError, match="cannot be read as a GeoPackage"):
        read_vector(path)
    assert capfd.readouterr() == ("", "")


def test_archives_stay_within_their_bounds(tmp_path: Path) -> None:
    place = b'{"type": "Point", "coordinates": [5.25, 50.75]}'
    for name in ("../a.geojson", "/a.geojson", "in/../../a.geojson", "..\\a.geojson", "C:/a.geojson"):
        with pytest.raises(InputError, match="leads out"):
            read_vector(zipped(tmp_path / "a.zip", {name: place}))
    link = zipfile.ZipInfo("a.geojson")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr(link, "/etc/hostname")
    with pytest.raises(InputError, match="a symbolic link"):
        read_vector(tmp_path / "b.zip")
    with pytest.raises(InputError, match="other files or to the network"):
        read_vector(zipped(tmp_path / "c.zip", {"a.gpkg": vrt("/etc/hostname").encode()}))
    with pytest.raises(InputError, match=r"holds notes\.md; expected GeoJSON"):
        read_vector(zipped(tmp_path / "d.zip", {"notes.md": b"x"}))
    mac = {"plots/a.geojson": place, "__MACOSX/plots/._a.geojson": b"\0\5", "plots/.DS_Store": b"x"}
    assert parse_points(zipped(tmp_path / "e.zip", mac)).tolist() == [[5.25, 50.75]]
    (tmp_path / "f.zip").write_bytes((tmp_path / "e.zip").read_bytes()[:-30])
    with pytest.raises(InputError, match="cannot be unpacked"):
        read_vector(tmp_path / "f.zip")


@pytest.mark.parametrize("name", ["a.geojson", "a.csv", "xl/sharedStrings.xml"])
def test_what_unpacks_to_gigabytes_is_refused_before_it_does(tmp_path: Path, name: str) -> None:
    members: dict[str, bytes | Path] = {name: b" " * 80_000_000}
    if name.startswith("xl/"):
        members |= {"[Content_Types].xml": b"<a/>", "xl/workbook.xml": b"<a/>"}
    path = zipped(tmp_path / "a.zip", members)
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match="which unpacks from"):
        read_vector(path)
    # a size that is a lie is found by what comes out
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02", 0, data.rindex(name.encode()))
    data[at + 24 : at + 28] = struct.pack("<I", 100)
    path.write_bytes(data)
    with pytest.raises(InputError):
        read_vector(path)


def nested_wkb(depth: int, kind: int = 7) -> bytes:
    return struct.pack("<BII", 1, kind, 1) * depth + struct.pack("<BIdd", 1, 1, 5.0, 50.0)


@pytest.mark.parametrize("kind", [7, 4, 6, 1007, 0x20000007, 12])
def test_geometry_nested_a_million_deep_is_refused(tmp_path: Path, kind: int) -> None:
    step = struct.pack("<BI", 1, kind) + (b"\0\0\0\0" if kind == 0x20000007 else b"") + struct.pack("<I", 1)
    blob = step * 1_000_000 + struct.pack("<BIdd", 1, 1, 5.0, 50.0)
    beside = struct.pack("<BII", 1, 7, 2) + struct.pack("<BIdd", 1, 1, 5.0, 50.0) + blob
    for data in (blob, beside):
        with pytest.raises(InputError, match="nested deeper than 32 collections"):
            from_wkb([None, data], "a")
    about = {"version": "1.1.0", "primary_column": "g", "columns": {"g": {"encoding": "WKB"}}}
    written = pa.table({"g": pa.array([blob], pa.binary())}).replace_schema_metadata({"geo": json.dumps(about)})
    parquet.write_table(written, tmp_path / "a.parquet")
    with pytest.raises(InputError, match="nested deeper"):
        read_vector(tmp_path / "a.parquet")


def test_a_byte_order_that_hides_how_deep_geometry_is_nested_is_refused() -> None:
    # the library reads a collection of order 2 in the order of the one around it
    inner = struct.pack(">BII", 2, 7, 1)
    for depth in (1, 100, 1_000_000):
        blob = struct.pack(">BII", 0, 7, 1) + inner * depth + struct.pack(">BIdd", 0, 1, 5.0, 50.0)
        if len(blob) > 9 * MAX_DEPTH:
            with pytest.raises(InputError, match="byte order 2"):
                from_wkb([blob], "a")
        else:
            from_wkb([blob], "a")


def test_a_crs_that_names_a_file_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "shifts"
    os.mkfifo(pipe)
    base = 'GEOGCS["x",DATUM["d",SPHEROID["s",6378137,298.25]{}],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925]]'
    mercator = (
        f'PROJCS["x",{base.format("")},PROJECTION["Mercator_1SP"],PARAMETER["scale_factor",1],UNIT["metre",1],'
        'EXTENSION["PROJ4","+proj=merc +a=6378137 +b=6378137 +nadgrids={} +wktext +no_defs"]]'
    )
    point = np.array([shapely.Point(100_000, 0)], dtype=object)
    named = [
        base.format(f',EXTENSION["PROJ4_GRIDS","{pipe}"]'),
        mercator.format(pipe),
        mercator.format(f"@null,{pipe}"),
    ]
    for wkt in named:
        with pytest.raises(InputError, match="names a file"):
            to_degrees(point, wkt, "a")
    found = to_degrees(point, mercator.format("@null"), "a")
    assert shapely.get_coordinates(found)[0, 0] == pytest.approx(100_000 / 6378137 * 180 / np.pi)
    with pytest.raises(InputError, match="expected an authority's code, WKT or PROJJSON"):
        parse_crs(f"+init={pipe}:1", "a")


@pytest.mark.parametrize("kind", ["shp", "fgb", "gdb"])
def test_a_crs_that_names_a_file_does_not_reach_another_library(tmp_path: Path, kind: str) -> None:
    pipe = tmp_path / "shifts"
    os.mkfifo(pipe)
    wkt = (
        f'GEOGCS["x",DATUM["d",SPHEROID["s",6378137,298.25],EXTENSION["PROJ4_GRIDS","{pipe}"]],'
        'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925]]'
    )
    path = tmp_path / f"a.{kind}"
    frame()[["code", "geometry"]].to_file(path, driver={"shp": None, "fgb": "FlatGeobuf", "gdb": "OpenFileGDB"}[kind])
    assert len(read_vector(path)) == len(PLACES)
    if kind == "shp":
        path.with_suffix(".prj").write_text(wkt)
    elif kind == "fgb":
        data = path.read_bytes()
        path.write_bytes(data[:60] + wkt.encode() + data[60:])
    else:
        table = path / "a00000004.gdbtable"
        table.write_bytes(table.read_bytes() + wkt.encode("utf-16-le"))
    with pytest.raises(InputError, match="names a file"):
        read_vector(path)


def test_an_archive_in_an_archive_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.json", "w") as archive:
        archive.writestr("a.csv", "lon,lat\n5,50\n")
    assert len(read_vector(tmp_path / "a.json")) == 1
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.write(tmp_path / "a.json", "a.json")
    with pytest.raises(InputError, match="an archive in an archive"):
        read_vector(tmp_path / "b.zip")


def test_geometry_that_is_not_nested_is_read_whatever_its_size() -> None:
    shapes: list[Any] = [
        shapely.MultiPolygon([shapely.Point(k, 0).buffer(0.3) for k in range(50)]),
        shapely.GeometryCollection(
            [shapely.MultiPoint([(k, 0) for k in range(50)]), shapely.LineString([(0, 0), (1, 1)])]
        ),
        shapely.force_3d(shapely.MultiPolygon([shapely.Point(k, 0).buffer(0.3) for k in range(50)])),
        shapely.from_wkb(nested_wkb(MAX_DEPTH - 1)),
    ]
    for flavour in ("iso", "extended"):
        for order in (0, 1):
            blobs = shapely.to_wkb(np.array(shapes, dtype=object), byte_order=order, flavor=flavour, output_dimension=3)
            assert shapely.equals(from_wkb(blobs, "a"), np.array(shapes, dtype=object)).all()


def test_geojson_nested_deep_is_refused(tmp_path: Path) -> None:
    inner = '{"type": "Point", "coordinates": [5, 50]}'
    for depth in (40, 300, 100_000):
        text = '{"type": "GeometryCollection", "geometries": [' * depth + inner + "]}" * depth
        with pytest.raises(InputError, match=r"nested|not JSON"):
            read_vector(text)
    with pytest.raises(InputError):
        read_vector('{"type": "Polygon", "coordinates": ' + "[" * 100_000 + "]" * 100_000 + "}")
    (tmp_path / "a.kml").write_text("<kml>" + "<Folder>" * 100_000 + "</Folder>" * 100_000 + "</kml>")
    with pytest.raises(InputError, match="nested deeper"):
        read_vector(tmp_path / "a.kml")


def test_parquet_that_unpacks_to_gigabytes_is_refused_or_held_once(tmp_path: Path) -> None:
    about = {"version": "1.1.0", "primary_column": "g", "columns": {"g": {"encoding": "WKB"}}}
    path = tmp_path / "a.parquet"

    def write(data: dict[str, Any], **options: Any) -> None:
        made = pa.table(data).replace_schema_metadata({"geo": json.dumps(about)})
        parquet.write_table(made, path, compression="zstd", **options)

    # 200,000 times the same megabyte of text is held once
    rows = 200_000
    point = pa.array([shapely.Point(5, 50).wkb], pa.binary())
    zeros = pa.array(np.zeros(rows, dtype=np.int32))
    write(
        {
            "g": pa.DictionaryArray.from_arrays(zeros, point),
            "word": pa.DictionaryArray.from_arrays(zeros, pa.array(["w" * 1_000_000])),
        }
    )
    assert path.stat().st_size < 10_000
    found = read_vector(path)
    assert len(found) == rows
    assert found.columns["word"][0] is found.columns["word"][-1]
    assert found.geometries[0] is found.geometries[-1]
    # the same in a list cannot be held once
    text = pa.DictionaryArray.from_arrays(zeros[:100_000], pa.array(["w" * 20_000]))
    lists = pa.ListArray.from_arrays(pa.array([0, 100_000], pa.int32()), text)
    write({"g": pa.array([shapely.Point(5, 50).wkb], pa.binary()), "words": lists})
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match="unpacks to more than"):
        read_vector(path)
    # rows without bytes
    write({"g": pa.DictionaryArray.from_arrays(pa.array(np.zeros(30_000_000, dtype=np.int8)), point)})
    assert path.stat().st_size < 200_000
    with pytest.raises(InputError, match="holds 30,000,000 rows; at most 20,000,000 are read"):
        read_vector(path)


def test_large_whole_numbers_keep_their_digits_in_every_format(tmp_path: Path) -> None:
    data = frame()
    for name, driver in (
        ("a.gpkg", "GPKG"),
        ("a.fgb", "FlatGeobuf"),
        ("a.shp", "ESRI Shapefile"),
        ("a.geojson", "GeoJSON"),
    ):
        data.to_file(tmp_path / name, driver=driver, **({"SPATIAL_INDEX": "NO"} if driver == "FlatGeobuf" else {}))
    data.to_parquet(tmp_path / "a.parquet")
    for name in ("a.gpkg", "a.fgb", "a.shp", "a.geojson", "a.parquet"):
        found = read_vector(tmp_path / name)
        assert found.column("id").tolist() == [2**53 + 1, None, 7], name
        assert found.column("code").tolist() == ["01", "1", None], name
    table().to_csv(tmp_path / "a.csv", index=False)
    assert read_vector(tmp_path / "a.csv").column("id").tolist() == [str(2**53 + 1), None, "7"]


def changed(path: Path, out: Path, change: Any) -> Path:
    """An archive with its XML changed."""
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for info in source.infolist():
            target.writestr(info.filename, change(info.filename, source.read(info)))
    return out


def test_spreadsheets_that_unfold_to_gigabytes_are_refused(tmp_path: Path) -> None:
    pyogrio.write_dataframe(table(), tmp_path / "a.xlsx", driver="XLSX")
    pyogrio.write_dataframe(table(), tmp_path / "a.ods", driver="ODS")
    rows = "".join(f'<row r="{k}"><c r="C{k}" t="s"><v>3</v></c></row>' for k in range(5, 3000)).encode()

    def share(name: str, data: bytes) -> bytes:
        if "sheet1" in name:
            data = data.replace(b"</sheetData>", rows + b"</sheetData>")
        return data.replace(b">id<", b">" + b"w" * 1_000_000 + b"<") if "shared" in name else data

    def repeat(how: bytes, word: bytes) -> Any:
        def inner(name: str, data: bytes) -> bytes:
            return data.replace(b">01<", b">" + word + b"<").replace(b"<table:table-row>", b"<table:table-row " + how)

        return inner

    many = changed(tmp_path / "a.xlsx", tmp_path / "b.xlsx", share)
    assert many.stat().st_size < 100_000
    rows_of = changed(
        tmp_path / "a.ods", tmp_path / "b.ods", repeat(b'table:number-rows-repeated="60000">', b"w" * 100_000)
    )
    for path in (many, rows_of):
        with pytest.raises(InputError, match="expands to cells of"):
            read_vector(path)
    for suffix in ("xlsx", "ods"):
        same = changed(tmp_path / f"a.{suffix}", tmp_path / f"c.{suffix}", lambda _, data: data)
        assert len(read_vector(same)) == 3
