from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.geo import (
    EAST,
    NORTH,
    SOUTH,
    WEST,
    Cell,
    Grid,
    Window,
    parse_cell,
    parse_points,
    points_in_zones,
    to_lonlat,
)

cells = st.builds(Cell, st.integers(1, 60), st.integers(15, 82), st.integers(-868, 911))
small = st.integers(1, 3000)
windows = st.builds(
    lambda zone, west, south, width, height: Window(
        zone, west, min(south + height, NORTH), min(width, EAST - west), min(south + height, NORTH) - south
    ),
    st.integers(1, 60),
    st.integers(WEST, EAST - 1),
    st.integers(SOUTH, NORTH - 1),
    small,
    small,
)


def test_the_lattice_is_the_one_decided() -> None:
    assert (WEST * 10, EAST * 10, SOUTH * 10, NORTH * 10) == (153_600, 849_920, -8_888_320, 9_338_880)
    assert (EAST - WEST, NORTH - SOUTH) == (69_632, 1_822_720)


def test_a_cell_is_ten_kilometres_at_multiples_of_10240_metres() -> None:
    cell = Cell(31, 64, 548)
    assert cell.name == "utm31_e64_n548"
    assert cell.window.bounds == (655_360.0, 5_611_520.0, 665_600.0, 5_621_760.0)
    assert parse_cell("utm05_e20_n-12").window.bounds[1] == -122_880.0


@given(cells)
def test_cell_names_round_trip(cell: Cell) -> None:
    assert parse_cell(cell.name) == cell
    assert list(cell.window.cells()) == [cell]


@pytest.mark.parametrize("name", ["utm31_e64", "utm61_e64_n0", "utm31_e14_n0", "utm31_e64_n912", "31_e64_n0", ""])
def test_bad_cell_names_are_one_line(name: str) -> None:
    with pytest.raises(InputError, match="expected") as caught:
        parse_cell(name)
    assert "\n" not in str(caught.value)


@given(windows, st.sampled_from([128, 512, 1024]))
def test_cells_tile_a_window_exactly(window: Window, size: int) -> None:
    pixels = 0
    seen = set()
    for cell in window.cells(size):
        inside = cell.window.intersection(window)
        assert inside is not None
        rows, cols = inside.slices_in(window)
        assert 0 <= rows.start < rows.stop <= window.height
        assert 0 <= cols.start < cols.stop <= window.width
        pixels += inside.width * inside.height
        seen.add(cell)
    assert pixels == window.width * window.height
    assert len(seen) == len(list(window.cells(size)))


@given(windows)
def test_a_windows_grid_is_the_window(window: Window) -> None:
    assert Window.of_grid(window.grid) == window


def test_southern_utm_becomes_its_northern_twin() -> None:
    grid = Grid("EPSG:32731", (10.0, 0.0, 500_000.0, 0.0, -10.0, 9_000_000.0), 5, 7)
    assert grid.crs == "EPSG:32631"
    assert Window.of_grid(grid).bounds == (500_000.0, -1_000_050.0, 500_070.0, -1_000_000.0)


@pytest.mark.parametrize(
    ("grid", "reason"),
    [
        (None, "no CRS"),
        (Grid("EPSG:4326", (10, 0, 0, 0, -10, 0), 4, 4), "EPSG:4326"),
        (Grid("EPSG:32631", (20, 0, 500_000, 0, -20, 0), 4, 4), "10 m"),
        (Grid("EPSG:32631", (10, 0, 500_003, 0, -10, 0), 4, 4), "multiples of 10 m"),
        (Grid("EPSG:32631", (10, 0, 840_000, 0, -10, 0), 4, 2000), "leave the lattice"),
        (Grid("EPSG:32631", (10, 0, 500_000, 0, 10, 0), 4, 4), "north-up"),
    ],
)
def test_grids_off_the_lattice_are_refused(grid: Grid | None, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        Window.of_grid(grid)


@given(
    st.integers(1, 60),
    st.integers(16_700, 83_300),
    st.integers(-880_000, 900_000),
    st.floats(0.001, 0.999),
    st.floats(0.001, 0.999),
)
def test_a_point_takes_the_pixel_that_holds_it(zone: int, px: int, py: int, dx: float, dy: float) -> None:
    lon, lat = to_lonlat((px + dx) * 10, (py + dy) * 10, zone)
    if not (-180 + 6 * (zone - 1) <= lon < -180 + 6 * zone and -80 <= lat <= 84):
        return
    found = list(points_in_zones(parse_points([(float(lon), float(lat))])))
    assert [(z, index.tolist(), x.tolist(), y.tolist()) for z, index, x, y in found] == [(zone, [0], [px], [py])]


def test_points_of_many_zones_come_back_in_their_places() -> None:
    lonlat = parse_points([(5.0, 50.0), (-71.0, -33.0), (5.1, 50.1), (180.0, 10.0)])
    found = {zone: index.tolist() for zone, index, _, _ in points_in_zones(lonlat)}
    assert found == {31: [0, 2], 19: [1], 60: [3]}


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([(5.0, 84.5)], "latitude 84.5"),
        ([(0.0, 0.0), (361.0, 0.0)], "point 1"),
        ([(0.0, np.nan)], "nan"),
        ([(1.0, 2.0, 3.0)], r"\(1, 3\)"),
        ("nothing.csv", "not found"),
        (["a"], "not numbers"),
    ],
)
def test_bad_points_are_one_line(points: object, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        parse_points(points)
    assert "\n" not in str(caught.value)


def test_a_single_pair_and_no_points_are_points() -> None:
    assert parse_points((5.0, 50.0)).shape == (1, 2)
    assert parse_points([]).shape == (0, 2)


@given(windows)
def test_a_windows_box_in_degrees_holds_its_corners(window: Window) -> None:
    west, south, east, north = window.lonlat_bounds
    left, bottom, right, top = window.bounds
    lon, lat = to_lonlat([left, right, left, right], [bottom, bottom, top, top], window.zone)
    assert (lat >= south - 1e-9).all()
    assert (lat <= north + 1e-9).all()
    width = (east - west) % 360
    assert (((lon - west + 1e-9) % 360) <= width + 2e-9).all()
