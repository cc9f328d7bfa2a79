"""Overviews are the means of what the store holds, wherever it lies."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from preview_helpers import CELL, YEAR, embeddings, field, files_of, new_store, random_embeddings, serving

from tessera.base import InputError
from tessera.embeddings import is_valid
from tessera.geo import Cell, Window, from_lonlat
from tessera.net import CorruptError
from tessera.preview import read_overview, update_preview
from tessera.preview._document import Overviews
from tessera.preview._levels import FINE, LEVELS, codes_of, rgb_of, scales_of
from tessera.shards import Layout, decode_index
from tessera.store import Store, open_store

BASE = CELL.window
PARTIAL = Window(31, BASE.west + 70, BASE.north + 40, 300, 290)


def snapped(window: Window, side: int) -> Window:
    """The smallest window of whole overview pixels around one."""
    west, south = window.west // side * side, window.south // side * side
    east, north = -(-window.east // side) * side, -(-window.north // side) * side
    return Window(window.zone, west, north, east - west, north - south)


def brute_means(store: Store, window: Window, side: int) -> tuple[NDArray[np.float64], NDArray[Any], NDArray[Any]]:
    """Means (h, w, D) in float64, valid and written pixels (h, w) straight from the store's pixels."""
    found = store.read_window(window, YEAR)
    good = is_valid(found.scales)
    values = found.codes.astype(np.float64) * np.where(good, found.scales, 0).astype(np.float64)[..., None]
    height, width = window.height // side, window.width // side
    sums = np.zeros((height, width, store.dims))
    for row in range(window.height):
        for col in range(window.width):
            sums[row // side, col // side] += values[row, col]
    count = good.reshape(height, side, width, side).sum(axis=(1, 3))
    written = (~np.isposinf(found.scales)).reshape(height, side, width, side).sum(axis=(1, 3))
    with np.errstate(invalid="ignore"):
        return sums / np.where(count, count, np.nan)[..., None], count, written


def check_means(store: Store, window: Window, level: int) -> None:
    side = level // 10
    whole = snapped(window, side)
    expected, count, _ = brute_means(store, whole, side)
    found = read_overview(store, window, YEAR, level)
    assert found.shape == expected.shape
    assert np.array_equal(found.valid.values, (count / side**2).astype(np.float32))
    assert np.array_equal(np.isnan(found.values), np.isnan(expected))
    # half a step of the code, and the rounding of float32
    step = np.abs(expected).max(axis=-1, keepdims=True) / 127
    off = np.abs(found.values - expected)
    assert np.nanmax(off - 0.5 * step * (1 + 1e-4)) <= 1e-6
    assert found.attrs["transform"] == (level, 0.0, whole.west * 10, 0.0, -level, whole.north * 10)
    assert found.x.values[0] == whole.west * 10 + level / 2
    assert found.y.values[-1] == whole.south * 10 + level / 2


@pytest.fixture(scope="module")
def partial_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = new_store(tmp_path_factory.mktemp("partial") / "s")
    # a hole that was processed without data and one that was never written, each as large as overview pixels
    given_ = random_embeddings(PARTIAL)
    given_.scales[20:200, 30:60] = np.nan
    given_.scales[20:200, 80:120] = np.inf
    given_.codes[20:200, 30:120] = 0
    store.write(given_, YEAR)
    update_preview(store)
    return store


@pytest.mark.parametrize("level", [160, 1280])
def test_means_are_those_of_the_pixels(partial_store: Store, level: int) -> None:
    check_means(partial_store, PARTIAL, level)
    check_means(partial_store, Window(31, PARTIAL.west + 100, PARTIAL.north - 50, 33, 17), level)


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: str(level.name))
def test_stock_zarr_reads_what_scales_say(partial_store: Store, level: Any) -> None:
    import zarr

    window = snapped(PARTIAL, level.factor)
    _, count, written = brute_means(partial_store, window, level.factor)
    root: Any = zarr.open_group(f"{partial_store.objects.root}/overviews", mode="r")
    group = root[f"utm31/{level.name}"]
    north, west = 933_888, 15_360
    row, col = (north - window.north) // level.factor, (window.west - west) // level.factor
    part = (0, slice(row, row + count.shape[0]), slice(col, col + count.shape[1]))
    scales = np.asarray(group["scales"][part])
    assert np.array_equal(np.isposinf(scales), written == 0)
    assert np.array_equal(np.isnan(scales), (written > 0) & (count == 0))
    assert np.array_equal(np.asarray(group["valid"][part]), count)
    codes = np.asarray(group["embeddings"][(0, slice(None), *part[1:])])
    ours = read_overview(partial_store, PARTIAL, YEAR, level.metres)
    with np.errstate(invalid="ignore"):
        stock = np.where(is_valid(scales), codes.astype(np.float32) * scales, np.nan)
    assert np.array_equal(np.moveaxis(stock, 0, -1), ours.values, equal_nan=True)
    assert np.array_equal(np.asarray(group["x"][col : col + count.shape[1]]), ours.x.values)
    assert np.array_equal(np.asarray(group["y"][row : row + count.shape[0]]), ours.y.values)


