from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import shapely
import shapely.geometry
from heads_fakes import MODEL, WINDOW, FakeStore, draw_labels, make_store, make_truth, pixel_lonlat, points_geojson
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tessera.base import InputError
from tessera.figures import choose_colours
from tessera.heads import NO_DATA, LinearModel, fit, fit_linear, read_labels

NAMES = ("forest", "town", "water")
TRUTH = make_truth()


@pytest.fixture(scope="module")
def store() -> FakeStore:
    return make_store(TRUTH)


def shuffled(labels: dict[str, Any], seed: int = 1) -> dict[str, Any]:
    values = [feature["properties"]["crop"] for feature in labels["features"]]
    mixed = np.random.default_rng(seed).permutation(values)
    return {
        "type": "FeatureCollection",
        "features": [f | {"properties": {"crop": str(v)}} for f, v in zip(labels["features"], mixed, strict=True)],
    }


@pytest.mark.parametrize("split", ["spatial", "random"])
def test_separable_classes_are_learnt(store: FakeStore, split: str) -> None:
    head = fit(store, draw_labels(TRUTH, NAMES, 20), "crop", split=split)
    assert head.classes == NAMES
    assert (head.year, head.dims, head.model) == (2021, 8, MODEL)
    predicted = head.predict(store.values)
    assert predicted.dtype == np.uint8
    assert (predicted == TRUTH).mean() > 0.99
    assert head.metrics["macro_f1"] > 0.95
    assert head.metrics["split"] == split
    text = head.report()
    assert "labels: 60 of column 'crop'\n" in text
    assert f"split: {split}, 5 folds" in text
    assert ("flatters" in text) == (split == "random")
    assert all(name in text for name in NAMES)


def test_shuffled_labels_report_chance(store: FakeStore) -> None:
    head = fit(store, shuffled(draw_labels(TRUTH, NAMES, 60)), "crop")
    assert 0.2 < head.metrics["balanced_accuracy"] < 0.47


def test_the_same_arguments_give_the_same_head(store: FakeStore) -> None:
    labels = draw_labels(TRUTH, NAMES, 10)
    one, two = fit(store, labels, "crop", seed=3), fit(store, labels, "crop", seed=3)
    np.testing.assert_array_equal(one.weights, two.weights)
    assert one.report() == two.report()


def test_labels_without_data_are_dropped_and_counted() -> None:
    store = make_store(TRUTH)
    store.values[:60] = np.nan
    labels = draw_labels(TRUTH, NAMES, 30)
    labels["features"][0]["properties"]["crop"] = None
    good = np.isfinite(store.sample_points(read_labels(labels, "crop").lonlat, 2021)).all(axis=1)
    head = fit(store, labels, "crop")
    assert head.metrics["no_data"] == (~good).sum() > 0
    assert head.metrics["labels"] == good.sum()
    assert f"{(~good).sum()} dropped, pixel without data; 1 dropped, no value" in head.report()


def test_a_class_without_data_is_named() -> None:
    store = make_store(TRUTH)
    store.values[TRUTH == 2] = np.nan
    head = fit(store, draw_labels(TRUTH, NAMES, 10), "crop", colours={"water": "#0000ff", "town": "#ff0000"})
    assert head.classes == ("forest", "town")
    assert head.colours[1] == "#ff0000"
    assert "not learnt, as no label has data in 2021: water" in head.report()
    store.values[TRUTH == 1] = np.nan
    with pytest.raises(InputError, match=r"10 of 30 labels of .* have data in 2021, all of class 'forest'"):
        fit(store, draw_labels(TRUTH, NAMES, 10), "crop")
    store.values[:] = np.nan
    with pytest.raises(InputError, match=r"none of 30 labels of .* has data in 2021"):
        fit(store, draw_labels(TRUTH, NAMES, 10), "crop")


