"""Projects of the page: read, fitted on, and refused where they are not what they should be."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heads_fakes import MODEL, draw_labels, make_store, make_truth

from tessera.base import InputError
from tessera.heads import fit, load_project

NAMES = ("forest", "town", "water")
TRUTH = make_truth()
ABOUT: dict[str, Any] = {
    "format": "tessera-project",
    "version": 1,
    "store": {"url": "https://example.org/s", "name": "s", "etag": None, "model": MODEL.to_json()},
    "year": 2021,
    "area": [5.0, 50.5, 5.1, 50.6],
    "classes": [{"name": name, "colour": f"#10{k}0ff"} for k, name in enumerate(NAMES)],
    "places": "exact",
    "settings": {"head": "linear"},
}


def _labels(count: int = 20) -> dict[str, Any]:
    drawn = draw_labels(TRUTH, NAMES, count)
    for number, feature in enumerate(drawn["features"]):
        feature["properties"] = {"class": feature["properties"]["crop"], "group": f"g{number // 2}", "source": "click"}
    return drawn


def _write(path: Path, files: dict[str, Any]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in files.items():
            archive.writestr(name, value if isinstance(value, bytes) else json.dumps(value))
    return path


def test_a_project_opens_with_identical_predictions(tmp_path: Path) -> None:
    store = make_store(TRUTH, noise=1.0)
    head = fit(store, _labels(), "class", block_km=0.4)
    head.save(tmp_path / "h.json")
    files = {
        "project.json": ABOUT,
        "labels.geojson": _labels(),
        "heads/linear.json": (tmp_path / "h.json").read_bytes(),
    }
    project = load_project(_write(tmp_path / "p.zip", files))
    assert (project.store, project.year, project.model, project.places) == (
        "https://example.org/s",
        2021,
        MODEL,
        "exact",
    )
    assert project.area == (5.0, 50.5, 5.1, 50.6)
    assert list(project.colours) == list(NAMES)
    assert np.array_equal(project.heads["linear"].predict(store.values), head.predict(store.values))
    learnt = fit(store, **project.fit_options(), block_km=0.4)
    assert learnt.colours == tuple(project.colours[name] for name in learnt.classes)
    assert learnt.metrics["groups"] == 30


def test_classes_that_are_numbers_stay_classes(tmp_path: Path) -> None:
    labels = _labels()
    for feature in labels["features"]:
        feature["properties"]["class"] = str(NAMES.index(feature["properties"]["class"]) * 10)
    about = {**ABOUT, "classes": [{"name": str(k * 10), "colour": "#010203"} for k in range(3)]}
    project = load_project(_write(tmp_path / "p.zip", {"project.json": about, "labels.geojson": labels}))
    assert fit(make_store(TRUTH), **project.fit_options(), block_km=0.4).classes == ("0", "10", "20")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"format": "other"}, "format"),
        ({"version": 2}, "a later release"),
        ({"year": "2021"}, "year is text; expected a whole number"),
        ({"area": [1, 2, 3]}, "expected west, south, east, north"),
        ({"area": [1, 2, 3, None]}, "expected west, south, east, north"),
        ({"store": {**ABOUT["store"], "url": "file:///etc/passwd"}}, "expected http or https, or null"),
        ({"store": {**ABOUT["store"], "model": {}}}, "model identity lacks"),
        ({"classes": [{"name": "a", "colour": "red"}]}, "colour 'red'; expected the form"),
        ({"classes": [{"name": 5, "colour": "#000000"}]}, "name of a class is a whole number; expected text"),
        ({"classes": "no"}, "classes is text; expected a list"),
        ({"places": "some"}, "expected exact, coarse, none"),
    ],
)
def test_a_bad_document_is_one_line(tmp_path: Path, change: dict[str, Any], expected: str) -> None:
    path = _write(tmp_path / "p.zip", {"project.json": {**ABOUT, **change}})
    with pytest.raises(InputError, match=expected) as caught:
        load_project(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"x.json": {}}, "expected a project that the page saved"),
        ({"project.json": []}, "holds no JSON object"),
        ({"project.json": b"{" + b" " * (2 << 20)}, "more than 1,048,576 bytes"),
        ({"project.json": ABOUT, "labels.geojson": {"type": "x"}}, "holds no features"),
        ({"project.json": ABOUT, "heads/a.json": {"format": "tessera-head"}}, r"p\.zip/heads/a\.json"),
        ({"project.json": ABOUT, "../x": b""}, "leads out of it"),
        ({"project.json": ABOUT} | {f"heads/{k}.json": {} for k in range(21)}, "21 heads; expected at most 20"),
    ],
)
def test_a_bad_archive_is_one_line(tmp_path: Path, files: dict[str, Any], expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        load_project(_write(tmp_path / "p.zip", files))


def test_what_is_no_archive_or_lacks_a_key_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "p.zip").write_bytes(b"PK\x03\x04 garbage")
    for path, expected in ((tmp_path / "p.zip", "cannot be unpacked"), (tmp_path / "none.zip", "not found")):
        with pytest.raises(InputError, match=expected):
            load_project(path)
    less = {name: value for name, value in ABOUT.items() if name != "year"}
    with pytest.raises(InputError, match="year"):
        load_project(_write(tmp_path / "q.zip", {"project.json": less}))


def test_hidden_places_are_not_learnt_from(tmp_path: Path) -> None:
    for places, word in (("coarse", "coarsened"), ("none", "removed")):
        path = _write(
            tmp_path / f"{places}.zip", {"project.json": {**ABOUT, "places": places}, "labels.geojson": _labels()}
        )
        with pytest.raises(InputError, match=word):
            load_project(path).fit_options()
    with pytest.raises(InputError, match="no labels"):
        load_project(_write(tmp_path / "e.zip", {"project.json": ABOUT})).fit_options()


def test_the_command_fits_on_a_project(tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    from tessera.geo import Window
    from tessera.testing import SMALL_MODEL, random_embeddings, small_store

    store = small_store(tmp_path / "s.zarr")
    window = Window(31, 64 * 1024, 548 * 1024, 120, 120)
    store.write(random_embeddings(window, no_data=0), 2023)
    labels = _points(window)
    about = {**ABOUT, "year": 2023, "store": {**ABOUT["store"], "model": SMALL_MODEL.to_json()}}
    project = _write(tmp_path / "p.zip", {"project.json": about, "labels.geojson": labels})
    head = tmp_path / "h.json"
    code, _, err = run("fit", tmp_path / "s.zarr", "--project", project, "-o", head, "--split", "random")
    assert code == 0, err
    assert json.loads(head.read_text())["colours"] == ["#1000ff", "#1010ff", "#1020ff"]
    for extra, expected in (
        (("--column", "class"), "expected one of the two"),
        ((), "expected LABELS and --column, or --project"),
    ):
        given = ("--project", project, *extra) if extra else ()
        code, _, err = run("fit", tmp_path / "s.zarr", *given, "-o", tmp_path / "x.json")
        assert code == 2
        assert expected in err
    about["store"]["model"]["sha256"] = "cd" * 32
    other = _write(tmp_path / "o.zip", {"project.json": about, "labels.geojson": labels})
    code, _, err = run("fit", tmp_path / "s.zarr", "--project", other, "-o", tmp_path / "x.json")
    assert code == 2
    assert "expected the same model" in err


def _points(window: Any) -> dict[str, Any]:
    from tessera.geo import to_lonlat

    rng = np.random.default_rng(3)
    easting = (window.west + rng.integers(0, window.width, 60) + 0.5) * 10
    northing = (window.north - rng.integers(0, window.height, 60) - 0.5) * 10
    lon, lat = to_lonlat(easting, northing, window.zone)
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [float(x), float(y)]},
            "properties": {"class": NAMES[k % 3], "group": None, "source": "click"},
        }
        for k, (x, y) in enumerate(zip(lon, lat, strict=True))
    ]
    return {"type": "FeatureCollection", "features": features}
