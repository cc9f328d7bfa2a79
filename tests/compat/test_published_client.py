"""The published client, geotessera 0.11, and stock zarr and xarray in its own environment, read what we wrote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compat_helpers import (
    MODEL,
    ask,
    bbox_of,
    certificate,
    lonlat,
    published_command,
    published_python,
    random_embeddings,
    values_at,
)
from pyproj import Transformer

from tessera.geo import Window
from tessera.serve import make_server
from tessera.shards import Layout
from tessera.store import Store, create_store

NORTH = Window(31, 64_200, 550_600, 150, 130)
"""Over four cells of 128, with a part of each."""
SOUTH = Window(36, 50_030, -20_090, 70, 60)
WEST_OF_SEAM = Window(31, 71_600, 550_600, 60, 50)
EAST_OF_SEAM = Window(32, 28_345, 550_600, 60, 50)
"""6 degrees east lies within both: each zone has pixels on either side of it, and some that only it has."""
YEARS = (2024, 2019)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("ours") / "store.zarr"
    made = create_store(folder, 128, MODEL, zones=(31, 32, 36), layout=Layout(128, (16,), 128, 32))
    for seed, year in enumerate(YEARS):
        for number, window in enumerate((NORTH, SOUTH, WEST_OF_SEAM, EAST_OF_SEAM)):
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


def question(location: str, window: Window, year: int, folder: Path) -> dict[str, Any]:
    return {
        "kind": "zarr",
        "store": location,
        "year": year,
        "points": [lonlat(window, row, col) for row, col in ((0, 0), (7, 33), (40, 20), (59, 41), (30, 31))],
        "probes": [lonlat(window, 30, 31), lonlat(window, 40, 20), (lonlat(window, 0, 0)[0], 60.0), (-60.0, 10.0)],
        "bbox": bbox_of(window, 2),
        "depth": 16,
        "directory": str(folder / f"{window.zone}-{year}"),
        "picked": [0, 77, 127],
    }


def raster_equals(path: Path, store: Store, year: int, bands: list[int]) -> None:
    """A GeoTIFF of the published client holds what we read in its place, in that zone's CRS."""
    import rasterio

    with rasterio.open(path) as raster:
        values = np.moveaxis(raster.read(), 0, -1)
        zone = raster.crs.to_epsg() - 32600
        assert raster.tags()["TESSERA_YEAR"] == str(year)
        mine = values_at(store, raster.transform[:6], values.shape, zone, year)
    assert path.name == f"tessera_{year}_utm{zone:02d}.tif"
    assert np.isfinite(values).any()
    assert np.array_equal(values, mine[..., bands], equal_nan=True)


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
    assert np.array_equal(answers[f"{name}/one"], store.sample_points(asked["probes"][:1], year)[0], equal_nan=True)
    patch, placed = answers[f"{name}/patch"], answers[f"{name}/patch_transform"]
    assert patch.shape == (16, 16, 16)
    assert np.isfinite(patch).any()
    wanted = values_at(store, placed, patch.shape, window.zone, year)
    assert np.array_equal(patch, wanted[..., :16], equal_nan=True)
    middle = Window(window.zone, round(placed[2] / 10) + 8, round(placed[5] / 10) - 8, 1, 1)
    assert np.allclose(lonlat(middle, 0, 0), asked["probes"][0], rtol=0, atol=1e-9)
    assert answers[f"{name}/planned"] == 1
    raster_equals(Path(str(answers[f"{name}/files"][0])), store, year, asked["picked"])
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
        f"{window.zone}-{year}": question(location, window, year, tmp_path)
        for window in (NORTH, SOUTH)
        for year in YEARS
    }
    answers = ask(python, tmp_path, questions, served[1])
    for window in (NORTH, SOUTH):
        for year in YEARS:
            name = f"{window.zone}-{year}"
            meets(store, answers, name, questions[name], window)


