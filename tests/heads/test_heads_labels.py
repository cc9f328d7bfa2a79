from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import geopandas
import numpy as np
import pytest
import shapely
from heads_fakes import WINDOW, box_area, draw_labels, make_truth, pixel_lonlat, points_geojson
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.geo import from_lonlat, points_in_zones, to_lonlat, zones_of
from tessera.labels import Labels
from tessera.labels import read_labels as read

if TYPE_CHECKING:
    from pathlib import Path

PIXELS_PER_POLYGON = 200


def read_labels(*given: Any, **more: Any) -> Any:
    """Labels of which the tests know that they have places and groups; of polygons, also the pixels at their edges."""
    return read(*given, **{"edges": "keep", **more})


POINTS = pixel_lonlat([3, 50, 90], [4, 60, 100])


def polygons_geojson(polygons: list[Any], values: list[Any]) -> dict[str, Any]:
    features = [
        {"type": "Feature", "geometry": shapely.geometry.mapping(polygon), "properties": {"crop": value}}
        for polygon, value in zip(polygons, values, strict=True)
    ]
    return {"type": "FeatureCollection", "features": features}


def pixels_of(lonlat: np.ndarray[Any, Any]) -> set[tuple[int, int, int]]:
    found = set()
    for zone, _, px, py in points_in_zones(lonlat):
        found |= {(zone, int(a), int(b)) for a, b in zip(px, py, strict=True)}
    return found


@pytest.mark.parametrize("form", ["geojson", "csv", "parquet", "gpkg", "frame", "mapping"])
def test_points_from_every_format(tmp_path: Path, form: str) -> None:
    mapping = points_geojson(POINTS, ["a", "b", "a"])
    frame = geopandas.GeoDataFrame(
        {"crop": ["a", "b", "a"]}, geometry=[shapely.Point(place) for place in POINTS], crs=4326
    )
    path = tmp_path / f"labels.{form}"
    source: Any = path
    if form == "geojson":
        path.write_text(json.dumps(mapping))
    elif form == "csv":
        path.write_text(
            "lon,lat,crop\n" + "".join(f"{x!r},{y!r},{c}\n" for (x, y), c in zip(POINTS.tolist(), "aba", strict=True))
        )
    elif form == "parquet":
        frame.to_parquet(path)
    elif form == "gpkg":
        frame.to_crs(32631).to_file(path)
    else:
        source = frame.to_crs(32631) if form == "frame" else mapping
    labels = read_labels(source, "crop")
    np.testing.assert_allclose(labels.lonlat, POINTS, atol=1e-9)
    assert labels.values.tolist() == ["a", "b", "a"]
    assert labels.groups.tolist() == [0, 1, 2]
    assert (labels.column, labels.missing, labels.classes) == ("crop", 0, ("a", "b"))


@pytest.mark.parametrize("form", ["geojson", "parquet", "gpkg"])
def test_polygons_become_the_pixels_inside(tmp_path: Path, form: str) -> None:
    polygons = [box_area(10, 20, 10, 22), box_area(50, 55, 30, 33)]
    path = tmp_path / f"fields.{form}"
    frame = geopandas.GeoDataFrame({"crop": ["a", "b"]}, geometry=polygons, crs=4326)
    if form == "geojson":
        path.write_text(json.dumps(polygons_geojson(polygons, ["a", "b"])))
    elif form == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_file(path)
    labels = read_labels(path, "crop")
    assert np.bincount(labels.groups).tolist() == [120, 15]
    want = {(31, WINDOW.west + c, WINDOW.north - 1 - r) for r in range(10, 20) for c in range(10, 22)}
    assert pixels_of(labels.lonlat[labels.groups == 0]) == want
    for group, polygon in enumerate(polygons):
        assert shapely.contains_xy(polygon, *labels.lonlat[labels.groups == group].T).all()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 900), st.integers(0, 900)), min_size=3, max_size=7, unique=True),
    st.sampled_from([(31, 64000, 561000), (60, 60000, -300000), (18, 64000, 100)]),
)
def test_polygon_pixels_are_inside_and_few(corners: list[tuple[int, int]], place: tuple[int, int, int]) -> None:
    zone, west, north = place
    xy = np.array(corners, dtype=float) + np.array([west * 10, north * 10])
    hull = shapely.convex_hull(shapely.MultiPoint(xy))
    if hull.geom_type != "Polygon" or hull.area < 1:
        return
    polygon = shapely.transform(hull, lambda p: np.column_stack(to_lonlat(p[:, 0], p[:, 1], zone)))
    other = shapely.Point(100.0, 10.0)
    labels = read_labels(polygons_geojson([polygon, other], ["a", "b"]), "crop")
    mine = labels.lonlat[labels.groups == 0]
    assert 1 <= len(mine) <= PIXELS_PER_POLYGON
    assert len(pixels_of(mine)) == len(mine)
    x, y = from_lonlat(mine[:, 0], mine[:, 1], zone)
    # an edge that is straight in degrees bends by up to 2 cm on 900 m
    assert shapely.dwithin(hull, shapely.points(x, y), 0.05).all()
    again = read_labels(polygons_geojson([polygon, other], ["a", "b"]), "crop")
    np.testing.assert_array_equal(again.lonlat, labels.lonlat)


