"""Journeys through the page in a real browser, on a store of our own; what it shows equals what Python computes."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import browser
import numpy as np
import pytest
from journey_store import AREA, KINDS, MODEL, YEARS, Pixels, make_store, pixels_of, windows

from tessera.embeddings import CodedVectors, StackedVectors
from tessera.geo import NORTH, WEST
from tessera.heads import load_head
from tessera.serve import lay_page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tessera.store import Store

pytestmark = pytest.mark.skipif(browser.why_no_browser() is not None, reason=str(browser.why_no_browser()))

NARROW = {"width": 390, "height": 844}
NAMES = (KINDS[0], KINDS[1], "<img src=x onerror=alert(1)>water")
EACH = 20
LEARNERS = ("linear", "prototype", "knn", "forest")


@dataclass(frozen=True)
class Land:
    """A served store, and a browser."""

    store: Store
    folder: Path  # of the store
    url: str  # of the page in it
    browser: str
    pixels: dict[int, Pixels]  # of the area, by year


@pytest.fixture(scope="module")
def land(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Land]:
    """The store with the page as its source is now, served, and a browser."""
    folder = tmp_path_factory.mktemp("land") / "land.zarr"
    store = make_store(folder)
    lay_page(folder)
    shutil.rmtree(folder / "page")
    browser.build_page(folder / "page")
    pixels = {year: pixels_of(store, year) for year in YEARS}
    with browser.served(folder.parent) as server, browser.browser() as address:
        yield Land(store, folder, f"{server.url}/land.zarr/page/", address, pixels)


def place(pixels: Pixels, k: int) -> dict[str, Any]:
    """A pixel as a journey is told of it."""
    return {
        "zone": int(pixels.zone[k]),
        "row": int(pixels.row[k]),
        "col": int(pixels.col[k]),
        "lon": float(pixels.lon[k]),
        "lat": float(pixels.lat[k]),
    }


def nearest(pixels: Pixels, lon: float, lat: float, kind: int | None = None) -> int:
    """The valid pixel (of a kind) nearest to a place."""
    far = np.hypot((pixels.lon - lon) * 0.64, pixels.lat - lat)
    far[~pixels.valid | ((pixels.kind != kind) if kind is not None else False)] = np.inf
    return int(far.argmin())


def test_a_first_look(land: Land, tmp_path: Path) -> None:
    """J1: colours at once, year, model and CRS are told, a pixel is named; no serious fault of accessibility."""
    now = land.pixels[2023]
    k = nearest(now, 6.01, 50.012)
    seen = browser.walk("look", tmp_path, land.browser, land.url, place=place(now, k))
    assert seen["isolated"]
    assert seen["title"].startswith("land.zarr")
    whole = sum(int(land.store.read_window(window, 2023).valid.sum()) for window in windows())
    words = int("".join(sign for sign in seen["words"].split(" pixels")[0] if sign.isdigit()))
    # the area is the box around both windows in degrees: a little less than both, which overlap at the seam
    assert 0.9 * whole < words <= whole
    assert seen["years"] == ["2022", "2023"]
    assert any("journey, 16 dims" in row for row in seen["rows"])
    hovered = seen["hovered"]
    assert [int(hovered[name]) for name in ("zone", "row", "col")] == [now.zone[k], now.row[k], now.col[k]]
    lat, lon = (float(part) for part in seen["said"].split("\n")[1].split(", "))
    assert abs(lat - now.lat[k]) < 1e-4
    assert abs(lon - now.lon[k]) < 2e-4
    first, second = seen["first"], seen["second"]
    assert int(second["col"]) > int(first["col"])
    assert int(second["row"]) > int(first["row"])
    assert (seen["axe"], seen["dark"]) == ([], [])
    assert seen["year"] == "2022"


def test_a_narrow_screen(land: Land, tmp_path: Path) -> None:
    """At 390 pixels nothing scrolls sideways, in any panel."""
    panels = ["Look", "Find", "Label", "Classify", "Share"]
    seen = browser.walk("narrow", tmp_path, land.browser, land.url, panels=panels, viewport=NARROW)
    assert max(seen["widths"]) <= NARROW["width"]
    assert seen["axe"] == []


def test_more_like_this(land: Land, tmp_path: Path) -> None:
    """J2: cosines of the area as numpy has them, on both sides of the seam, with a threshold that fetches nothing."""
    now = land.pixels[2023]
    like = nearest(now, 5.99, 50.006, kind=2)
    second = nearest(now, 6.015, 50.015, kind=2)
    unlike = nearest(now, 6.0, 50.01, kind=1)
    other = nearest(now, 6.004, 50.006)
    cosine = now.cosines(like)
    thresholds = [0.7, 0.5, 0.85]
    for threshold in thresholds:
        assert np.abs(cosine[now.valid] - threshold).min() > 1e-7
    told = {"like": like, "second": second, "unlike": unlike, "other": other}
    seen = browser.walk(
        "find",
        tmp_path,
        land.browser,
        land.url,
        area=AREA,
        thresholds=thresholds,
        **{name: place(now, k) for name, k in told.items()},
    )
    assert int(seen["one"]["pixels"]) == now.valid.sum()
    assert seen["one"]["best"] == "1.000"
    for threshold, said in zip(thresholds, seen["ends"], strict=True):
        above = now.valid & (cosine >= threshold)
        assert int(said["above"]) == above.sum()
        assert said["hectares"] == f"{above.sum() / 100:.2f}"
        assert {31, 32} == set(now.zone[above].tolist())
    assert seen["fetched"] == 0
    assert f"{cosine[other]:.3f}" in seen["other"]
    # polygons hold the area that was shown
    features = json.loads((tmp_path / "like.geojson").read_text())["features"]
    assert {feature["geometry"]["type"] for feature in features} <= {"Polygon", "MultiPolygon"}
    assert len(features) > 1
    both = np.maximum(cosine, now.cosines(second))
    assert int(seen["two"]["above"]) == (now.valid & (both >= thresholds[0])).sum()
    contrast = 2 * both - now.cosines(unlike)
    assert int(seen["three"]["above"]) == (now.valid & (contrast >= thresholds[0])).sum()
    assert seen["axe"] == []


def field_data(pixels: Pixels, each: int) -> dict[str, Any]:
    """GeoJSON of points of every kind, spread over the area; one kind has a name that no one should run."""
    rng = np.random.default_rng(5)
    features = []
    for kind, name in enumerate(NAMES):
        inside = rng.choice(np.flatnonzero(pixels.valid & (pixels.kind == kind)), each, replace=False)
        for k in inside:
            point = {"type": "Point", "coordinates": [float(pixels.lon[k]), float(pixels.lat[k])]}
            properties = {"kind": name, "visit": f"{name[:3]}-{k}"}
            features.append({"type": "Feature", "geometry": point, "properties": properties})
    return {"type": "FeatureCollection", "features": features}


def test_a_map_of_land_cover(land: Land, tmp_path: Path) -> None:
    """J3: labels of a file, undo and redo, a reload; maps of each learner equal Python's pixel by pixel."""
    now = land.pixels[2023]
    (tmp_path / "field.geojson").write_text(json.dumps(field_data(now, EACH)))
    extra = nearest(now, 6.003, 50.0125, kind=0)
    seen = browser.walk(
        "label",
        tmp_path,
        land.browser,
        land.url,
        area=AREA,
        file="field.geojson",
        count=EACH * len(NAMES),
        kind=NAMES[0],
        extra=place(now, extra),
        learners=LEARNERS,
    )
    assert sorted(map(tuple, seen["counts"])) == sorted((name, str(EACH)) for name in NAMES)
    whole = EACH * len(NAMES)
    assert (seen["undone"], seen["redone"], seen["more"], seen["kept"]) == (
        "0",
        str(whole),
        str(whole + 1),
        str(whole + 1),
    )
    stacked = StackedVectors((CodedVectors(now.codes, np.where(now.valid, now.scales, np.float32(np.nan))),))
    for said in seen["maps"]:
        learner = said["learner"]
        head = load_head(tmp_path / f"{learner}.head.json")
        assert head.head == learner
        assert sorted(head.classes) == sorted(NAMES)
        assert head.inputs[0].model == MODEL
        assert int(said["section"]["pixels"]) == now.valid.sum()
        assert int(said["section"]["samples"]) == whole + 1
        want = head.learnt.predict_codes(stacked[now.valid])
        found = _map_at(tmp_path, [name for name in said["files"] if name.endswith(".tif")], now, head.classes)
        np.testing.assert_array_equal(found[now.valid], want, err_msg=learner)
        assert (found[~now.valid] == 255).all()
        areas = dict(said["rows"])
        for index, name in enumerate(head.classes):
            assert areas[name] == f"{(want == index).sum() / 100:.2f}"
        # the land is one that can be learnt
        right = [NAMES[kind] for kind in now.kind[now.valid]] == np.array(head.classes)[want]
        assert right.mean() > 0.9
    assert seen["axe"] == []


