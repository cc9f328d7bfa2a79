"""Heads of numbers: what they learn and report, and their maps with legend and files beside."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any
from xml.dom import minidom

import numpy as np
import pytest
import rasterio
from heads_fakes import WINDOW, FakeStore, box_area, draw_labels, make_store, make_truth, pixel_lonlat, points_geojson
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn import metrics as reference

from tessera.base import InputError
from tessera.heads import Head, fit, load_head
from tessera.learners import HEADS
from tessera.maps import area_table, edges_of, empty_share, ramp, range_names, read_map_classes

TRUTH = make_truth()
AREA = box_area(0, 100, 0, 150)


@pytest.fixture(scope="module")
def store() -> FakeStore:
    """Vectors whose first value is the height, of 1 to 31 m, and a corner without data."""
    made = make_store(TRUTH, noise=0.3)
    rows, cols = np.indices(WINDOW.shape)
    made.values[..., 0] = 16 + 15 * np.sin(rows / 9.0) * np.cos(cols / 11.0)
    made.values[:20, :30] = np.nan
    return made


def heights(store: FakeStore, count: int = 150, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    rows, cols = rng.integers(20, WINDOW.height, count), rng.integers(0, WINDOW.width, count)
    values = store.values[rows, cols, 0].astype(float) + rng.normal(0, 0.3, count)
    return points_geojson(pixel_lonlat(rows, cols), values.round(3).tolist(), "height")


@pytest.fixture(scope="module")
def head(store: FakeStore) -> Head:
    return fit(store, heights(store), "height")


@pytest.mark.parametrize("name", [name for name in HEADS if HEADS[name].numbers])
def test_every_learner_regresses_and_reports(store: FakeStore, name: str, tmp_path: Path) -> None:
    found = fit(store, heights(store), "height", head=name)
    assert (found.head, found.kind, found.classes, found.values) == (name, "regression", (), ())
    said, want = found.predict(store.values), store.values[..., 0]
    there = np.isfinite(want)
    assert (said.dtype, said.shape) == (np.dtype(np.float32), WINDOW.shape)
    assert (np.isfinite(said) == there).all()
    assert np.sqrt(np.mean((said - want)[there] ** 2)) < 4.5
    metrics, text = found.metrics, found.report()
    assert metrics["r2"] > 0.7
    assert text.startswith(f"{name} head: numbers, 8 dims, year 2021")
    for key, label in (("r2", "R2"), ("rmse", "RMSE"), ("mae", "MAE")):
        low, high = metrics["intervals"][key]
        assert low <= metrics[key] <= high
        assert f"\n{label}: {metrics[key]:.3f} ({low:.3f} to {high:.3f})\n" in text
    assert "split: spatial, 5 folds" in text
    assert f"a random split would show R2 {metrics['random']['r2']:.3f} (" in text
    assert "precision" not in text
    assert load_head(found.save(tmp_path / "h.json")).report() == text


def test_numbers_are_predicted_as_numbers_and_not_as_ranks(store: FakeStore) -> None:
    """Heights once came out as the rank of their class, or cut to whole metres."""
    labels = heights(store)
    for feature in labels["features"]:
        feature["properties"]["height"] = 1000.0 + feature["properties"]["height"] / 7
    found = fit(store, labels, "height")
    want = 1000 + store.values[..., 0] / 7
    there = np.isfinite(want)
    assert np.abs(found.predict(store.values) - want)[there].max() < 0.5
    assert len(np.unique(found.predict(store.values)[there] % 1)) > 1000


def test_scores_are_those_of_the_held_out_labels(store: FakeStore) -> None:
    """With one fold that is given, the report is what scikit-learn says of a head without these labels."""
    from dataclasses import replace

    from tessera.embeddings import StackedVectors
    from tessera.labels import read_labels
    from tessera.learners import learn

    labels = read_labels(heights(store), "height")
    test = np.arange(len(labels)) % 3 == 0
    metrics = fit(store, replace(labels, test=test), "height", split="given").metrics
    assert labels.lonlat is not None
    x = StackedVectors.of(store.sample_codes(labels.lonlat, 2021))
    said = learn("linear", x[~test], labels.values[~test], 0).predict_codes(x[test])
    assert metrics["r2"] == pytest.approx(reference.r2_score(labels.values[test], said))
    assert metrics["mae"] == pytest.approx(reference.mean_absolute_error(labels.values[test], said))


def test_whole_numbers_are_numbers_where_that_is_said(store: FakeStore) -> None:
    labels = heights(store)
    for feature in labels["features"]:
        feature["properties"]["height"] = round(feature["properties"]["height"])
    assert fit(store, labels, "height").kind == "classification"
    assert fit(store, labels, "height", kind="regression").kind == "regression"
    with pytest.raises(InputError, match="continuous target; expected classes, or kind='regression'"):
        fit(store, heights(store), "height", kind="classification")
    with pytest.raises(InputError, match="colours for column 'height', which holds numbers"):
        fit(store, heights(store), "height", colours={"1": "#000000"})


def test_a_map_of_numbers_is_the_prediction_with_its_legend(head: Head, store: FakeStore, tmp_path: Path) -> None:
    path = head.map(store, AREA, out=tmp_path / "map.tif")
    want = head.predict_codes(next(store.iter_codes(AREA, 2021, rows=1000)))
    with rasterio.open(path) as source:
        found = source.read(1)
        assert (source.dtypes, source.count) == (("float32",), 1)
        assert np.isnan(source.nodata)
        assert source.tags()["TESSERA_CLASSES"] == "[]"
        assert source.descriptions == ("height",)
        statistics = source.tags(1)
    inside = np.isfinite(found)
    np.testing.assert_array_equal(found[inside], want[inside])
    assert inside.mean() > 0.8
    assert float(statistics["STATISTICS_MINIMUM"]) == found[inside].min()
    assert float(statistics["STATISTICS_MEAN"]) == pytest.approx(found[inside].mean(), rel=1e-5)
    assert head.edges == (5.0, 10.0, 15.0, 20.0, 25.0, 30.0)
    legend = read_map_classes(path)
    assert [one.name for one in legend] == [
        *("below 5", "5 to 10", "10 to 15", "15 to 20", "20 to 25", "25 to 30", "30 and above")
    ]
    counts = np.histogram(found[inside], [-np.inf, *head.edges, np.inf])[0]
    assert [one.pixels for one in legend] == counts.tolist()
    assert tuple(one.colour for one in legend) == head.colours
    assert empty_share(path) == pytest.approx(1 - inside.mean())
    assert area_table(legend)[0] == ("range", "pixels", "hectares", "share")
    rows = list(csv.DictReader((tmp_path / "map.classes.csv").read_text().splitlines()))
    assert [(row["from"], row["to"]) for row in rows][:2] == [("", "5.0"), ("5.0", "10.0")]
    assert [row["hectares"] for row in rows] == [f"{n / 100:.2f}" for n in counts]
    style = minidom.parse(str(tmp_path / "map.qml"))
    assert style.getElementsByTagName("rasterrenderer")[0].getAttribute("type") == "singlebandpseudocolor"
    items = style.getElementsByTagName("item")
    assert [item.getAttribute("value") for item in items] == ["5.0", "10.0", "15.0", "20.0", "25.0", "30.0", "inf"]
    assert [item.getAttribute("color") for item in items] == list(head.colours)
    with Image.open(tmp_path / "map.png") as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    for colour, count in zip(head.colours, counts, strict=True):
        wanted = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
        assert ((pixels == wanted).all(axis=1).mean() > 0.005) or count < 200


def test_a_map_of_numbers_and_one_of_classes_take_each_others_place(
    head: Head, store: FakeStore, tmp_path: Path
) -> None:
    classes = fit(store, draw_labels(TRUTH, ("a", "b", "c"), 20), "crop")
    path = tmp_path / "map.tif"
    for one in (head, classes, head):
        one.map(store, AREA, out=path)
        assert ("<Category>" in (tmp_path / "map.tif.aux.xml").read_text()) == bool(one.classes)
        assert len(read_map_classes(path)) == (len(one.classes) or len(one.colours))
    assert len(list(tmp_path.iterdir())) == 5


def test_overviews_of_numbers_are_means(head: Head, tmp_path: Path) -> None:
    from tessera.geo import Window

    window = Window(31, 64000, 561000, 600, 600)
    store = make_store(make_truth(window, side=64), window=window)
    path = head.map(store, window, out=tmp_path / "map.tif", png=False)
    with rasterio.open(path) as source:
        assert source.overviews(1) == [2]
        whole, half = source.read(1), source.read(1, out_shape=(300, 300))
    np.testing.assert_allclose(half, whole.reshape(300, 2, 300, 2).mean(axis=(1, 3)), rtol=1e-4, atol=1e-4)


@given(st.floats(-1e30, 1e30), st.floats(-1e30, 1e30))
def test_borders_are_few_rising_and_between(low: float, high: float) -> None:
    if not low < high:
        return
    edges = edges_of(low, high)
    assert 1 <= len(edges) <= 16
    assert all(low <= edge <= high for edge in edges)
    assert sorted(set(edges)) == list(edges)
    assert len(range_names(edges)) == len(ramp(len(edges) + 1)) == len(edges) + 1


def test_borders_are_round() -> None:
    assert edges_of(0.0, 31.0) == (5.0, 10.0, 15.0, 20.0, 25.0, 30.0)
    assert edges_of(0.12, 0.19) == (0.13, 0.14, 0.15, 0.16, 0.17, 0.18)
    assert edges_of(-3.0, 4.0) == (-2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
    assert range_names((0.5, 1.0)) == ("below 0.5", "0.5 to 1", "1 and above")
    assert ramp(8)[0] == "#440154"
    assert ramp(8)[-1] == "#fde725"
    assert len(set(ramp(15))) == 15
