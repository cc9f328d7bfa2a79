from __future__ import annotations

import json
import resource
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import shapely
from heads_fakes import MODEL, WINDOW, FakeStore, box_area, draw_labels, make_store, make_truth
from PIL import Image

from tessera.base import InputError, TesseraError
from tessera.embeddings import ModelIdentity
from tessera.geo import Window, parse_area
from tessera.heads import Head, fit
from tessera.labels import NO_DATA

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("forest", "town <&> $x$", "_water")
TRUTH = make_truth()


@pytest.fixture(scope="module")
def store() -> FakeStore:
    store = make_store(TRUTH, noise=0.8)
    store.values[20:40, 30:70] = np.nan
    return store


@pytest.fixture(scope="module")
def head(store: FakeStore) -> Head:
    return fit(store, draw_labels(TRUTH, NAMES, 25), "crop")


CORNER = box_area(70, 71, 10, 11).centroid.coords[0]
AREA = shapely.Polygon([*list(box_area(-3, 100, 20, 150).exterior.coords)[:3], CORNER])


def read(path: Path) -> np.ndarray[Any, Any]:
    with rasterio.open(path) as source:
        return np.asarray(source.read(1))


def test_map_equals_prediction_pixel_by_pixel(head: Head, store: FakeStore, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = head.map(store, AREA, out=tmp_path / "new" / "map.tif", progress=lambda *pair: seen.append(pair))
    window = store.region_grid(AREA)
    want = head.predict(np.asarray(store.read_region(AREA, 2021).values))
    inside = parse_area(AREA).parts()[0].mask(window)
    with rasterio.open(path) as source:
        found = source.read(1)
        np.testing.assert_array_equal(found, np.where(inside, want, NO_DATA))
        assert (found == NO_DATA).any()
        assert (found[inside] == NO_DATA).any()
        assert source.crs.to_epsg() == 32631
        assert tuple(source.transform)[:6] == window.grid.transform
        assert (source.nodata, source.dtypes, source.count) == (255, ("uint8",), 1)
        assert source.profile["tiled"]
        assert source.profile["compress"] == "deflate"
        table = source.colormap(1)
        for index, colour in enumerate(head.colours):
            assert "#{:02x}{:02x}{:02x}".format(*table[index][:3]) == colour
        tags = source.tags()
        assert json.loads(tags["TESSERA_CLASSES"]) == list(head.classes)
        assert (tags["TESSERA_MODEL_SHA256"], tags["TESSERA_YEAR"]) == (MODEL.sha256, "2021")
    # predicted, counted, written from overviews and tiles, drawn
    assert seen[0] == (0, 5 * window.height)
    assert seen[-1] == (5 * window.height, 5 * window.height)
    assert sorted(p.name for p in path.parent.iterdir()) == [
        *("map.classes.csv", "map.png", "map.qml", "map.tif", "map.tif.aux.xml")
    ]


def test_gdal_knows_the_class_names(head: Head, store: FakeStore, tmp_path: Path) -> None:
    path = head.map(store, AREA, out=tmp_path / "map.tif", png=False)
    rasterio.shutil.copy(path, tmp_path / "map.vrt", driver="VRT")
    text = (tmp_path / "map.vrt").read_text()
    assert "<Category>town &lt;&amp;&gt; $x$</Category>" in text
    assert text.count("<Category>") == len(NAMES)
    assert not (tmp_path / "map.png").exists()


def test_picture_is_not_blank(head: Head, store: FakeStore, tmp_path: Path) -> None:
    head.map(store, AREA, out=tmp_path / "map.tif")
    with Image.open(tmp_path / "map.png") as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    assert 600 < image.width < 2500
    for colour in head.colours:
        wanted = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
        assert (pixels == wanted).all(axis=1).mean() > 0.01


def test_large_map_has_overviews_and_is_read_in_strips(head: Head, tmp_path: Path) -> None:
    window = Window(31, 64000, 561000, 600, 700)
    store = make_store(make_truth(window, side=64), window=window)
    area = box_area(0, 700, 0, 600, window)
    path = head.map(store, area, out=tmp_path / "map.tif", png=False)
    with rasterio.open(path) as source:
        assert source.overviews(1) == [2]
        small = source.read(1, out_shape=(175, 150))
    assert set(np.unique(small)) <= {0, 1, 2, 255}
    assert max(store.reads) == 32


def test_an_area_over_a_zone_border(head: Head, tmp_path: Path) -> None:
    bbox = (5.995, 50.56, 6.02, 50.565)
    window = make_store(TRUTH).region_grid(bbox)
    store = make_store(make_truth(window), window=window)
    grid = store.region_grid(bbox)
    assert grid.zone == 32
    found = read(head.map(store, bbox, out=tmp_path / "map.tif", png=False))
    assert found.shape == grid.shape
    want = head.predict(np.asarray(store.read_region(bbox, 2021).values))
    shown = found != NO_DATA
    np.testing.assert_array_equal(found[shown], want[shown])
    x = (grid.west + np.flatnonzero(shown.any(axis=0))[[0, -1]] + 0.5) * 10
    lon = [float(np.asarray(v)) for v in _lon(x, grid)]
    assert 5.994 < lon[0] < 6.0 < lon[1] < 6.021


def _lon(x: Any, grid: Window) -> Any:
    from tessera.geo import to_lonlat

    return to_lonlat(x, np.full(2, (grid.north - grid.height / 2) * 10), grid.zone)[0]


def test_a_lattice_window_is_an_area(head: Head, store: FakeStore, tmp_path: Path) -> None:
    window = Window(31, WINDOW.west + 80, WINDOW.north - 50, 40, 30)
    found = read(head.map(store, window, out=tmp_path / "map.tif"))
    np.testing.assert_array_equal(found, head.predict(store.values[50:80, 80:120]))


def test_prefix_head_reads_the_prefix(store: FakeStore, tmp_path: Path) -> None:
    head = fit(store, draw_labels(TRUTH, NAMES, 25), "crop", dims=4)
    area = box_area(50, 80, 50, 90)
    found = read(head.map(store, area, out=tmp_path / "map.tif", png=False))
    want = head.predict(np.asarray(store.read_region(area, 2021, dims=4).values))
    shown = found != NO_DATA
    assert shown.mean() > 0.9
    np.testing.assert_array_equal(found[shown], want[shown])


@pytest.mark.parametrize(
    ("change", "kwargs", "message"),
    [
        (
            {"model": ModelIdentity("other", "cd" * 32, 8)},
            {},
            "holds embeddings of other .cdcdcdcdcdcd.; the head learnt from those of fake-nano .abababababab.",
        ),
        ({"years": (2020, 2022)}, {}, "the store has no year 2021; it has 2020, 2022"),
        ({}, {"year": 1999}, "the store has no year 1999; it has 2021"),
        ({}, {"out": "map.png"}, "map 'map.png'; expected a path that ends in .tif"),
        ({}, {"area": (9.0, 50.0, 9.01, 50.01)}, "bbox .* has no data in 2021; expected an area that the store covers"),
        ({}, {"area": "nowhere.geojson"}, "vector file not found"),
    ],
)
def test_refusals_leave_nothing(
    head: Head, store: FakeStore, tmp_path: Path, change: Any, kwargs: Any, message: str
) -> None:
    arguments = {"area": AREA, **kwargs, "out": tmp_path / kwargs.get("out", "map.tif")}
    if "map.png" in str(arguments["out"]):
        message = "expected a path that ends in .tif"
    with pytest.raises(InputError, match=message) as caught:
        head.map(replace(store, **change), **arguments)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_store_of_fewer_dims(head: Head, store: FakeStore, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the store holds 4 dims; the head reads 8"):
        head.map(replace(store, values=store.values[..., :4]), AREA, out=tmp_path / "map.tif")


@pytest.mark.parametrize("before", [False, True])
def test_interrupted_map_leaves_what_was(head: Head, store: FakeStore, tmp_path: Path, before: bool) -> None:
    path = tmp_path / "map.tif"
    if before:
        path.write_bytes(b"the old map")

    def stop(done: int, total: int) -> None:
        if done > 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        head.map(store, AREA, out=path, overwrite=True, progress=stop)
    assert [p.name for p in tmp_path.iterdir()] == (["map.tif"] if before else [])
    assert not before or path.read_bytes() == b"the old map"


def test_failing_picture_leaves_nothing(
    head: Head, store: FakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("tessera.maps._picture.draw_map", fail)
    with pytest.raises(MemoryError):
        head.map(store, AREA, out=tmp_path / "map.tif")
    assert list(tmp_path.iterdir()) == []


def test_full_disk_is_one_line_and_leaves_nothing(head: Head, tmp_path: Path) -> None:
    window = Window(31, 64000, 561000, 300, 300)
    rng = np.random.default_rng(0)
    store = make_store(rng.integers(0, 3, window.shape), window=window)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, hard))
    try:
        with pytest.raises(TesseraError, match="cannot write the map") as caught:
            head.map(store, box_area(0, 300, 0, 300, window), out=tmp_path / "map.tif")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "map.tif") in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_unwritable_places(head: Head, store: FakeStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"map .* cannot be written: .*file is no folder"):
        head.map(store, AREA, out=tmp_path / "file" / "map.tif")
    (tmp_path / "dir.tif").mkdir()
    with pytest.raises(InputError, match="is a folder; expected a file"):
        head.map(store, AREA, out=tmp_path / "dir.tif")