def _map_at(folder: Path, names: list[str], pixels: Pixels, classes: tuple[str, ...]) -> Any:
    """Index of the class of each pixel in the GeoTIFFs of both zones."""
    import rasterio

    assert len(names) == 2
    found = np.full(len(pixels.zone), 255, np.uint8)
    for name in names:
        with rasterio.open(folder / name) as raster:
            zone = raster.crs.to_epsg() - 32600
            assert raster.nodata == 255
            assert raster.transform.a == 10
            mine = pixels.zone == zone
            rows, cols = pixels.row[mine], pixels.col[mine]
            top = NORTH - round(raster.transform.f / 10)
            left = round(raster.transform.c / 10) - WEST
            values = raster.read(1)
            rows, cols = rows - top, cols - left
            there = (rows >= 0) & (rows < raster.height) & (cols >= 0) & (cols < raster.width)
            part = np.full(len(rows), 255, np.uint8)
            part[there] = values[rows[there], cols[there]]
            found[mine] = part
            colours = raster.colormap(1)
            assert len({colours[value][:3] for value in range(len(classes))}) == len(classes)
    return found


def test_without_a_network(land: Land, tmp_path: Path) -> None:
    """What was read is searched and coloured with the network cut; what was not fails in words, then loads."""
    now = land.pixels[2023]
    like = nearest(now, 5.99, 50.006, kind=2)
    seen = browser.walk("offline", tmp_path, land.browser, land.url, area=AREA, like=place(now, like))
    assert int(seen["found"]["pixels"]) == now.valid.sum()
    assert seen["found"]["best"] == "1.000"
    assert [url for url in seen["fetched"] if not url.startswith(land.url)] == []
    assert len(seen["words"].split()) > 5
    assert seen["year"] == "2022"


