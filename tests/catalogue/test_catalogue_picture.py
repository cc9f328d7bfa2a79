from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from catalogue_helpers import BASE, DATE_LINE, SIDE, new_store, serving, some
from numpy.typing import NDArray

from tessera.base import InputError
from tessera.catalogue import draw_coverage, write_manifest
from tessera.catalogue._shade import MOST, NO_DATA, NOTHING, SOME, VALID, Frame, frame_around, shade
from tessera.catalogue.counting import known_cells
from tessera.geo import Window
from tessera.store import Store, open_store

region = sys.modules["tessera.catalogue._region"]


def colours(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) of a PNG."""
    import matplotlib.image

    return np.asarray(np.rint(matplotlib.image.imread(path)[..., :3] * 255), dtype=np.uint8)


def count(path: Path, kind: int) -> int:
    """Dots of a class."""
    wanted = [int(region._COLOURS[kind][index : index + 2], 16) for index in (1, 3, 5)]
    return int((colours(path) == wanted).all(axis=-1).sum())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = new_store(tmp_path_factory.mktemp("pictures") / "store")
    made.write(some(Window(31, BASE.west, BASE.north, 2 * SIDE, SIDE), 1, 0.2), 2023)
    made.write(some(BASE, 2), 2021)
    write_manifest(made)
    return made


def test_a_region_shows_what_each_pixel_is(store: Store, tmp_path: Path) -> None:
    frame = frame_around([BASE.lonlat_bounds], 0.05, 300)
    rows = known_cells(store, None, 2023)
    classes = shade(store, 2023, frame, rows, pixels=True)
    lon, lat = frame.dots()
    vectors = store.sample_points(np.column_stack([lon.ravel(), lat.ravel()]), 2023).reshape(*lon.shape, -1)
    assert np.array_equal(classes == VALID, np.isfinite(vectors[..., 0]))
    assert {NOTHING, VALID, NO_DATA} == set(np.unique(classes).tolist())
    # without rows, the same
    assert np.array_equal(shade(store, 2023, frame, None, pixels=True), classes)


def test_chunks_stand_for_pixels_where_those_are_too_many(store: Store) -> None:
    frame = frame_around([BASE.lonlat_bounds], 0.05, 200)
    rows = known_cells(store, None, 2021)
    classes = shade(store, 2021, frame, rows, pixels=False)
    written = shade(store, 2021, frame, rows, pixels=True) != NOTHING
    assert np.array_equal(classes != NOTHING, written)
    assert set(np.unique(classes).tolist()) == {NOTHING, MOST}
    assert SOME not in classes


def test_the_date_line_is_nothing_special(tmp_path: Path) -> None:
    made = new_store(tmp_path / "store", (1, 60))
    made.write(some(DATE_LINE, 1), 2023)
    frame = frame_around([DATE_LINE.lonlat_bounds], 0.1, 100)
    assert frame.west < 180 < frame.east < 181
    classes = shade(made, 2023, frame, known_cells(made, None, 2023), pixels=True)
    lon, _ = frame.dots()
    # what the cell has on either side of the line
    assert (classes[lon > 0] == VALID).any()
    assert (classes[lon < 0] == VALID).any()
    path = draw_coverage(made, tmp_path / "date.png", (179.98, -17.01, -179.98, -16.99))
    assert count(path, VALID) > 100


def test_a_frame_holds_its_boxes_and_is_no_sliver() -> None:
    frame = frame_around([(10.0, 50.0, 10.1, 50.1), (10.3, 50.0, 10.4, 50.05)], 0.0, 400)
    assert (frame.west, frame.south) == pytest.approx((10.0, 50.0))
    assert (frame.east, frame.north) == pytest.approx((10.4, 50.1))
    sliver = frame_around([(10.0, 50.0, 10.001, 52.0)], 0.05, 400)
    assert sliver.width >= 100
    over = frame_around([(179.0, 0.0, 180.0, 1.0), (-180.0, 0.0, -179.5, 1.0)], 0.0, 100)
    assert (over.west, over.east) == pytest.approx((179.0, 180.5))
    assert isinstance(over, Frame)


def test_pictures_are_drawn_whole_and_the_same_again(store: Store, tmp_path: Path) -> None:
    first = draw_coverage(store, tmp_path / "all.png")
    assert first.read_bytes().startswith(b"\x89PNG")
    assert first.read_bytes() == draw_coverage(store, tmp_path / "again.png").read_bytes()
    assert count(first, VALID) > 5000
    assert count(first, NO_DATA) > 1000
    one = draw_coverage(store, tmp_path / "one.png", (4.94, 49.665, 4.96, 49.68), 2021)
    # a picture of one year is narrower than of two
    assert colours(one).shape[1] < colours(first).shape[1]
    red = (colours(one) == (0xC8, 0x32, 0x2D)).all(axis=-1).sum()
    assert red > 300
    assert not list(tmp_path.glob(".*"))


def test_far_apart_is_the_world(store: Store, tmp_path: Path) -> None:
    made = new_store(tmp_path / "store")
    for year in (2021, 2023):
        made.write(some(BASE, 1), year)
    made.write(some(DATE_LINE, 1), 2021)
    world = colours(draw_coverage(made, tmp_path / "world.png"))
    assert world.shape[1] > 1.6 * world.shape[0]
    # rings around what is too small to be found
    assert (world == (0xC8, 0x32, 0x2D)).all(axis=-1).sum() > 50


def test_over_http_with_and_without_a_manifest(store: Store, tmp_path: Path) -> None:
    assert store.objects.folder is not None
    box = (4.945, 49.67, 4.955, 49.675)
    with serving(store.objects.folder) as (url, _):
        there = open_store(url, cache=False)
        path = draw_coverage(there, tmp_path / "x.png", box, 2023)
        assert count(path, VALID) > 5000
        assert count(draw_coverage(there, tmp_path / "y.png"), VALID) > 5000
    bare = new_store(tmp_path / "bare")
    bare.write(some(BASE, 1), 2023)
    with serving(tmp_path / "bare") as (url, _):
        there = open_store(url, cache=False)
        assert count(draw_coverage(there, tmp_path / "z.png", box), VALID) > 5000
        with pytest.raises(InputError, match=r"no manifest\.parquet"):
            draw_coverage(there, tmp_path / "w.png")


def test_what_cannot_be_drawn_is_said_in_one_line(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in .png"):
        draw_coverage(store, tmp_path / "x.jpg")
    with pytest.raises(InputError, match="no year 1999"):
        draw_coverage(store, tmp_path / "x.png", year=1999)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is no folder"):
        draw_coverage(store, tmp_path / "file" / "x.png")
    empty = new_store(tmp_path / "empty")
    with pytest.raises(InputError, match="no year yet"):
        draw_coverage(empty, tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()
