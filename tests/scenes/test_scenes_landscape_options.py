"""Roads, trees, towns and fires of the simulated landscape, and several years of one place."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from scenes_helpers import digest

from tessera.base import InputError
from tessera.geo import Window, from_lonlat
from tessera.simulator import TRUTHS, ZONES, LandscapeOptions, read_truth, simulate
from tessera.simulator.landscape._trees import Trees
from tessera.simulator.landscape._world import World
from tessera.simulator.landscape.classes import ARABLE, CONIFER, DECIDUOUS, GRASS

WINDOW = Window(31, 64 * 1024 + 3, 548 * 1024 - 5, 122, 116)
FIRE = dt.date(2023, 7, 20)
DAYS = [dt.date(2023, 6, 20), dt.date(2023, 8, 10)]
ALL = LandscapeOptions(roads=True, trees=True, towns=True, burns=(FIRE,), year_seed=2023)
NIR, RED, SWIR2 = 3, 0, 9
"""Places in `S2_BANDS`."""
COUNTS = [2363, 623, 1169, 1295, 1762, 2110, 1168, 1062, 650, 1082, 868]
FINE_MEAN, POWER_MEAN = 2279.3635461760464, 0.06545586360847859
"""Of the release before these options: pixels of each class, means of an optical and of a radar scene."""


def _world(options: LandscapeOptions | None, year: int = 2023, seed: int = 7) -> World:
    days = [day.replace(year=year) for day in DAYS]
    return World(WINDOW, year, seed, days, (days, []), options)


def _clean(world: World, index: int) -> np.ndarray:
    """The reflectance of the ground on a date, before the sky."""
    from tessera.simulator.landscape._phenology import state_on
    from tessera.simulator.landscape._spectra import surface

    day = world.s2_dates[index]
    doy = day.timetuple().tm_yday
    state = state_on(world.units, world.climate, doy)
    return surface(world.land, world.units, world.climate, state, doy, world._burnt(day))


def _decibels(world: World, ascending: bool = True) -> np.ndarray:
    """Mean backscatter over many passes, without speckle."""
    from tessera.simulator.landscape._noise import stream
    from tessera.simulator.landscape._phenology import state_on
    from tessera.simulator.landscape._radar import backscatter

    state = state_on(world.units, world.climate, 220)
    burnt = world._burnt(DAYS[1])
    passes = [
        backscatter(stream(0, "radar", n), world.land, world.units, world.climate, state, 220, ascending, burnt)
        for n in range(30)
    ]
    return np.asarray(10 * np.log10(np.mean(passes, axis=0)))


def test_without_options_a_seed_gives_what_it_gave_before() -> None:
    plain, off = World(WINDOW, 2023, 7, 3, 2), World(WINDOW, 2023, 7, 3, 2, LandscapeOptions())
    for index in range(3):
        np.testing.assert_array_equal(plain.optical(index).fine, off.optical(index).fine)
        np.testing.assert_array_equal(plain.optical(index).coarse, off.optical(index).coarse)
    np.testing.assert_array_equal(plain.radar(1, True).power, off.radar(1, True).power)
    np.testing.assert_array_equal(plain.truth, off.truth)
    assert np.bincount(plain.truth.ravel(), minlength=11).tolist() == COUNTS
    assert float(plain.optical(1).fine.mean(dtype=np.float64)) == pytest.approx(FINE_MEAN, rel=1e-6)
    assert float(plain.radar(1, True).power.mean(dtype=np.float64)) == pytest.approx(POWER_MEAN, rel=1e-6)


def test_the_same_options_give_the_same_files_with_all_truths(tmp_path: Path) -> None:
    for name in ("a", "b"):
        simulate(tmp_path / name, WINDOW, 2023, seed=7, s2_dates=1, s1_dates=1, options=ALL)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    found = {what: read_truth(tmp_path / "a", what) for what in TRUTHS}
    assert {what: image.dtype.name for what, image in found.items()} == {
        **dict.fromkeys(("cover", "road", "zone"), "uint8"),
        **dict.fromkeys(("height", "biomass", "burn"), "float32"),
    }
    assert all(image.shape == WINDOW.shape for image in found.values())
    woods = np.isin(found["cover"], (DECIDUOUS, CONIFER))
    np.testing.assert_array_equal(found["height"] > 0, woods)
    np.testing.assert_array_equal(found["biomass"] > 0, woods)
    assert 2 <= found["height"][woods].min() < 10 < 18 < found["height"][woods].max() < 40
    assert found["biomass"][woods].max() > 100
    assert 0 < (found["burn"] > 0).mean() < 0.3
    assert set(np.unique(found["cover"][found["burn"] > 0])) <= {GRASS, DECIDUOUS, CONIFER}
    assert set(np.unique(found["road"])) == {0, 1}


def test_road_lines_lie_on_the_pixels_that_are_road(tmp_path: Path) -> None:
    made = simulate(tmp_path / "sim", WINDOW, 2023, seed=7, s2_dates=0, s1_dates=0, options=ALL)
    lines = json.loads((made.path / "roads.geojson").read_text())["features"]
    assert {line["properties"]["class"] for line in lines} == {"road"}
    road = read_truth(made.path, "road").astype(bool)
    on = np.zeros(WINDOW.shape, dtype=bool)
    rows, cols = np.mgrid[0 : WINDOW.height, 0 : WINDOW.width]
    x, y = (WINDOW.west + cols + 0.5) * 10.0, (WINDOW.north - rows - 0.5) * 10.0
    for line in lines:
        points = np.array(line["geometry"]["coordinates"])
        metres = np.column_stack(from_lonlat(points[:, 0], points[:, 1], 31))
        away = shapely.distance(shapely.linestrings(metres), shapely.points(x.ravel(), y.ravel()))
        # as much of the pixel is road as of its width
        on |= (away.reshape(on.shape) / 10 < line["properties"]["width"] / 20 + 0.5 - 1 / 3 - 1e-3) & (
            line["properties"]["width"] / 10 >= 1 / 3
        )
    assert road.sum() > 100
    assert (on == road).mean() > 0.998


def test_squares_name_the_zone_that_most_of_their_pixels_have(tmp_path: Path) -> None:
    made = simulate(tmp_path / "sim", WINDOW, 2023, seed=7, s2_dates=0, s1_dates=0, options=ALL)
    squares = json.loads((made.path / "zones.geojson").read_text())["features"]
    zone = read_truth(made.path, "zone")
    # whole squares of the lattice within the window
    assert len(squares) == 10 * 12
    assert int((zone != 255).sum()) == 10 * 12 * 100
    names = {square["properties"]["zone"] for square in squares}
    assert names <= set(ZONES)
    assert len(names & set(ZONES[:6])) >= 4
    for square in squares[::17]:
        ring = np.array(square["geometry"]["coordinates"][0])
        x, y = from_lonlat(ring[:, 0], ring[:, 1], 31)
        assert np.ptp(x) == pytest.approx(100, abs=0.01)
        col, row = round(x.min() / 10) - WINDOW.west, WINDOW.north - round(y.max() / 10)
        np.testing.assert_array_equal(zone[row : row + 10, col : col + 10], ZONES.index(square["properties"]["zone"]))


def test_a_fire_darkens_the_infrared_and_raises_the_far_shortwave() -> None:
    burnt, spared = _world(LandscapeOptions(burns=(FIRE,))), _world(LandscapeOptions())
    severe = (burnt.land.scars[0].severity > 0.6) & np.isin(burnt.land.cover, (DECIDUOUS, CONIFER))
    assert severe.sum() > 50
    np.testing.assert_array_equal(_clean(burnt, 0), _clean(spared, 0))
    after, without = _clean(burnt, 1)[severe], _clean(spared, 1)[severe]
    assert (after[:, NIR] < 0.9 * without[:, NIR]).all()
    assert after[:, NIR].mean() < 0.7 * without[:, NIR].mean()
    assert (after[:, SWIR2] > without[:, SWIR2]).all()
    assert after[:, SWIR2].mean() > 1.2 * without[:, SWIR2].mean()
    outside = burnt.land.scars[0].severity == 0
    for _ in range(2):  # reflectance mixes with that of neighbours
        outside[1:-1, 1:-1] &= outside[:-2, 1:-1] & outside[2:, 1:-1] & outside[1:-1, :-2] & outside[1:-1, 2:]
    np.testing.assert_array_equal(_clean(burnt, 1)[outside], _clean(spared, 1)[outside])
    change = (_decibels(burnt) - _decibels(spared))[severe].mean(axis=0)
    assert change[1] < change[0] < -0.2
    assert change[1] < -1


def test_woods_grow_back_in_years_and_a_later_fire_has_not_burnt_yet(tmp_path: Path) -> None:
    earlier = LandscapeOptions(burns=(dt.date(2020, 7, 20),))
    worlds = {year: _world(earlier, year) for year in (2020, 2021, 2023)}
    severe = (worlds[2020].land.scars[0].severity > 0.6) & np.isin(worlds[2020].land.cover, (DECIDUOUS, CONIFER))
    green = []
    for world in worlds.values():
        seen = _clean(world, 1)[severe]
        green.append(float(np.median((seen[:, NIR] - seen[:, RED]) / (seen[:, NIR] + seen[:, RED]))))
    assert green[0] < green[1] - 0.05 < green[2] - 0.1
    later = LandscapeOptions(burns=(dt.date(2030, 7, 20),))
    np.testing.assert_array_equal(_clean(_world(later), 1), _clean(_world(LandscapeOptions()), 1))
    made = simulate(tmp_path / "sim", WINDOW, 2023, s2_dates=0, s1_dates=0, options=later)
    assert not read_truth(made.path, "burn").any()


def test_two_fires_burn_two_places() -> None:
    first, second = _world(LandscapeOptions(burns=(FIRE, dt.date(2022, 7, 1)))).land.scars
    assert first.severity.any()
    assert second.severity.any()
    assert (np.minimum(first.severity, second.severity) > 0.5).sum() < 0.2 * (second.severity > 0.5).sum()


def test_tall_trees_are_darker_and_scatter_more_volume() -> None:
    world = _world(LandscapeOptions(trees=True))
    assert world.land.trees is not None
    inner = world.land.cover == CONIFER
    height = world.land.trees.height
    image, power = _clean(world, 0)[inner], _decibels(world)[inner]
    tall, low = height[inner] > np.quantile(height[inner], 0.75), height[inner] < np.quantile(height[inner], 0.25)
    assert (image[tall].mean(axis=0) < image[low].mean(axis=0))[[NIR, SWIR2]].all()
    assert power[tall, 1].mean() > power[low, 1].mean() + 0.5
    flat = Trees(*(np.full((1, 1), value, np.float32) for value in (16, 1, 100)))
    np.testing.assert_allclose(flat.scattered, 1)
    np.testing.assert_allclose(flat.reflected, 1)


def test_roads_are_seen_in_both_sensors() -> None:
    with_roads, without = _world(LandscapeOptions(roads=True)), _world(LandscapeOptions())
    assert with_roads.land.road is not None
    on = (with_roads.land.road > 0.9) & np.isin(without.land.cover, (*ARABLE, GRASS))
    assert on.sum() > 50
    a, b = _clean(with_roads, 0)[on], _clean(without, 0)[on]
    assert a[:, NIR].mean() < 0.7 * b[:, NIR].mean()
    assert (_decibels(with_roads)[on].mean(axis=0) < _decibels(without)[on].mean(axis=0) - 1).all()


def test_zones_differ_as_they_are_built() -> None:
    world = _world(LandscapeOptions(towns=True))
    zone, built = world.land.zone, np.zeros(world.land.cover.shape, dtype=bool)
    assert zone is not None
    built = (zone < 6) & (world.land.cover == 9)
    image, power = _clean(world, 0), _decibels(world)
    green = (image[..., NIR] - image[..., RED]) / (image[..., NIR] + image[..., RED])
    mean: dict[str, Any] = {
        name: (green[built & (zone == code)].mean(), power[built & (zone == code), 0].mean())
        for code, name in enumerate(ZONES[:6])
        if (built & (zone == code)).sum() > 20
    }
    assert mean["2 compact midrise"][0] < mean["6 open low-rise"][0] < mean["9 sparsely built"][0]
    assert mean["2 compact midrise"][1] > mean["6 open low-rise"][1] > mean["9 sparsely built"][1]


def test_years_of_one_place_share_what_lasts() -> None:
    one, same, other = (
        _world(LandscapeOptions(roads=True, trees=True, towns=True, year_seed=number), year)
        for number, year in ((1, 2022), (1, 2022), (2, 2023))
    )
    np.testing.assert_array_equal(one.optical(1).fine, same.optical(1).fine)
    lasting = ~np.isin(one.truth, ARABLE)
    np.testing.assert_array_equal(one.truth[lasting], other.truth[lasting])
    tilled = np.isin(one.truth, ARABLE)
    assert np.isin(other.truth[tilled], ARABLE).all()
    assert 0.4 < (one.truth[tilled] != other.truth[tilled]).mean() < 0.95
    assert one.land.trees is not None
    assert other.land.trees is not None
    np.testing.assert_array_equal(one.land.trees.height, other.land.trees.height)
    np.testing.assert_array_equal(one.land.road, other.land.road)
    assert one.s1_asc_dates != one.s1_desc_dates
    assert one.climate.drought != other.climate.drought
    # a field's soil is the same soil, its crop is sown on another day
    assert one.land.parcel is not None
    assert other.land.parcel is not None
    parcel = np.intersect1d(one.land.parcel, other.land.parcel)[5]
    a, b = (int(np.flatnonzero(world.land.parcel == parcel)[0]) for world in (one, other))
    assert one.units.sand[a] == other.units.sand[b]
    assert one.units.shift[a] != other.units.shift[b]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"burns": ("2023-07-20",)}, "burns .*; expected"),
        ({"burns": (dt.datetime(2023, 7, 20),)}, "burns .*; expected"),
        ({"burns": (FIRE,) * 21}, "expected up to 20 dates"),
        ({"year_seed": -1}, "year_seed -1; expected a whole number from 0"),
        ({"roads": "yes"}, "roads 'yes' of LandscapeOptions; expected bool"),
    ],
)
def test_options_that_do_not_fit(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LandscapeOptions(**given)


def test_truths_that_are_not_there(tmp_path: Path) -> None:
    made = simulate(tmp_path / "sim", Window(31, 65_536, 561_152, 16, 16), 2023, s2_dates=0, s1_dates=0)
    with pytest.raises(InputError, match=r"has no height\.tif; simulate it with the option"):
        read_truth(made.path, "height")
    with pytest.raises(InputError, match="truth 'colour'; expected one of cover, road"):
        read_truth(made.path, "colour")
    with pytest.raises(InputError, match="options 'roads' of simulate; expected LandscapeOptions or None"):
        simulate(tmp_path / "b", WINDOW, 2023, options="roads")  # type: ignore[arg-type]