def test_a_link_shows_another_the_same(land: Land, tmp_path: Path) -> None:
    """J5: a link opens in another profile with the same area, example, threshold and hectares."""
    now = land.pixels[2023]
    like = nearest(now, 5.99, 50.006, kind=2)
    seen = browser.walk("share", tmp_path, land.browser, land.url, area=AREA, like=place(now, like))
    assert seen["link"].startswith(land.url)
    assert int(seen["mine"]["above"]) == (now.valid & (now.cosines(like) >= 0.6)).sum()
    assert seen["theirs"] == seen["mine"]


def test_what_strangers_made(land: Land, tmp_path: Path) -> None:
    """Huge shapes, a shard cut short, a hash that is not ours, five million points: words, and no script runs."""
    root = land.folder.parent
    document = json.loads((land.folder / "tessera.json").read_text())
    (root / "huge.zarr").mkdir()
    huge = {**document, "layout": {**document["layout"], "dims": 2**31, "shard": 2**40}}
    (root / "huge.zarr" / "tessera.json").write_text(json.dumps(huge))
    shutil.copytree(land.folder, root / "cut.zarr", ignore=shutil.ignore_patterns("page"))
    for shard in (root / "cut.zarr").rglob("embeddings/c/*/*/*/*"):
        if shard.is_file():
            data = shard.read_bytes()
            shard.unlink()
            shard.write_bytes(data[: len(data) // 2])
    script = "%3Cscript%3Eran%3D1%3C%2Fscript%3E%3Cimg%20src%3Dx%20onerror%3D%22ran%3D1%22%3E"
    seen = browser.walk(
        "hostile",
        tmp_path,
        land.browser,
        land.url,
        stores=["huge.zarr", "cut.zarr", "none.zarr"],
        hash=f"#panel={script}&year=999999&area=1,2,x&at=NaN,1e999,-3&like={'9,' * 500}&classes=ff0000~{script}|zz",
        points=5_000_000,
    )
    assert "expected" in seen["stores"]["huge.zarr"]
    assert "embeddings" in seen["stores"]["cut.zarr"]
    assert "none.zarr" in seen["stores"]["none.zarr"]
    assert (seen["year"], seen["ran"], seen["injected"]) == ("2023", None, 0)
    assert "many.geojson has 475 MB; this page reads labels up to" in seen["many"]
