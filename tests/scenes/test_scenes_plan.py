"""Which scenes are read, and in which order."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_helpers import WINDOW, s1, s2

from tessera.base import InputError
from tessera.geo import Period, Window, parse_period
from tessera.scenes import Recipe, Scene, SceneTable
from tessera.scenes.plan import ReadPlan, plan_reads

TAKE = "GS2A_20210601T105031_031012_N0{}.00"


def plan(scenes: list[Scene], period: Any = 2021, sources: tuple[str, ...] = ("mpc",), **recipe: Any) -> ReadPlan:
    return plan_reads(scenes, WINDOW, parse_period(period), Recipe(**recipe), sources)


def ids(day: Any) -> list[list[list[str]]]:
    return [[[scene.id for scene in copies] for copies in acquisitions] for acquisitions in day.choices]


def test_the_clearest_acquisition_comes_first_and_unknown_cover_last() -> None:
    scenes = [s2("c", cloud_cover=None), s2("b", cloud_cover=80.0), s2("a", cloud_cover=5.0)]
    assert ids(plan(scenes).optical[0]) == [[["a"], ["b"], ["c"]]]


def test_the_published_order_is_that_of_the_catalogue() -> None:
    scenes = [s2("c", position=1), s2("b", position=2, cloud_cover=0.0), s2("a", position=0, cloud_cover=99.0)]
    assert ids(plan(scenes, order="catalogue").optical[0]) == [[["a"], ["c"], ["b"]]]


def test_copies_of_an_acquisition_stand_together_newest_baseline_first() -> None:
    old = s2("old", "2021-06-01T10:50:31", datatake=TAKE.format(2), baseline="02.14", cloud_cover=1.0)
    new = s2("new", "2021-06-01T10:52:00", datatake=TAKE.format(5), baseline="05.00", cloud_cover=2.0)
    other = s2("other", "2021-06-01T10:50:31", datatake=TAKE.format(5), tile="31UGS", cloud_cover=50.0)
    assert ids(plan([other, old, new]).optical[0]) == [[["new", "old"], ["other"]]]
    assert ids(plan([other, old, new], duplicates=False).optical[0]) == [[["old"], ["new"], ["other"]]]


def test_the_preferred_source_is_taken_before_a_better_copy() -> None:
    one = s2("a", datatake=TAKE.format(2), baseline="02.14", source="earth-search")
    two = s2("b", datatake=TAKE.format(5), baseline="05.00", source="mpc")
    assert ids(plan([two, one], sources=("earth-search", "mpc")).optical[0]) == [[["a", "b"]]]
    assert ids(plan([two, one], sources=("mpc", "earth-search")).optical[0]) == [[["b", "a"]]]


def test_radar_of_two_sources_is_not_mixed_in_a_pass() -> None:
    bursts = [s1(f"burst{n}", collection="opera-rtc-s1", source="opera") for n in range(3)]
    scenes = [*bursts, s1("whole"), s1("evening", "2021-06-01T17:00:00", orbit="ascending")]
    made = plan(scenes, sources=("mpc", "opera"))
    assert ids(made.descending[0]) == [[["whole"]], [["burst0"], ["burst1"], ["burst2"]]]
    assert ids(made.ascending[0]) == [[["evening"]]]
    assert plan(scenes, sources=("mpc", "opera"), orbits=("ascending",)).descending == ()


def test_clouds_above_the_limit_are_not_read() -> None:
    scenes = [s2("a", cloud_cover=81.0), s2("b", "2021-06-06T10:50:00", cloud_cover=80.0), s2("c", cloud_cover=None)]
    assert [ids(day) for day in plan(scenes, max_cloud=80.0).optical] == [[[["c"]]], [[["b"]]]]


def test_days_by_the_sun_or_by_utc() -> None:
    east = Window(60, 64 * 1024, 548 * 1024, 6, 4)
    footprint = ((176.0, 50.0), (179.9, 50.0), (179.9, 51.0), (176.0, 51.0))
    late = s2("a", "2020-12-31T22:30:00", footprint=footprint)
    assert plan_reads([late], east, parse_period(2021), Recipe(), ("mpc",)).optical[0].day == dt.date(2021, 1, 1)
    utc = plan_reads([late], east, parse_period(2020), Recipe(day="utc"), ("mpc",))
    assert utc.optical[0].day == dt.date(2020, 12, 31)
    with pytest.raises(InputError, match="in 2020; catalogue mpc covers the area from 2021-01-01 to 2021-01-01"):
        plan_reads([late], east, parse_period(2020), Recipe(), ("mpc",))


@given(
    zone=st.sampled_from([1, 31, 60]),
    column=st.integers(16, 81),
    row=st.integers(-850, 900),
    steps=st.lists(st.tuples(st.floats(-13, 13), st.floats(-3, 3)), min_size=1, max_size=6),
    beyond=st.booleans(),
)
def test_the_scenes_near_a_window_give_the_plan_of_all(
    zone: int, column: int, row: int, steps: list[tuple[float, float]], beyond: bool
) -> None:
    """A build looks at those alone."""
    window = Window(zone, column * 1024, row * 1024, 1024, 1024)
    west, south, _, _ = window.lonlat_bounds
    scenes = [s2("here", footprint=((west, south), (west + 0.1, south + 0.1)))]
    for number, (dx, dy) in enumerate(steps):
        x, y = west + dx, max(-89.0, min(south + dy, 88.0))
        corners = ((x, y), (x + 3.7, y), (x + 3.7, y + 1.0), (x, y + 1.0))
        turned = corners if beyond else tuple(((x + 180.0) % 360.0 - 180.0, y) for x, y in corners)
        scenes.append(s2(f"scene{number}", footprint=turned))
    query = {"box": [-180, -90, 180, 90], "first": "2021-01-01", "last": "2021-12-31", "sources": ["mpc"]}
    table = SceneTable(tuple(scenes), query)
    made = [plan_reads(some, window, parse_period(2021), Recipe(), ("mpc",)) for some in (scenes, table.near(window))]
    assert made[0] == made[1]


def test_over_the_date_line_and_away_from_it() -> None:
    east = Window(60, 66 * 1024, 0, 6, 4)
    near = s2("a", footprint=((178.0, -0.5), (-179.5, -0.5), (-179.5, 0.5), (178.0, 0.5)))
    far = s2("b", footprint=((-170.0, -0.5), (-169.0, -0.5), (-169.0, 0.5), (-170.0, 0.5)))
    assert east.lonlat_bounds[0] > 178
    assert ids(plan_reads([near, far], east, parse_period(2021), Recipe(), ("mpc",)).optical[0]) == [[["a"]]]


@given(st.randoms(use_true_random=False))
def test_the_order_of_scenes_does_not_matter(random_: random.Random) -> None:
    scenes = [
        s2("a", cloud_cover=3.0, datatake=TAKE.format(2), baseline="02.14"),
        s2("b", cloud_cover=3.0, datatake=TAKE.format(5)),
        s2("c", cloud_cover=3.0),
        s2("d", "2021-07-01T10:50:00"),
        s1("e"),
        s1("f"),
        s1("g", source="opera", collection="opera-rtc-s1"),
    ]
    expected = plan(scenes, sources=("mpc", "opera"))
    shuffled = list(scenes)
    random_.shuffle(shuffled)
    made = plan(shuffled, sources=("mpc", "opera"))
    assert made == expected
    assert made.sha256 == expected.sha256


def test_the_digest_tells_plans_apart() -> None:
    scenes = [s2("a"), s2("b", "2021-07-01T10:50:00")]
    whole = plan(scenes).sha256
    assert whole != plan(scenes[:1]).sha256
    assert whole != plan([s2("a", assets={}), scenes[1]]).sha256


def test_a_season() -> None:
    scenes = [s2("a", "2021-03-31T10:50:00"), s2("b", "2021-04-01T10:50:00"), s2("c", "2022-01-05T10:50:00")]
    season = plan(scenes, "2021-04-01/2022-01-05")
    assert [day.day.isoformat() for day in season.optical] == ["2021-04-01", "2022-01-05"]
    assert season.period == Period(dt.date(2021, 4, 1), dt.date(2022, 1, 5))


def test_nothing_there() -> None:
    with pytest.raises(InputError, match="in 2021; catalogue mpc has no item"):
        plan([])
    with pytest.raises(InputError, match="in 2019; catalogue mpc covers the area from 2021-06-01 to 2021-06-01"):
        plan([s2("a")], 2019)
    away = s2("a", footprint=((15.0, 50.0), (16.0, 51.0)))
    with pytest.raises(InputError, match=r"covers 15.000,50.000,16.000,51.000 from 2021-06-01 to 2021-06-01"):
        plan([away])