def test_polygon_smaller_than_a_pixel_keeps_its_pixel() -> None:
    x, y = 640003.0, 5604002.0
    sliver = shapely.box(x, y, x + 1.5, y + 1.5)
    polygon = shapely.transform(sliver, lambda p: np.column_stack(to_lonlat(p[:, 0], p[:, 1], 31)))
    labels = read_labels(polygons_geojson([polygon, shapely.Point(5, 50)], ["a", "b"]), "crop")
    assert pixels_of(labels.lonlat[:1]) == {(31, 64000, 560400)}


def test_a_large_polygon_is_thinned() -> None:
    labels = read_labels(
        polygons_geojson([shapely.box(4.0, 50.0, 5.5, 51.0), shapely.Point(5, 50)], ["a", "b"]), "crop"
    )
    assert np.bincount(labels.groups).tolist() == [PIXELS_PER_POLYGON, 1]
    assert np.ptp(labels.lonlat[:-1, 0]) > 1.2


def test_a_polygon_over_a_zone_border_lies_in_both_zones() -> None:
    labels = read_labels(
        polygons_geojson([shapely.box(5.999, 50.0, 6.001, 50.001), shapely.Point(5, 50)], ["a", "b"]), "crop"
    )
    mine = labels.lonlat[labels.groups == 0]
    assert set(zones_of(mine[:, 0]).tolist()) == {31, 32}


def test_multipoints_and_holes() -> None:
    ring = box_area(0, 20, 0, 20).difference(box_area(5, 15, 5, 15))
    labels = read_labels(polygons_geojson([ring, shapely.MultiPoint(POINTS[1:])], [1, 2]), "crop")
    assert np.bincount(labels.groups).tolist()[1] == 2
    assert len(labels) - 2 == PIXELS_PER_POLYGON
    assert labels.counts == {"capped": 1}
    assert not shapely.contains_xy(box_area(5, 15, 5, 15), *labels.lonlat[:-2].T).any()


def test_point_on_a_pixel_edge_is_kept_where_it_is() -> None:
    edges = np.array([640000.0, 640000.0 + 1e-5, 640000.0 - 1e-5])
    lonlat = np.column_stack(to_lonlat(edges, np.full(3, 5604005.0), 31))
    for edge, place, pixels in zip(edges, lonlat, [(63999, 64000), (64000,), (63999,)], strict=True):
        labels = read_labels(points_geojson(np.stack([place, POINTS[0]]), ["a", "b"]), "crop")
        x, _ = from_lonlat(labels.lonlat[:1, 0], labels.lonlat[:1, 1], 31)
        np.testing.assert_allclose(x, edge, atol=1e-6)
        ((_, _, px, py),) = points_in_zones(labels.lonlat[:1])
        assert px[0] in pixels
        assert py[0] == 560400


@pytest.mark.parametrize(
    ("values", "kept", "missing"),
    [
        (["a", None, "b"], ["a", "b"], 1),
        (["a", "  ", " b "], ["a", "b"], 1),
        ([1, None, 2], ["1", "2"], 1),
        ([1.0, float("nan"), 20.0], ["1", "20"], 1),
        ([True, False, None], ["True", "False"], 1),
        ([10, 9, 2], ["10", "9", "2"], 0),
    ],
)
def test_values(values: list[Any], kept: list[str], missing: int) -> None:
    labels = read_labels(points_geojson(POINTS, values), "crop")
    assert labels.values.tolist() == kept
    assert labels.missing == missing
    assert len(labels) == len(kept)