def test_too_few_places_for_folds_are_said(store: FakeStore) -> None:
    two = points_geojson(pixel_lonlat([0, 1, 0, 1], [0, 0, 25, 25]), ["a", "a", "b", "b"])
    head = fit(store, two, "crop")
    assert head.metrics["macro_f1"] is None
    assert "not tested: fewer than two classes" in head.report()
    labels = draw_labels(TRUTH, NAMES, 15)
    labels["features"] += points_geojson(pixel_lonlat([0], [0]), ["rare"])["features"]
    head = fit(store, labels, "crop")
    assert "learnt but not tested, as all labels lie in one block of 320 m or polygon: rare" in head.report()
    assert head.metrics["per_class"]["rare"]["f1"] is None
    assert head.metrics["per_class"]["forest"]["tested"] == 15


def test_prefix_dims(store: FakeStore) -> None:
    head = fit(store, draw_labels(TRUTH, NAMES, 20), "crop", dims=4)
    assert head.dims == 4
    assert head.predict(store.values[..., :4]).shape == WINDOW.shape


def test_polygons_and_points_in_one_file(store: FakeStore) -> None:
    labels = draw_labels(TRUTH, NAMES, 15)
    head = fit(store, read_labels(labels, "crop"), "crop")
    assert head.metrics["labels"] == head.metrics["features"] == 45
    assert "labels: 45 of column 'crop'" in head.report()
    for feature in labels["features"][:10]:
        square = shapely.Point(feature["geometry"]["coordinates"]).buffer(2e-4, cap_style="square")
        feature["geometry"] = shapely.geometry.mapping(square)
    head = fit(store, labels, "crop")
    assert head.metrics["features"] == 45
    assert head.metrics["labels"] > 70
    assert f"labels: {head.metrics['labels']} pixels of 45 features of column 'crop'" in head.report()
    assert sum(row["labels"] for row in head.metrics["per_class"].values()) == head.metrics["labels"]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"head": "mlp"}, "head 'mlp'; there is linear"),
        ({"split": "none"}, "split 'none'; expected one of spatial, random"),
        ({"year": 1999}, "year 1999; the store holds 2021"),
        ({"column": "kind"}, "no column 'kind'; it has crop"),
        ({"colours": {"sea": "#000000"}}, "a colour for 'sea', which is no class; the classes are forest, town, water"),
        ({"colours": {"town": "red"}}, "colour 'red'; expected the form"),
    ],
)
def test_bad_arguments_are_one_line(store: FakeStore, kwargs: dict[str, Any], message: str) -> None:
    labels = draw_labels(TRUTH, NAMES, 5)
    with pytest.raises(InputError, match=message):
        fit(store, labels, **{"column": "crop", **kwargs})


def test_a_store_of_several_years_needs_one(store: FakeStore) -> None:
    with pytest.raises(InputError, match="the store holds the years 2021, 2022 and none is named; expected year="):
        fit(replace(store, years=(2021, 2022)), draw_labels(TRUTH, NAMES, 5), "crop")
    with pytest.raises(InputError, match="labels of column 'crop' were given for column 'other'"):
        fit(store, read_labels(draw_labels(TRUTH, NAMES, 5), "crop"), "other")


