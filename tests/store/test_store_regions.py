from __future__ import annotations

import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.warp import Resampling, reproject
from store_helpers import ACROSS, Counting, centre_of, new_store, random_embeddings

from tessera.base import InputError
from tessera.geo import Window, from_lonlat, parse_area, to_lonlat
from tessera.store import Store
from tessera.store.queries import lazy as lazy_module
from tessera.store.queries import region as region_module

AREA = (2.302, 37.81, 2.312, 37.818)


def counted(store: Store, monkeypatch: pytest.MonkeyPatch) -> Counting:
    counting = Counting(store.source)
    monkeypatch.setattr(store, "source", counting)
    return counting


def at(zone: int, lon: float, lat: float, width: int, height: int) -> Window:
    x, y = from_lonlat(lon, lat, zone)
    return Window(zone, int(x // 10) - width // 2, int(y // 10) + height // 2, width, height)


NORTHERN = at(31, 2.307, 37.814, 150, 140)
SOUTHERN = at(31, 2.307, -20.0, 90, 80)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two years of a northern and a southern place, both sides of a border and of the date line."""
    store = new_store(tmp_path_factory.mktemp("regions") / "s", (1, 31, 32, 60))
    for year in (2023, 2024):
        store.write(random_embeddings(NORTHERN, year, 0.1), year)
        store.write(random_embeddings(SOUTHERN, year, 0.1), year)
        for zone, lon in ((31, 5.999), (32, 6.001), (60, 179.999), (1, -179.999)):
            store.write(random_embeddings(at(zone, lon, 40.0, 80, 60), zone + year, 0.2), year)
    return store


def test_several_years_lead_and_each_is_the_year_alone(store: Store) -> None:
    both = store.read_region(AREA, [2024, 2023], dims=2)
    assert both.dims == ("year", "y", "x", "band")
    assert both["year"].values.tolist() == [2024, 2023]
    assert "year" not in both.attrs
    for year in (2023, 2024):
        one = store.read_region(AREA, year, dims=2)
        assert one.attrs["year"] == year
        assert np.array_equal(both.sel(year=year).values, one.values, equal_nan=True)
        window = store.region_grid(AREA)
        assert np.array_equal(one.values, store.read_window(window, year).values()[..., :2], equal_nan=True)
    strips = list(store.iter_region(AREA, [2024, 2023], 2, rows=33))
    assert np.array_equal(np.concatenate([strip.values for strip in strips], axis=1), both.values, equal_nan=True)
    assert strips[1].attrs["transform"][5] == both.attrs["transform"][5] - 330


shapes = st.lists(st.tuples(st.floats(0, 150), st.floats(0, 140)), min_size=3, max_size=6)


@settings(max_examples=25)
@given(shapes)
def test_a_clipped_region_holds_the_pixels_whose_centre_is_inside(store: Store, corners: list[Any]) -> None:
    polygon = shapely.MultiPoint(corners).convex_hull
    if polygon.geom_type != "Polygon" or polygon.area < 4:
        return
    x, y = shapely.get_coordinates(polygon).T * [[10], [-10]] + [[NORTHERN.west * 10], [NORTHERN.north * 10]]
    lon, lat = to_lonlat(x, y, 31)
    area = shapely.Polygon(np.column_stack([lon, lat]))
    whole, clipped = store.read_region(area, 2024), store.read_region(area, 2024, clip=True)
    part = parse_area(area).parts()[0]
    mask = part.mask(part.window)
    assert whole.shape == clipped.shape == (*mask.shape, 8)
    assert np.array_equal(clipped.values[mask], whole.values[mask], equal_nan=True)
    assert np.isnan(clipped.values[~mask]).all()
    strips = [strip.values for strip in store.iter_region(area, 2024, rows=17, clip=True)]
    assert np.array_equal(np.concatenate(strips), clipped.values, equal_nan=True)
    degrees = store.read_region(area, 2024, crs="EPSG:4326", clip=True)
    x, y = np.meshgrid(degrees["x"], degrees["y"])
    outside = ~shapely.contains_xy(area.buffer(2e-6), x, y)
    assert np.isnan(degrees.values[outside]).all()


@pytest.mark.parametrize(
    ("crs", "resolution"),
    [("EPSG:3035", None), ("EPSG:3035", 25.0), ("EPSG:3035", 60), ("EPSG:4326", None), ("EPSG:32632", 20), (None, 30)],
)
def test_the_nearest_pixel_of_any_grid_is_the_one_that_holds_its_centre(
    store: Store, crs: str | None, resolution: float | None
) -> None:
    region = store.read_region(AREA, 2024, crs=crs, resolution=resolution)
    size = region.attrs["transform"][0]
    assert size == (resolution or (1e-4 if crs == "EPSG:4326" else 10.0))
    assert region.attrs["transform"][2] / size == pytest.approx(round(region.attrs["transform"][2] / size), abs=1e-6)
    back = Transformer.from_crs(region.attrs["crs"], 4326, always_xy=True)
    x, y = np.meshgrid(region["x"], region["y"])
    lonlat = np.column_stack([axis.reshape(-1) for axis in back.transform(x, y)])
    wanted = store.sample_points(lonlat, 2024).reshape(region.shape)
    assert np.array_equal(region.values, wanted, equal_nan=True)
    west, south, east, north = AREA
    edges = np.array([(west, south), (east, north), (west, north), (east, south)])
    ex, ey = Transformer.from_crs(4326, region.attrs["crs"], always_xy=True).transform(edges[:, 0], edges[:, 1])
    assert region["x"].values[0] - size < ex.min() + size
    assert abs(region["x"].values[0] - size / 2 - ex.min()) < size * 1.5
    assert region["x"].values[-1] + size / 2 >= ex.max() - 1e-6
    assert region["y"].values[0] + size / 2 >= ey.max() - 1e-6


@pytest.mark.parametrize("method", ["bilinear", "average"])
@pytest.mark.parametrize(("crs", "resolution"), [("EPSG:3035", 10), ("EPSG:3035", 37), ("EPSG:4326", None), (None, 40)])
def test_resampling_is_gdals_and_leaves_out_what_has_no_data(
    store: Store, method: str, crs: str | None, resolution: float | None
) -> None:
    region = store.read_region(AREA, 2024, crs=crs, resolution=resolution, resampling=method)
    window = Window(31, NORTHERN.west - 60, NORTHERN.north + 60, 270, 260)
    source = np.moveaxis(store.read_window(window, 2024).values(), -1, 0)
    wanted = np.full((8, *region.shape[:2]), np.nan, np.float32)
    reproject(
        np.ascontiguousarray(source),
        wanted,
        src_transform=rasterio.Affine(*window.grid.transform),
        src_crs="EPSG:32631",
        src_nodata=np.nan,
        dst_transform=rasterio.Affine(*region.attrs["transform"]),
        dst_crs=region.attrs["crs"],
        dst_nodata=np.nan,
        resampling=Resampling[method],
        tolerance=0.0,
    )
    wanted = np.moveaxis(wanted, 0, -1)
    assert np.array_equal(np.isnan(region.values), np.isnan(wanted))
    assert np.isfinite(wanted).mean() > 0.3
    np.testing.assert_allclose(region.values, wanted, rtol=2e-3, atol=2e-3)


def test_an_average_does_not_mix_no_data_in(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    window = Window(31, ACROSS.west // 4 * 4, ACROSS.north // 4 * 4, 40, 40)
    embeddings = random_embeddings(window, 1, 0.6)
    store.write(embeddings, 2024)
    region = store.read_region(window, 2024, resolution=40, resampling="average")
    assert region.shape == (10, 10, 8)
    blocks = embeddings.values().reshape(10, 4, 10, 4, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        wanted = np.nanmean(blocks, axis=(1, 3))
    np.testing.assert_allclose(region.values, wanted, rtol=1e-5, atol=1e-6)


def test_resampled_pixels_are_the_same_however_the_region_is_cut(store: Store) -> None:
    area = (5.9975, 39.9985, 6.0025, 40.0015)
    for method, crs in (("bilinear", "EPSG:3035"), ("average", "EPSG:3857"), ("nearest", "EPSG:3035")):
        options: dict[str, Any] = {"crs": crs, "resolution": 13, "resampling": method}
        whole = store.read_region(area, 2024, **options)
        assert np.isfinite(whole.values[..., 0]).mean() > 0.5
        strips = [strip.values for strip in store.iter_region(area, 2024, rows=7, **options)]
        assert np.array_equal(np.concatenate(strips), whole.values, equal_nan=True)
        lazy = store.read_region(area, 2024, chunks=(11, 9), **options)
        assert np.array_equal(lazy.values, whole.values, equal_nan=True)


def test_regions_over_the_date_line_and_in_the_south(store: Store) -> None:
    area = (179.9975, 39.9985, -179.9975, 40.0015)
    region = store.read_region(area, 2024)
    grid = store.region_grid(area)
    points = np.array(
        [centre_of(grid, row, col) for row in range(0, grid.height, 3) for col in range(0, grid.width, 3)]
    )
    wanted = store.sample_points(points, 2024).reshape(-1, region.shape[1] // 3 + (region.shape[1] % 3 > 0), 8)
    assert np.array_equal(region.values[::3, ::3], wanted, equal_nan=True)
    assert {bool(lon > 0) for lon in points[:, 0]} == {True, False}
    assert np.isfinite(region.values).mean() > 0.5
    pacific = store.read_region(area, 2024, crs="EPSG:3832", resolution=10)
    assert pacific.shape[1] < 80
    assert np.isfinite(pacific.values).mean() > 0.5
    with pytest.raises(InputError, match="crosses the date line"):
        store.read_region(area, 2024, crs="EPSG:4326")
    south = store.read_region(SOUTHERN, 2023)
    assert np.array_equal(south.values, random_embeddings(SOUTHERN, 2023, 0.1).values(), equal_nan=True)
    name = shapely.box(2.3065, -20.0005, 2.3075, -19.9995)
    false_northing = store.read_region(name, 2023, crs="EPSG:32731")
    assert false_northing.attrs["crs"] == "EPSG:32731"
    assert 7_700_000 < false_northing["y"].values[0] < 7_900_000
    northern = store.read_region(name, 2023)
    assert np.array_equal(false_northing.values, northern.values, equal_nan=True)


def test_a_lazy_region_reads_nothing_before_it_is_computed_and_then_its_window(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = store.read_region(NORTHERN, [2023, 2024])
    counting = counted(store, monkeypatch)
    lazy = store.read_region(NORTHERN, [2023, 2024], chunks=40)
    assert lazy.chunks == ((1, 1), (40, 40, 40, 20), (40, 40, 40, 30), (8,))
    part = lazy.sel(year=2024)[45:70, 50:70]
    assert counting.windows == []
    assert np.array_equal(part.values, whole.sel(year=2024)[45:70, 50:70].values, equal_nan=True)
    read = sum(window.width * window.height for window in counting.windows)
    assert 0 < read <= 40 * 40
    counting.windows.clear()
    assert np.array_equal(lazy.mean("band").values, whole.mean("band").values, equal_nan=True)
    assert sum(window.width * window.height for window in counting.windows) == 2 * 150 * 140
    assert store.read_region(NORTHERN, 2024, chunks="auto").shape == (140, 150, 8)
    stepped = lazy[0, ::3, 5:60:2, 1:7:2].values
    assert np.array_equal(stepped, whole.values[0, ::3, 5:60:2, 1:7:2], equal_nan=True)
    for wrong in (0, 1.5, (1,), "all", (4, True)):
        with pytest.raises(InputError, match="chunks"):
            store.read_region(NORTHERN, 2024, chunks=wrong)


def test_without_dask_a_lazy_region_says_what_is_missing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask.array", None)
    with pytest.raises(InputError, match=r"needs dask.*, which is not installed"):
        store.read_region(NORTHERN, 2024, chunks=40)


def test_strips_are_read_one_ahead_and_the_thread_ends_with_the_iterator(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = counted(store, monkeypatch)
    strips = store.iter_region(NORTHERN, 2024, rows=10)
    assert counting.windows == []
    next(strips)
    wait = threading.Event()
    for _ in range(200):
        if len(counting.windows) >= 2:
            break
        wait.wait(0.01)
    assert len(counting.windows) == 2
    strips.close()
    assert len(counting.windows) <= 2
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("tessera-prefetch")]
    broken = store.iter_region(NORTHERN, 2024, rows=10)
    next(broken)
    monkeypatch.setattr(Counting, "read_window", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(broken)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("tessera-prefetch")]


def test_a_stream_holds_little(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lazy_module, "STRIP_BYTES", 200_000)
    counting = counted(store, monkeypatch)
    largest = 0
    rows = 0
    for strip in store.iter_region(Window(31, NORTHERN.west, NORTHERN.north + 400, 150, 900), 2024):
        largest = max(largest, strip.nbytes)
        rows += strip.sizes["y"]
    assert rows == 900
    assert largest <= 200_000
    assert max(window.width * window.height for window in counting.windows) * 8 * 4 <= 200_000
    inner = [window.south for window in counting.windows][:-1]
    # strips end on rows of chunks, so that no chunk is read twice
    assert all(south % 32 == 0 for south in inner)
    monkeypatch.setattr(region_module, "_MOST_STRIP", 1000)
    with pytest.raises(InputError, match="a strip; expected its parts"):
        store.iter_region(NORTHERN, 2024)


def test_questions_about_regions_that_have_no_answer_are_one_line(store: Store) -> None:
    questions: list[tuple[dict[str, Any], str]] = [
        ({"crs": "EPSG:99999"}, "crs 'EPSG:99999'"),
        ({"crs": "rubbish"}, "crs 'rubbish'"),
        ({"crs": "EPSG:4978"}, "neither projected nor geographic"),
        ({"resolution": 0}, "resolution 0"),
        ({"resolution": "ten"}, "resolution 'ten'"),
        ({"resolution": float("nan")}, "resolution nan"),
        ({"resolution": 1e-8}, "pixels; expected fewer"),
        ({"resampling": "cubic"}, "resampling 'cubic'; expected one of nearest, bilinear, average"),
        ({"resolution": 50_000, "resampling": "average"}, "expected at most 5.12 km"),
    ]
    for options, reason in questions:
        with pytest.raises(InputError, match=reason) as caught:
            store.read_region(AREA, 2024, **options)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="than this machine has"):
        store.read_region((2.0, 37.0, 2.4, 37.9), 2024, resolution=0.005)
    with pytest.raises(InputError, match="expected a UTM zone"):
        store.region_grid(AREA, crs="EPSG:3035")


def test_other_tools_find_crs_and_transform(store: Store) -> None:
    import odc.geo.xr  # noqa: F401 - registers .odc

    for crs in (None, "EPSG:3035"):
        region = store.read_region(AREA, 2024, crs=crs)
        box = region.odc.geobox
        assert box.crs.to_epsg() == int(region.attrs["crs"].removeprefix("EPSG:"))
        assert tuple(box.transform)[:6] == pytest.approx(region.attrs["transform"])
    again = xarray.DataArray.from_dict(region.to_dict())
    assert "GeoTransform" in again["spatial_ref"].attrs


def test_the_accessor_of_a_region(store: Store, tmp_path: Path) -> None:
    region = store.read_region(AREA, 2024)
    mine = region.tessera
    assert mine.crs == "EPSG:32631"
    assert mine.transform == region.attrs["transform"]
    assert mine.model == ("test", "ab" * 32)
    part = region[10:50, 20:60]
    assert part.tessera.transform[2] == region.attrs["transform"][2] + 200
    points = [centre_of(NORTHERN, 30, 40), centre_of(NORTHERN, 60, 61), (50.0, 3.0)]
    wanted = store.sample_points(points[:2], 2024)
    assert np.array_equal(mine.sample(points)[:2], wanted, equal_nan=True)
    assert np.isnan(mine.sample(points)[2]).all()
    degrees = store.read_region(AREA, [2023, 2024], crs="EPSG:4326")
    assert degrees.tessera.sample(points).shape == (3, 2, 8)
    vector = np.arange(8, dtype=np.float32) - 3
    cosine = mine.similarity(vector).values
    flat = region.values.reshape(-1, 8)
    good = np.isfinite(flat[:, 0])
    direct = flat[good] @ vector / np.linalg.norm(flat[good], axis=1) / np.linalg.norm(vector)
    np.testing.assert_allclose(cosine.reshape(-1)[good], direct, rtol=1e-4, atol=1e-5)
    assert np.isnan(cosine.reshape(-1)[~good]).all()
    for bands in ("pca", (0, 1, 2)):
        picture = mine.rgb(bands)
        assert picture.dtype == np.uint8
        assert picture.dims == ("y", "x", "rgb")
        assert np.array_equal((picture.values > 0).all(axis=-1), np.isfinite(region.values[..., 0]))
    path = part.tessera.to_geotiff(tmp_path / "p.tif")
    with rasterio.open(path) as raster:
        assert tuple(raster.transform)[:6] == part.tessera.transform
        assert np.array_equal(np.moveaxis(raster.read(), 0, -1), part.values, equal_nan=True)
    questions: list[tuple[Any, str]] = [
        (lambda: mine.similarity([1, 2]), "expected \\(8,\\)"),
        (lambda: mine.rgb((0, 1, 8)), "expected three"),
        (lambda: mine.rgb("mean"), "expected 'pca'"),
        (lambda: degrees.tessera.rgb(), "several years"),
        (lambda: degrees.tessera.to_geotiff(tmp_path / "x.tif"), "several years"),
        (lambda: xarray.DataArray([1.0]).tessera.crs, "no attribute 'crs'"),
    ]
    for ask, reason in questions:
        with pytest.raises(InputError, match=reason):
            ask()


def test_the_accessor_of_a_zone_that_stock_xarray_opened(store: Store) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        data = xarray.open_zarr(store.objects.root, group="utm31", chunks=None)
    mine = data.tessera
    assert mine.crs == "EPSG:32631"
    assert mine.years == (2023, 2024)
    found = mine.window(AREA, 2024)
    wanted = store.read_region(AREA, 2024)
    assert np.array_equal(found.values, wanted.values, equal_nan=True)
    assert found.tessera.transform == wanted.tessera.transform
    rows, cols = slice(20_000, 21_000), slice(100, 200)
    questions: list[tuple[Any, str]] = [
        (lambda: mine.window(AREA, 2020), "no year 2020"),
        (lambda: data.drop_vars("scales").tessera.window(AREA, 2024), "expected a zone's group"),
        (lambda: data.isel(y=rows, x=cols).tessera.window(AREA, 2024), "beyond the dataset's"),
    ]
    for ask, reason in questions:
        with pytest.raises(InputError, match=reason):
            ask()


def test_the_accessor_comes_with_the_first_array_and_not_with_the_import() -> None:
    code = (
        "import tessera, tessera.store, sys; assert 'xarray' not in sys.modules; import xarray; "
        "assert not hasattr(xarray.DataArray, 'tessera'); import tessera.store.accessor; "
        "assert hasattr(xarray.DataArray, 'tessera') and hasattr(xarray.Dataset, 'tessera')"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
