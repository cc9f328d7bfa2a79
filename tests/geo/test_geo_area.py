from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.geo import Tile, from_lonlat, parse_area, parse_points, parse_tile, read_vector, tiles_of

SQUARE = {"type": "Polygon", "coordinates": [[[5.0, 50.0], [5.1, 50.0], [5.1, 50.1], [5.0, 50.1], [5.0, 50.0]]]}


def test_a_bbox_inside_one_zone_is_one_part() -> None:
    area = parse_area("5.0,50.0,5.1,50.1")
    assert area.zones == (31,)
    window = area.parts()[0].window
    x, y = from_lonlat([5.0, 5.1, 5.0, 5.1], [50.0, 50.0, 50.1, 50.1], 31)
    left, bottom, right, top = window.bounds
    assert left <= x.min() < left + 10
    assert right - 10 < x.max() <= right
    assert bottom <= y.min()
    assert y.max() <= top


def test_an_area_over_a_zone_border_is_cut_into_its_zones() -> None:
    area = parse_area((5.9, 50.5, 6.1, 50.6))
    assert area.zones == (31, 32)
    whole = sum(part.geometry.area for part in area.parts())
    assert whole == pytest.approx(14_161 * 11_128, rel=0.01)


@pytest.mark.parametrize(
    "area",
    [
        (179.9, -17.0, -179.9, -16.9),
        {
            "type": "Polygon",
            "coordinates": [[[179.9, -17], [-179.9, -17], [-179.9, -16.9], [179.9, -16.9], [179.9, -17]]],
        },
    ],
)
def test_an_area_over_the_date_line_is_cut_there(area: Any) -> None:
    parsed = parse_area(area)
    assert parsed.zones == (1, 60)
    assert parsed.geometry.area == pytest.approx(0.2 * 0.1)


@given(st.floats(-179.9, 179.0), st.floats(-79.9, 83.0), st.floats(0.01, 0.9), st.floats(0.01, 0.9))
def test_zone_parts_cover_the_area_and_no_more(west: float, south: float, width: float, height: float) -> None:
    area = parse_area((west, south, west + width, south + height))
    for part in area.parts():
        assert 6 * part.zone - 186 <= west + width
        assert west <= 6 * part.zone - 180
        left, bottom, right, top = part.window.bounds
        box = part.geometry.bounds
        assert left <= box[0] + 1e-3
        assert bottom <= box[1] + 1e-3
        assert right >= box[2] - 1e-3
        assert top >= box[3] - 1e-3


def test_a_cell_name_is_exactly_its_window() -> None:
    part = parse_area("utm31_e64_n548").parts()
    assert [p.window.bounds for p in part] == [(655_360.0, 5_611_520.0, 665_600.0, 5_621_760.0)]
    assert part[0].mask(part[0].window).all()


def test_a_mask_holds_the_pixels_whose_centre_is_inside() -> None:
    part = parse_area(SQUARE).parts()[0]
    mask = part.mask(part.window)
    assert mask.shape == part.window.shape
    assert mask.sum() == pytest.approx(part.geometry.area / 100, rel=0.005)