def test_probabilities_and_no_data(store: FakeStore) -> None:
    head = fit(store, draw_labels(TRUTH, NAMES, 20), "crop")
    values = store.values[:6, :7].copy()
    values[2, 3, 1] = np.nan
    values[4, 4, 0] = np.inf
    probabilities = head.probabilities(values)
    assert probabilities.shape == (6, 7, 3)
    assert probabilities.dtype == np.float32
    predicted = head.predict(values)
    gone = np.zeros((6, 7), dtype=bool)
    gone[2, 3] = gone[4, 4] = True
    assert (predicted[gone] == NO_DATA).all()
    assert np.isnan(probabilities[gone]).all()
    np.testing.assert_allclose(probabilities[~gone].sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(probabilities[~gone].argmax(axis=1), predicted[~gone])
    assert head.predict(values[0, 0]).shape == ()
    with pytest.raises(InputError, match=r"values of shape \(6, 7, 4\); expected \(\.\.\., 8\)"):
        head.predict(values[..., :4])


@settings(max_examples=25, deadline=None)
@given(st.data(), st.integers(2, 4), st.integers(1, 5))
def test_any_finite_features_give_a_finite_model(data: st.DataObject, count: int, dims: int) -> None:
    y = np.array([str(k) for k in range(count)] * 3, dtype=object)
    x = data.draw(hnp.arrays(np.float64, (len(y), dims), elements=st.floats(-1e6, 1e6, width=32)))
    model = fit_linear(x, y)
    assert model.classes == tuple(map(str, range(count)))
    assert model.predict(x.astype(np.float32)).max() < count


def test_standardisation_makes_scale_and_shift_irrelevant() -> None:
    rng = np.random.default_rng(0)
    y = np.array(["a", "b"] * 30, dtype=object)
    x = rng.normal(size=(60, 5)) + (y == "a")[:, None]
    x[:, 3] = 7.0
    one, two = fit_linear(x, y), fit_linear(x * 1000 - 50, y)
    np.testing.assert_allclose(one.weights, two.weights, atol=1e-4)
    np.testing.assert_allclose(one.weights[0], -one.weights[1])
    turned = fit_linear(x, y, classes=("b", "a"))
    np.testing.assert_allclose(turned.weights[::-1], one.weights, atol=1e-4)


@pytest.mark.parametrize(
    ("x", "y", "kwargs", "message"),
    [
        (np.zeros((3, 2)), ["a", "b"], {}, "expected .N, D. and .N,."),
        (np.full((2, 2), np.nan), ["a", "b"], {}, "2 of 2 rows of features are not finite"),
        (np.zeros((2, 2)), ["a", "a"], {}, "labels of 1 class; expected at least two"),
        (np.zeros((2, 2)), ["a", "b"], {"classes": ("a", "b", "c")}, "expected just the classes a, b, c"),
    ],
)
def test_bad_features_are_one_line(x: Any, y: Any, kwargs: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit_linear(x, y, **kwargs)


def test_a_model_checks_its_arrays() -> None:
    ones = np.ones(2, dtype=np.float32)
    with pytest.raises(InputError, match="weights float32"):
        LinearModel(("a", "b"), np.ones((3, 2), dtype=np.float32), ones, ones, ones)
    with pytest.raises(InputError, match="expected above 0"):
        LinearModel(("a", "b"), np.ones((2, 2), dtype=np.float32), ones, ones, 0 * ones)


def test_colours_are_distinct_stable_and_conventional() -> None:
    classes = ("Water", "broadleaved forest", "town", "a", "b", "river", "non-forest")
    chosen = choose_colours(classes)
    assert len(set(chosen)) == len(classes)
    assert chosen == choose_colours(classes)
    assert chosen[:2] == ("#2f6fd0", "#1c6b39")
    assert chosen[5] != chosen[0]
    assert choose_colours(classes, {"a": "#2F6FD0"})[3] == "#2f6fd0"
    many = choose_colours([str(k) for k in range(255)])
    assert len(set(many)) == 255


def test_importing_the_room_imports_nothing_heavy() -> None:
    code = (
        "import sys, tessera.heads; "
        "print([m for m in ('sklearn', 'scipy', 'rasterio', 'matplotlib', 'geopandas', 'torch') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_latitudes_that_come_first_and_labels_elsewhere_are_told(store: FakeStore) -> None:
    labels = draw_labels(TRUTH, NAMES, 10)
    for feature in labels["features"]:
        feature["geometry"]["coordinates"].reverse()
    with pytest.raises(InputError, match="latitude seems to come first: exchanged, 30 of 30 have data"):
        fit(store, labels, "crop")
    far = points_geojson(np.array([[10.0, 10.0], [11.0, 11.0]]), ["a", "b"])
    with pytest.raises(InputError, match="they lie within 10,10,11,11; tessera store info says where data is"):
        fit(store, far, "crop")


def test_a_head_says_of_classes_that_look_alike(store: FakeStore) -> None:
    labels = draw_labels(TRUTH, ("Arable", "arable", "fore\u0302t"), 20)
    head = fit(store, labels, "crop", colours={"for\u00eat": "#000001"})
    assert head.classes == ("Arable", "arable", "for\u00eat")
    assert head.colours[2] == "#000001"
    assert "note: 'Arable' and 'arable' are different classes" in head.report()
    assert fit(store, labels, "crop", colours={"fore\u0302t": "#000001"}).colours[2] == "#000001"
