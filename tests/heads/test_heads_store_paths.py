"""A path, or a URL, in place of an open store: in `fit`, `map`, `change`, `suggest` and what describes labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import tessera
from tessera.geo import Window
from tessera.testing import random_embeddings, serve_folder, small_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tessera.heads import Head
    from tessera.labels import Labels

AREA = Window(31, 64400, 561100, 40, 30)
YEARS = (2023, 2024)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("paths") / "s.zarr"
    store = small_store(path)
    for seed, year in enumerate(YEARS):
        store.write(random_embeddings(AREA, seed, 0.0), year)
    return path


@pytest.fixture(params=["text", "path", "url"])
def store(folder: Path, request: pytest.FixtureRequest) -> Iterator[str | Path]:
    if request.param == "url":
        with serve_folder(folder.parent) as (url, _):
            yield f"{url}/{folder.name}"
    else:
        yield str(folder) if request.param == "text" else folder


@pytest.fixture(scope="module")
def labels() -> Labels:
    from tessera.geo import PIXEL_SIZE, to_lonlat

    features = []
    for number in range(60):
        x, y = (AREA.west + 2 + number % 30) * PIXEL_SIZE, (AREA.north - 3 - number // 3) * PIXEL_SIZE
        lon, lat = (float(one[0]) for one in to_lonlat([x], [y], 31))
        point = {"type": "Point", "coordinates": [lon, lat]}
        features.append({"type": "Feature", "geometry": point, "properties": {"crop": "ab"[number % 2]}})
    return tessera.read_labels({"type": "FeatureCollection", "features": features}, "crop")


def made(store: Any, labels: Labels, head: Head, out: Path) -> list[Any]:
    fitted = tessera.fit(store, labels, "crop", split="random", year=2023)
    mapped = head.map(store, AREA, 2023, out / "map.tif", png=False).read_bytes()
    several = head.map([store], AREA, 2023, out / "more.tif", png=False).read_bytes()
    found = tessera.suggest(store, AREA, 3, year=2023)
    told = tessera.change(store, AREA, YEARS, out / "change.tif", png=False)
    report = tessera.describe_labels(labels, store, 2023)
    points = [(one.lon, one.lat) for one in found]
    return [fitted.metrics, mapped, several, points, told.moved, report.outside, report.no_data]


def test_a_path_or_a_url_stands_for_the_store_in_it(
    folder: Path, store: str | Path, labels: Labels, tmp_path: Path
) -> None:
    opened = tessera.open_store(folder)
    head = tessera.fit(opened, labels, "crop", split="random", year=2023)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert made(store, labels, head, tmp_path / "a") == made(opened, labels, head, tmp_path / "b")


@pytest.mark.parametrize("verb", ["fit", "map", "suggest", "change", "describe_labels"])
def test_a_path_without_a_store_is_one_line_everywhere(folder: Path, labels: Labels, tmp_path: Path, verb: str) -> None:
    head = tessera.fit(folder, labels, "crop", split="random", year=2023)
    call: Any = {
        "fit": lambda: tessera.fit("none.zarr", labels, "crop"),
        "map": lambda: head.map("none.zarr", AREA, out=tmp_path / "map.tif"),
        "suggest": lambda: tessera.suggest("none.zarr", AREA),
        "change": lambda: tessera.change("none.zarr", AREA, YEARS, tmp_path / "change.tif"),
        "describe_labels": lambda: tessera.describe_labels(labels, "none.zarr"),
    }[verb]
    with pytest.raises(tessera.InputError, match=r"^store not found: none\.zarr is no folder$"):
        call()
