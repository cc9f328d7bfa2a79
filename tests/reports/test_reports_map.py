"""The report of a fitted head and its map: picture, areas, and the command that writes it."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "heads"))
from heads_fakes import WINDOW, draw_labels, make_store, make_truth, pixel_lonlat

from tessera.base import InputError
from tessera.figures import draw_map
from tessera.heads import Head, fit
from tessera.labels import Labels
from tessera.maps import read_map_classes
from tessera.reports import _mapped
from tessera.validation import Calibration, Trust, areas_of_confusion, estimate_areas, fit_applicability

pytest.importorskip("rasterio")
pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Head, Path]:
    """A head of classes and its map."""
    folder = tmp_path_factory.mktemp("reports")
    truth = make_truth()
    store = make_store(truth)
    labels = draw_labels(truth, ("crop", "forest", "water"), 40)
    head = fit(store, labels, "crop", year=2021)
    head.save(folder / "head.json")
    return head, head.map(store, WINDOW, 2021, out=folder / "map.tif")


def test_a_map_and_its_areas_are_on_the_page(mapped: tuple[Head, Path], tmp_path: Path) -> None:
    head, tiff = mapped
    page = head.write_report(tmp_path / "report.html", tiff).read_text(encoding="utf-8")
    assert 'id="map"' in page
    assert "no probability sample" in page
    for one in read_map_classes(tiff):
        assert f"{one.pixels / 100:,.1f}" in page
        assert one.colour in page
    assert f"{WINDOW.width * WINDOW.height:,} pixels of 10 m" in page
    bare = head.write_report(tmp_path / "bare.html").read_text(encoding="utf-8")
    assert 'id="map"' not in bare
    assert 'id="areas"' not in bare


def test_a_probability_sample_gives_areas_with_intervals(mapped: tuple[Head, Path], tmp_path: Path) -> None:
    head, tiff = mapped
    # some labels of each class are wrong, else there is no interval
    counts = np.array(head.metrics["confusion"]["counts"]) + 4 * (1 - np.eye(3, dtype=np.int64))
    held = {**head.metrics["confusion"], "counts": counts.tolist(), "predicted": counts.tolist()}
    metrics = {**head.metrics, "confusion": held, "sample": {"design": "random", "strata": None}}
    sampled = replace(head, metrics=metrics)
    page = sampled.write_report(tmp_path / "report.html", tiff).read_text(encoding="utf-8")
    pixels = {one.name: one.pixels for one in read_map_classes(tiff)}
    found = areas_of_confusion(counts, [pixels[name] for name in head.classes], head.classes, design="random")
    for row in found.to_json()["classes"]:
        value, low, high = row["area"]
        assert f"{value:,.1f} ({low:,.1f} to {high:,.1f})" in page
    assert "stratified estimator (Olofsson et al. 2014)" in page
    assert "doi:10.1016/j.rse.2014.02.015" in page
    assert "no probability sample" not in page


def test_the_picture_has_the_year_of_the_map(
    mapped: tuple[Head, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, _ = mapped
    later = replace(head, inputs=tuple(replace(one, year=2019) for one in head.inputs))
    tiff = later.map(make_store(make_truth()), WINDOW, 2021, out=tmp_path / "map.tif", png=False)
    titles = []

    def draw(*args: Any, title: str, **kwargs: Any) -> Any:
        titles.append(title)
        return draw_map(*args, title=title, **kwargs)

    monkeypatch.setattr(_mapped, "draw_map", draw)
    later.write_report(tmp_path / "report.html", tiff)
    assert titles == ["crop, 2021"]


@pytest.mark.parametrize("tested", [True, False])
def test_a_random_sample_that_gives_no_areas_is_still_called_one(
    mapped: tuple[Head, Path], tmp_path: Path, tested: bool
) -> None:
    head, tiff = mapped
    sure = replace(head, trust=Trust(Calibration("none", 1.0), 0.9, 0.5, threshold=0.999, accuracy=0.9))
    if tested:
        tiff = sure.map(make_store(make_truth()), WINDOW, 2021, out=tmp_path / "map.tif", abstain=True, png=False)
    else:
        sure = replace(head, metrics={**head.metrics, "confusion": None})
    sampled = replace(sure, metrics={**sure.metrics, "sample": {"design": "random", "strata": None}})
    page = sampled.write_report(tmp_path / "report.html", tiff).read_text(encoding="utf-8")
    assert "no probability sample" not in page
    assert ("the map abstains" in page) == tested
    assert ("the head was not tested" in page) == (not tested)
    assert "Areas are pixel counts of the map, without intervals." in page


def drawn(tiff: Path, each: int = 40, seed: int = 0) -> Labels:
    """A sample stratified by the classes of the map, with the truth at each place."""
    import rasterio

    generator = np.random.default_rng(seed)
    with rasterio.open(tiff) as raster:
        shown = raster.read(1)
    chosen = np.concatenate(
        [generator.choice(np.flatnonzero(shown.reshape(-1) == v), each, replace=False) for v in np.unique(shown)]
    )
    rows, cols = np.divmod(chosen, shown.shape[1])
    names = np.array(["crop", "forest", "water"], dtype=object)
    return Labels(names[make_truth()[rows, cols]], lonlat=pixel_lonlat(rows, cols), source="sample.gpkg")


def test_a_sample_that_did_not_train_the_map_is_compared_with_it_place_by_place(
    mapped: tuple[Head, Path], tmp_path: Path
) -> None:
    head, tiff = mapped
    sample = drawn(tiff)
    # without an error there is no interval
    sample = replace(sample, values=np.where(np.arange(120) % 8 == 0, "crop", sample.values).astype(object))
    page = head.write_report(tmp_path / "report.html", tiff, sample=sample).read_text(encoding="utf-8")
    legend = {one.name: one for one in read_map_classes(tiff)}
    # what the map shows there, by the vectors themselves
    assert sample.lonlat is not None
    shown = head.names(head.predict(make_store(make_truth()).sample_points(sample.lonlat, 2021)))
    index = {name: number for number, name in enumerate(head.classes)}
    found = estimate_areas(
        np.array([index[name] for name in shown]),
        np.array([index[name] for name in sample.values]),
        [legend[name].pixels for name in head.classes],
        head.classes,
    )
    for row in found.to_json()["classes"]:
        value, low, high = row["area"]
        assert f"{value:,.1f} ({low:,.1f} to {high:,.1f})" in page
    assert "120 reference labels of sample.gpkg, a stratified sample" in page


def test_labels_that_trained_the_head_are_no_sample_of_its_map(mapped: tuple[Head, Path], tmp_path: Path) -> None:
    head, tiff = mapped
    points = head.metrics["points"]
    trained = np.column_stack([points["lon"], points["lat"]])
    values = np.array(points["value"], dtype=object)
    sample = Labels(values, lonlat=trained, source="plots.csv")
    with pytest.raises(InputError, match=r"labels of plots.csv lie where the head was trained; expected a sample"):
        head.write_report(tmp_path / "report.html", tiff, sample=sample)
    fresh = drawn(tiff)
    assert fresh.lonlat is not None
    both = Labels(
        np.concatenate([fresh.values, values[:5]]),
        lonlat=np.concatenate([fresh.lonlat, trained[:5]]),
        source="both.csv",
    )
    page = head.write_report(tmp_path / "report.html", tiff, sample=both).read_text(encoding="utf-8")
    assert "lie where the head was trained, where a map is better than elsewhere" in page


def test_a_sample_may_hold_places_off_the_map_and_classes_that_the_map_lacks(
    mapped: tuple[Head, Path], tmp_path: Path
) -> None:
    head, tiff = mapped
    sample = drawn(tiff)
    assert sample.lonlat is not None
    values, places = sample.values.copy(), sample.lonlat.copy()
    values[:5] = "road"
    places[5:8] = [[200.0, 95.0], [0.0, 0.0], [5.0, 51.9]]
    other = replace(sample, values=values, lonlat=places)
    page = head.write_report(tmp_path / "report.html", tiff, sample=other).read_text(encoding="utf-8")
    assert "3 of 120 labels lie outside the map or on no data" in page
    assert "classes of the sample that the map does not have: road" in page
    assert "<bdi>road</bdi>" in page


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lonlat": None}, "expected a class and a point each"),
        ({"groups": np.zeros(120, dtype=np.int64)}, "expected one point for each sampled pixel"),
        ({"lonlat": np.zeros((120, 2))}, "none of 120 labels .* lies on the map"),
    ],
)
def test_what_is_no_sample_of_the_map_is_refused(
    mapped: tuple[Head, Path], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    head, tiff = mapped
    with pytest.raises(InputError, match=message):
        head.write_report(tmp_path / "report.html", tiff, sample=replace(drawn(tiff), **change))
    with pytest.raises(InputError, match="a sample without a map"):
        head.write_report(tmp_path / "report.html", sample=drawn(tiff))
    with pytest.raises(InputError, match="expected one of random, stratified"):
        head.write_report(tmp_path / "report.html", tiff, sample=drawn(tiff), design="handy")
    assert not (tmp_path / "report.html").exists()


def test_a_map_that_abstains_and_its_uncertainty_are_on_the_page(mapped: tuple[Head, Path], tmp_path: Path) -> None:
    head, _ = mapped
    store = make_store(make_truth(), noise=1.5, seed=3)
    vectors = store.values.reshape(-1, store.dims)
    unsure = replace(
        head,
        trust=Trust(Calibration(), 0.9, 0.6, threshold=0.9),
        applicability=fit_applicability(vectors[:200], np.arange(200, dtype=np.int64) % 5),
    )
    tiff = unsure.map(store, WINDOW, 2021, out=tmp_path / "map.tif", uncertainty=True, abstain=True)
    page = unsure.write_report(tmp_path / "report.html", tiff).read_text(encoding="utf-8")
    import rasterio

    with rasterio.open(tmp_path / "map.uncertainty.tif") as raster:
        bands = dict(zip(raster.descriptions, raster.read(), strict=True))
    assert f"{100 * np.mean(bands['applicability'] > 1):.0f} %" in page
    assert f"{100 * np.mean(bands['applicability'] > 1):.0f} % of this map lies beyond distance 1." in page
    assert f"{np.mean(bands['set_size']):.3g}" in page
    assert 'id="doubt"' in page
    legend = read_map_classes(tiff)
    assert legend[-1].name not in head.classes
    assert f"<bdi>{legend[-1].name}</bdi>" in page
    assert f"{legend[-1].pixels / 100:,.1f}" in page
    # the uncertainty of another map is refused
    other = store.window.__class__(WINDOW.zone, WINDOW.west, WINDOW.north, 40, 40)
    small = unsure.map(store, other, 2021, out=tmp_path / "small.tif")
    (tmp_path / "small.uncertainty.tif").write_bytes((tmp_path / "map.uncertainty.tif").read_bytes())
    with pytest.raises(InputError, match="lies on another grid"):
        unsure.write_report(tmp_path / "small.html", small)


def test_a_map_of_numbers_shows_its_ranges(tmp_path: Path) -> None:
    truth = make_truth()
    store = make_store(truth)
    labels = draw_labels(truth, ("1.5", "10.25", "20.75"), 40)
    for feature in labels["features"]:
        feature["properties"]["crop"] = float(feature["properties"]["crop"])
    head = fit(store, labels, "crop", year=2021, kind="regression")
    tiff = head.map(store, WINDOW, 2021, out=tmp_path / "numbers.tif")
    page = head.write_report(tmp_path / "report.html", tiff).read_text(encoding="utf-8")
    for one in read_map_classes(tiff):
        assert f"<bdi>{one.name}</bdi>" in page
    assert "Area of each range" in page


def test_the_map_of_another_head_is_refused(mapped: tuple[Head, Path], tmp_path: Path) -> None:
    head, tiff = mapped
    other = replace(head, classes=(*head.classes[:-1], "something else"))
    with pytest.raises(InputError, match=r"do not have the same classes: .*something else"):
        other.write_report(tmp_path / "report.html", tiff)
    with pytest.raises(InputError, match="no table of classes"):
        head.write_report(tmp_path / "report.html", tmp_path / "absent.tif")
    assert not (tmp_path / "report.html").exists()


def test_the_map_of_another_head_with_the_same_classes_is_refused(mapped: tuple[Head, Path], tmp_path: Path) -> None:
    head, tiff = mapped
    other = replace(head, column="other")
    with pytest.raises(
        InputError, match=r"map .*map\.tif was made by another head .*; expected a map that tessera map"
    ):
        other.write_report(tmp_path / "report.html", tiff)
    assert not (tmp_path / "report.html").exists()


def test_a_sample_without_an_error_has_no_interval_on_the_page(mapped: tuple[Head, Path], tmp_path: Path) -> None:
    head, tiff = mapped
    sample = drawn(tiff, 12)
    assert sample.lonlat is not None
    shown = head.names(head.predict(make_store(make_truth()).sample_points(sample.lonlat, 2021)))
    right = replace(sample, values=shown)
    page = head.write_report(tmp_path / "report.html", tiff, sample=right).read_text(encoding="utf-8")
    assert "100 % (no interval). The map was compared" in page
    for one in read_map_classes(tiff):
        assert f"{one.hectares:,.1f} (no interval)" in page
        assert f"{one.name} {one.hectares:,.1f} ha (no interval)" in page
    assert "(100 % to 100 %)" not in page


def test_a_table_that_counts_more_pixels_than_the_map_has_is_refused(mapped: tuple[Head, Path], tmp_path: Path) -> None:
    head, tiff = mapped
    moved = tmp_path / tiff.name
    shutil.copy(tiff, moved)
    header, first, *rest = tiff.with_name("map.classes.csv").read_text().splitlines()
    value, name, colour, _, hectares = first.split(",")
    lines = [header, f"{value},{name},{colour},{'9' * 14},{hectares}", *rest]
    (tmp_path / "map.classes.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match="counts more pixels than the map has"):
        head.write_report(tmp_path / "report.html", moved)
    assert not (tmp_path / "report.html").exists()


def test_the_command_writes_the_page(
    mapped: tuple[Head, Path], tmp_path: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    head, tiff = mapped
    out = tmp_path / "report.html"
    code, said, _ = run("report", "--head", tiff.with_name("head.json"), "--map", tiff, "-o", out)
    assert code == 0
    assert said.endswith(f"saved: {out}\n")
    assert out.read_bytes() == head.write_report(tmp_path / "same.html", tiff).read_bytes()
    assert re.search(r"<h1>.*crop", out.read_text(encoding="utf-8"))
    code, _, err = run("report", "--head", tmp_path / "absent.json", "-o", out)
    assert code == 2
    assert "head not found" in err
    out.write_text("mine", encoding="utf-8")
    code, _, err = run("report", "--head", tiff.with_name("head.json"), "-o", out)
    assert code == 2
    assert out.read_text(encoding="utf-8") == "mine"


def test_fit_writes_the_page_too_and_looks_at_its_path_first(
    tmp_path: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    code, _, err = run("fit", tmp_path / "no.zarr", tmp_path / "no.geojson", "--column", "c", "-o", tmp_path / "h.json",
                       "--report", tmp_path / "report.pdf")  # fmt: skip
    assert code == 2
    assert "expected a path that ends in .html" in err
