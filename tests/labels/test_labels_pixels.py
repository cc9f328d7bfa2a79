"""From polygons and points to pixels: which, how many, and what is counted."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from label_files import WINDOW, box_at, collection, lonlat_at, point_at, polygon_at, read_labels

import tessera
from tessera.base import InputError
from tessera.geo import from_lonlat, points_in_zones
from tessera.labels import COUNTED
from tessera.labels._pixels import one_class_a_pixel, one_number_a_pixel, pixel_keys

FAR = shapely.Point(100.0, 10.0)


def cells(lonlat: np.ndarray[Any, Any]) -> set[tuple[int, int]]:
    """Column and row in the window."""
    ((_, _, px, py),) = points_in_zones(lonlat)
    return set(zip((px - WINDOW.west).tolist(), (WINDOW.north - 1 - py).tolist(), strict=True))


def flat(polygon: Any) -> Any:
    """A polygon in metres of the zone."""
    return shapely.transform(polygon, lambda p: np.column_stack(from_lonlat(p[:, 0], p[:, 1], 31)))


def depth(polygon: Any) -> dict[tuple[int, int], float]:
    """Column and row of the window's pixels -> metres from the border, below 0 outside."""
    metres = flat(shapely.segmentize(polygon, 0.001))
    cols, rows = (part.ravel() for part in np.meshgrid(np.arange(WINDOW.width), np.arange(WINDOW.height)))
    centres = shapely.points((WINDOW.west + cols + 0.5) * 10, (WINDOW.north - rows - 0.5) * 10)
    far = shapely.distance(metres.boundary, centres) * np.where(shapely.contains(metres, centres), 1, -1)
    return dict(zip(zip(cols.tolist(), rows.tolist(), strict=True), far.tolist(), strict=True))


corner = st.tuples(st.floats(2, 118), st.floats(2, 118))
NEAR = 0.05
"""Metres: an edge that is straight in degrees is cut into pieces that are straight in metres."""


@settings(max_examples=40, deadline=None)
@given(st.lists(corner, min_size=3, max_size=8), st.sampled_from([0.0, 10.0, 25.0]))
def test_pixels_are_those_inside_and_away_from_the_border(ring: list[tuple[float, float]], margin: float) -> None:
    shape = shapely.make_valid(polygon_at(*ring))
    if not shape.geom_type.endswith("Polygon") or shape.area <= 0:
        return
    edges: dict[str, Any] = {"edges": "drop", "edge_m": margin} if margin else {"edges": "keep"}
    labels = read_labels(collection([shape, FAR], ["a", "b"]), "crop", per_polygon=100_000, **edges)
    found, far = cells(labels.lonlat[labels.groups == 0]), depth(shape)
    for least in (margin, 0.0):
        sure = {cell for cell, one in far.items() if one > least + NEAR}
        may = {cell for cell, one in far.items() if one > least - NEAR}
        if found <= may and sure <= found and found:
            lost = {cell for cell, one in far.items() if one > NEAR} - found if least else set()
            unsure = [one for one in far.values() if abs(one) < NEAR or abs(one - least) < NEAR]
            assert abs(labels.counts.get("edge", 0) - len(lost)) <= len(unsure)
            return
        # nothing is left within the margin, for sure
        assert not sure
    assert labels.counts["small"] == len(found) == 1


def test_a_polygon_without_inner_pixels_keeps_those_that_it_has() -> None:
    strip = box_at(10, 10, 30, 11.9)
    labels = read_labels(collection([strip, FAR], ["a", "b"]), "crop")
    assert len(labels) == 41
    assert labels.counts == {}
    wide = read_labels(collection([box_at(10, 10, 20, 20), FAR], ["a", "b"]), "crop")
    assert len(wide) == 64 + 1
    assert wide.counts == {"edge": 36}


def test_the_same_polygon_keeps_its_pixels_whatever_else_the_file_holds() -> None:
    field, other = box_at(10, 10, 40, 40), box_at(50, 10, 95, 80)
    alone = read_labels(collection([field, FAR], ["a", "b"]), "crop")
    beside = read_labels(collection([other, FAR, field], ["b", "b", "a"]), "crop")
    assert alone.counts["capped"] == 1
    np.testing.assert_array_equal(alone.lonlat[alone.values == "a"], beside.lonlat[beside.values == "a"])


def test_fields_that_share_a_border_have_no_pixel_in_common() -> None:
    rng = np.random.default_rng(1)
    x = np.linspace(5, 115, 12) + rng.uniform(-2, 2, 12)
    fields = [box_at(a, 10, b, 100) for a, b in pairwise(x)]
    names = ["a" if at % 2 else "b" for at in range(len(fields))]
    labels = read_labels(collection(fields, names), "crop", edges="keep", per_polygon=10_000)
    assert labels.counts == {}
    assert len(labels) == (round(x[-1]) - round(x[0])) * 90


def test_polygons_over_the_date_line_and_a_zone_border_are_capped_as_one() -> None:
    ring = [(179.99, 10.0), (-179.99, 10.0), (-179.99, 10.01), (179.99, 10.01)]
    shapes = [shapely.Polygon(ring), shapely.box(5.99, 50.0, 6.01, 50.01), shapely.box(-0.01, -33.01, 0.01, -33.0)]
    labels = read_labels(collection(shapes, ["a", "b", "a"]), "crop")
    assert labels.counts["capped"] == 3
    for at, (left, right) in enumerate([(179.99, 180.01), (5.99, 6.01), (-0.01, 0.01)]):
        mine = labels.lonlat[labels.groups == at]
        lon = mine[:, 0] % 360 if at == 0 else mine[:, 0]
        assert len(mine) == 200
        assert left < lon.min() < (left + right) / 2 < lon.max() < right
    small = [shapely.box(5.9995, 50.0, 6.0005, 50.0005), FAR]
    assert "capped" not in read_labels(collection(small, ["a", "b"]), "crop").counts