def test_whole_numbers_sort_as_numbers() -> None:
    assert read_labels(points_geojson(POINTS, [10, 9, 2]), "crop").classes == ("2", "9", "10")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            [float("inf"), 2.0, 3.0],
            "holds inf, a continuous target; expected classes, or kind='regression' .--kind regression",
        ),
        (["a", "a", "a"], "only the class 'a' .0 missing.; expected at least two classes"),
        ([None, None, None], "no value .3 missing."),
        ([["a"], "b", "c"], "holds a list; expected text or numbers"),
    ],
)
def test_values_that_are_refused(values: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_labels(points_geojson(POINTS, values), "crop")
    assert "\n" not in str(caught.value)


def test_too_many_classes() -> None:
    lonlat = np.column_stack([np.linspace(4, 5, 300), np.full(300, 50.0)])
    with pytest.raises(InputError, match="has 300 distinct values; expected at most 255 classes"):
        read_labels(points_geojson(lonlat, list(range(300))), "crop")


def test_missing_column_lists_those_there_are() -> None:
    with pytest.raises(InputError, match="no column 'kind'; it has crop"):
        read_labels(points_geojson(POINTS, ["a", "b", "c"]), "kind")


def test_geometries_that_are_refused_or_missing(tmp_path: Path) -> None:
    line = shapely.LineString([(5, 50), (5.1, 50)])
    with pytest.raises(InputError, match="feature 0 is a LineString; expected points or polygons"):
        read_labels(polygons_geojson([line], ["a"]), "crop")
    mixed = polygons_geojson([line, box_area(0, 1, 0, 1), box_area(3, 4, 3, 4)], ["a", "a", "b"])
    assert read_labels(mixed, "crop").counts == {"shape": 1}
    frame = geopandas.GeoDataFrame(
        {"crop": ["a", "b", "c"]}, geometry=[shapely.Point(5, 50), None, shapely.Point(5, 51)], crs=4326
    )
    assert read_labels(frame, "crop").missing == 1
    mapping = points_geojson(POINTS, ["a", "b", "c"])
    mapping["features"][1]["geometry"] = None
    labels = read_labels(mapping, "crop")
    assert (labels.values.tolist(), labels.groups.tolist(), labels.missing) == (["a", "c"], [0, 2], 1)
    (tmp_path / "a.csv").write_text("lon,lat,crop\n5,50,a\n,50,b\n5,51,c\n")
    labels = read_labels(tmp_path / "a.csv", "crop")
    assert (labels.values.tolist(), labels.missing) == (["a", "c"], 1)
    with pytest.raises(InputError, match="latitude 89"):
        read_labels(points_geojson(np.array([[5.0, 89.0], [5.0, 50.0]]), ["a", "b"]), "crop")
    with pytest.raises(InputError, match=r"feature 0: .*beyond UTM"):
        read_labels(polygons_geojson([shapely.box(5, 84, 6, 85)], ["a"]), "crop")


def test_labels_check_their_shapes() -> None:
    two = np.array(["a", "b"], dtype=object)
    with pytest.raises(InputError, match=r"x: lonlat float64 \(3, 2\) for 2 labels; expected float64 \(2, 2\)"):
        Labels(two, lonlat=np.zeros((3, 2)), source="x")
    with pytest.raises(InputError, match="groups float64"):
        Labels(two, groups=np.zeros(2))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="to regress; expected finite float64"):
        Labels(np.array([1.0, np.nan]), "regression")


def test_helpers_agree() -> None:
    truth = make_truth()
    labels = read_labels(draw_labels(truth, ("a", "b", "c"), 5), "crop")
    for zone, index, px, py in points_in_zones(labels.lonlat):
        assert zone == 31
        found = truth[WINDOW.north - 1 - py, px - WINDOW.west]
        assert [("a", "b", "c")[k] for k in found] == labels.values[index].tolist()


