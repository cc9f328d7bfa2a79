from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

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
from tessera.heads import fit, load_head
from tessera.labels import NO_DATA, Labels, read_labels
from tessera.learners import HEADS, LinearModel, learn

if TYPE_CHECKING:
    from pathlib import Path

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
    assert "labels: 60, column 'crop'\n" in text
    assert f"split: {split}, 5 folds" in text
    assert ("which inflates scores" in text) == (split == "random")
    assert all(name in text for name in NAMES)


def test_shuffled_labels_report_chance(store: FakeStore) -> None:
    head = fit(store, shuffled(draw_labels(TRUTH, NAMES, 60)), "crop")
    assert 0.2 < head.metrics["balanced_accuracy"] < 0.47


def test_the_same_arguments_give_the_same_head(store: FakeStore) -> None:
    labels = draw_labels(TRUTH, NAMES, 10)
    one, two = fit(store, labels, "crop", seed=3), fit(store, labels, "crop", seed=3)
    for name, array in one.learnt.arrays().items():
        np.testing.assert_array_equal(two.learnt.arrays()[name], array)
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
    assert f"{(~good).sum()} left out, pixel without data; 1 left out, no value" in head.report()


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
    assert "not tested: fewer than two classes have 3 labels in more than one block of 10 km; label" in head.report()
    labels = draw_labels(TRUTH, NAMES, 15)
    labels["features"] += points_geojson(pixel_lonlat([0], [0]), ["rare"])["features"]
    head = fit(store, labels, "crop")
    assert (
        "learnt but not tested, as they have fewer than 3 labels, or all in one block of 0.5 km: rare" in head.report()
    )
    assert head.metrics["per_class"]["rare"]["f1"] is None
    assert head.metrics["per_class"]["forest"]["tested"] == 15


def test_prefix_dims(store: FakeStore) -> None:
    head = fit(store, draw_labels(TRUTH, NAMES, 20), "crop", dims=4)
    assert head.dims == 4
    assert head.predict(store.values[..., :4]).shape == WINDOW.shape


def test_polygons_and_points_in_one_file(store: FakeStore) -> None:
    labels = draw_labels(TRUTH, NAMES, 15)
    head = fit(store, read_labels(labels, "crop"), "crop")
    assert head.metrics["labels"] == head.metrics["groups"] == 45
    assert "labels: 45, column 'crop'" in head.report()
    for feature in labels["features"][:10]:
        square = shapely.Point(feature["geometry"]["coordinates"]).buffer(4e-4, cap_style="square")
        feature["geometry"] = shapely.geometry.mapping(square)
    head = fit(store, labels, "crop")
    assert head.metrics["groups"] == 45
    assert head.metrics["labels"] > 70
    assert f"labels: {head.metrics['labels']} in 45 groups, column 'crop'" in head.report()
    assert sum(row["labels"] for row in head.metrics["per_class"].values()) == head.metrics["labels"]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"head": "svm"}, "head 'svm'; expected one of linear, prototype, knn, forest, boosting, mlp"),
        ({"split": "none"}, "split 'none'; expected one of spatial, group, region, year, given, random"),
        ({"split": "given"}, "comes with no split; expected a column test"),
        ({"kind": "ranking"}, "kind 'ranking'; expected classification or regression"),
        ({"kind": "regression"}, "column 'crop': '.*' in 5 of 15 rows .first: row 1. is not a number"),
        ({"block_km": 0.0}, "blocks of 0.0 km; expected finite above 0"),
        ({"year": 1999}, "the store has no year 1999; it has 2021"),
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
    y = np.array(list(range(count)) * 3)
    x = data.draw(hnp.arrays(np.float64, (len(y), dims), elements=st.floats(-1e6, 1e6, width=32)))
    model = learn("linear", x, y, count)
    assert model.classes == count
    assert model.predict(x.astype(np.float32)).max() < count


def test_standardisation_makes_scale_and_shift_irrelevant() -> None:
    rng = np.random.default_rng(0)
    y = np.array([0, 1] * 30)
    x = rng.normal(size=(60, 5)) + (y == 0)[:, None]
    x[:, 3] = 7.0
    one, two, turned = (learn("linear", *pair, 2) for pair in ((x, y), (x * 1000 - 50, y), (x, 1 - y)))
    assert isinstance(one, LinearModel)
    assert isinstance(two, LinearModel)
    assert isinstance(turned, LinearModel)
    np.testing.assert_allclose(one.weights, two.weights, atol=1e-4)
    np.testing.assert_allclose(one.weights[0], -one.weights[1])
    np.testing.assert_allclose(turned.weights[::-1], one.weights, atol=1e-4)


