from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from maps_helpers import YEAR, make_head
from PIL import Image

from tessera.base import InputError
from tessera.figures import draw_map
from tessera.geo import Window, from_lonlat, parse_area, to_lonlat
from tessera.labels import read_around
from tessera.learners import UnetModel
from tessera.learners._unet_layers import CONVOLUTIONS
from tessera.maps import _strips as strips_module
from tessera.maps._picture import true_north
from tessera.testing import random_embeddings, small_store

if TYPE_CHECKING:
    from pathlib import Path


def test_a_map_over_a_zone_border_has_no_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pixel is what the head says of the nearest pixel of the zone that it lies in; blocks change nothing."""
    monkeypatch.setattr(strips_module, "ROWS", 32)
    monkeypatch.setattr(strips_module, "COLS", 64)
    store = small_store(tmp_path / "s.zarr", zones=(31, 32))
    area = parse_area("5.990,50.600,6.011,50.607")
    for part in area.parts():
        window = part.window
        wide = Window(window.zone, window.west - 20, window.north + 20, window.width + 40, window.height + 40)
        store.write(random_embeddings(wide, part.zone, 0.0), YEAR)
    head = make_head()
    path = head.map(store, area, out=tmp_path / "map.tif", png=False)
    (whole,) = store.iter_codes(area, YEAR, rows=10_000)
    with rasterio.open(path) as raster:
        found = raster.read(1)
    window = store.region_grid(area)
    x = (window.west + np.arange(window.width) + 0.5) * 10
    y = (window.north - np.arange(window.height) - 0.5) * 10
    xx, yy = np.meshgrid(x, y)
    lon, lat = to_lonlat(xx, yy, window.zone)
    inside = (lon > 5.9902) & (lon < 6.0108) & (lat > 50.6002) & (lat < 50.6068)
    np.testing.assert_array_equal(found[inside], head.predict_codes(whole)[inside])
    assert (found[inside] != 255).all()
    assert (lon[inside] < 6).sum() > 1000 < (lon[inside] > 6).sum()


def test_a_map_of_windows_reads_across_a_zone_border(tmp_path: Path) -> None:
    """A U-Net says the same of a pixel, whether the area ends at the border of its zone or goes on in the next."""
    pytest.importorskip("torch")
    store = small_store(tmp_path / "s.zarr", zones=(31, 32))
    wide = parse_area("5.983,50.600,6.015,50.608")
    for part in wide.parts():
        window = part.window
        grown = Window(window.zone, window.west - 20, window.north + 20, window.width + 40, window.height + 40)
        store.write(random_embeddings(grown, part.zone, 0.0), YEAR)
    rng = np.random.default_rng(5)

    def some(*shape: int) -> Any:
        return (rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]) or 1)).astype(np.float32)

    layers = CONVOLUTIONS
    kernels = tuple(2 * some(few * 2, many * 2, 3, 3) for many, few in layers)
    biases = tuple(some(few * 2) for _, few in layers)
    last = np.concatenate([100 * some(4, 2), some(4, 9) / 100], axis=1).astype(np.float32)
    rest = {"head": last, "head_bias": some(4), "mean": np.zeros(8, np.float32)}
    rest["std"] = np.ones(8, np.float32)
    learnt = UnetModel(4, some(2, 9), some(2), kernels, biases, scale=np.array([0.0, 1.0]), **rest)
    head = replace(make_head(), head="unet", learnt=learnt)
    found = []
    for name, area in (("wide", wide), ("own", parse_area("5.985,50.602,5.9995,50.606"))):
        path = head.map(store, area, out=tmp_path / f"{name}.tif", png=False)
        with rasterio.open(path) as raster:
            found.append((store.region_grid(area), raster.read(1)))
    (whole, all_), (part_, own) = found
    assert whole.zone == part_.zone == 31
    same = all_[part_.slices_in(whole)]
    assert (own != 255).sum() > 1000
    np.testing.assert_array_equal(same[own != 255], own[own != 255])
    assert len(np.unique(own)) > 2
    # what lies across the border is seen: without it others are found
    vectors = [read_around([(store, YEAR, None)], part_, learnt.margin, across=across) for across in (True, False)]
    with_it, without = (learnt.predict_window(one, part_.west, part_.north) for one in vectors)
    assert vectors[0].valid.sum() > vectors[1].valid.sum() + 1000
    assert (with_it != without).any()


def test_an_area_without_data_is_told_where_data_lie(tmp_path: Path) -> None:
    store = small_store(tmp_path / "s.zarr")
    window = Window(31, 64512, 561152, 20, 20)
    store.write(random_embeddings(window, 0, 0.0), YEAR)
    # in the cell, and so near that it is read
    beside = Window(31, window.west + 50, window.north, 20, 20)
    box = ",".join(f"{value:g}" for value in window.lonlat_bounds)[:4]
    with pytest.raises(InputError, match=rf"the window has no data in 2024; its data lie within {box}") as caught:
        make_head().map(store, beside, out=tmp_path / "m" / "map.tif")
    assert "cells" not in str(caught.value)
    assert list((tmp_path / "m").iterdir()) == []


@given(st.floats(-177, 177), st.floats(-78, 82))
def test_true_north_is_the_convergence_of_the_grid(lon: float, lat: float) -> None:
    zone = int(lon + 180) // 6 + 1
    x, y = (float(np.asarray(v)) for v in from_lonlat(lon, lat, zone))
    window = Window(zone, round(x / 10) - 5, round(y / 10) + 5, 10, 10)
    want = pyproj.Proj(f"EPSG:{32600 + zone}").get_factors(lon, lat).meridian_convergence
    assert true_north(window) == pytest.approx(-want, abs=2e-3)


def arrow(tmp_path: Path, north: float) -> Any:
    """Where the black pixels of the arrow lie from its middle: (N, 2) right and up."""
    classes = np.full((60, 60), 255, dtype=np.uint8)
    pixels = []
    for value in (None, north):
        path = draw_map(
            tmp_path / "a.png", classes, [], title="", bounds=(0, 0, 600, 600), crs="EPSG:32631", north=value
        )
        with Image.open(path) as image:
            pixels.append(np.asarray(image.convert("L")).astype(int))
    rows, cols = np.nonzero(np.abs(pixels[0] - pixels[1]) > 100)
    assert len(rows) > 100
    return np.column_stack([cols - cols.mean(), rows.mean() - rows])


@pytest.mark.parametrize("north", [0.0, 60.0, -60.0])
def test_the_arrow_points_to_north(tmp_path: Path, north: float) -> None:
    """The letter N and the tip lie towards north, and the shape is longest along it."""
    found = arrow(tmp_path, north)
    along = np.array([np.sin(np.radians(north)), np.cos(np.radians(north))])
    axis = np.linalg.eigh(np.cov(found.T))[1][:, 1]
    assert abs(axis @ along) > 0.97