def test_a_zone_and_its_accessor(store: Store, python: Path, served: tuple[str, Path], tmp_path: Path) -> None:
    # in the usual geometry: the client plans a task a shard of the whole zone
    folder = Path(store.objects.root).with_name("usual.zarr")
    store = create_store(folder, 128, MODEL, zones=(31,))
    for seed, year in enumerate(YEARS):
        store.write(random_embeddings(NORTH, 70 + seed), year)
    year = YEARS[1]
    location = f"{served[0].rpartition('/')[0]}/{folder.name}"
    places = [
        (NORTH.west * 10 + 10 * col + 5, NORTH.north * 10 - 10 * row - 5) for row, col in ((64, 33), (0, 0), (99, 7))
    ]
    bounds = [NORTH.west * 10 + 205, NORTH.north * 10 - 1105, NORTH.west * 10 + 1305, NORTH.north * 10 - 305]
    asked = {"kind": "zone", "store": location, "zone": 31, "year": year, "places": places, "bounds": bounds}
    answers = ask(python, tmp_path, {"zone": asked}, served[1])
    found = {key.removeprefix("zone/"): answers[key] for key in answers}
    assert sorted(found["years"].tolist()) == sorted(YEARS)
    assert (int(found["bands"]), str(found["crs"])) == (128, "EPSG:32631")
    region = found["region"]
    assert min(region.shape[:2]) > 78
    mine = values_at(store, found["transform"], region.shape, 31, year)
    assert np.isfinite(mine).any()
    for name in ("region", "strips"):
        assert np.array_equal(found[name], mine, equal_nan=True)
    values = found["codes"] * found["scales"][..., None]
    assert np.array_equal(np.where(np.isfinite(values), values, np.nan), mine, equal_nan=True)
    at = store.read_window(NORTH, year)
    own = np.stack([at.values()[row, col] for row, col in ((64, 33), (0, 0), (99, 7))])
    good = np.isfinite(own[:, 0])
    assert good.any()
    assert np.array_equal(found["points"][good], own[good])
    assert np.array_equal(found["one"], own[0], equal_nan=True)
    assert str(found["state"]) == ("valid" if good[0] else "nodata")
    assert np.array_equal(found["xarray"].reshape(128), at.codes[64, 33])


def test_places_at_the_border_of_two_zones(
    store: Store, python: Path, served: tuple[str, Path], tmp_path: Path
) -> None:
    year = YEARS[0]
    _, lat = lonlat(WEST_OF_SEAM, 25, 40)
    lons = np.arange(5.9938, 6.0062, 0.00007)
    points = [(float(lon), lat + 0.00005 * (number % 40 - 20)) for number, lon in enumerate(lons)]
    west, east = bbox_of(WEST_OF_SEAM, 1), bbox_of(EAST_OF_SEAM, 1)
    asked: dict[str, Any] = {
        "kind": "zarr",
        "store": served[0],
        "year": year,
        "points": points,
        "probes": [(6.0, lat)],
        "bbox": [west[0], west[1], east[2], west[3]],
        "depth": 16,
        "directory": str(tmp_path / "exported"),
        "picked": list(range(128)),
    }
    answers = ask(python, tmp_path, {"seam": asked}, served[1])
    found = store.sample(points, year)
    valid, zones = found.valid, found.zone
    own = np.where(np.asarray(points)[:, 0] < 6, 31, 32)
    # the case is there: both zones answer, each also for places of the other, and some places have nothing
    for zone in (31, 32):
        assert (valid & (zones == zone) & (own == zone)).any()
    assert (valid & (zones != own)).any()
    assert not valid.all()
    assert np.array_equal(answers["seam/points"], found.values, equal_nan=True)
    assert np.array_equal(answers["seam/prefix"], store.sample_points(points, year, 16), equal_nan=True)
    assert np.array_equal(answers["seam/one"], store.sample_points(asked["probes"], year)[0], equal_nan=True)
    assert len(answers["seam/files"]) == answers["seam/planned"] == 2
    for path in answers["seam/files"].tolist():
        raster_equals(Path(path), store, year, asked["picked"])
    # a patch over the border is resampled by the client: each of its vectors is one of ours, most in our own place
    patch = answers["seam/patch"]
    a, _, left, _, e, top = answers["seam/patch_transform"].tolist()
    down, right = np.mgrid[:16, :16].reshape(2, -1) + 0.5
    back = Transformer.from_crs(str(answers["seam/patch_crs"]), "EPSG:4326", always_xy=True)
    mine = store.sample_points(np.column_stack(back.transform(left + right * a, top + down * e)), year, 16)
    flat = patch.reshape(-1, 16)
    same = (flat == mine).all(axis=1) | (np.isnan(flat).all(axis=1) & np.isnan(mine).all(axis=1))
    assert same.mean() > 0.9
    held = {row.tobytes() for window in (WEST_OF_SEAM, EAST_OF_SEAM) for row in prefix_rows(store, window, year)}
    assert {row.tobytes() for row in flat[np.isfinite(flat[:, 0])]} <= held