@pytest.mark.parametrize(
    ("head", "x", "y", "classes", "message"),
    [
        ("svm", np.zeros((2, 2)), [0, 1], 2, "head 'svm'; expected some of linear"),
        ("linear", np.zeros((3, 2)), [0, 1], 2, "expected .N, D. and .N,."),
        ("knn", np.zeros((2, 0)), [0, 1], 2, "expected .N, D. and .N,."),
        ("forest", np.full((2, 2), np.nan), [0, 1], 2, "2 of 2 rows of features are not finite"),
        ("linear", np.zeros((2, 2)), [0, 0], 1, "labels of 1 classes; expected each of 2"),
        ("linear", np.zeros((2, 2)), [0, 1], 3, "labels of 2 classes; expected each of 3"),
        ("linear", np.zeros((2, 2)), [0, 2], 2, "labels of 2 classes; expected each of 2"),
    ],
)
def test_bad_features_are_one_line(head: str, x: Any, y: Any, classes: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        learn(head, x, np.array(y), classes)


def test_a_model_checks_its_arrays() -> None:
    ones = np.ones(2, dtype=np.float32)
    with pytest.raises(InputError, match="weights float32"):
        LinearModel(2, np.ones((3, 2), dtype=np.float32), ones, ones, ones)
    with pytest.raises(InputError, match="expected above 0"):
        LinearModel(2, np.ones((2, 2), dtype=np.float32), ones, ones, 0 * ones)
    with pytest.raises(InputError, match="1 classes; expected 2 to 255"):
        LinearModel(1, np.ones((1, 2), dtype=np.float32), ones[:1], ones, ones)


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
    with pytest.raises(
        InputError, match="latitude seems to come first: 30 of 30 places tried with both exchanged have data"
    ):
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


@pytest.mark.parametrize("head", ["linear", "knn", "forest", "mlp"])
def test_every_learner_fits_reports_and_names_itself(store: FakeStore, head: str) -> None:
    found = fit(store, draw_labels(TRUTH, NAMES, 15), "crop", head=head)
    assert (found.head, found.kind, found.classes) == (head, "classification", NAMES)
    assert (found.predict(store.values) == TRUTH).mean() > 0.95
    metrics, text = found.metrics, found.report()
    assert text.startswith(f"{head} head: 3 classes, 8 dims, year 2021")
    assert metrics["block_km"] == 0.5
    assert f"split: spatial, 5 folds, {metrics['units']} blocks of 0.5 km held apart, buffer " in text
    assert f"leaving out one of {metrics['per_unit']['units']} blocks at a time" in text
    beside = metrics["random"]
    assert (
        f"a random split would show macro-F1 {beside['macro_f1']:.3f} ({metrics['gap']['macro_f1']:+.3f}), balanced"
        in text
    )


def test_a_random_split_flatters_where_neighbours_are_alike() -> None:
    """Each field has vectors and a class of its own: a neighbour tells the class, another field does not."""
    fields = make_truth(classes=48, side=20)
    store = make_store(fields, noise=0.1)
    truth = np.random.default_rng(4).integers(0, 2, 48)[fields]
    labels = draw_labels(truth, ("a", "b"), 120)
    honest = fit(store, labels, "crop", head="knn", block_km=0.5).metrics
    assert honest["random"]["macro_f1"] > 0.9
    assert honest["macro_f1"] < honest["random"]["macro_f1"] - 0.05
    told = fit(store, labels, "crop", head="knn", split="random").metrics
    assert told["macro_f1"] == pytest.approx(honest["random"]["macro_f1"], abs=1e-12)
    assert told["random"] is None
    assert any("inflates" in note for note in told["notes"])


def test_a_split_that_comes_with_labels_tests_what_it_says(store: FakeStore) -> None:
    read = read_labels(draw_labels(TRUTH, NAMES, 20), "crop")
    with_split = replace(read, test=np.arange(60) % 4 == 0)
    metrics = fit(store, with_split, "crop", split="given").metrics
    assert (metrics["split"], metrics["folds"]) == ("given", 1)
    assert sum(row["tested"] for row in metrics["per_class"].values()) == 15
    with pytest.raises(InputError, match="has no places; expected lon and lat"):
        fit(store, replace(read, lonlat=None), "crop")
    with pytest.raises(InputError, match="kind 'regression' for labels of a classification"):
        fit(store, read, "crop", kind="regression")


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (
            ["a", "b"],
            "2 of 2 labels of .* of 2 classes of which 0 have two labels or more; expected two labels or more",
        ),
        (["a", "a", "b"], "3 of 3 labels of .* of 2 classes of which 1 have two labels or more"),
        (["a", "b", "c"], "of 3 classes of which 0 have two labels or more; expected two labels or more"),
        ([1.5, 2.5, 3.5], "3 of 3 labels of .* have data in 2021; expected at least 4 numbers that differ"),
        ([1.5] * 4, "4 of 4 labels .* have data in 2021, all of them 1.5; expected at least 4 numbers that differ"),
        ([2e9 + 0.5, 2e9, 2e9, 2e9], "from 2000000000.0 to 2000000000.5, one number in the float32 of a map"),
        ([5e-323 / 2, 0.0, 5e-323, 0.5e-323], "one number in the float32 of a map"),
        ([1e39, 0.5, 1.5, 2.5], r"labels of float64 to regress; expected finite float64, up to 3.4e\+38"),
    ],
)
def test_what_cannot_be_learnt_is_one_line(store: FakeStore, values: list[Any], line: str) -> None:
    lonlat = pixel_lonlat(np.arange(len(values)) * 20, np.arange(len(values)) * 25)
    with pytest.raises(InputError, match=line) as caught:
        fit(store, points_geojson(lonlat, values), "crop")
    assert "\n" not in str(caught.value)


