"""The examples of the API pages, in public docstrings and on the pages themselves, run as they stand."""

from __future__ import annotations

import doctest
import inspect
import json
import re
import shutil
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tessera
from tessera.geo import PIXEL_SIZE, to_lonlat
from town import write_town

ROOT = Path(__file__).resolve().parents[1]
AREA, YEAR = "5.245,50.690,5.253,50.695", 2023
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

ELSEWHERE = {
    'published = tessera.open_store("tessera:v1.1-dclimate")': "asks the published mirror",
    'cube = tessera.build_cube(bbox, 2023, source="earth-search,opera", out="real.zarr")': "asks two providers",
    'encoder = tessera.load_encoder("v1.1", source="mpc", device="cuda")': "needs weights that were pulled, and a GPU",
}
"""Examples that are shown and do not run here."""


def _docstrings() -> Iterator[tuple[str, str]]:
    """Name and docstring of every public object, and of the members that API pages show."""
    for name in sorted(set(tessera.__all__) - {"__version__"}):
        found = getattr(tessera, name)
        yield f"tessera.{name}", inspect.getdoc(found) or ""
        for member, value in vars(found).items() if inspect.isclass(found) else ():
            if not member.startswith("_") and (inspect.isroutine(value) or hasattr(value, "__doc__")):
                yield f"tessera.{name}.{member}", inspect.getdoc(value) or ""


def _pages() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "docs" / "api").glob("*.md")):
        yield f"docs/api/{path.name}", path.read_text(encoding="utf-8")


EXAMPLES = {name: text for name, text in (*_docstrings(), *_pages()) if ">>>" in text}
PARSER = doctest.DocTestParser()


def _write_years(path: Path, encoder: tessera.Encoder, embeddings: tessera.Embeddings) -> None:
    """Two years: in the second all codes have noise, and a block of pixels lies elsewhere."""
    store = tessera.create_store(path, model=encoder, zones=(31,))
    store.write(embeddings, YEAR)
    noise = np.random.default_rng(0).integers(-4, 5, embeddings.codes.shape)
    codes = np.clip(embeddings.codes + noise, -127, 127).astype(np.int8)
    codes[10:20, 10:20] = codes[10:20, 10:20, ::-1]
    store.write(replace(embeddings, codes=codes, provenance={}), YEAR + 1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """scenes, cube.zarr, store.zarr, labels.geojson head.json of 59 x 58 simulated pixels; years.zarr: two years."""
    rasterio = pytest.importorskip("rasterio")
    folder = tmp_path_factory.mktemp("examples")
    encoder = tessera.load_encoder(device="cpu")
    store = tessera.create_store(folder / "store.zarr", model=encoder, zones=(31,))
    window = store.region_grid(AREA)
    tessera.simulate(folder / "scenes", window, YEAR, seed=7, s2_dates=8, s1_dates=4)
    cube = tessera.build_cube(AREA, YEAR, source=folder / "scenes", out=folder / "cube.zarr")
    embeddings = encoder.encode(cube)
    store.write(embeddings, YEAR)
    _write_years(folder / "years.zarr", encoder, embeddings)
    with rasterio.open(folder / "scenes" / "truth.tif", driver="GTiff") as raster:
        truth = raster.read(1)
    rows, cols = (axis.reshape(-1) for axis in np.mgrid[2:58:4, 2:59:4])
    lon, lat = to_lonlat((window.west + cols + 0.5) * PIXEL_SIZE, (window.north - rows - 0.5) * PIXEL_SIZE, window.zone)
    kinds = {3: "crop", 5: "forest"}
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [round(float(x), 6), round(float(y), 6)]},
            "properties": {"class": kinds.get(int(truth[row, col]), "other")},
        }
        for row, col, x, y in zip(rows, cols, lon, lat, strict=True)
    ]
    labels = {"type": "FeatureCollection", "features": features}
    (folder / "labels.geojson").write_text(json.dumps(labels))
    tessera.fit(store, folder / "labels.geojson", "class").save(folder / "head.json")
    _write_project(folder, store.model, labels)
    return folder


