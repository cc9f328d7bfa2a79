"""What `tessera.testing` gives for tests of stores, used as a stranger's test would."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tessera
from tessera.embeddings import Embeddings
from tessera.geo import Cell
from tessera.net import NetError
from tessera.shards import Layout
from tessera.testing import random_embeddings, same_embeddings, serve_folder, small_store, strategies

CELL = Cell(31, 500, 4300, 128)


def test_a_small_store_in_a_folder_and_at_a_url(tmp_path: Path) -> None:
    store = small_store(tmp_path / "store.zarr")
    given_ = random_embeddings(CELL.window, 3)
    store.write(given_, 2024)
    assert same_embeddings(store.read_window(CELL.window, 2024), given_)
    assert not same_embeddings(random_embeddings(CELL.window, 4), given_)
    with serve_folder(tmp_path) as (url, asked):
        there = tessera.open_store(f"{url}/store.zarr", cache=False)
        assert [one.path for one in asked] == ["/store.zarr/tessera.json"]
        assert asked[0].sent == (tmp_path / "store.zarr" / "tessera.json").stat().st_size
        assert same_embeddings(there.read_window(CELL.window, 2024), given_)
        assert all(one.wanted for one in asked[1:])
    with serve_folder(tmp_path, status=503) as (url, _), pytest.raises(NetError, match=r"tessera\.json"):
        tessera.open_store(f"{url}/store.zarr", cache=False)


@given(st.data())
@settings(max_examples=12)
def test_any_layout_holds_any_embeddings(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    layout: Layout = data.draw(strategies.layouts())
    cell = data.draw(strategies.cells(layout.shard, (31, 32)))
    inside = data.draw(strategies.windows(cell.window, 0, 40))
    embeddings: Embeddings = data.draw(strategies.embeddings(inside))
    store = small_store(tmp_path_factory.mktemp("store") / "s", zones=(31, 32), layout=layout)
    assert store.write(embeddings, 2024) == [cell]
    found = store.read_window(inside, 2024)
    written = ~np.isposinf(embeddings.scales)
    assert np.array_equal(found.scales, embeddings.scales, equal_nan=True)
    assert np.array_equal(found.codes, embeddings.codes)
    assert np.array_equal(found.counts[written], embeddings.counts[written])
