from __future__ import annotations

import json
import struct
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
import xarray
from get_helpers import WINDOW, bbox_of, embeddings_of, small_store

from tessera.base import InputError, TesseraError
from tessera.exchange import _geotiff as geotiff_module
from tessera.exchange import _strips as strips_module
from tessera.exchange import estimate_region, export_region
from tessera.rasters import RasterProfile, mean_of_valid, write_cog
from tessera.rasters import cog as cog_module
from tessera.store import Store, plan_region

Run = Callable[..., tuple[int, str, str]]
BBOX = bbox_of(WINDOW, 10, 12, 300, 280)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return small_store(tmp_path_factory.mktemp("get") / "s")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regions of a few hundred pixels in several parts."""
    monkeypatch.setattr("tessera.exchange._strips.UNIT_BYTES", 400_000)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_every_format_holds_the_region(store: Store, tmp_path: Path) -> None:
    wanted = store.read_region(BBOX, 2024)
    found = int(np.isfinite(wanted.values[..., 0]).sum())
    for name in ("r.npy", "r.tif", "r.zarr"):
        shape = export_region(store, BBOX, 2024, tmp_path / name)
        assert shape == (*wanted.shape, found)
    assert names(tmp_path) == ["r.npy", "r.tif", "r.zarr"]
    assert np.array_equal(np.load(tmp_path / "r.npy"), wanted.values, equal_nan=True)
    with rasterio.open(tmp_path / "r.tif") as raster:
        assert np.array_equal(np.moveaxis(raster.read(), 0, -1), wanted.values, equal_nan=True)
        assert raster.crs.to_epsg() == 32631
        assert tuple(raster.transform)[:6] == wanted.attrs["transform"]
        assert raster.descriptions == tuple(f"e{band}" for band in range(8))
        assert raster.tags()["TESSERA_YEAR"] == "2024"
        assert raster.tags()["TESSERA_SHA256"] == "ab" * 32
    data = xarray.open_zarr(tmp_path / "r.zarr", chunks=None)
    assert np.array_equal(data["embeddings"].values, wanted.values, equal_nan=True)
    assert np.array_equal(data["x"].values, wanted["x"].values)
    assert np.array_equal(data["y"].values, wanted["y"].values)
    assert data.attrs["model"] == "test"


def test_a_zarr_group_tells_its_crs_to_others(store: Store, tmp_path: Path) -> None:
    import odc.geo.xr  # noqa: F401 - registers .odc

    export_region(store, BBOX, [2023, 2024], tmp_path / "r.zarr", crs="EPSG:3035", resolution=20)
    data = xarray.open_zarr(tmp_path / "r.zarr", chunks=None, decode_coords="all")
    wanted = store.read_region(BBOX, [2023, 2024], crs="EPSG:3035", resolution=20)
    assert data["embeddings"].dims == ("year", "y", "x", "band")
    assert data["year"].values.tolist() == [2023, 2024]
    assert np.array_equal(data["embeddings"].values, wanted.values, equal_nan=True)
    box = data["embeddings"].odc.geobox
    assert box.crs.to_epsg() == 3035
    assert tuple(box.transform)[:6] == pytest.approx(wanted.attrs["transform"])
    assert data["x"].attrs["standard_name"] == "projection_x_coordinate"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        xarray.open_zarr(tmp_path / "r.zarr", chunks=None)


def test_codes_and_scales_are_the_stores_own(store: Store, tmp_path: Path) -> None:
    window = store.region_grid(BBOX)
    kept = store.read_window(window, 2023)
    for name in ("q.npy", "q.tif", "q.zarr"):
        export_region(store, BBOX, 2023, tmp_path / name, quantised=True)
    assert names(tmp_path) == ["q.npy", "q.tif", "q.zarr", "q_scales.npy", "q_scales.tif"]
    data = xarray.open_zarr(tmp_path / "q.zarr", chunks=None, mask_and_scale=False)
    with rasterio.open(tmp_path / "q.tif") as codes, rasterio.open(tmp_path / "q_scales.tif") as scales:
        assert codes.dtypes == ("int8",) * 8
        pairs = [
            (np.load(tmp_path / "q.npy"), np.load(tmp_path / "q_scales.npy")),
            (np.moveaxis(codes.read(), 0, -1), scales.read(1)),
            (data["embeddings"].values, data["scales"].values),
        ]
    for found, found_scales in pairs:
        assert found.dtype == np.int8
        assert np.array_equal(found, kept.codes)
        assert np.array_equal(found_scales, kept.scales, equal_nan=True)
    whole = sum((tmp_path / name).stat().st_size for name in ("q.npy", "q_scales.npy"))
    assert whole == kept.codes.nbytes + kept.scales.nbytes + 256
    with pytest.raises(InputError, match="mixes pixels"):
        export_region(store, BBOX, 2023, tmp_path / "x.npy", quantised=True, crs="EPSG:3035", resampling="average")
    export_region(store, BBOX, 2023, tmp_path / "n.npy", quantised=True, crs="EPSG:3035", dims=2)
    far = store.read_region(BBOX, 2023, 2, "EPSG:3035").values
    again = np.load(tmp_path / "n.npy").astype(np.float32) * np.load(tmp_path / "n_scales.npy")[..., None]
    assert np.array_equal(again, far, equal_nan=True)


def test_a_geotiff_a_year(store: Store, tmp_path: Path) -> None:
    export_region(store, BBOX, [2024, 2023], tmp_path / "r.tif", dims=2)
    assert names(tmp_path) == ["r_2023.tif", "r_2024.tif"]
    for year in (2023, 2024):
        with rasterio.open(tmp_path / f"r_{year}.tif") as raster:
            wanted = store.read_region(BBOX, year, 2).values
            assert np.array_equal(np.moveaxis(raster.read(), 0, -1), wanted, equal_nan=True)
    export_region(store, BBOX, [2024, 2023], tmp_path / "r.npy", dims=2)
    both = store.read_region(BBOX, [2024, 2023], 2).values
    assert np.array_equal(np.load(tmp_path / "r.npy"), both, equal_nan=True)


def ifds_of(path: Path) -> list[dict[int, list[int]]]:
    """Tags of each directory of a TIFF, classic or big, with their values where they are whole numbers."""
    data = path.read_bytes()
    order = {b"II": "<", b"MM": ">"}[data[:2]]
    big = struct.unpack(order + "H", data[2:4])[0] == 43
    at = struct.unpack(order + "Q", data[8:16])[0] if big else struct.unpack(order + "I", data[4:8])[0]
    sizes, kinds = {3: 2, 4: 4, 16: 8}, {3: "H", 4: "I", 16: "Q"}
    found = []
    while at:
        count = struct.unpack_from(order + ("Q" if big else "H"), data, at)[0]
        entry, start = (20, at + 8) if big else (12, at + 2)
        tags: dict[int, list[int]] = {-1: [at]}
        for number in range(count):
            place = start + number * entry
            tag, kind = struct.unpack_from(order + "HH", data, place)
            length = struct.unpack_from(order + ("Q" if big else "I"), data, place + 4)[0]
            value = place + (12 if big else 8)
            if kind in sizes:
                if sizes[kind] * length > (8 if big else 4):
                    value = struct.unpack_from(order + ("Q" if big else "I"), data, value)[0]
                tags[tag] = list(struct.unpack_from(f"{order}{length}{kinds[kind]}", data, value))
        found.append(tags)
        at = struct.unpack_from(order + ("Q" if big else "I"), data, start + count * entry)[0]
    return found


@pytest.mark.parametrize("options", [{}, {"quantised": True}, {"crs": "EPSG:4326", "resampling": "bilinear"}])
def test_a_geotiff_is_a_valid_cog(store: Store, tmp_path: Path, options: dict[str, Any]) -> None:
    export_region(store, BBOX, 2024, tmp_path / "r.tif", **options)
    ifds = ifds_of(tmp_path / "r.tif")
    width, height, tile, subfile, offsets, sizes = 256, 257, 322, 254, 324, 325
    assert len(ifds) >= 2
    # directories come first, the main one before its overviews, which shrink
    places = [tags[-1][0] for tags in ifds]
    assert places == sorted(places)
    first_data = min(min(offset for offset in tags[offsets] if offset) for tags in ifds)
    assert max(places) < first_data
    assert [tags.get(subfile, [0])[0] & 1 for tags in ifds] == [0] + [1] * (len(ifds) - 1)
    sides = [tags[width][0] for tags in ifds]
    assert sides == sorted(sides, reverse=True)
    for before, after in pairwise(ifds):
        assert after[height][0] == -(-before[height][0] // 2)
    # every level is tiled, the smallest fits into one tile, and data of small overviews comes before large ones
    assert all(tags[tile][0] in (128, 256) for tags in ifds)
    assert len(ifds[-1][offsets]) == 1
    starts = [min(o for o, s in zip(tags[offsets], tags[sizes], strict=True) if s) for tags in ifds]
    assert starts == sorted(starts, reverse=True)
    for tags in ifds:
        there = [o for o, s in zip(tags[offsets], tags[sizes], strict=True) if s]
        assert there == sorted(there)
    with rasterio.open(tmp_path / "r.tif") as raster:
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert raster.overviews(1)
        small = raster.read(1, out_shape=(raster.height // 2, raster.width // 2))
        assert np.isfinite(small).any()


def test_overviews_leave_out_what_has_no_data(store: Store, tmp_path: Path) -> None:
    export_region(store, WINDOW, 2024, tmp_path / "r.tif")
    values = embeddings_of(WINDOW, 2024).values()[..., 3]
    with rasterio.open(tmp_path / "r.tif") as raster, rasterio.open(tmp_path / "r.tif", overview_level=0) as half:
        assert half.shape == (150, 165)
        assert raster.overviews(4)[0] == 2
        found = half.read(4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        wanted = np.nanmean(values.reshape(150, 2, 165, 2), axis=(1, 3))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_clip_and_resampling_reach_the_file(store: Store, tmp_path: Path) -> None:
    west, south, east, north = BBOX
    area = shapely.Polygon([(west, south), (east, south), ((west + east) / 2, north)])
    options: dict[str, Any] = {"crs": "EPSG:3035", "resolution": 30, "resampling": "average", "clip": True}
    export_region(store, area, 2024, tmp_path / "r.npy", **options)
    wanted = store.read_region(area, 2024, **options).values
    assert np.array_equal(np.load(tmp_path / "r.npy"), wanted, equal_nan=True)
    assert 0.2 < np.isnan(wanted[..., 0]).mean() < 0.9


def test_no_array_is_larger_than_a_part(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    largest = {"read": 0, "written": 0}
    read, bands = strips_module.Strips.read, geotiff_module._bands

    def noting(strips: Any, year: int, rows: range) -> Any:
        found = read(strips, year, rows)
        largest["read"] = max(largest["read"], found[0].nbytes)
        return found

    def noting_bands(*args: Any) -> Any:
        found = bands(*args)
        largest["written"] = max(largest["written"], found.nbytes)
        return found

    monkeypatch.setattr(strips_module.Strips, "read", noting)
    monkeypatch.setattr(geotiff_module, "_bands", noting_bands)
    tall = type(WINDOW)(31, WINDOW.west, WINDOW.north + 600, WINDOW.width, 1500)
    export_region(store, tall, 2024, tmp_path / "r.npy")
    assert 0 < largest["read"] <= 400_000
    export_region(store, tall, 2024, tmp_path / "r.tif")
    export_region(store, tall, 2024, tmp_path / "r.zarr")
    rows_of_tiles = 4 * 8 * 256 * WINDOW.width
    assert largest["written"] <= rows_of_tiles
    assert largest["read"] <= rows_of_tiles
    whole = 4 * 8 * 1500 * WINDOW.width
    assert rows_of_tiles < whole / 5


def test_estimates_are_honest(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tessera.net import Objects

    read: list[int] = []
    ranges = Objects.range

    def noting(objects: Objects, key: str, start: int, stop: int, **options: Any) -> bytes:
        read.append(stop - start)
        return ranges(objects, key, start, stop, **options)

    monkeypatch.setattr(Objects, "range", noting)
    for name, quantised in (("a.npy", False), ("b.npy", True), ("c.zarr", False), ("d.tif", False)):
        read.clear()
        told = estimate_region(store, plan_region(store, BBOX, 2024), tmp_path / name, quantised=quantised)
        export_region(store, BBOX, 2024, tmp_path / name, quantised=quantised)
        written = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file() and path.stem[0] == name[0])
        if name.endswith("npy"):
            assert written <= told.written + 256
            assert told.written <= written
        assert sum(read) <= told.read * 1.02
        assert sum(read) >= told.read * 0.7
    empty = bbox_of(WINDOW, -900, -900, -700, -700)
    told = estimate_region(store, plan_region(store, empty, 2024), tmp_path / "e.npy")
    assert told.read == 0
    assert told.written > 100_000


def test_a_disk_that_is_too_small_is_refused_before_anything_is_read(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    with pytest.raises(InputError, match=r"with working files; 0\.0 GB are free there") as caught:
        export_region(store, BBOX, 2024, tmp_path / "r.npy")
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == []


def test_a_store_that_changes_meanwhile_is_noticed(store: Store, tmp_path: Path) -> None:
    own = small_store(tmp_path / "s", (2024,))

    def change(done: int, total: int) -> None:
        if done == 2:
            own.write(embeddings_of(WINDOW, 77, 0), 2024)

    with pytest.raises(TesseraError, match="was written to while it was read"):
        export_region(own, BBOX, 2024, tmp_path / "r.npy", progress=change)
    assert not (tmp_path / "r.npy").exists()
    export_region(own, BBOX, 2024, tmp_path / "r.npy")
    assert np.array_equal(np.load(tmp_path / "r.npy"), own.read_region(BBOX, 2024).values, equal_nan=True)
    assert names(tmp_path) == ["r.npy", "s"]


def test_get_says_what_it_takes_and_does_no_more_in_a_dry_run(store: Store, tmp_path: Path, run: Run) -> None:
    bbox = ",".join(map(str, BBOX))
    command = ["get", store.objects.root, "--bbox", bbox, "--year", "2023,2024", "-o", tmp_path / "r.npy"]
    code, out, err = run(*command, "--dry-run")
    assert code == 0
    height, width = store.region_grid(BBOX).shape
    assert f"a region of {height} x {width} pixels, 8 dims" in out
    assert "2 years: at most" in out
    code, out, _ = run(*command, "--dry-run", "--json")
    told = json.loads(out)["estimate"]
    assert names(tmp_path) == []
    code, out, err = run(*command, "--json")
    assert code == 0, err
    done = json.loads(out)
    assert done["estimate"] == told
    assert (tmp_path / "r.npy").stat().st_size == told["written"] + 128
    assert done["height"] == np.load(tmp_path / "r.npy").shape[1]
    changed = ("--quantised", "--crs", "EPSG:3035", "--resolution", 20, "--year", 2024)
    code, _, err = run(*command, *changed)
    assert code == 2
    assert "r.npy exists and is no earlier output; expected a new path, or --overwrite" in err
    code, out, _ = run(*command, *changed, "--overwrite")
    assert code == 0
    assert f"{tmp_path / 'r.npy'}, {tmp_path / 'r_scales.npy'}: 2 x" not in out
    assert "r_scales.npy" in out


def test_what_get_cannot_do_is_one_line(store: Store, tmp_path: Path, run: Run) -> None:
    root, bbox = store.objects.root, ",".join(map(str, BBOX))
    (tmp_path / "there.zarr").mkdir()
    region: list[Any] = ["--bbox", bbox, "--year", 2024]
    wrong: list[tuple[list[Any], str]] = [
        (["--bbox", bbox, "-o", tmp_path / "r.npy"], "holds the years 2023, 2024 and none is named; expected --year"),
        ([*region, "--year", "20x4", "-o", tmp_path / "r.npy"], "'20x4'"),
        ([*region, "-o", tmp_path / "r.csv"], "expected a path that ends in one of .tif, .tiff, .npy, .zarr"),
        ([*region, "-o", tmp_path / "there.zarr"], "exists, of another request; expected a new path"),
        ([*region, "--search", 2, "-o", tmp_path / "r.npy"], "--search does not go with --bbox"),
        ([*region, "--crs", "EPSG:1", "-o", tmp_path / "r.npy"], "'EPSG:1'"),
        ([*region, "--resampling", "cubic", "-o", tmp_path / "r.npy"], "'cubic'"),
        ([*region, "--quantised", "--resampling", "average", "--resolution", 20, "-o", tmp_path / "r.npy"], "mixes"),
        (["--points", tmp_path / "p.csv", "--clip", "--year", 2024, "-o", tmp_path / "p.csv"], "--clip does not go"),
        ([*region, "--zonal", tmp_path / "p.csv", "-o", tmp_path / "p.csv"], "exactly one of"),
    ]
    for options, reason in wrong:
        code, _, err = run("get", root, *options)
        assert code == 2, err
        assert reason in err
        assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 1), (300, 257, 3), (129, 600, 20)])
def test_a_cog_of_any_shape_and_size_of_offsets_is_read_by_gdal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int, int], big: bool
) -> None:
    monkeypatch.setattr(cog_module, "_is_big", lambda _: big)
    height, width, _ = shape
    values = np.random.default_rng(0).random(shape).astype(np.float32)
    values[height // 2 :, : width // 2] = np.nan
    place = (10, 0, 4e6, 0, -10, 3e6)
    profile = RasterProfile(shape, "float32", "EPSG:3035", place, nodata=float("nan"), tags={"YEAR": "2024"})
    path = tmp_path / "x.tif"
    write_cog(path, profile, lambda rows: values[rows.start : rows.stop], mean_of_valid, tile=128)
    assert path.read_bytes()[:4] == (b"II+\0" if big else b"II*\0")
    assert names(tmp_path) == ["x.tif"]
    with rasterio.open(path) as raster:
        assert np.array_equal(np.moveaxis(raster.read(), 0, -1), values, equal_nan=True)
        assert raster.crs.to_epsg() == 3035
        assert tuple(raster.transform)[:6] == (10, 0, 4e6, 0, -10, 3e6)
        assert raster.tags()["YEAR"] == "2024"
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert len(raster.overviews(1)) == len(cog_module.overview_shapes(height, width, 128))
