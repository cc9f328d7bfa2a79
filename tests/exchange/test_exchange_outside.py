"""An area in which a store has nothing is refused before anything is read or written, with where its data lie."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest
from get_helpers import WINDOW, bbox_of, embeddings_of, small_store
from http_ranges import Ranges

from tessera.base import InputError
from tessera.exchange import export_region, export_tiles
from tessera.geo import EAST, Window, from_lonlat, lonlat_box, to_lonlat
from tessera.heads import Head
from tessera.store import Store, open_store

YEAR = 2023
FAR = (20.0, 50.0, 20.1, 50.1)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return small_store(tmp_path_factory.mktemp("store") / "s", (YEAR,), (31, 32, 34))


@pytest.fixture(scope="module")
def url(store: Store) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Ranges, directory=str(store.objects.root)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_every_export_refuses_a_wrong_area_at_once_and_says_where_data_lie(store: Store, tmp_path: Path) -> None:
    west, south, east, north = bbox_of(WINDOW, 0, 0, WINDOW.width, WINDOW.height)
    asked: list[object] = []
    watched = Store(store.objects, store.header, cast("Any", Watched(store.source, asked)))
    for export in (
        lambda: export_region(watched, FAR, YEAR, tmp_path / "r.npy"),
        lambda: export_region(watched, FAR, YEAR, tmp_path / "r.zarr", crs="EPSG:3035"),
        lambda: export_region(watched, FAR, YEAR, tmp_path / "r.npy", resolution=20.0, resampling="average"),
        lambda: export_tiles(watched, FAR, YEAR, tmp_path / "tiles"),
        lambda: watched.refuse_empty(FAR, [YEAR]),
    ):
        with pytest.raises(
            InputError, match=r"holds nothing of 2023 in 20,50,20\.1,50\.1; its data lie within "
        ) as caught:
            export()
        told = [float(value) for value in str(caught.value).partition("lie within ")[2].partition(" ")[0].split(",")]
        # what was written, not the cells that hold it
        assert told == pytest.approx([west, south, east, north], abs=1e-3)
    assert asked == []
    assert list(tmp_path.iterdir()) == []


def test_a_box_with_latitudes_first_is_told_so(store: Store) -> None:
    west, south, east, north = bbox_of(WINDOW, 5, 5, 60, 60)
    with pytest.raises(
        InputError, match=r"\(west,south,east,north\); latitude seems to come first: exchanged it is "
    ) as caught:
        store.refuse_empty((south, west, north, east), YEAR)
    told = [float(value) for value in str(caught.value).rpartition(" ")[2].split(",")]
    assert told == pytest.approx([west, south, east, north], abs=1e-4)
    # neither a wrong place, nor one that is none when exchanged, nor a lattice window
    for area in (FAR, (100.0, 50.0, 100.1, 50.1), Window(40, WINDOW.west, WINDOW.north, 20, 20)):
        with pytest.raises(InputError, match=r"its data lie within [^;]*$"):
            store.refuse_empty(area, YEAR)


def test_an_area_in_a_written_cell_but_beside_what_was_written_is_refused(tmp_path: Path) -> None:
    store = small_store(tmp_path / "s", (), (31,))
    # a cell of 128 pixels here
    parts = [Window(31, 64512, 561152 - row, 10, 10) for row in (0, 100)]
    for part in parts:
        store.write(embeddings_of(part), YEAR)
    assert len({cell.name for cell in store.cells(YEAR)}) == 1
    beside = Window(31, parts[1].west + 90, parts[1].north, 20, 10)
    assert any(cell.window.intersection(beside) for cell in store.cells(YEAR))
    with pytest.raises(InputError, match=r"holds nothing of 2023 in .*, those nearest to the area within ") as caught:
        store.refuse_empty(beside, YEAR)
    told = [float(value) for value in str(caught.value).rpartition("within ")[2].split(",")]
    assert told == pytest.approx(lonlat_box([parts[1]]), abs=1e-4)
    store.refuse_empty(parts[0], YEAR)


class Watched:
    """A source that notes what is asked of it."""

    def __init__(self, source: object, asked: list[object]) -> None:
        self._source, self._asked = source, asked

    def __getattr__(self, name: str) -> object:
        if name in ("read_window", "read_points"):
            self._asked.append(name)
        return getattr(self._source, name)


def test_an_area_that_only_touches_data_is_not_refused(store: Store) -> None:
    inside = bbox_of(WINDOW, 5, 5, 6, 6)
    beside = bbox_of(WINDOW, WINDOW.width + 60, 5, WINDOW.width + 80, 9)
    around = (-170.0, -70.0, 170.0, 80.0)
    for area in (inside, around, WINDOW, beside):
        store.refuse_empty(area, YEAR)
    with pytest.raises(InputError, match="holds nothing"):
        store.refuse_empty(bbox_of(WINDOW, 9000, 5, 9010, 9), YEAR)


def test_data_of_a_neighbouring_zone_count_where_they_fill_the_border(tmp_path: Path) -> None:
    store = small_store(tmp_path / "s", (), (31, 32))
    x, y = from_lonlat(6.02, 45.0, 31)
    west, north = int(x // 10), int(y // 10)
    assert west + 64 < EAST
    store.write(embeddings_of(Window(31, west - 32, north + 32, 64, 64)), YEAR)
    lon, lat = to_lonlat(west * 10, north * 10, 31)
    assert lon > 6.01
    area = (5.998, float(lat) - 1e-3, float(lon) + 1e-3, float(lat) + 1e-3)
    store.refuse_empty(area, YEAR)
    assert store.read_region(area, YEAR).notnull().any()


def test_by_url_a_small_area_is_looked_for_and_a_large_one_is_not_refused(store: Store, url: str) -> None:
    remote = open_store(url, cache=False)
    remote.refuse_empty(bbox_of(WINDOW, 5, 5, 6, 6), YEAR)
    with pytest.raises(InputError, match=r"holds nothing of 2023.*tessera store coverage says"):
        remote.refuse_empty(Window(34, WINDOW.west, WINDOW.north, 20, 20), YEAR)
    # too many shards to ask for
    remote.refuse_empty((18.0, 40.0, 22.0, 45.0), YEAR)


def test_a_map_of_a_wrong_area_is_refused_before_its_first_strip(store: Store, tmp_path: Path) -> None:
    from tessera.base import silent
    from tessera.heads import HeadInput
    from tessera.maps import write_map

    class Knows:
        model, dims, classes, column, trust, learnt = store.model, store.dims, ("a", "b"), "class", None, None
        inputs = (HeadInput(YEAR, store.dims, store.model),)

    head: Head = Knows()  # type: ignore[assignment]
    with pytest.raises(InputError, match=r"its data lie within"):
        write_map(head, store, FAR, YEAR, tmp_path / "m.tif", progress=silent)
    assert list(tmp_path.iterdir()) == []