def test_xarray_opens_a_level(partial_store: Store) -> None:
    import xarray

    root = f"{partial_store.objects.root}/overviews"
    data = xarray.open_zarr(root, group="utm31/d160", chunks=None)
    assert set(data.data_vars) == {"embeddings", "scales", "valid", "rgb"}
    pixel = data.sel(time=YEAR, x=PARTIAL.west * 10 + 2000, y=PARTIAL.north * 10 - 1500, method="nearest")
    ours = read_overview(partial_store, PARTIAL, YEAR).sel(x=float(pixel.x), y=float(pixel.y))
    assert np.array_equal(pixel.embeddings.values * pixel.scales.values, ours.values)


def test_the_coarse_level_is_no_mean_of_means(tmp_path: Path) -> None:
    scales = np.full(BASE.shape, np.nan, np.float32)
    codes = np.zeros((*BASE.shape, 8), np.int8)
    scales[:16, :16], codes[:16, :16] = 0.01, 100
    scales[100, 100], codes[100, 100] = 0.01, -100
    store = new_store(tmp_path / "s")
    store.write(embeddings(BASE, codes, scales), YEAR)
    update_preview(store)
    found = read_overview(store, BASE, YEAR, 1280)
    assert found.shape == (1, 1, 8)
    assert found.values[0, 0, 0] == pytest.approx((256 - 1) / 257, rel=1e-6)
    assert found.valid.values[0, 0] == np.float32(257 / 128**2)


def test_a_prefix_is_the_first_values_of_the_mean(partial_store: Store) -> None:
    whole = read_overview(partial_store, PARTIAL, YEAR)
    assert np.array_equal(read_overview(partial_store, PARTIAL, YEAR, dims=2), whole[..., :2], equal_nan=True)
    with pytest.raises(InputError, match="3 dims of test; expected one of 2, 8"):
        read_overview(partial_store, PARTIAL, YEAR, dims=3)


def test_an_area_over_two_zones_takes_pixels_of_both(tmp_path: Path) -> None:
    x, y = (float(value) / 10 for value in from_lonlat(6.0, -33.0, 31))
    left = Window(31, int(x) - 500, int(y) + 300, 560, 600)
    x, y = (float(value) / 10 for value in from_lonlat(6.0, -33.0, 32))
    right = Window(32, int(x) - 60, int(y) + 300, 560, 600)
    store = new_store(tmp_path / "s", (31, 32))
    for part in (left, right):
        store.write(field(part, 0.02), YEAR)
    update_preview(store)
    found = read_overview(store, (5.96, -33.02, 6.03, -32.99), YEAR)
    assert found.attrs["crs"] == "EPSG:32631"
    assert not np.isnan(found.values).any()
    # the same function of longitude and latitude in both: no step where the zones meet
    steps = np.abs(np.diff(found.values[..., 0], axis=1)).max(axis=0)
    border = int(np.abs(found.x.values - float(from_lonlat(6.0, -33.0, 31)[0])).argmin())
    assert steps[border - 3 : border + 3].max() < 2 * np.median(steps) + 0.1
    assert steps.max() > 0.01
    alone = read_overview(store, (5.96, -33.02, 5.99, -32.99), YEAR)
    same = found.sel(x=alone.x, y=alone.y)
    assert np.array_equal(same.values, alone.values)


def test_a_store_by_url_is_read_in_few_requests(partial_store: Store) -> None:
    expected = read_overview(partial_store, PARTIAL, YEAR, 1280)
    with serving(Path(partial_store.objects.root)) as (url, requests):
        store = open_store(url)
        found = read_overview(store, PARTIAL, YEAR, 1280)
        # tessera.json, overviews.json, an index and a range of each of three arrays
        assert len(requests) <= 8, requests
        assert np.array_equal(found, expected, equal_nan=True)
        assert found.attrs["current"] is None
        with pytest.raises(InputError, match="read by URL; a preview is made where the store is a local folder"):
            update_preview(store)