def test_geojson_feature_collections_files_and_geodataframes_agree(tmp_path: Path) -> None:
    import geopandas

    feature = {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": SQUARE, "properties": {}}]}
    (tmp_path / "a.geojson").write_text(json.dumps(feature))
    frame = geopandas.GeoDataFrame(geometry=[shapely.box(5.0, 50.0, 5.1, 50.1)], crs=4326)
    frame.to_crs(32631).to_file(tmp_path / "a.gpkg")
    frame.to_parquet(tmp_path / "a.parquet")
    areas = [feature, tmp_path / "a.geojson", tmp_path / "a.gpkg", str(tmp_path / "a.parquet"), frame, SQUARE]
    for area in areas:
        np.testing.assert_allclose(parse_area(area).bounds, (5.0, 50.0, 5.1, 50.1), atol=1e-6)


def test_a_bbox_as_text_with_commas_or_spaces() -> None:
    assert parse_area("5.0 50.0\t5.1 50.1").bounds == parse_area("5.0,50.0,5.1,50.1").bounds == (5.0, 50.0, 5.1, 50.1)


@pytest.mark.parametrize(
    ("area", "reason"),
    [
        ((5, 83.5, 6, 84.5), "84.5 N"),
        ((5, -81, 6, -79), "81 S"),
        ((5, 51, 6, 50), "south is not below north"),
        ((5, 50, 5, 51), "no width"),
        ((5.3, 50, 5.2, 51), "would cross the date line over 359.9 degrees"),
        ("5.3 50 5.2", "has 3 numbers; expected four"),
        ("5,1;50,6;5,2;50,7", r"bbox .5,1;50,6;5,2;50,7.; expected four numbers, .* decimal points"),
        ((5, 50, 190, 51), "-180 to 180"),
        ((5, 50, 6), "four"),
        ("a,b,c,d", "four numbers"),
        ("nowhere.geojson", "not found"),
        ("grid_5.00_50.65", "odd 0.05"),
        ({"type": "Point", "coordinates": [5, 50]}, "no polygon"),
        ({"type": "Banana"}, "Banana"),
        (3, "expected a vector file"),
    ],
)
def test_bad_areas_are_one_line(area: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        parse_area(area)
    assert "\n" not in str(caught.value)


@given(st.integers(-1800, 1799), st.integers(-900, 899))
def test_tile_names_round_trip(lon10: int, lat10: int) -> None:
    tile = Tile(lon10, lat10)
    assert parse_tile(tile.name) == tile
    west, south, east, north = tile.bounds
    assert tiles_of(west, south, east, north) == [tile]


def test_tile_names_are_the_published_ones() -> None:
    assert Tile(-1, 515).name == "grid_-0.05_51.55"
    assert [tile.name for tile in tiles_of(0.0, 51.5, 0.15, 51.6)] == ["grid_0.05_51.55", "grid_0.15_51.55"]


def test_csv_columns_and_missing_ones(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("lon,lat,crop,n\n5.0,50.0,maize,1\n5.1,50.1,wheat,2\n")
    table = read_vector(path)
    assert table.column("crop").tolist() == ["maize", "wheat"]
    assert table.column("n").tolist() == ["1", "2"]
    with pytest.raises(InputError, match="no column 'species'; it has lon, lat, crop, n"):
        table.column("species")
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="expected lon and lat"):
        read_vector(path)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.geojson", b"{"),
        ("a.geojson", b"[1]"),
        ("a.geojson", b'{"type": "FeatureCollection", "features": [{"geometry": {"type": "Polygon"}}]}'),
        ("a.geojson", b'{"type": "FeatureCollection", "features": 3}'),
        ("a.parquet", b"PAR1 no"),
        ("a.gpkg", b"nothing"),
        ("a.csv", b"\xff\xfe\x00"),
    ],
)
def test_broken_vector_files_are_one_line(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_vector(tmp_path / name)
    assert "\n" not in str(caught.value)


def collection(*features: Any, **more: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features), **more}


def feature(geometry: Any, properties: Any = None) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def box_ring(west: float, south: float, east: float, north: float) -> list[list[float]]:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


@pytest.mark.parametrize("outer", [(179.0, 0.0, -179.0, 1.0), (-179.0, 0.0, 179.0, 1.0)])
@pytest.mark.parametrize("hole", [(-179.8, 0.4, -179.2, 0.6), (179.2, 0.4, 179.8, 0.6), (179.7, 0.4, -179.7, 0.6)])
def test_a_hole_of_an_area_over_the_date_line_stays_a_hole(outer: Any, hole: Any) -> None:
    area = parse_area({"type": "Polygon", "coordinates": [box_ring(*outer), box_ring(*hole)]})
    assert area.geometry.area == pytest.approx(2.0 - 0.6 * 0.2)


@pytest.mark.parametrize("form", ["frame", "parquet", "gpkg"])
@pytest.mark.parametrize("epsg", [4230, 4807])
def test_degrees_of_another_datum_are_moved_to_wgs84(tmp_path: Path, form: str, epsg: int) -> None:
    import geopandas

    # Paris by the transformations of PROJ without grids: ED50 lies about 120 m away, EPSG:4807 counts grads from Paris
    frame = geopandas.GeoDataFrame(geometry=[shapely.Point(2.35, 48.85)], crs=4326).to_crs(epsg)
    assert abs(shapely.get_coordinates(frame.geometry)[0] - (2.35, 48.85)).max() > 1e-4
    source: Any = frame
    if form != "frame":
        source = tmp_path / f"a.{form}"
        frame.to_parquet(source) if form == "parquet" else frame.to_file(source)
    np.testing.assert_allclose(parse_points(source), [[2.35, 48.85]], atol=1e-7)


@pytest.mark.parametrize("crs", ["EPSG:4326", "OGC:CRS84"])
def test_degrees_of_wgs84_are_kept_bit_for_bit(crs: str) -> None:
    import geopandas

    place = (2.3512345678901, 48.8512345678901)
    assert parse_points(geopandas.GeoDataFrame(geometry=[shapely.Point(place)], crs=crs)).tolist() == [list(place)]


def test_a_data_frame_is_read_by_the_names_of_its_columns() -> None:
    import pandas

    frame = pandas.DataFrame({"lat": [50.0, 51.0], "crop": ["a", "b"], "Lon": [5.0, 6.0]})
    assert parse_points(frame).tolist() == [[5.0, 50.0], [6.0, 51.0]]
    assert parse_points(frame[["lat", "Lon"]]).tolist() == [[5.0, 50.0], [6.0, 51.0]]
    assert read_vector(frame).column("crop").tolist() == ["a", "b"]
    for bad, reason in (
        (pandas.DataFrame({"a": [5.0], "b": [50.0]}), "columns a, b; expected lon and lat"),
        (pandas.DataFrame([[5.0, 50.0]]), "columns 0, 1; expected lon and lat"),
        (pandas.DataFrame([[5.0, 50.0, 1.0]], columns=["lon", "lat", "lat"]), "'lat' twice"),
        (pandas.DataFrame({"lon": ["x"], "lat": [50.0]}), "no number"),
    ):
        with pytest.raises(InputError, match=reason):
            parse_points(bad)


def test_geojson_text_is_read_as_geojson() -> None:
    short = '{"type": "Polygon", "coordinates": [[[5, 50], [6, 50], [6, 51], [5, 50]]]}'
    long = json.dumps(collection(*[feature(SQUARE)] * 20))
    assert len(short) < 255 < len(long)
    assert parse_area(" " + short).bounds == (5.0, 50.0, 6.0, 51.0)
    assert parse_area(long).bounds == (5.0, 50.0, 5.1, 50.1)
    assert len(read_vector(long)) == 20
    assert parse_points('{"type": "Point", "coordinates": [5, 50]}').tolist() == [[5.0, 50.0]]


@pytest.mark.parametrize("text", ["", "  ", "{", '{"type": "Banana"}', "x" * 5000, "1," * 5000, "a\0b", "utm" * 2000])
def test_text_that_is_no_area_is_one_line(text: str) -> None:
    for read in (parse_area, read_vector, parse_points):
        with pytest.raises(InputError) as caught:
            read(text)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (collection(feature(SQUARE, [1])), "feature 0: properties are a list; expected an object"),
        (collection(feature(SQUARE), feature(SQUARE, "x")), "feature 1: properties are a str"),
        (collection(feature(SQUARE), crs={"properties": 3}), "declares the CRS"),
        (collection(feature(SQUARE), crs={"properties": {"name": 3}}), "declares the CRS '3'"),
        (collection(feature(SQUARE), crs=3), "declares the CRS '3'"),
        (feature({"type": "Point", "coordinates": [10**400, 0]}), "feature 0: no readable geometry"),
        (feature({"type": "Polygon", "coordinates": [box_ring(0, 0, float("nan"), 1)]}), "not finite"),
        (collection(feature(None)), "no polygon"),
    ],
)
def test_geojson_that_is_refused_is_one_line(value: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        parse_area(value)
    assert "\n" not in str(caught.value)


def test_attributes_beyond_every_float_are_kept() -> None:
    for others in ([1], [None], [0.5]):
        values = [10**400, *others]
        table = read_vector(collection(*[feature(SQUARE, {"n": value}) for value in values]))
        assert table.column("n").tolist() == values


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"lon,lat,a,a\n5,50,1,2\n", "column 'a' twice"),
        (b"lon,lat,Stra\x81e\n5,50,1\n", "neither UTF-8 nor Windows-1252"),
        (b"lon,lat\nx,50\n", "no number"),
        (b"", "an empty file"),
        (b"\n\n", "first line is empty"),
        (b"lon,lat\n5,50,1\n", "not a CSV table"),
    ],
)
def test_csv_that_is_refused_is_one_line(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "a.csv").write_bytes(data)
    with pytest.raises(InputError, match=reason) as caught:
        read_vector(tmp_path / "a.csv")
    assert "\n" not in str(caught.value)