def test_two_labels_a_class_are_learnt(store: FakeStore) -> None:
    lonlat = pixel_lonlat([0, 60, 20, 80], [0, 60, 0, 60])
    head = fit(store, points_geojson(lonlat, ["a", "a", "b", "b"]), "crop")
    assert head.classes == ("a", "b")
    assert isinstance(head.metrics["notes"], list)
    assert Labels(np.array(["a"], dtype=object)).classes == ("a",)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([0, 1], "labels of int to classify; expected text"),
        ([None, "b"], "labels of NoneType to classify; expected text"),
        (["", "b"], "a class of column 'label' has no name; expected text"),
    ],
)
def test_classes_of_labels_made_by_hand_are_text(store: FakeStore, values: list[Any], line: str) -> None:
    lonlat = pixel_lonlat(np.arange(12) * 8, np.arange(12) * 10)
    with pytest.raises(InputError, match=line):
        fit(store, Labels(np.array(values * 6, dtype=object), lonlat=lonlat), "label")


@pytest.mark.parametrize("side", [10**400, 1e300, float("inf"), float("nan"), -1])
def test_a_block_has_a_side_that_the_earth_has_room_for(store: FakeStore, side: float) -> None:
    with pytest.raises(InputError, match="expected finite above 0"):
        fit(store, draw_labels(TRUTH, NAMES, 12), "crop", block_km=side)


def test_a_side_of_any_kind_of_number_is_saved(store: FakeStore, tmp_path: Path) -> None:
    head = fit(store, draw_labels(TRUTH, NAMES, 12), "crop", block_km=np.float32(0.5))  # type: ignore[arg-type]
    assert load_head(head.save(tmp_path / "head.json")).metrics["block_km"] == 0.5


@pytest.mark.parametrize("head", sorted(HEADS))
def test_few_labels_of_many_classes_are_learnt_without_a_warning(head: str, recwarn: pytest.WarningsRecorder) -> None:
    x = np.random.default_rng(0).normal(size=(10, 4))
    learn(head, x, np.array([0, 0, 1, 1, 2, 2, 3, 4, 5, 6]), 7)
    assert not recwarn.list


def test_labels_that_are_learnt_from_and_not_tested_lie_within_the_area_of_applicability() -> None:
    truth = make_truth()
    store = make_store(truth)
    labels = read_labels(draw_labels(truth, ("crop", "forest", "water"), 12), "crop")
    assert labels.lonlat is not None
    water = labels.values == "water"
    test = ~water & (np.arange(len(labels)) % 2 == 0)
    head = fit(store, replace(labels, test=test), "crop", split="given")
    assert head.applicability is not None
    found = store.sample_codes(labels.lonlat[water], head.year).values()
    assert (head.applicability.distance(found) < 0.1).all()