def prefix_rows(store: Store, window: Window, year: int) -> Any:
    return np.ascontiguousarray(store.read_window(window, year).values()[..., :16].reshape(-1, 16))


@pytest.mark.parametrize("way", ["path", "https"])
def test_stock_zarr_and_xarray_read_our_store(
    store: Store, python: Path, served: tuple[str, Path], tmp_path: Path, way: str
) -> None:
    whole = Window(31, 15 * 1024, 912 * 1024, 68 * 1024, 1780 * 1024)
    rows, cols = NORTH.slices_in(whole)
    location = store.objects.root if way == "path" else served[0]
    asked = {"kind": "stock", "store": location, "time": 1}
    window = {"window": [31, [rows.start, rows.stop], [cols.start, cols.stop]]}
    answers = ask(python, tmp_path, {"stock": asked | window}, served[1])
    mine = store.read_window(NORTH, YEARS[1])
    for name in ("zarr_codes", "xarray_codes"):
        assert np.array_equal(answers[f"stock/{name}"], mine.codes)
    assert np.array_equal(answers["stock/zarr_scales"], mine.scales, equal_nan=True)
    assert answers["stock/xarray_x"][0] == NORTH.west * 10 + 5
    assert answers["stock/xarray_y"][0] == NORTH.north * 10 - 5


DOWNLOADS = {
    "whole": (bbox_of(NORTH, 20), YEARS[0], 128, {31}),
    "prefix": (bbox_of(NORTH, 20), YEARS[0], 16, {31}),
    "south, partly empty": (bbox_of(SOUTH, -9), YEARS[1], 128, {36}),
    "two zones": (
        [5.995, lonlat(WEST_OF_SEAM, 40, 0)[1], 6.004, lonlat(WEST_OF_SEAM, 10, 0)[1]],
        YEARS[1],
        16,
        {31, 32},
    ),
}
"""Box, year, dims and the zones of the files that come."""


@pytest.mark.parametrize("name", DOWNLOADS)
def test_the_stock_command_line_downloads_from_our_store(
    store: Store, python: Path, served: tuple[str, Path], tmp_path: Path, name: str
) -> None:
    url, authority = served
    bbox, year, dims, zones = DOWNLOADS[name]
    out = tmp_path / "out"
    # with "=", since a box in the west or south begins with a minus
    asked = ["download", "-o", out, "--store-url", url, f"--bbox={','.join(map(str, bbox))}", "--year", year]
    asked += ["--depth", dims] if dims < 128 else []
    if name == "whole":
        published_command(python, tmp_path, authority, *asked, "--dry-run")
        assert not list(tmp_path.rglob("*.tif"))
    published_command(python, tmp_path, authority, *asked)
    paths = sorted(out.rglob("*.tif"))
    assert [path.name for path in paths] == [f"tessera_{year}_utm{zone}.tif" for zone in sorted(zones)]
    for path in paths:
        raster_equals(path, store, year, list(range(dims)))
