"""A project that the page wrote, opened in Python."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from head_fixtures import FOLDER, vectors_of
from page_node import vitest

import tessera


def test_a_project_of_the_page_opens_with_identical_predictions(tmp_path: Path) -> None:
    vitest("exports/project.test.ts", TESSERA_PAGE_OUT=str(tmp_path))
    project = tessera.load_project(tmp_path / "p.zip")
    assert (project.store, project.store_name, project.year) == ("https://example.org/s.zarr", "s.zarr", 2023)
    assert list(project.area or ()) == [5, 50, 5.1, 50.1]
    assert list(project.colours) == ["10", "<b>Äcker</b>"]
    assert sorted(project.heads) == ["linear", "xlinear"]
    head, vectors = tessera.load_head(FOLDER / "linear.json"), vectors_of((128,))
    assert np.array_equal(project.heads["linear"].predict_codes(vectors), head.predict_codes(vectors))
    options = project.fit_options()
    assert (options["column"], options["kind"], options["group"]) == ("class", "classification", "group")
    shapes = [feature["geometry"]["type"] for feature in options["labels"]["features"]]
    assert shapes == ["Point", "Polygon"]
    assert json.dumps(options["labels"])
