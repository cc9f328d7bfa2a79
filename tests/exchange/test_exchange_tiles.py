"""Tiles out of a store and into one: places, bits, damage, and what is left after a stop."""

from __future__ import annotations

import io
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from tile_helpers import (
    BESIDE,
    BEYOND,
    BORDER,
    NORTH_TILE,
    SOUTH_TILE,
    YEAR,
    digest_of,
    embeddings_over,
    filled_store,
    new_store,
    part_of,
)

from tessera.base import InputError
from tessera.embeddings import ModelIdentity, is_valid
from tessera.exchange import export_tiles, import_tiles, tile_window
from tessera.exchange.tile_export import read_tile
from tessera.exchange.tiles import TileFiles, npy_bytes, parse_npy, read_landmask
from tessera.geo import Tile, Window, from_lonlat, parse_tile, to_lonlat, zones_of
from tessera.store import create_store, open_store

pytest.importorskip("rasterio", reason="tiles need the extra geo")

tiles = st.builds(Tile, st.integers(-1800, 1799), st.integers(-800, 839))


@given(tiles)
def test_a_raster_is_where_the_published_code_puts_it(tile: Tile) -> None:
    lon, lat = round(tile.lon10 / 10 + 0.05, 2), round(tile.lat10 / 10 + 0.05, 2)
    zone = math.floor((lon + 180) / 6) + 1
    epsg = (32700 if lat < 0 else 32600) + zone
    project = Transformer.from_crs("EPSG:4326", f"EPSG:{epsg}", always_xy=True)
    west, east, south, north = lon - 0.05, lon + 0.05, lat - 0.05, lat + 0.05
    x, y = project.transform([west, east, west, east], [north, north, south, south])
    shift = 10_000_000 * (lat < 0)
    window = tile_window(tile)
    assert window.zone == zone
    # exactly on a pixel's edge (central meridian, equator) the last bits of two projections may differ
    assert abs(window.west - min(x[0], x[2]) / 10) < 1 + 1e-6
    assert window.west <= min(x[0], x[2]) / 10 + 1e-6
    assert window.north >= (max(y[0], y[1]) - shift) / 10 - 1e-6
    assert abs(window.north - (max(y[0], y[1]) - shift) / 10) < 1 + 1e-6
    steps = np.linspace(0, 1, 21)
    edge_x = np.concatenate([west + 0.1 * steps] * 2 + [np.full(21, west), np.full(21, east)])
    edge_y = np.concatenate([np.full(21, south), np.full(21, north)] + [south + 0.1 * steps] * 2)
    px, py = (value / 10 for value in from_lonlat(edge_x, edge_y, zone))
    assert px.min() >= window.west - 1e-6
    assert px.max() <= window.east + 1e-6
    assert py.min() >= window.south - 1e-6
    assert py.max() <= window.north + 1e-6
    assert abs(px.max() - window.east) < 1 + 1e-6
    assert abs(py.min() - window.south) < 1 + 1e-6


@pytest.mark.parametrize("tile", [NORTH_TILE, SOUTH_TILE], ids=["north", "south"])
def test_there_and_back(tile: Tile, tmp_path: Path) -> None:
    store = filled_store(tmp_path / "a.zarr", [tile])
    made = export_tiles(store, tile.name, YEAR, tmp_path / "tiles")
    assert (made.written, made.kept, made.empty) == (1, 0, 0)
    files = TileFiles(tmp_path / "tiles", tile, YEAR)
    codes, scales = np.load(files.codes), np.load(files.scales)
    window = tile_window(tile)
    assert codes.dtype == np.int8
    assert codes.flags.c_contiguous
    assert codes.shape == (*window.shape, 8)
    assert (scales.dtype, scales.shape) == (np.float32, window.shape)
    assert not np.isinf(scales).any()
    back = import_tiles(tmp_path / "tiles", new_store(tmp_path / "b.zarr"))
    assert (back.written, back.kept, back.unlisted, back.failed) == (1, 0, 0, [])
    assert back.registries == ("manifest.parquet", "registry.parquet", "landmasks.parquet")
    one, other = store.read_window(window, YEAR), open_store(tmp_path / "b.zarr").read_window(window, YEAR)
    assert one.valid.sum() > 10_000
    assert np.array_equal(one.valid, other.valid)
    assert np.array_equal(one.codes[one.valid], other.codes[one.valid])
    assert np.array_equal(one.scales[one.valid], other.scales[one.valid])
    assert back.pixels.valid == one.valid.sum()
    # what was never written has become processed without data
    assert np.isnan(other.scales[~one.valid]).all()
    again = import_tiles(tmp_path / "tiles", tmp_path / "b.zarr")
    assert (again.written, again.kept) == (0, 1)