def test_what_is_missing_says_how_to_make_it(tmp_path: Path, partial_store: Store) -> None:
    store = new_store(tmp_path / "s")
    with pytest.raises(InputError, match=r"holds no years yet; embed a cube"):
        update_preview(store)
    store.write(random_embeddings(BASE), YEAR)
    with pytest.raises(InputError, match=r"no overview of 2024 \(it has none\).*tessera store preview .*/s"):
        read_overview(store, BASE, YEAR)
    with pytest.raises(InputError, match=r"no overview of 2023 \(it has 2024\)"):
        read_overview(partial_store, BASE, 2023)
    with pytest.raises(InputError, match="overview level 320; expected 160 or 1280 metres"):
        read_overview(partial_store, BASE, YEAR, 320)
    with pytest.raises(InputError, match="has no year 2019; it has 2024"):
        update_preview(store, (2019,))
    small = new_store(tmp_path / "small", layout=Layout(8, (2,), shard=64, chunk=32))
    small.write(random_embeddings(Cell(31, 1000, 8600, 64).window), YEAR)
    with pytest.raises(InputError, match="cells of 64 pixels; overviews need cells of at least 128"):
        update_preview(small)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("model", "sha256"), "ef" * 32, r"is of 8 dims of test \(efefefefefef\), the store of 8 of test"),
        (("geometry", "lattice"), [0, 0, 1, 1], "has the geometry"),
        (("version",), 2, "expected 'tessera-overviews' 1"),
        (("years",), ["soon"], "year 'soon'"),
        (("zones",), [61], "UTM zone 61"),
    ],
)
def test_overviews_of_something_else_are_refused(tmp_path: Path, path: tuple[str, ...], value: Any, said: str) -> None:
    store = new_store(tmp_path / "s")
    store.write(random_embeddings(BASE), YEAR)
    update_preview(store)
    document = tmp_path / "s" / "overviews" / "overviews.json"
    about = json.loads(document.read_bytes())
    place = about
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    document.write_text(json.dumps(about))
    before = files_of(tmp_path / "s")
    for call in (lambda: read_overview(store, BASE, YEAR), lambda: update_preview(store)):
        with pytest.raises(InputError, match=said):
            call()
    assert files_of(tmp_path / "s") == before


def test_damage_is_found(tmp_path: Path) -> None:
    store = new_store(tmp_path / "s")
    store.write(random_embeddings(BASE), YEAR)
    update_preview(store)
    shard = next((tmp_path / "s/overviews/utm31/d160/embeddings/c").rglob("*/*/*/*"))
    good = shard.read_bytes()
    for place in (5, len(good) - 100):
        shard.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with pytest.raises(CorruptError, match=r"embeddings/c/0/0/\d+/\d+: the checksum"):
            read_overview(store, BASE, YEAR)
    shard.write_bytes(good[:100])
    with pytest.raises(CorruptError, match="embeddings"):
        read_overview(store, BASE, YEAR)


@given(
    st.binary(min_size=0, max_size=200),
    st.integers(0, 2**40),
    st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)), max_size=20),
)
def test_any_index_is_safe_to_read(tail: bytes, size: int, entries: list[tuple[int, int]]) -> None:
    import google_crc32c

    form = scales_of(FINE).form
    index = np.full((form.side**2, 2), 2**64 - 1, dtype="<u8")
    for number, entry in enumerate(entries):
        index[number] = entry
    head = index.tobytes()
    checked = head + int(google_crc32c.value(head)).to_bytes(4, "little")
    for data in (tail, checked):
        try:
            offsets = decode_index(data, size, form, "x").offsets
        except CorruptError:
            continue
        kept = offsets[offsets >= 0]
        assert (kept >= form.index_bytes).all()
        assert (kept + form.chunk_bytes + 4 <= size).all()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["format", "version", "geometry", "model", "years", "zones", "full"]), inner
            )
        ),
    )
)
def test_any_document_is_safe_to_read(value: Any) -> None:
    with contextlib.suppress(InputError):
        Overviews.decode(json.dumps(value).encode(), "x")


@pytest.mark.parametrize("layer", [codes_of(FINE, 3), scales_of(FINE), rgb_of(FINE)], ids=lambda layer: str(layer.name))
def test_an_empty_shard_is_no_object(layer: Any) -> None:
    values = layer.spec.blank(512, 512)
    assert layer.encode(values) is None
    values[300, 17] = 1
    data = layer.encode(values)
    assert data is not None
    assert len(data) == layer.form.index_bytes + layer.form.chunk_bytes + 4