def test_overlaps_and_repeats_are_counted() -> None:
    shapes = [box_at(0, 0, 10, 10), box_at(5, 0, 15, 10), box_at(0, 0, 5, 10)]
    labels = read_labels(collection(shapes, ["a", "b", "a"]), "crop", edges="keep")
    # 50 pixels of a and b; 50 of a twice
    assert labels.counts == {"duplicate": 50, "conflict": 100}
    assert sorted(np.unique(labels.values, return_counts=True)[1].tolist()) == [50, 50]
    assert any("labels lie in pixels with several classes" in line for line in labels.counted)
    with pytest.raises(InputError, match="2 labels lie in pixels with two classes or more, and what is left has 0"):
        read_labels(collection([point_at(3.2, 3.2), point_at(3.7, 3.9)], ["a", "b"]), "crop")
    gone = read_labels(collection([*shapes[:2], point_at(7.5, 0.5)], ["a", "b", "c"]), "crop", edges="keep")
    assert "class 'c' is left out: all its labels lie in pixels of other classes too" in gone.notes


def test_numbers_of_a_pixel_are_averaged_and_polygons_give_theirs_to_each_pixel() -> None:
    shapes = [point_at(3.2, 3.2), point_at(3.7, 3.9), point_at(8, 8), box_at(20, 20, 24, 24)]
    labels = read_labels(collection(shapes, [1.5, 2.5, 4.0, 7.5]), "crop", edges="keep")
    assert labels.kind == "regression"
    assert labels.values.tolist() == [2.0, 4.0, *[7.5] * 16]
    assert labels.counts == {"averaged": 1}
    assert len(np.unique(labels.groups)) == 3


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2)), max_size=40))
def test_one_class_a_pixel_by_hand(rows: list[tuple[int, int]]) -> None:
    keys, codes = (np.array([row[at] for row in rows], dtype=np.int64) for at in (0, 1))
    kept, torn, counts = one_class_a_pixel(keys, codes)
    held: dict[int, list[int]] = {}
    for at, (key, _) in enumerate(rows):
        held.setdefault(key, []).append(at)
    single = [ats for ats in held.values() if len({rows[at][1] for at in ats}) == 1]
    several = [at for ats in held.values() if len({rows[at][1] for at in ats}) > 1 for at in ats]
    assert kept.tolist() == sorted(ats[0] for ats in single)
    assert torn.tolist() == sorted(several)
    assert counts.get("duplicate", 0) == sum(len(ats) - 1 for ats in single)
    assert counts.get("conflict", 0) == len(several)
    if rows:
        numbers = codes.astype(np.float64)
        firsts, mean, more = one_number_a_pixel(keys, numbers)
        assert firsts.tolist() == sorted(ats[0] for ats in held.values())
        wanted = [np.mean([rows[one][1] for one in held[rows[first][0]]]) for first in firsts.tolist()]
        np.testing.assert_allclose(mean, wanted)
        assert sum(more.values()) == len(rows) - len(held)


def test_years_keep_labels_of_one_pixel_apart() -> None:
    shapes, given_ = [point_at(3.2, 3.2), point_at(3.7, 3.9), FAR], ["a", "b", "a"]
    source = collection(shapes, given_, when=["2021-05-01", "2022", 2021])
    labels = read_labels(source, "crop", year="when")
    assert labels.years.tolist() == [2021, 2022, 2021]
    assert labels.counts == {}
    lonlat = lonlat_at([3.2, 3.7], [3.2, 3.9])
    assert len(np.unique(pixel_keys(lonlat))) == 1
    with pytest.raises(InputError, match="column 'when' holds 'spring'; expected years or dates"):
        read_labels(collection(shapes, given_, when=["spring", "2022", 2021]), "crop", year="when")


def test_groups_and_regions_come_from_columns() -> None:
    shapes = [point_at(at, at) for at in range(10, 16)]
    source = collection(shapes, list("ababab"), site=[7.0, 7, "x", None, "x", 8], land=["n", "n", "s", "s", None, "s"])
    labels = read_labels(source, "crop", group="site", region="land")
    first, second, third, fourth, fifth = labels.groups.tolist()
    assert first == second
    assert len({second, third, fourth, fifth}) == 4
    assert labels.counts == {"ungrouped": 1}
    assert labels.missing == 1
    assert labels.regions.tolist() == ["n", "n", "s", "s", "s"]
    assert labels.grouped_by == "site"
    assert [labels.group_name(group) for group in labels.groups.tolist()] == ["7", "7", "x", "feature 3", "8"]
    plain = read_labels(source, "crop")
    assert plain.grouped_by == "feature"
    assert [plain.group_name(group) for group in plain.groups.tolist()] == [f"feature {at}" for at in range(6)]
    # numbers that somebody gave are their own names
    assert tessera.Labels(np.array(["a", "b"], dtype=object), groups=np.array([7, -9])).group_name(-9) == "-9"


def test_invalid_and_empty_shapes_are_repaired_or_dropped_and_counted() -> None:
    bow = polygon_at((10, 10), (20, 20), (20, 10), (10, 20))
    line = polygon_at((30, 30), (40, 40), (30, 30))
    labels = read_labels(collection([bow, line, box_at(50, 50, 54, 54)], ["a", "b", "b"]), "crop", edges="keep")
    assert labels.counts == {"repaired": 1, "flat": 1}
    assert (labels.values == "a").sum() > 30
    assert set(labels.counts) <= set(COUNTED)