def _write_project(folder: Path, model: tessera.ModelIdentity, labels: dict[str, Any]) -> None:
    about = {
        "format": "tessera-project",
        "version": 1,
        "store": {"url": None, "name": "store.zarr", "etag": None, "model": model.to_json()},
        "year": YEAR,
        "area": None,
        "classes": [{"name": name, "colour": "#808080"} for name in ("crop", "forest", "other")],
        "places": "exact",
    }
    with zipfile.ZipFile(folder / "project.zip", "w") as archive:
        archive.writestr("project.json", json.dumps(about))
        archive.writestr("labels.geojson", json.dumps(labels))
        archive.write(folder / "head.json", "heads/linear.json")


def test_files_say_the_versions_of_the_page(made: Path) -> None:
    page = (ROOT / "docs" / "versioning.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `(tessera-[a-z\d-]+)` \| (\d+)\b", page, re.MULTILINE))
    weights = next((ROOT / "src" / "tessera" / "models" / "weights").glob("*.safetensors")).read_bytes()
    header = json.loads(weights[8 : 8 + int.from_bytes(weights[:8], "little")])
    documents = [
        json.loads((made / "store.zarr" / "tessera.json").read_bytes()),
        *(json.loads(path.read_bytes()) for path in (made / "store.zarr" / "commits").rglob("*.json")),
        json.loads((made / "cube.zarr" / "zarr.json").read_bytes())["attributes"],
        json.loads((made / "head.json").read_bytes()),
        header["__metadata__"],
    ]
    said = {about["format"]: str(about["version"]) for about in documents}
    assert sorted(said) == ["tessera-commit", "tessera-cube", "tessera-encoder", "tessera-head", "tessera-store"]
    assert said == {name: told[name] for name in said}


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here"
    shutil.copytree(made, here)
    if "town.osm.pbf" in EXAMPLES[name]:
        write_town(here / "town.osm.pbf")
    monkeypatch.chdir(here)
    test = PARSER.get_doctest(EXAMPLES[name], {}, name, None, 0)
    said: list[str] = []
    result = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=said.append)
    assert result.failed == 0, "".join(said)


@pytest.mark.parametrize("name", sorted(set(tessera.__all__) - {"__version__"}))
def test_every_public_name_has_an_example_that_runs(name: str) -> None:
    examples = PARSER.get_examples(EXAMPLES.get(f"tessera.{name}", ""))
    sources = [example.source for example in examples if doctest.SKIP not in example.options]
    assert sources
    if not inspect.isclass(getattr(tessera, name)):
        assert any(f"tessera.{name}(" in source for source in sources)


def test_what_does_not_run_here_is_listed() -> None:
    skipped = [
        example.source.split("#")[0].strip()
        for text in EXAMPLES.values()
        for example in PARSER.get_examples(text)
        if doctest.SKIP in example.options
    ]
    assert sorted(skipped) == sorted(ELSEWHERE)


def test_sections_reach_griffe_with_their_descriptions(monkeypatch: pytest.MonkeyPatch) -> None:
    griffe: Any = pytest.importorskip("griffe")
    monkeypatch.syspath_prepend(ROOT / "tools")
    monkeypatch.delitem(sys.modules, "docstring_sections", raising=False)
    import docstring_sections

    text = "Head.\n\nParameters\n----------\nx : first line\n    and the next\n\n    - a list\n\n"
    text += "*args, y : both\n    of them\n\n"
    text += (
        "Returns\n-------\n(N, D) float32\n\nRaises\n------\nInputError\n    Why.\n\nExamples\n--------\n>>> 1 + 1\n2"
    )
    read = griffe.Docstring(docstring_sections.as_griffe_reads(text)).parse("numpy", warnings=False)
    kinds = {section.kind.value: section.value for section in read}
    told = [(item.name, " ".join(item.description.split())) for item in kinds["parameters"]]
    assert told == [("x", "first line and the next - a list"), ("*args", "both of them"), ("y", "both of them")]
    assert [item.description.strip() for item in kinds["returns"]] == ["(N, D) float32"]
    assert [(item.annotation, item.description.strip()) for item in kinds["raises"]] == [("InputError", "Why.")]
    assert kinds["examples"][0][1] == ">>> 1 + 1\n2"