def test_over_a_border_of_zones_the_neighbour_fills_what_is_missing(tmp_path: Path) -> None:
    store = new_store(tmp_path / "a.zarr")
    whole = tile_window(BORDER)
    store.write(embeddings_over(Window(31, whole.west, whole.north - 400, 60, 100), 1, 0), YEAR)
    beyond = tile_window(BEYOND)
    for seed in (2, 3):
        store.write(embeddings_over(Window(32, beyond.west, beyond.north, 128, beyond.height), seed, 0.1), YEAR)
    codes, scales = read_tile(store, whole, YEAR)
    own = store.read_window(whole, YEAR)
    assert np.array_equal(codes[own.valid], own.codes[own.valid])
    assert np.array_equal(scales[own.valid], own.scales[own.valid])
    rows, cols = np.nonzero(~own.valid)
    lon, lat = to_lonlat((whole.west + cols + 0.5) * 10, (whole.north - rows - 0.5) * 10, 31)
    over = zones_of(lon) == 32
    assert over.sum() > 1000
    assert np.isnan(scales[rows[~over], cols[~over]]).all()
    x, y = from_lonlat(lon[over], lat[over], 32)
    wanted = [
        store.read_window(Window(32, int(px), int(py) + 1, 1, 1), YEAR)
        for px, py in zip((x[::97] // 10).tolist(), (y[::97] // 10).tolist(), strict=True)
    ]
    at = rows[over][::97], cols[over][::97]
    told = np.array([emb.scales[0, 0] if emb.valid[0, 0] else np.nan for emb in wanted], np.float32)
    assert np.isfinite(told).sum() > 5
    assert np.array_equal(scales[at], told, equal_nan=True)
    vectors = np.array([emb.codes[0, 0] for emb in wanted])
    assert np.array_equal(codes[at][np.isfinite(told)], vectors[np.isfinite(told)])
    export_tiles(store, BORDER.name, YEAR, tmp_path / "tiles")
    import_tiles(tmp_path / "tiles", new_store(tmp_path / "b.zarr"))
    back = open_store(tmp_path / "b.zarr").read_window(whole, YEAR)
    assert np.array_equal(back.codes[own.valid], own.codes[own.valid])
    assert np.array_equal(back.scales[own.valid], own.scales[own.valid])


def test_an_export_goes_on_and_leaves_out_what_has_no_data(tmp_path: Path) -> None:
    store = filled_store(tmp_path / "a.zarr", [NORTH_TILE, BESIDE])
    area = (3.01, 83.81, 3.19, 83.99)
    out, whole = tmp_path / "tiles", tmp_path / "whole"

    def stop(done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_tiles(store, area, YEAR, out, progress=stop)
    assert not (out / "manifest.parquet").exists()
    made = export_tiles(store, area, YEAR, out)
    assert (made.written, made.kept, made.empty) == (1, 1, 2)
    export_tiles(store, area, YEAR, whole)
    assert digest_of(out, "") == digest_of(whole, "")
    store.write(embeddings_over(part_of(BESIDE, 40), 7, 0), YEAR)
    made = export_tiles(store, BESIDE.name, YEAR, out)
    assert (made.written, made.kept) == (1, 0)
    assert import_tiles(out, new_store(tmp_path / "b.zarr")).written == 2


def test_folders_of_others_and_other_models_are_refused(tmp_path: Path) -> None:
    store = filled_store(tmp_path / "a.zarr", [NORTH_TILE], 20)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(InputError, match="no folder of exported tiles"):
        export_tiles(store, NORTH_TILE.name, YEAR, tmp_path / "mine")
    with pytest.raises(InputError, match="has no year 2020"):
        export_tiles(store, NORTH_TILE.name, 2020, tmp_path / "tiles")
    with pytest.raises(InputError, match=r"not v1\.1-cambridge"):
        export_tiles(store, NORTH_TILE.name, YEAR, tmp_path / "tiles", dataset="v1.1-cambridge")
    export_tiles(store, NORTH_TILE.name, YEAR, tmp_path / "tiles")
    other = create_store(tmp_path / "o.zarr", 8, ModelIdentity("other", "cd" * 32, 8), zones=(31,))
    with pytest.raises(InputError, match="holds other"):
        import_tiles(tmp_path / "tiles", other)
    with pytest.raises(InputError, match=r"v1\.1-cambridge was given"):
        import_tiles(tmp_path / "tiles", store, dataset="v1.1-cambridge")
    with pytest.raises(InputError, match="no tiles of 2020"):
        import_tiles(tmp_path / "tiles", store, 2020)
    (tmp_path / "tiles" / "tessera_metadata.json").unlink()
    for name in ("manifest", "registry", "landmasks"):
        (tmp_path / "tiles" / f"{name}.parquet").unlink()
    with pytest.raises(InputError, match="does not say which dataset"):
        import_tiles(tmp_path / "tiles", store)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tiles that touch, without registries, so that each kind of damage is found by itself."""
    folder = tmp_path_factory.mktemp("two")
    store = filled_store(folder / "a.zarr", [NORTH_TILE, BESIDE], 60)
    export_tiles(store, (3.01, 83.81, 3.19, 83.89), YEAR, folder / "tiles")
    for name in ("manifest", "registry", "landmasks"):
        (folder / "tiles" / f"{name}.parquet").unlink()
    return folder / "tiles"


def truncate(files: TileFiles) -> None:
    os.truncate(files.codes, files.codes.stat().st_size - 1)


def append(files: TileFiles) -> None:
    with files.scales.open("ab") as file:
        file.write(b"\0")


def pickle(files: TileFiles) -> None:
    np.save(files.scales, np.array([{"a": print}], dtype=object), allow_pickle=True)


def fortran(files: TileFiles) -> None:
    np.save(files.codes, np.asfortranarray(np.load(files.codes)))


def wide(files: TileFiles) -> None:
    np.save(files.codes, np.load(files.codes).astype(np.int16))


def huge(files: TileFiles) -> None:
    file = io.BytesIO()
    header = {"descr": "|i1", "fortran_order": False, "shape": (2**40, 2**40, 128)}
    np.lib.format.write_array_header_1_0(file, header)
    files.codes.write_bytes(file.getvalue())


def long_header(files: TileFiles) -> None:
    files.scales.write_bytes(b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + b"{" * 1000)


def smaller(files: TileFiles) -> None:
    np.save(files.scales, np.load(files.scales)[:-1])


def missing(files: TileFiles) -> None:
    files.landmask.unlink()


def elsewhere(files: TileFiles) -> None:
    shutil.copy(TileFiles(files.folder, BESIDE, YEAR).landmask, files.landmask)
    import rasterio

    with rasterio.open(files.landmask, "r+") as out:
        out.transform = rasterio.Affine(10, 0, 600_000, 0, -10, 9_100_000)


def other_zone(files: TileFiles) -> None:
    import rasterio

    with rasterio.open(files.landmask, "r+") as out:
        out.crs = "EPSG:32640"


def no_tiff(files: TileFiles) -> None:
    files.landmask.write_text('<VRTDataset rasterXSize="1" rasterYSize="1"></VRTDataset>')


def link(files: TileFiles) -> None:
    outside = files.folder.parent / "outside.npy"
    shutil.copy(files.codes, outside)
    files.codes.unlink()
    files.codes.symlink_to(outside)


def vectors(files: TileFiles) -> None:
    np.save(files.codes, np.load(files.codes)[..., :4])


DAMAGE: dict[Callable[[TileFiles], None], str] = {
    truncate: "bytes of data; its header says",
    append: "bytes",
    pickle: "holds object; expected float32",
    fortran: "Fortran order",
    wide: "holds int16; expected int8",
    huge: "bytes of data; its header says",
    long_header: "is no .npy file",
    smaller: "pixels; its landmask",
    missing: "is missing",
    elsewhere: "its tile lies at",
    other_zone: "lies in zone 40",
    no_tiff: "cannot be read",
    link: "leads out of",
    vectors: "vectors of 4",
}


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_a_damaged_tile_is_named_and_the_others_go_on(
    damage: Callable[[TileFiles], None], two: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(two, tmp_path / "tiles")
    damage(TileFiles(folder, NORTH_TILE, YEAR))
    store = new_store(tmp_path / "b.zarr")
    report = import_tiles(folder, store)
    assert len(report.failed) == 1
    assert report.failed[0].startswith(f"tile {NORTH_TILE.name} of {YEAR}: ")
    assert DAMAGE[damage] in report.failed[0]
    assert "\n" not in report.failed[0]
    assert report.written == 1
    rows = part_of(NORTH_TILE, 60)
    alone = Window(31, rows.west, rows.north, 60, 60)
    assert not store.read_window(alone, YEAR).valid.any()


@settings(max_examples=150)
@given(st.binary(max_size=200), st.integers(0, 127), st.integers(0, 255))
def test_a_header_of_any_bytes_is_an_array_or_one_line(tail: bytes, place: int, value: int) -> None:
    good = bytearray(npy_bytes(np.zeros((3, 4), np.float32)))
    good[place] = value
    for data in (bytes(good), b"\x93NUMPY" + tail, tail):
        try:
            found = parse_npy(data, "x.npy", "<f4", 2)
        except InputError:
            continue
        assert found.nbytes <= len(data)


def test_corrupt_scales_and_water_are_no_data_and_counted(tmp_path: Path) -> None:
    import rasterio

    store = filled_store(tmp_path / "a.zarr", [NORTH_TILE], 40)
    export_tiles(store, NORTH_TILE.name, YEAR, tmp_path / "tiles")
    files = TileFiles(tmp_path / "tiles", NORTH_TILE, YEAR)
    for name in ("manifest", "registry", "landmasks"):
        (tmp_path / "tiles" / f"{name}.parquet").unlink()
    scales = np.load(files.scales)
    good = np.argwhere(is_valid(scales))
    for place, value in zip(good[:5].tolist(), (0.0, -161685.0, 1.0, np.inf, -np.inf), strict=True):
        scales[tuple(place)] = value
    np.save(files.scales, scales)
    with rasterio.open(files.landmask, "r+") as out:
        land = out.read(1)
        land[tuple(good[-1])] = 0
        out.write(land, 1)
    other = new_store(tmp_path / "b.zarr")
    report = import_tiles(tmp_path / "tiles", other)
    assert report.pixels.corrupt == 5
    assert report.pixels.water == 1
    assert report.pixels.valid == len(good) - 6
    window = tile_window(NORTH_TILE)
    assert other.read_window(window, YEAR).valid.sum() == len(good) - 6
    kept = import_tiles(tmp_path / "tiles", new_store(tmp_path / "c.zarr"), mask_water=False)
    assert (kept.pixels.water, kept.pixels.valid) == (0, len(good) - 5)


def test_where_tiles_overlap_the_later_name_wins(two: Path, tmp_path: Path) -> None:
    store = new_store(tmp_path / "b.zarr")
    folder = shutil.copytree(two, tmp_path / "tiles")
    one, other = tile_window(NORTH_TILE), tile_window(BESIDE)
    both = one.intersection(other)
    assert both is not None
    for number, tile in enumerate((NORTH_TILE, BESIDE), 1):
        files = TileFiles(folder, tile, YEAR)
        np.save(files.codes, np.full_like(np.load(files.codes), number))
        np.save(files.scales, np.full_like(np.load(files.scales), number / 10))
    import_tiles(folder, store)
    assert (store.read_window(both, YEAR).codes == 2).all()
    assert import_tiles(folder, store).kept == 2
    # the earlier one anew: what it overwrites is put right again
    files = TileFiles(folder, NORTH_TILE, YEAR)
    np.save(files.codes, np.full_like(np.load(files.codes), 3))
    assert import_tiles(folder, store).written == 2
    assert (store.read_window(both, YEAR).codes == 2).all()
    assert (store.read_window(one, YEAR).codes[:, :20] == 3).all()
    # something else written over it: it is not as the import left it
    store.write(embeddings_over(Window(31, one.west, one.north - 10, 8, 8), 5, 0), YEAR)
    assert import_tiles(folder, store).written == 2


KILLED = """
import os, signal, sys
from pathlib import Path
from tessera.exchange import import_tiles
at, count, replace = int(sys.argv[3]), 0, Path.replace
def dying(self, target):
    global count
    count += 1
    if count == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)
Path.replace = dying
import_tiles(sys.argv[1], sys.argv[2])
"""


@pytest.mark.parametrize("at", [6, 60, 140])
def test_killed_and_run_again_is_the_same_store(at: int, two: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.zarr", tmp_path / "cut.zarr"
    import_tiles(two, new_store(whole))
    new_store(cut)
    done = subprocess.run([sys.executable, "-c", KILLED, two, cut, str(at)], capture_output=True)
    assert done.returncode == -9
    assert digest_of(cut) != digest_of(whole)
    report = import_tiles(two, cut)
    assert report.failed == []
    assert report.written >= 1
    assert digest_of(cut) == digest_of(whole)


def test_landmasks_that_are_not_snapped_are_placed_by_floor(tmp_path: Path) -> None:
    import rasterio

    path = tmp_path / "mask.tiff"
    for tile, shift in ((NORTH_TILE, 0), (SOUTH_TILE, 10_000_000)):
        box = tile_window(tile)
        epsg = (32700 if shift else 32600) + box.zone
        profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": box.height, "width": box.width}
        # 9.9 m east of a pixel's edge is still that pixel
        transform = rasterio.Affine(10, 0, box.west * 10 + 9.9, 0, -10, box.north * 10 - 9.9 + shift)
        with rasterio.open(path, "w", crs=f"EPSG:{epsg}", transform=transform, **profile) as out:
            out.write(np.ones((1, *box.shape), np.uint8))
        window, land = read_landmask(path.read_bytes(), tile)
        assert window == box
        assert land.all()


def test_the_commands(run: Callable[..., tuple[int, str, str]], tmp_path: Path, two: Path) -> None:
    store = filled_store(tmp_path / "a.zarr", [NORTH_TILE], 40)
    out = tmp_path / "tiles"
    asking = ("store", "export", store.objects.root, "--aoi", NORTH_TILE.name, "-o", out)
    code, told, _ = run(*asking, "--dry-run", "--json")
    assert code == 0
    assert json.loads(told)["estimate"]["written"] > 0
    assert not out.exists()
    code, told, _ = run(*asking)
    assert (code, "1 tile written" in told) == (0, True)
    new_store(tmp_path / "b.zarr")
    code, told, err = run("store", "import", out, tmp_path / "b.zarr")
    assert (code, ": 1 tile" in told) == (0, True), err
    code, told, _ = run("store", "import", out, tmp_path / "b.zarr", "--json")
    assert (code, json.loads(told)["kept"]) == (0, 1)
    truncate(TileFiles(out, NORTH_TILE, YEAR))
    code, told, err = run("store", "import", out, tmp_path / "b.zarr")
    assert code == 1
    assert f"tile {NORTH_TILE.name} of {YEAR}: " in err
    assert "Traceback" not in err
    for wrong in (
        ("store", "import", tmp_path / "nothing", tmp_path / "b.zarr"),
        ("store", "import", tmp_path, tmp_path / "b.zarr"),
        ("store", "import", out, tmp_path / "b.zarr", "--format", "zip"),
        ("store", "export", store.objects.root, "--bbox", "0,0,1,1", "-o", tmp_path / "x", "--year", "2020"),
    ):
        code, told, err = run(*wrong)
        assert code == 2
        assert len(err.strip().splitlines()) == 1


def test_names_of_tiles() -> None:
    assert parse_tile("grid_-0.05_51.55") == Tile(-1, 515)
