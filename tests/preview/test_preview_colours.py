"""One stretch for all zones and years, and a pyramid without seams."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from preview_helpers import CELL, YEAR, embeddings, field, files_of, new_store, random_embeddings

from tessera.base import InputError
from tessera.geo import Window, from_lonlat
from tessera.preview import draw_preview, update_preview
from tessera.preview._colours import Colours, fit_colours
from tessera.preview._globe import SIDE, Scale, halve
from tessera.preview._pyramid import read_chunk
from tessera.preview.picture import _cut, _own_pixels
from tessera.store import Store, open_store

BASE = CELL.window


def pixels_at(lon: float, lat: float, zone: int) -> tuple[int, int]:
    x, y = from_lonlat(lon, lat, zone)
    return int(np.floor(float(x) / 10)), int(np.floor(float(y) / 10))


def level_of(store: Store, number: int) -> Any:
    import zarr

    return zarr.open_array(f"{store.objects.root}/global_rgb/{number}/rgb", mode="r")


def two_zones(path: Path, lon: float, lat: float, west: int, east: int, *, wave: float = 0.02) -> Store:
    """A smooth field on both sides of a meridian where two zones meet, with some overlap."""
    store = new_store(path, tuple(sorted((west, east))))
    x, y = pixels_at(lon, lat, west)
    store.write(field(Window(west, x - 800, y + 300, 900, 600), wave), YEAR)
    x, y = pixels_at(lon, lat, east)
    store.write(field(Window(east, x - 100, y + 300, 900, 600), wave), YEAR)
    return store


def test_no_step_where_zones_meet(tmp_path: Path) -> None:
    store = two_zones(tmp_path / "s", 6.0, 47.0, 31, 32)
    update_preview(store)
    scale = Scale(4)
    border, middle = round(186 / scale.step), round((90 - 47) / scale.step)
    picture = np.asarray(level_of(store, 4)[middle - 12 : middle + 12, border - 50 : border + 50]).astype(int)
    assert (picture[..., 3] == 255).all()
    steps = np.abs(np.diff(picture[..., :3], axis=1)).max(axis=(0, 2))
    inside = np.delete(steps, [48, 49, 50])
    assert inside.max() > 10
    assert steps[48:51].max() <= inside.max()
    # both sides were painted from their own zone: the field's colour at each place, as the shards have it
    painted = Colours.from_json(json.loads((tmp_path / "s/overviews/colours.json").read_bytes()), "x")
    for lon in (5.99, 6.01):
        col, row = int((lon + 180) / scale.step), int((90 - 47) / scale.step)
        found = np.asarray(level_of(store, 4)[row, col])[:3].astype(int)
        centre = (-180 + (col + 0.5) * scale.step, 90 - (row + 0.5) * scale.step)
        x, y = pixels_at(*centre, 31 if lon < 6 else 32)
        own = field(Window(31 if lon < 6 else 32, x - 8, y + 8, 16, 16), 0.02).values().reshape(-1, 8)
        assert np.abs(painted.colour(own.mean(axis=0, keepdims=True))[0].astype(int) - found).max() <= 25


def test_a_pixel_is_taken_from_its_own_zone_where_that_has_data(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s", (31, 32))
    for zone, shift, code in ((31, 800, 90), (32, 100, -90)):
        x, y = pixels_at(6.0, 47.0, zone)
        window = Window(zone, x - shift, y + 300, 900, 600)
        shape = window.shape
        store.write(embeddings(window, np.full((*shape, 8), code), np.full(shape, 0.01)), YEAR)
    update_preview(store, colours="bands")
    scale = Scale(4)
    border, middle = round(186 / scale.step), round((90 - 47) / scale.step)
    row = np.asarray(level_of(store, 4)[middle, border - 30 : border + 30])
    assert np.array_equal(np.unique(row[:30], axis=0), [[255, 255, 255, 255]])
    assert np.array_equal(np.unique(row[30:], axis=0), [[0, 0, 0, 255]])
    # where its own zone has nothing, the neighbour fills in
    x, y = pixels_at(6.0, 46.5, 31)
    window = Window(31, x - 300, y + 200, 600, 400)
    store.write(embeddings(window, np.full((400, 600, 8), 90), np.full((400, 600), 0.01)), YEAR)
    update_preview(store)
    row = np.asarray(level_of(store, 4)[round((90 - 46.5) / scale.step), border - 10 : border + 10])
    assert np.array_equal(np.unique(row, axis=0), [[255, 255, 255, 255]])


def test_over_the_date_line_in_the_south(tmp_path: Path) -> None:
    store = two_zones(tmp_path / "s", 180.0, -17.0, 60, 1)
    update_preview(store)
    scale = Scale(4)
    row = round((90 + 17) / scale.step)
    left = np.asarray(level_of(store, 4)[row, scale.shape[1] - 20 :])
    right = np.asarray(level_of(store, 4)[row, :20])
    assert (left[:, 3] == 255).all()
    assert (right[:, 3] == 255).all()
    steps = np.abs(np.diff(np.concatenate([left, right]).astype(int), axis=0)).max(axis=1)
    assert steps[19] <= np.delete(steps, 19).max()
    path, side, (west, south, east, north) = draw_preview(store, tmp_path / "p.png")
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert side == scale.step
    assert 179.9 < west < 180 < east < 180.1
    assert -17.05 < south < -17 < north < -16.95


def test_levels_are_halves_of_each_other_and_stock_zarr_reads_them(tmp_path: Path) -> None:
    import zarr

    store = new_store(tmp_path / "s")
    store.write(random_embeddings(Window(31, BASE.west, BASE.north, 500, 400)), YEAR)
    update_preview(store, full=True)
    group: Any = zarr.open_group(f"{store.objects.root}/global_rgb", mode="r")
    layout: Any = group.attrs["multiscales"]
    assert [item["asset"] for item in layout["layout"]] == [f"{number}/rgb" for number in range(10)]
    assert group["0/rgb"].shape == (1_800_000, 3_600_000, 4)
    for item in layout["layout"]:
        array = group[item["asset"]]
        assert array.chunks == (512, 512, 4)
        assert list(array.shape[:2]) == item["spatial:shape"]
    for number in (*range(1, 4), *range(5, 10)):
        chunks = sorted((tmp_path / "s/global_rgb" / str(number) / "rgb/c").glob("*/*/0"))
        assert chunks
        for path in chunks:
            row, col = int(path.parent.parent.name), int(path.parent.name)
            below = np.zeros((1024, 1024, 4), np.uint8)
            wide = np.asarray(
                group[f"{number - 1}/rgb"][row * 1024 : row * 1024 + 1024, col * 1024 : col * 1024 + 1024]
            )
            below[: wide.shape[0], : wide.shape[1]] = wide
            assert np.array_equal(read_chunk(tmp_path / "s", Scale(number), (row, col)), halve(below))


def test_full_colours_are_those_of_the_pixels(tmp_path: Path) -> None:
    import zarr

    store = new_store(tmp_path / "s")
    window = Window(31, BASE.west + 30, BASE.north - 40, 200, 150)
    store.write(random_embeddings(window), YEAR)
    assert update_preview(store).full is None
    small = files_of(tmp_path / "s")
    report = update_preview(store, full=True)
    assert report.full == len(list(window.cells(128)))
    now = files_of(tmp_path / "s")
    # what was there stays as it was, and so it does in a build of everything at once
    pictures = [key for key in small if "/c/" in key and "state" not in key]
    assert all(now[key] == small[key] for key in pictures)
    painted = Colours.from_json(json.loads(now["overviews/colours.json"]), "x")
    found = store.read_window(window, YEAR)
    expected = painted.paint(found.codes, found.scales)
    group: Any = zarr.open_group(f"{store.objects.root}/overviews", mode="r")
    array = group["utm31/d10/rgb"]
    row, col = 933_888 - window.north, window.west - 15_360
    assert np.array_equal(array[0, row : row + 150, col : col + 200], expected)
    # the pyramid's finest level holds the pixel that lies at each place
    scale = Scale(0)
    rng = np.random.default_rng(0)
    lon0, lat0, lon1, lat1 = window.lonlat_bounds
    level = level_of(store, 0)
    hits = 0
    for lon, lat in zip(rng.uniform(lon0, lon1, 60), rng.uniform(lat0, lat1, 60), strict=True):
        c, r = int((lon + 180) / scale.step), int((90 - lat) / scale.step)
        px, py = pixels_at(-180 + (c + 0.5) * scale.step, 90 - (r + 0.5) * scale.step, 31)
        inside = window.west <= px < window.east and window.south <= py < window.north
        wanted = expected[window.north - 1 - py, px - window.west] if inside else np.zeros(4)
        assert np.array_equal(np.asarray(level[r, c]), wanted)
        hits += inside
    assert hits > 30
    # kept up from now on
    store.write(random_embeddings(window, 9), YEAR)
    again = update_preview(store)
    assert again.full == report.full
    fresh = store.read_window(window, YEAR)
    assert np.array_equal(array[0, row : row + 150, col : col + 200], painted.paint(fresh.codes, fresh.scales))


def test_colours_stay_until_they_are_fitted_again(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    store.write(random_embeddings(BASE, 1), YEAR)
    path = tmp_path / "s/overviews/colours.json"
    assert update_preview(store).fitted
    first = path.read_bytes()
    store.write(random_embeddings(BASE, 2), 2025)
    assert not update_preview(store).fitted
    assert path.read_bytes() == first
    assert update_preview(store, refit=True).fitted
    assert path.read_bytes() != first
    assert json.loads(path.read_bytes())["sample"] == 2 * json.loads(first)["sample"]
    report = update_preview(store, colours="bands")
    assert (report.method, report.fitted) == ("bands", True)
    assert not update_preview(store).fitted
    with pytest.raises(InputError, match="colours 'hsv'; expected pca or bands"):
        update_preview(store, colours="hsv")
    about = json.loads(path.read_bytes())
    path.write_text(json.dumps({**about, "model": "00" * 32}))
    with pytest.raises(InputError, match=r"is of 8 dims of model 000000000000, the store of 8 of abababababab"):
        update_preview(store)
    for broken in ({**about, "low": [1.0]}, {**about, "mean": ["x"]}, {**about, "gamma": float("nan")}, {}):
        path.write_text(json.dumps(broken))
        with pytest.raises(InputError, match=r"colours.json (holds|has format None None; expected)"):
            update_preview(store)


def test_components_are_those_of_the_covariance(rng: np.random.Generator) -> None:
    spread = np.array([5.0, 3.0, 2.0, 0.1, 0.1])
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    values = (rng.normal(size=(4000, 5)) * spread @ turn.T + 7).astype(np.float32)
    found = fit_colours(values, "ab" * 32)
    assert np.allclose(np.abs(np.sum(found.components * turn.T[:3], axis=1)), 1, atol=0.01)
    assert np.allclose(found.explained, spread[:3] ** 2 / (spread**2).sum(), atol=0.02)
    largest = np.abs(found.components).argmax(axis=1)
    assert (found.components[np.arange(3), largest] > 0).all()
    painted = found.colour(values)
    # the percentiles are at the ends of the range
    assert np.allclose([(painted == 0).mean(axis=0), (painted == 255).mean(axis=0)], 0.02, atol=0.006)
    kept = Colours.from_json(json.loads(found.encode()), "x")
    assert np.abs(kept.colour(values).astype(int) - painted).max() <= 1
    assert kept.encode() == found.encode()


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 3, 50])
def test_few_pixels_and_short_vectors_get_colours(dims: int, count: int, rng: np.random.Generator) -> None:
    values = rng.normal(size=(count, dims)).astype(np.float32)
    found = fit_colours(values, "ab" * 32)
    assert found.method == ("pca" if count > 3 else "bands")
    assert found.colour(values).shape == (count, 3)
    assert np.isfinite(found.explained).all()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_halving_counts_only_pixels_with_data() -> None:
    children: NDArray[np.uint8] = np.zeros((2, 4, 4), np.uint8)
    children[0, 0] = 10, 20, 30, 255
    children[1, 1] = 13, 255, 31, 255
    assert halve(children).tolist() == [[[12, 138, 31, 255], [0, 0, 0, 0]]]


@pytest.mark.parametrize(("lon", "lat"), [(-179.999, -79.9), (179.999, 83.9), (0.0, 0.0), (2.9, 50.8), (-6.0, -0.01)])
@pytest.mark.parametrize("number", [0, 4, 9])
def test_a_chunk_under_a_cell_is_never_forgotten(lon: float, lat: float, number: int) -> None:
    from tessera.geo import Cell, to_lonlat, zones_of

    zone = int(zones_of(lon))
    cell = Cell.at(zone, *pixels_at(lon, lat, zone))
    window, scale = cell.window, Scale(number)
    steps = np.linspace(0.01, 0.99, 40)
    x, y = np.meshgrid(window.west + window.width * steps, window.south + window.height * steps)
    at_lon, at_lat = to_lonlat(x * 10, y * 10, zone)
    at_lon = (at_lon + 180) % 360
    rows = np.floor((90 - at_lat) / scale.step / SIDE).astype(int).ravel().tolist()
    cols = np.floor(at_lon / scale.step / SIDE).astype(int).ravel().tolist()
    assert set(zip(rows, cols, strict=True)) <= scale.touched(cell)
    assert all(0 <= col < scale.columns for _, col in scale.touched(cell))


def test_the_command_says_what_it_did(tmp_path: Path, run: Any) -> None:
    store = new_store(tmp_path / "s")
    store.write(random_embeddings(Window(31, BASE.west, BASE.north, 700, 500)), YEAR)
    code, out, err = run("store", "preview", tmp_path / "s", "-o", tmp_path / "p.png")
    assert code == 0, err
    assert "overviews: 24 cells made, 0 already there" in out
    assert "colours: pca, fitted now to" in out
    assert "pyramid of 2024: 6 chunks written" in out
    assert "pixels of 0.0001 degrees (11 m)" in out
    assert (tmp_path / "p.png").stat().st_size > 3000
    code, out, _ = run("store", "preview", tmp_path / "s", "--year", YEAR, "--json")
    about = json.loads(out)
    assert (code, about["cells_made"], about["cells_kept"], about["chunks"], about["fitted"]) == (0, 0, 24, 0, False)
    for options, said in (
        (("--year", 1999), "has no year 1999; it has 2024"),
        (("-o", tmp_path / "p.jpg"), "expected a path that ends in .png"),
        (("--colours", "x"), "colours 'x'; expected pca or bands"),
    ):
        code, out, err = run("store", "preview", tmp_path / "s", *options)
        assert (code, out) == (2, "")
        assert said in err.splitlines()[-1]
        assert "Traceback" not in err
    code, _, err = run("store", "preview", tmp_path / "nothing")
    assert code == 2
    assert len(err.strip().splitlines()) == 1


def test_a_picture_needs_a_pyramid(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    with pytest.raises(InputError, match=r"has no pyramid; make it: tessera store preview"):
        draw_preview(store, tmp_path / "p.png")


@pytest.mark.parametrize("corner", [(0, 0), (7, 11), (15, 3)])
def test_a_picture_of_every_pixel_holds_them_all(tmp_path: Path, corner: tuple[int, int]) -> None:
    store = new_store(tmp_path / "s")
    window = Window(31, BASE.west + corner[0], BASE.north - corner[1], 153, 141)
    store.write(random_embeddings(window, no_data=0, not_written=0), YEAR)
    update_preview(store, full=True)
    _, side, (west, south, east, north) = draw_preview(store, tmp_path / "p.png")
    assert side == Scale(0).step
    w, s, e, n = window.lonlat_bounds
    # a pixel of the picture is painted where its middle lies in the data
    assert abs(west - w) <= side
    assert abs(south - s) <= side
    assert abs(east - e) <= side
    assert abs(north - n) <= side


@pytest.mark.parametrize(("width", "height", "times"), [(153, 141, 1), (1900, 260, 2)])
def test_a_small_store_is_drawn_from_its_own_pixels(tmp_path: Path, width: int, height: int, times: int) -> None:
    store = new_store(tmp_path / "s")
    window = Window(31, BASE.west + 5, BASE.north - 9, width, height)
    store.write(random_embeddings(window, no_data=0.1, not_written=0), YEAR)
    update_preview(store)
    root = tmp_path / "s"
    picture, side, corner = _cut(root, 4)
    assert max(picture.shape) < 200
    own = _own_pixels(store, root, YEAR, corner, picture.shape, side)
    assert own is not None
    update_preview(store, full=True)
    full, step, place = _cut(root, 0)
    assert own[1] == step == pytest.approx(Scale(0).step * times)
    np.testing.assert_allclose(own[2], place, atol=step)
    if times == 1:
        # the same pixels as those that --full paints
        np.testing.assert_allclose(own[2], place, atol=1e-9)
        assert np.array_equal(own[0], full)
    _, drawn, bounds = draw_preview(store, tmp_path / "p.png")
    assert drawn == step
    w, s, e, n = window.lonlat_bounds
    np.testing.assert_allclose(bounds, (w, s, e, n), atol=2 * step)


def test_a_large_store_and_one_with_a_damaged_cell_are_drawn_from_the_pyramid(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    store.write(random_embeddings(Window(31, BASE.west, BASE.north, 200, 150)), YEAR)
    update_preview(store)
    assert draw_preview(store, tmp_path / "p.png")[1] == Scale(0).step
    scales = next(path for path in (tmp_path / "s/utm31/scales/c").rglob("*") if path.is_file())
    data = bytearray(scales.read_bytes())
    data[-40] ^= 255
    scales.write_bytes(bytes(data))
    assert draw_preview(open_store(tmp_path / "s"), tmp_path / "p.png")[1] == Scale(4).step
    corner = (5.0, 49.0)
    assert _own_pixels(store, tmp_path / "s", YEAR, corner, (2000, 10), Scale(4).step) is None
    assert _own_pixels(store, tmp_path / "s", YEAR, (179.99, 49.0), (20, 20), Scale(4).step) is None
