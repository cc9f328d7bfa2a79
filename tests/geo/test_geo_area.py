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
from tessera.geo import Tile, from_lonlat, parse_area, parse_tile, read_vector, tiles_of

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


@pytest.mark.parametrize(
    ("area", "reason"),
    [
        ((5, 83.5, 6, 84.5), "84.5 N"),
        ((5, -81, 6, -79), "81 S"),
        ((5, 51, 6, 50), "south is not below north"),
        ((5, 50, 5, 51), "no width"),
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
    assert table.column("n").tolist() == [1, 2]
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