def test_names_that_look_the_same_are_one_class_and_those_that_nearly_do_are_told() -> None:
    given = ["for\u00eat", "fore\u0302t ", "Arable", "arable", "bare  soil", "bare soil", "01", "1"]
    labels = read_labels(points_geojson(LINE[:8], given), "crop")
    assert labels.values.tolist() == ["for\u00eat", "for\u00eat", *given[2:]]
    assert labels.notes == (
        "'01' and '1' are different classes; expected one spelling if they are the same",
        "'Arable' and 'arable' are different classes; expected one spelling if they are the same",
        "'bare  soil' and 'bare soil' are different classes; expected one spelling if they are the same",
    )
    assert read_labels(points_geojson(POINTS, ["a", "b", "B c"]), "crop").notes == ()


def test_classes_of_a_csv_are_the_text_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('lon,lat,crop\n5,50,01\n6,50,1\n7,50,011\n8,50,NA\n8,50,"NA"\n9,50,\n')
    labels = read_labels(path, "crop")
    assert labels.values.tolist() == ["01", "1", "011", "NA"]
    assert labels.missing == 2
    path.write_text("lon,lat,crop\n5,50,1.5\n5,51,2\n")
    with pytest.raises(InputError, match=r"holds 1\.5, a continuous target"):
        read_labels(path, "crop", "classification")
    assert read_labels(path, "crop").values.tolist() == [1.5, 2.0]
    with pytest.raises(InputError, match="did you mean 'crop'"):
        read_labels(path, "Crop")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_polygons_that_are_not_finite_are_one_line_and_empty_ones_missing(bad: float) -> None:
    broken = {"type": "Polygon", "coordinates": [[[5, 50], [bad, 51], [6, 50], [5, 50]]]}
    mapping = points_geojson(POINTS, ["a", "b", "a"])
    mapping["features"][0]["geometry"] = broken
    with pytest.raises(InputError, match=r"feature 0 .*not finite"):
        read_labels(mapping, "crop")
    mapping["features"][0]["geometry"] = {"type": "Polygon", "coordinates": []}
    assert read_labels(mapping, "crop").missing == 1


LINE = np.column_stack([np.linspace(4, 5, 50), np.full(50, 50.0)])


def _fractions(stray: str) -> list[Any]:
    """50 numbers with fractions; each fifth from the second on is a text."""
    return [stray if k % 5 == 1 else k + 0.5 for k in range(50)]


@pytest.mark.parametrize("kind", [None, "regression"])
@pytest.mark.parametrize("form", ["csv", "geojson"])
def test_a_text_among_numbers_is_missing_or_named(tmp_path: Path, form: str, kind: str | None) -> None:
    def source(stray: str) -> Any:
        if form == "geojson":
            return points_geojson(LINE, _fractions(stray))
        path = tmp_path / "a.csv"
        rows = [f"{x},{y},{v}" for (x, y), v in zip(LINE, _fractions(stray), strict=True)]
        path.write_text("\n".join(["lon,lat,crop", *rows]))
        return path

    for word in ("n/a", "NULL", "None", "-"):
        if word == "-":
            with pytest.raises(
                InputError, match=r"'-' in 10 of 50 rows \(first: row 2\) is not a number; expected numbers"
            ):
                read_labels(source(word), "crop", kind)
        else:
            labels = read_labels(source(word), "crop", kind)
            assert (labels.kind, len(labels), labels.missing) == ("regression", 40, 10)


def test_counts_that_become_classes_and_a_number_for_missing_are_told() -> None:
    whole = [k % 34 for k in range(50)]
    told = "34 whole numbers taken as classes; kind='regression' (--kind regression) reads them as numbers"
    assert read_labels(points_geojson(LINE, whole), "crop").notes == (told,)
    assert read_labels(points_geojson(LINE, whole), "crop", "classification").notes == ()
    assert read_labels(points_geojson(LINE, [k % 12 for k in range(50)]), "crop").notes == ()
    low = [-9999.0 if k % 5 == 1 else k + 0.5 for k in range(50)]
    (note,) = read_labels(points_geojson(LINE, low), "crop").notes
    assert "-9999 stands in 10 of 50 labels, far below all others (from 0.5)" in note
    for usual in ([k - 200.5 for k in range(50)], [0.0 if k % 2 else k + 50.5 for k in range(50)]):
        assert read_labels(points_geojson(LINE, usual), "crop").notes == ()