def test_features_without_a_geometry(tmp_path: Path) -> None:
    import geopandas

    (tmp_path / "a.csv").write_text("lon,lat,crop\n5,50,a\n,50,b\n5,,c\n6,51,d\n")
    place = {"type": "Point", "coordinates": [5, 50]}
    frame = geopandas.GeoDataFrame(geometry=[shapely.Point(5, 50), None], crs=4230)
    for source, absent in (
        (tmp_path / "a.csv", [1, 2]),
        (collection(feature(place), feature(None)), [1]),
        (frame, [1]),
    ):
        assert [index for index, geometry in enumerate(read_vector(source).geometries) if geometry is None] == absent
        with pytest.raises(InputError, match="feature 1 has no geometry; expected a point"):
            parse_points(source)
    assert parse_area(collection(feature(None), feature(SQUARE))).bounds == (5.0, 50.0, 5.1, 50.1)
    with pytest.raises(InputError, match="no readable geometry"):
        read_vector({"type": "Feature", "properties": {}})


def test_an_area_in_one_zone_is_whole_and_is_its_part_where_it_has_one() -> None:
    area = parse_area("5.9,50.6,6.1,50.7")
    west, east = area.parts()
    whole = area.in_zone(31)
    assert whole.zone == 31
    assert whole.geometry.area == pytest.approx(west.geometry.area + east.geometry.area, rel=0.01)
    assert area.in_zone(32).mask(east.window)[east.mask(east.window)].mean() > 0.999
    alone = parse_area("5.1,50.6,5.2,50.7")
    assert alone.in_zone(31).geometry.equals(alone.parts()[0].geometry)
    cell = parse_area("utm31_e64_n548")
    assert cell.in_zone(31).geometry.equals(cell.parts()[0].geometry)
