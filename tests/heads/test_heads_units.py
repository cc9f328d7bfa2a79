"""Scores by unit: intervals that hold what they promise, and each unit or polygon counting once."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
import shapely
import shapely.geometry
from heads_fakes import draw_labels, make_store, make_truth
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.heads import fit, load_head
from tessera.heads._metrics import parse_metrics
from tessera.heads._report import format_report
from tessera.validation import EACH_ONCE, TOTALS, confusion, score_classes, scores, unit_scores

NAMES = ("forest", "town", "water")
TRUTH = make_truth()


def by_unit(truth: Any, said: Any, places: Any, features: Any = None, classes: int = 2) -> dict[str, Any]:
    one, other, where = (np.asarray(array, dtype=np.int64) for array in (truth, said, places))
    own = np.arange(len(one)) if features is None else np.asarray(features, dtype=np.int64)
    return unit_scores(one, np.eye(classes)[other], where, own, classes=classes, seed=0)


def test_a_large_place_counts_once() -> None:
    # nine right pixels of one polygon, one wrong pixel each of two others
    found = by_unit([0] * 9 + [1, 1], [0] * 9 + [0, 0], [0] * 9 + [1, 2], [0] * 9 + [1, 2])
    assert found["per_unit"]["units"] == 3
    assert found["per_unit"]["accuracy"][0] == pytest.approx(1 / 3)
    assert found["per_unit"]["balanced_accuracy"][0] == pytest.approx(0.5)
    assert (found["per_group"]["groups"], found["per_group"]["right"]) == (3, 1)
    assert found["per_group"]["accuracy"][0] == pytest.approx(1 / 3)


def test_a_polygon_is_right_by_the_vote_of_its_pixels_and_a_tie_is_wrong() -> None:
    truth, said = [0] * 3 + [1] * 2 + [2] * 3, [0, 0, 1, 1, 0, 0, 1, 0]
    found = by_unit(truth, said, [0] * 3 + [1] * 2 + [2] * 3, [7] * 3 + [3] * 2 + [5] * 3, classes=3)
    assert (found["per_group"]["right"], found["per_group"]["groups"]) == (1, 3)
    assert found["per_unit"]["accuracy"][0] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(4, 50), st.integers(1, 12))
def test_scores_are_those_of_fit_and_evaluate(seed: int, classes: int, count: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    truth, said, places = rng.integers(0, [[classes], [classes], [groups]], (3, count))
    found = by_unit(truth, said, places, places, classes=classes)
    own = scores(confusion(truth, said, classes))
    even = 1 / np.bincount(places)[places]
    pixel, place = score_classes(truth, said, np.stack([np.ones(count), even]), classes=classes)
    np.testing.assert_allclose([own.balanced_accuracy, own.macro_f1, own.accuracy, own.mean_iou, own.kappa], pixel)
    np.testing.assert_allclose([np.nan if found[key] is None else found[key] for key in TOTALS[:5]], pixel)
    np.testing.assert_allclose([found["per_unit"][key][0] for key in EACH_ONCE], place[:3])
    share = np.mean([np.mean((truth == said)[places == one]) for one in np.unique(places)])
    assert found["per_unit"]["accuracy"][0] == pytest.approx(share)
    for name, (low, high) in found["intervals"].items():
        if low is not None and name not in ("kappa", "log_loss", "brier"):
            assert 0 <= low <= found[name] <= high <= 1


def test_intervals_hold_the_truth_where_pixels_of_a_place_err_together() -> None:
    rng = np.random.default_rng(0)
    held = narrow = 0
    for _ in range(120):
        right = rng.random(40) < 0.8
        places = np.repeat(np.arange(40), 25)
        truth = np.arange(40)[places] % 2
        said = np.where(right[places], truth, 1 - truth)
        found = by_unit(truth, said, places, places)
        low, high = found["intervals"]["accuracy"]
        held += low <= 0.8 <= high
        low, high = by_unit(truth, said, np.arange(1000), places)["intervals"]["accuracy"]
        narrow += low <= 0.8 <= high
    assert held > 0.87 * 120
    assert narrow < 0.6 * 120


def polygons(labels: dict[str, Any]) -> dict[str, Any]:
    for feature in labels["features"]:
        square = shapely.Point(feature["geometry"]["coordinates"]).buffer(2e-4, cap_style="square")
        feature["geometry"] = shapely.geometry.mapping(square)
    return labels


def test_the_report_tells_pixels_places_and_polygons(tmp_path: Any) -> None:
    store = make_store(TRUTH, noise=1.5)
    head = fit(store, polygons(draw_labels(TRUTH, NAMES, 20)), "crop")
    metrics, text = head.metrics, head.report()
    assert metrics["per_group"]["groups"] == 60
    assert metrics["per_unit"]["units"] == metrics["units"]
    assert "each block counting once: balanced accuracy" in text
    assert f"each group counting once, by the vote of its labels: {metrics['per_group']['right']} of 60 right" in text
    low, high = metrics["intervals"]["accuracy"]
    assert low <= metrics["accuracy"] <= high
    assert f"\naccuracy: {metrics['accuracy']:.3f} ({low:.3f} to {high:.3f})\n" in text
    assert load_head(head.save(tmp_path / "h.json")).report() == text
    assert fit(store, polygons(draw_labels(TRUTH, NAMES, 20)), "crop").metrics == metrics


def test_groups_of_several_classes_have_no_vote_and_a_note_says_so() -> None:
    # group 3 holds both classes, group 5 is right
    found = by_unit([0, 1, 1, 1], [0, 1, 1, 1], [0, 0, 1, 1], [3, 3, 5, 5])
    assert (found["per_group"]["groups"], found["per_group"]["right"]) == (1, 1)
    assert by_unit([0, 1], [0, 1], [0, 0], [3, 3])["per_group"] is None
    source = polygons(draw_labels(TRUTH, NAMES, 20))
    for number, feature in enumerate(source["features"]):
        feature["properties"]["farm"] = f"Hof {number // 3}"
    head = fit(make_store(TRUTH, noise=1.5), source, "crop", group="farm", split="group")
    farms: dict[str, set[str]] = {}
    for feature in source["features"]:
        farms.setdefault(feature["properties"]["farm"], set()).add(feature["properties"]["crop"])
    mixed = sum(len(crops) > 1 for crops in farms.values())
    assert mixed > 0
    assert f"note: {mixed} of {len(farms)} groups have labels of several classes" in head.report()
    assert {row["name"] for row in head.metrics["worst"]} <= set(farms)
    first = head.metrics["worst"][0]
    assert f" in farm {first['name']} at {first['lon']:.5f},{first['lat']:.5f}" in head.report()


def test_classes_that_few_places_test_are_marked() -> None:
    source = polygons(draw_labels(TRUTH, NAMES, 30))
    towns = [feature for feature in source["features"] if feature["properties"]["crop"] == "town"]
    source["features"] = [one for one in source["features"] if one not in towns] + towns[:7]
    head = fit(make_store(TRUTH, noise=1.5), source, "crop")
    rows, text = head.metrics["per_class"], head.report()
    assert {name: row["places"] for name, row in rows.items()} == {"forest": 30, "town": 7, "water": 30}
    assert rows["town"]["tested"] > 20
    assert re.search(r"\ntown +\d+ +\d+ +\d+ +7\*  ", text)
    assert "* 1 of 3 tested classes was tested on fewer than 20 places (polygons, points or groups): town (7)." in text
    assert re.search(r" in feature \d+ at ", text)
    assert "held out and worst (features counted from 0):" in text
    assert "*" not in fit(make_store(TRUTH), draw_labels(TRUTH, NAMES, 25), "crop").report()


def test_points_have_no_vote_and_a_random_split_still_has_places() -> None:
    head = fit(make_store(TRUTH), draw_labels(TRUTH, NAMES, 20), "crop", split="random")
    assert head.metrics["per_group"] is None
    assert "by the vote" not in head.report()
    assert 1 < head.metrics["per_unit"]["units"] < head.metrics["units"] == 60
    few = fit(make_store(TRUTH), draw_labels(TRUTH, NAMES, 4), "crop")
    assert "blocks, fewer than 20" in few.report()


def test_heads_without_scores_by_place_are_read_and_broken_ones_are_not() -> None:
    head = fit(make_store(TRUTH), draw_labels(TRUTH, NAMES, 8), "crop")
    names = ("split", "block_km", "folds", "balanced_accuracy", "macro_f1", "accuracy", "confusion", "notes", "labels")
    old = {key: head.metrics[key] for key in (*names, "missing", "no_data")}
    old |= {"places": 9, "features": 24, "random": dict.fromkeys(EACH_ONCE, 0.5)}
    old["per_class"] = {
        name: {k: v for k, v in row.items() if k != "iou"} for name, row in head.metrics["per_class"].items()
    }
    for by_place in (
        {},
        {"intervals": None, "per_place": None, "per_feature": None},
        {
            "intervals": {name: [0.25, 0.75] for name in EACH_ONCE},
            "per_place": {"places": 9, **{name: [0.5, 0.25, 0.75] for name in EACH_ONCE}},
            "per_feature": {"features": 5, "right": 2, "largest": 9, "accuracy": [0.5, 0.25, 0.75]},
        },
    ):
        read = parse_metrics({**old, **by_place}, NAMES)
        assert read == parse_metrics(read, NAMES)
        assert (read["schema"], read["units"], read["groups"]) == (2, 9, 24)
        text = format_report("x", read, NAMES, "crop")
        assert "macro-F1: " in text
        assert ("2 of 5 right, accuracy 0.500 (0.250 to 0.750)" in text) == bool(by_place.get("per_feature"))
    for key, value in (
        ("intervals", {"accuracy": [0, 1]}),
        ("intervals", None),
        ("per_unit", [1]),
        ("per_unit", {**head.metrics["per_unit"], "accuracy": [0.5, 0.4]}),
        ("per_unit", {**head.metrics["per_unit"], "units": "9"}),
        ("per_group", {"groups": "3", "right": 2, "accuracy": [0.5, None, 1]}),
        ("accuracy", None),
    ):
        broken = json.loads(json.dumps({**head.metrics, key: value}))
        with pytest.raises(ValueError, match="metrics are not what a head saves"):
            parse_metrics(broken, NAMES)
