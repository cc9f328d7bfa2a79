from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from maps_helpers import WINDOW, YEAR, make_store

from tessera.geo import to_lonlat
from tessera.heads import fit
from tessera.testing import random_embeddings

if TYPE_CHECKING:
    from pathlib import Path

    from tessera.store import Store

BBOX = ",".join(f"{value:.4f}" for value in WINDOW.lonlat_bounds)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = make_store(tmp_path_factory.mktemp("store") / "s.zarr", no_data=0.0)
    store.write(random_embeddings(WINDOW, 1, 0.0), YEAR + 1)
    return store


@pytest.fixture(scope="module")
def head(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    x = (WINDOW.west + rng.integers(0, WINDOW.width, 80) + 0.5) * 10
    y = (WINDOW.north - rng.integers(0, WINDOW.height, 80) - 0.5) * 10
    lonlat = np.column_stack(to_lonlat(x, y, 31))
    names = np.where(store.sample_points(lonlat, YEAR)[:, 0] > 0, "wet", "dry")
    features = [
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": place}, "properties": {"class": name}}
        for place, name in zip(lonlat.tolist(), names.tolist(), strict=True)
    ]
    labels = {"type": "FeatureCollection", "features": features}
    return fit(store, labels, "class", year=YEAR).save(tmp_path_factory.mktemp("head") / "head.json")


def test_a_map_with_all_its_files(run: Any, store: Store, head: Path, tmp_path: Path) -> None:
    out = tmp_path / "map.tif"
    options = ["--probabilities", "--uncertainty", "--min-area-ha", "0.05", "--polygons", tmp_path / "map.gpkg"]
    root = store.objects.root
    code, text, _ = run("map", root, "--head", head, "--bbox", BBOX, "--year", str(YEAR), "-o", out, *options)
    assert code == 0
    files = text.splitlines()[-1].removeprefix("saved: ").split(", ")
    assert sorted(files) == sorted(str(path) for path in tmp_path.iterdir())
    assert "the head learnt from" not in text
    code, text, _ = run("map", root, "--head", head, "--bbox", BBOX, "--year", str(YEAR + 1), "-o", out)
    assert code == 0
    assert "note: the head learnt from 2024, the map is of 2025; its scores hold for the years that it learnt" in text
    assert not (tmp_path / "map.probabilities.tif").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--year", "24"], "--year '24'; expected a year, or several with commas such as 2023,2024"),
        (["--year", "2024,2025"], "year 2024, 2025; the head reads 8 dims of test of 2024: expected a year for each"),
        (
            ["--polygons", "map.shp"],
            "map polygons 'map.shp'; expected a path that ends in .gpkg, .parquet, .geoparquet, .fgb",
        ),
        (["--min-area-ha", "-1"], "minimum area -1.0 ha; expected 0 to 1,000,000 hectares"),
        (["--year", "2030"], "the store has no year 2030; it has 2024, 2025"),
    ],
)
def test_bad_options_are_one_line(
    run: Any, store: Store, head: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    root = store.objects.root
    code, _, err = run("map", root, "--head", head, "--bbox", BBOX, "-o", tmp_path / "map.tif", *options)
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_two_stores_for_a_head_of_one(run: Any, store: Store, head: Path, tmp_path: Path) -> None:
    root = store.objects.root
    code, _, err = run("map", root, root, "--head", head, "--bbox", BBOX, "-o", tmp_path / "map.tif")
    assert code == 2
    assert "2 stores; the head reads 8 dims of test of 2024: expected one for each, in this order" in err
    assert json.loads(head.read_text())["format"] == "tessera-head"
