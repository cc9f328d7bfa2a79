"""The published geometry as an option, and other sides: the same values, read by stock zarr too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from store_helpers import ACROSS, BASE, CELL, MODEL, centre_of, equal, random_embeddings, serving

from tessera.geo import Cell, Window
from tessera.net import CorruptError
from tessera.shards import Layout
from tessera.store import create_store, open_store

PUBLISHED = Layout(8, (2,), shard=128, chunk=32, geometry="published")


@pytest.mark.parametrize("layout", [PUBLISHED, Layout(8, (2,), 64, 16), Layout(8, (2,), 256, 64)], ids=str)
def test_every_geometry_holds_the_same(tmp_path: Path, layout: Layout) -> None:
    store = create_store(tmp_path / "s", 8, MODEL, zones=(31,), layout=layout)
    given = random_embeddings(ACROSS)
    store.write(given, 2024)
    corner = random_embeddings(replace(ACROSS, width=40, height=33), 3, 0.0)
    store.write(corner, 2024)
    expected = given.codes.copy()
    expected[:33, :40] = corner.codes
    with serving(tmp_path) as (url, _):
        for reader in (open_store(tmp_path / "s"), open_store(f"{url}/s")):
            assert reader.layout == layout
            assert np.array_equal(reader.read_window(ACROSS, 2024).codes, expected)
            points = [centre_of(ACROSS, row, col) for row, col in ((0, 0), (129, 149), (64, 64), (40, 39))]
            for verify in (False, True):
                found = reader.sample_points(points, 2024, verify=verify)
                whole = reader.read_region(ACROSS, 2024).values
                assert np.array_equal(found, whole[[0, 129, 64, 40], [0, 149, 64, 39]], equal_nan=True)
    stock: Any = zarr.open_group(tmp_path / "s", mode="r")["utm31"]
    rows, cols = ACROSS.slices_in(Window(31, 15360, 933888, 69632, 1822720))
    assert np.array_equal(np.moveaxis(stock["embeddings"][0, :, rows, cols], 0, -1), expected)
    scales = store.read_window(ACROSS, 2024).scales
    assert np.array_equal(stock["scales"][0, rows, cols], scales, equal_nan=True)


def test_the_official_sides_are_cells_of_the_lattice() -> None:
    layout = Layout.published(128, (16,))
    assert (layout.shard, layout.chunk) == (4096, 32)
    window = Window(31, 66_000, 560_000, 6000, 100)
    cells = list(window.cells(4096))
    assert len({layout.key(layout.codes, cell, 0) for cell in cells}) == len(cells) == 2
    for cell in cells:
        assert cell.window.intersection(window) is not None
        assert Cell.at(31, cell.window.west + 4095, cell.window.south, 4096) == cell


@pytest.mark.parametrize("position", [0, 4, 12])
def test_a_packed_chunk_that_lies_is_refused(tmp_path: Path, position: int) -> None:
    store = create_store(tmp_path / "s", 8, MODEL, zones=(31,), layout=PUBLISHED)
    store.write(random_embeddings(BASE, no_data=0), 2024)
    path = tmp_path / "s" / PUBLISHED.key(PUBLISHED.codes, CELL, 0)
    data = bytearray(path.read_bytes())
    data[position : position + 3] = b"\xff\xff\xff"
    path.write_bytes(data)
    with pytest.raises(CorruptError, match="chunk"):
        store.read_window(BASE, 2024)


def test_only_reads_what_it_needs_and_remembers(tmp_path: Path) -> None:
    store = create_store(tmp_path / "s", 8, MODEL, zones=(31,), layout=Layout(8, (2,), 128, 32))
    given = random_embeddings(ACROSS, no_data=0)
    store.write(given, 2024)
    with serving(tmp_path) as (url, requests):
        reader = open_store(f"{url}/s", cache=tmp_path / "cache")
        assert len(requests) == 1
        point = [centre_of(ACROSS, 90, 100)]
        assert np.array_equal(reader.sample_points(point, 2024)[0], given.values()[90, 100])
        assert len(requests) == 5
        assert np.array_equal(reader.sample_points([centre_of(ACROSS, 91, 104)], 2024)[0], given.values()[91, 104])
        assert len(requests) == 7
        assert equal(reader.read_window(ACROSS, 2024), given)
        del requests[:]
        again = open_store(f"{url}/s", cache=tmp_path / "cache")
        assert equal(again.read_window(ACROSS, 2024), given)
        # the document, and each shard: is it of that version, and still after all were opened?
        assert len(requests) == 1 + 2 * 3 * 4
        store.write(random_embeddings(ACROSS, 9, 0), 2024)
        assert equal(again.read_window(ACROSS, 2024), random_embeddings(ACROSS, 9, 0))


def test_a_damaged_cache_is_fetched_anew_and_a_small_one_stays_small(tmp_path: Path) -> None:
    from tessera.net import DiskCache

    store = create_store(tmp_path / "s", 8, MODEL, zones=(31,), layout=Layout(8, (2,), 128, 32))
    given = random_embeddings(ACROSS, no_data=0)
    store.write(given, 2024)
    folder = tmp_path / "cache"
    with serving(tmp_path) as (url, _):
        for _ in range(2):
            assert equal(open_store(f"{url}/s", cache=folder).read_window(ACROSS, 2024), given)
            for path in folder.rglob("*/*"):
                data = path.read_bytes()
                path.write_bytes(data[: len(data) // 2] + b"x" + data[len(data) // 2 + 1 :])
    small = DiskCache(tmp_path / "small", 10_000)
    for number in range(50):
        small.put(bytes([number]) * 1000, "entry", number)
    held = sum(path.stat().st_size for path in (tmp_path / "small").rglob("*/*"))
    assert 0 < held <= 10_000
    assert small.get("entry", 49) == bytes([49]) * 1000
    assert small.get("entry", 0) is None
