"""Suggested points: useful, apart, within reach, the same however the area is read."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).resolve().parents[1] / "heads"))
from heads_fakes import WINDOW, box_area, draw_labels, make_store, make_truth, pixel_lonlat

import tessera
from tessera.base import InputError
from tessera.geo import from_lonlat, read_vector, to_lonlat
from tessera.heads import fit
from tessera.labels import Labels
from tessera.suggestions._choose import choose_points
from tessera.validation import Calibration, Trust

TRUTH = make_truth()
STORE = make_store(TRUTH)
NAMES = ("crop", "forest", "water")


@pytest.fixture(scope="module")
def head() -> Any:
    return fit(STORE, draw_labels(TRUTH, NAMES, 8), "crop", split="random")


def _metres(found: Any) -> Any:
    return np.column_stack(from_lonlat(found.lonlat[:, 0], found.lonlat[:, 1], WINDOW.zone))


def _truth_at(found: Any) -> Any:
    x, y = _metres(found).T
    return TRUTH[WINDOW.north - 1 - np.floor(y / 10).astype(int), np.floor(x / 10).astype(int) - WINDOW.west]


def test_the_first_points_without_a_label_find_every_class() -> None:
    found = tessera.suggest(STORE, WINDOW, 3)
    assert sorted(_truth_at(found)) == [0, 1, 2]
    assert [one.rank for one in found] == [1, 2, 3]
    assert found.reached == TRUTH.size


def test_a_class_that_no_label_has_comes_first() -> None:
    rows, cols = np.nonzero(TRUTH != 2)
    pick = np.random.default_rng(0).choice(len(rows), 40, replace=False)
    names = np.array([NAMES[code] for code in TRUTH[rows[pick], cols[pick]]], dtype=object)
    labels = Labels(names, lonlat=pixel_lonlat(rows[pick], cols[pick]))
    assert _truth_at(tessera.suggest(STORE, WINDOW, 1, labels=labels)).tolist() == [2]


def test_gains_fall_and_stay_below_one() -> None:
    found = tessera.suggest(STORE, WINDOW, 30)
    gains = [one.gain for one in found]
    assert gains == sorted(gains, reverse=True)
    assert 0 < found.covered < 1


def test_the_same_points_whatever_the_strips_are(head: Any) -> None:
    first = tessera.suggest(STORE, WINDOW, 10, head=head)
    for rows in (1, 7, 120):
        again = tessera.suggest(make_store(TRUTH, rows=rows), WINDOW, 10, head=head)
        assert again.points == first.points


def test_points_keep_their_distance_from_each_other_and_from_labels() -> None:
    labels = draw_labels(TRUTH, NAMES, 3)
    found = tessera.suggest(STORE, WINDOW, 25, labels=labels, column="crop", spacing_m=150)
    places = np.concatenate([_metres(found), found.known])
    gaps = np.hypot(*(places[:, None] - places).transpose(2, 0, 1))
    new = len(found)
    gaps[np.arange(len(places)), np.arange(len(places))] = np.inf
    assert gaps[:new].min() >= 150 - 1e-6


def test_points_lie_within_polygons_and_near_roads(tmp_path: Path) -> None:
    within = box_area(10, 100, 20, 140)
    x = np.array([WINDOW.west + 5, WINDOW.east - 5]) * 10.0
    y = np.full(2, (WINDOW.north - 50) * 10.0)
    line = shapely.LineString(np.column_stack(to_lonlat(x, y, WINDOW.zone)))
    road = tmp_path / "roads.geojson"
    road.write_text(json.dumps({"type": "Feature", "geometry": shapely.geometry.mapping(line), "properties": {}}))
    found = tessera.suggest(STORE, WINDOW, 20, within=within, roads=road, road_m=80, spacing_m=20)
    assert len(found) == 20
    assert shapely.contains_xy(within, found.lonlat).all()
    assert (np.abs(_metres(found)[:, 1] - y[0]) <= 80).all()


def test_what_cannot_be_reached_is_told_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not overlap"):
        tessera.suggest(STORE, WINDOW, within=shapely.box(8, 50, 8.1, 50.1))
    points = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [5, 50.6]}, "properties": {}}
    with pytest.raises(InputError, match="holds no lines among 1 features; expected roads as lines"):
        tessera.suggest(STORE, WINDOW, roads=points)
    far = {"type": "Feature", "geometry": {"type": "LineString", "coordinates": [[8, 50], [9, 50]]}, "properties": {}}
    with pytest.raises(InputError, match="none of 1 lines of the GeoJSON given lies within 250 m of the area"):
        tessera.suggest(STORE, WINDOW, roads=far)
    with pytest.raises(InputError, match=r"0 m from a road; expected above 0"):
        tessera.suggest(STORE, WINDOW, roads=far, road_m=0)
    with pytest.raises(InputError, match="labels without the name of their column"):
        tessera.suggest(STORE, WINDOW, labels=draw_labels(TRUTH, NAMES, 3))
    with pytest.raises(InputError, match=r"lies 5000 m or more from the 9 labels; expected a smaller spacing_m"):
        tessera.suggest(STORE, WINDOW, labels=draw_labels(TRUTH, NAMES, 3), column="crop", spacing_m=5000)
    with pytest.raises(InputError, match="0 points; expected 1 to 1000"):
        tessera.suggest(STORE, WINDOW, 0)
    with pytest.raises(InputError, match=r"points to 'visit.shp'; expected a path that ends in .gpx"):
        tessera.suggest(STORE, WINDOW, 1).write("visit.shp")


def test_a_head_of_another_model_is_refused(head: Any) -> None:
    from dataclasses import replace

    other = make_store(TRUTH, model=replace(STORE.model, sha256="cd" * 32))
    with pytest.raises(InputError, match="the head learnt from those"):
        tessera.suggest(other, WINDOW, head=head)


def test_a_head_of_several_years_is_refused_in_a_line(head: Any) -> None:
    from tessera.heads import check_pixel_head

    with pytest.raises(InputError, match="the head reads 2 years or stores side by side"):
        check_pixel_head("knn", head.inputs * 2, STORE.model)
    with pytest.raises(InputError, match="looks at the pixels around one"):
        check_pixel_head("unet", head.inputs, STORE.model)
    two = fit([STORE, STORE], draw_labels(TRUTH, NAMES, 8), "crop", split="random")
    with pytest.raises(InputError, match="the head reads 2 years or stores side by side"):
        tessera.suggest(STORE, WINDOW, 2, head=two)


def test_files_can_be_read_again(tmp_path: Path, head: Any) -> None:
    found = tessera.suggest(STORE, WINDOW, 4, head=head)
    for name in ("visit.gpx", "visit.geojson", "visit.csv"):
        path = found.write(tmp_path / name)
        table = read_vector(path)
        lonlat = shapely.get_coordinates(table.geometries)
        assert np.abs(lonlat - found.lonlat).max() < 1e-6
        found.write(path)  # an earlier list of points may be replaced
        path.write_text("mine")
        with pytest.raises(InputError):
            found.write(path)
        assert path.read_text() == "mine"
    lines = found.write(tmp_path / "b.csv").read_text().splitlines()
    names = [row["predicted"] for row in csv.DictReader(lines)]
    assert names == [one.predicted for one in found]
    root = ElementTree.parse(found.write(tmp_path / "b.gpx")).getroot()
    assert [one[0].text for one in root.iter("{http://www.topografix.com/GPX/1/1}wpt")] == ["001", "002", "003", "004"]
    frame = found.to_geodataframe()
    assert frame.crs == "EPSG:4326"
    assert frame["rank"].tolist() == [1, 2, 3, 4]


def test_the_picture_is_drawn_and_kept_from_strangers(tmp_path: Path) -> None:
    found = tessera.suggest(STORE, WINDOW, 4)
    path = found.draw(STORE, tmp_path / "visit.png")
    data = path.read_bytes()
    assert data[:4] == b"\x89PNG"
    assert found.draw(STORE, path).read_bytes() == data
    path.write_bytes(b"mine")
    with pytest.raises(InputError):
        found.draw(STORE, path)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(2, 40))
def test_each_choice_is_the_best_that_is_left(seed: int, count: int, pixels: int) -> None:
    """Against a plain loop over all that could be chosen."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(pixels, 3)).astype(np.float32)
    weights, places = rng.uniform(size=pixels), rng.uniform(0, 1000, (pixels, 2))
    labelled = rng.normal(size=(2, 3)).astype(np.float32)
    order, gains = choose_points(values, weights, labelled, places, count, 100.0)
    mean, spread = values.mean(axis=0), values.std(axis=0)
    scaled, known = (values - mean) / spread, (labelled - mean) / spread
    weight = 0.1 + 0.9 * weights

    def left(chosen: list[int]) -> float:
        near = np.concatenate([known, scaled[chosen]])
        return float(weight @ np.sqrt(((scaled[:, None] - near) ** 2).sum(axis=2)).min(axis=1))

    for step, one in enumerate(order.tolist()):
        before = order[:step].tolist()
        free = [k for k in range(pixels) if all(np.hypot(*(places[k] - places[b])) >= 100 for b in before)]
        best = min(left([*before, k]) for k in free if k not in before)
        assert left([*before, one]) == pytest.approx(best, rel=1e-4, abs=1e-4)
        assert gains[step] == pytest.approx((left(before) - left([*before, one])) / left([]), rel=1e-2, abs=1e-4)


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1 cmd", "@SUM(A1)", "a\u202eb", "a\x1b[31mb"])
def test_names_in_files_neither_run_nor_turn_a_line(tmp_path: Path, name: str) -> None:
    point = tessera.Suggestion(1, 5.1, 50.6, name, 0.5, f"-{name}", 0.25, 0.5, 0.1)
    found = tessera.Suggestions((point,), 1, 2023, WINDOW, 10, 0)
    for suffix in ("csv", "gpx", "geojson"):
        text = found.write(tmp_path / f"p.{suffix}").read_bytes().decode()
        assert "\u202e" not in text
        assert "\x1b" not in text
    row = next(csv.DictReader((tmp_path / "p.csv").read_text().splitlines()))
    for field in ("predicted", "second", "reason"):
        assert row[field][:1] not in tuple("=+-@")
    # in memory the name is what it is
    assert found[0].predicted == name


def test_uncertainty_is_that_of_calibrated_probabilities(head: Any) -> None:
    soft = Trust(Calibration("temperature", temperature=4.0), 0.9, 0.5, threshold=0.0)
    raw, calibrated = (tessera.suggest(STORE, WINDOW, 5, head=replace(head, trust=one)) for one in (None, soft))
    for found, softer in ((raw, False), (calibrated, True)):
        values = STORE.sample_codes(found.lonlat, found.year).values()
        chances = head.probabilities(values)
        chances = soft.probabilities(chances) if softer else chances
        two = np.sort(chances, axis=1)[:, -2:]
        assert [one.probability for one in found] == pytest.approx(two[:, 1].tolist(), abs=1e-5)
        assert [one.uncertainty for one in found] == pytest.approx((1 - two[:, 1] + two[:, 0]).tolist(), abs=1e-5)
    assert max(one.uncertainty for one in calibrated) > max(one.uncertainty for one in raw)