def test_a_store_that_breaks_its_word(head: Head, store: FakeStore, tmp_path: Path) -> None:
    class Short(FakeStore):
        def iter_region(self, *args: Any, **kwargs: Any) -> Any:
            return iter(list(super().iter_region(*args, **kwargs))[:-1])

    with pytest.raises(InputError, match=r"the store returned strips of .* pixels for \(103, 140\)"):
        head.map(Short(store.values), AREA, out=tmp_path / "map.tif")
    assert list(tmp_path.iterdir()) == []
    assert WINDOW.zone == 31


def test_a_map_replaces_a_map_and_nothing_else(head: Head, store: FakeStore, tmp_path: Path) -> None:
    path = tmp_path / "map.tif"
    picture = tmp_path / "map.png"
    picture.write_bytes(b"a photograph")
    with pytest.raises(InputError, match=r"picture of the map .*map.png exists"):
        head.map(store, AREA, out=path)
    assert picture.read_bytes() == b"a photograph"
    assert not path.exists()
    head.map(store, AREA, out=path, png=False)
    assert picture.read_bytes() == b"a photograph"
    head.map(store, AREA, out=path, overwrite=True)
    made = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    head.map(store, AREA, out=path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == made
    for name, what in (("map.qml", "style of the map"), ("map.classes.csv", "table of classes")):
        (tmp_path / name).write_text("the user's own")
        with pytest.raises(InputError, match=rf"{what} .*{name} exists and is no earlier {what}"):
            head.map(store, AREA, out=path)
        assert (tmp_path / name).read_text() == "the user's own"
        (tmp_path / name).unlink()
    path.unlink()
    with pytest.raises(InputError, match=r"file of class names .*map.tif.aux.xml exists"):
        head.map(store, AREA, out=path)
