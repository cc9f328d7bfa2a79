"""The published client, geotessera 0.11, and stock zarr and xarray in its own environment, read what we wrote."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compat_helpers import ask, certificate, published_python

from tessera.embeddings import Embeddings, ModelIdentity
from tessera.geo import Window, to_lonlat
from tessera.serve import make_server
from tessera.store import Layout, Store, create_store

MODEL = ModelIdentity("test", "ab" * 32, 128, (16, 128))
NORTH = Window(31, 64_200, 550_600, 150, 130)
"""Over four cells of 128, with a part of each."""
SOUTH = Window(36, 50_030, -20_090, 70, 60)
SEAM = Window(32, 29_000, 550_600, 40, 40)
YEARS = (2024, 2019)


def random_embeddings(window: Window, seed: int) -> Embeddings:
    rng = np.random.default_rng(seed)
    scales = rng.uniform(0.001, 0.2, window.shape).astype(np.float32)
    scales[rng.random(window.shape) < 0.1] = np.nan
    codes = rng.integers(-127, 128, (*window.shape, 128), dtype=np.int8)
    codes[np.isnan(scales)] = 0
    counts = rng.integers(1, 90, (*window.shape, 3)).astype(np.uint16)
    return Embeddings(codes, scales, counts, MODEL, window.grid)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("ours") / "store.zarr"
    made = create_store(folder, 128, MODEL, zones=(31, 32, 36), layout=Layout(128, (16,), 128, 32))
    for seed, year in enumerate(YEARS):
        for number, window in enumerate((NORTH, SOUTH, SEAM)):
            made.write(random_embeddings(window, 10 * seed + number), year)
    return made


@pytest.fixture(scope="module")
def python() -> Path:
    return published_python()


@pytest.fixture(scope="module")
def served(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """URL over https and the authority that vouches for it: the client's obstore refuses plain http."""
    authority, cert, key = certificate(tmp_path_factory.mktemp("tls"))
    folder = store.objects.folder
    assert folder is not None
    with make_server(folder.parent, tls=(cert, key)) as server:
        yield f"{server.url}/{folder.name}", authority


def lonlat(window: Window, row: int, col: int) -> tuple[float, float]:
    lon, lat = to_lonlat((window.west + col + 0.5) * 10, (window.north - row - 0.5) * 10, window.zone)
    return float(lon), float(lat)


def question(location: str, window: Window, year: int) -> dict[str, Any]:
    corners = [lonlat(window, row, col) for row, col in ((2, 2), (window.height - 3, window.width - 3))]
    return {
        "kind": "zarr",
        "store": location,
        "year": year,
        "points": [lonlat(window, row, col) for row, col in ((0, 0), (7, 33), (40, 20), (59, 41), (30, 31))],
        "probes": [lonlat(window, 30, 31), lonlat(window, 40, 20), (lonlat(window, 0, 0)[0], 60.0), (-60.0, 10.0)],
        "bbox": [corners[0][0], corners[1][1], corners[1][0], corners[0][1]],
        "depth": 16,
    }


def meets(store: Store, answers: Any, name: str, asked: dict[str, Any], window: Window) -> None:
    year = asked["year"]
    own = store.sample_points(asked["points"], year)
    assert np.array_equal(answers[f"{name}/points"], own, equal_nan=True)
    assert np.isfinite(own).any()
    assert np.array_equal(answers[f"{name}/prefix"], own[:, :16], equal_nan=True)
    assert sorted(answers[f"{name}/years"].tolist()) == sorted(YEARS)
    assert answers[f"{name}/bands"] == 128
    assert answers[f"{name}/depths"].tolist() == [16, 128]
    assert MODEL.sha256 in str(answers[f"{name}/model"])
    a, _, west, _, e, north = answers[f"{name}/transform"].tolist()
    assert (a, e) == (10.0, -10.0)
    height, width = answers[f"{name}/codes"].shape[:2]
    read = Window(window.zone, round(west / 10), round(north / 10), width, height)
    mine = store.read_window(read, year)
    assert str(answers[f"{name}/crs"]).endswith(f"326{window.zone}")
    assert np.array_equal(answers[f"{name}/codes"], mine.codes)
    assert np.array_equal(answers[f"{name}/scales"], mine.scales, equal_nan=True)
    assert np.array_equal(answers[f"{name}/region"], mine.values(), equal_nan=True)
    assert np.array_equal(answers[f"{name}/strips"], mine.values(), equal_nan=True)
    wanted = store.sample(asked["probes"][:1], year).status
    states = answers[f"{name}/states"].tolist()
    assert states[0] == ("valid" if int(wanted[0]) == 0 else "nodata")
    assert states[2:] == ["nodata", "outside"]


@pytest.mark.parametrize("way", ["path", "https"])
def test_the_published_client_reads_our_store(
    store: Store, python: Path, served: tuple[str, Path], tmp_path: Path, way: str
) -> None:
    location = store.objects.root if way == "path" else served[0]
    questions = {
        f"{window.zone}-{year}": question(location, window, year) for window in (NORTH, SOUTH) for year in YEARS
    }
    answers = ask(python, tmp_path, questions, served[1])
    for window in (NORTH, SOUTH):
        for year in YEARS:
            name = f"{window.zone}-{year}"
            meets(store, answers, name, questions[name], window)


def test_stock_zarr_and_xarray_read_our_store(store: Store, python: Path, tmp_path: Path) -> None:
    whole = Window(31, 15 * 1024, 912 * 1024, 68 * 1024, 1780 * 1024)
    rows, cols = NORTH.slices_in(whole)
    asked = {"kind": "stock", "store": store.objects.root, "time": 1}
    window = {"window": [31, [rows.start, rows.stop], [cols.start, cols.stop]]}
    answers = ask(python, tmp_path, {"stock": asked | window})
    mine = store.read_window(NORTH, YEARS[1])
    for name in ("zarr_codes", "xarray_codes"):
        assert np.array_equal(answers[f"stock/{name}"], mine.codes)
    assert np.array_equal(answers["stock/zarr_scales"], mine.scales, equal_nan=True)
    assert answers["stock/xarray_x"][0] == NORTH.west * 10 + 5
    assert answers["stock/xarray_y"][0] == NORTH.north * 10 - 5


@pytest.mark.parametrize("options", [[], ["--depth", "16"]], ids=["whole", "prefix"])
def test_the_stock_command_line_downloads_from_our_store(
    store: Store, python: Path, served: tuple[str, Path], tmp_path: Path, options: list[str]
) -> None:
    import rasterio

    url, cert = served
    west, south = lonlat(NORTH, 100, 20)
    east, north = lonlat(NORTH, 20, 120)
    command: list[Any] = [python.with_name("geotessera"), "download", "-o", tmp_path / "out", "--store-url", url]
    command += ["--bbox", f"{west},{south},{east},{north}", "--year", str(YEARS[0]), *options]
    environment = {**os.environ, "SSL_CERT_FILE": str(cert), "HOME": str(tmp_path), "COLUMNS": "200"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (path,) = (tmp_path / "out").rglob("*.tif")
    with rasterio.open(path) as raster:
        values = np.moveaxis(raster.read(), 0, -1)
        left, _, _, top = raster.bounds
    window = Window(31, round(left / 10), round(top / 10), values.shape[1], values.shape[0])
    mine = store.read_window(window, YEARS[0]).values()[..., : 16 if options else 128]
    assert np.array_equal(values, mine, equal_nan=True)
    listed = subprocess.run([*command, "--dry-run"], capture_output=True, text=True, env=environment)
    assert listed.returncode == 0, listed.stderr[-2000:]
