"""One day of scenes, and what happens where some cannot be read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from plan_helpers import FOOTPRINT, WINDOW, s1, s2

from tessera.cubes import S2_BANDS
from tessera.net import CorruptError, CredentialError, LoadError, MissingError, NetError
from tessera.scenes import Asset, Recipe, Scene, scale_s1
from tessera.scenes._mosaic import UnreadableError, mosaic_day
from tessera.scenes.plan import Day
from tessera.scenes.records.footprints import cover_footprint, nearest_copy

SHAPE = WINDOW.shape
DAY = dt.date(2021, 6, 1)


class Fake:
    """Bands by (scene, band); an error is raised, a number fills the image."""

    def __init__(self, given: dict[tuple[str, str], Any]) -> None:
        self.given, self.asked = given, list[tuple[str, str]]()

    def __call__(self, scene: Scene, bands: Sequence[str]) -> Iterator[tuple[str, NDArray[Any]]]:
        for band in bands:
            self.asked.append((scene.id, band))
            value = self.given.get((scene.id, band), self.given.get((scene.id, "*"), 0))
            if isinstance(value, NetError):
                raise UnreadableError(scene, band, value)
            dtype = "uint8" if band == "SCL" else "float32" if band in ("VV", "VH") else "uint16"
            yield band, np.broadcast_to(np.asarray(value, dtype=dtype), SHAPE)


def lay(given: dict[tuple[str, str], Any], *choices: Any, stack: str = "s2", **recipe: Any) -> Any:
    return mosaic_day(Fake(given), stack, Day(DAY, choices), Recipe(**recipe), SHAPE)


HALF = np.where(np.arange(SHAPE[1]) < 3, 4, 9)
"""Clear in the west."""


def test_each_pixel_takes_the_first_scene_in_which_it_is_clear() -> None:
    one, two, three = s2("one"), s2("two"), s2("three")
    given = {("one", "SCL"): HALF, ("one", "*"): 100, ("two", "SCL"): 5, ("two", "*"): 200, ("three", "*"): 300}
    images, record = lay(given, ((one,), (two,), (three,)))
    np.testing.assert_array_equal(images["s2"], np.where(HALF[None, :, None] == 4, 100, 200) * np.ones((*SHAPE, 10)))
    assert images["s2_mask"].all()
    assert record["used"] == [["mpc", "sentinel-2-l2a", "one"], ["mpc", "sentinel-2-l2a", "two"]]
    assert record["lost"] == record["fallbacks"] == []


def test_bands_keep_their_places() -> None:
    given: dict[tuple[str, str], Any] = {("one", band): 100 + place for place, band in enumerate(S2_BANDS)}
    images, _ = lay(given | {("one", "SCL"): HALF}, ((s2("one"),),))
    np.testing.assert_array_equal(images["s2"][0, 0], np.arange(100, 110))
    np.testing.assert_array_equal(images["s2"][0, -1], np.zeros(10))


def test_a_copy_stands_in_for_one_that_cannot_be_read() -> None:
    best, copy = s2("best"), s2("copy", baseline="02.14")
    given = {
        ("best", "SCL"): 4,
        ("best", "*"): 1,
        ("best", "B8A"): CorruptError("a block is damaged"),
        ("copy", "SCL"): 4,
        ("copy", "*"): 7,
    }
    images, record = lay(given, ((best, copy),))
    assert (images["s2"] == 7).all()
    assert record["baselines"] == ["02.14"]
    (fallback,) = record["fallbacks"]
    assert (fallback["id"], fallback["band"], fallback["reason"], fallback["taken"]) == (
        "best",
        "B8A",
        "corrupt",
        "copy",
    )
    assert record["lost"] == []


def test_an_acquisition_without_a_readable_copy_is_lost_and_the_day_is_laid_from_the_rest() -> None:
    one, two = s2("one"), s2("two")
    given = {("one", "SCL"): MissingError("gone"), ("two", "SCL"): HALF, ("two", "*"): 5}
    images, record = lay(given, ((one,), (two,)))
    np.testing.assert_array_equal(images["s2_mask"], np.broadcast_to(HALF == 4, SHAPE))
    assert [(lost["id"], lost["band"], lost["reason"]) for lost in record["lost"]] == [("one", "SCL", "missing")]
    images, record = lay({("one", "SCL"): MissingError("gone")}, ((one,),))
    assert images is None
    assert len(record["lost"]) == 1


def test_a_scene_that_is_not_needed_is_not_read() -> None:
    given = {("one", "SCL"): 4, ("one", "*"): 5, ("two", "SCL"): CorruptError("x")}
    fake = Fake(given)
    _, record = mosaic_day(fake, "s2", Day(DAY, (((s2("one"),), (s2("two"),)),)), Recipe(), SHAPE)
    assert {scene for scene, _ in fake.asked} == {"one"}
    assert record["lost"] == []


@pytest.mark.parametrize("error", [LoadError("busy"), CredentialError("no token")])
def test_a_provider_that_does_not_answer_stops_the_day_unless_another_one_has_the_acquisition(error: NetError) -> None:
    here, same, there = s2("here"), s2("same"), s2("there", source="earth-search")
    given = {("here", "SCL"): error, ("same", "*"): 1, ("same", "SCL"): 4, ("there", "SCL"): 4, ("there", "*"): 3}
    images, record = lay(given, ((here, same, there),))
    assert (images["s2"] == 3).all()
    assert record["fallbacks"][0]["taken"] == "there"
    with pytest.raises(type(error)):
        lay(given, ((here, same),))


def test_a_pass_is_taken_from_another_source_where_that_has_it_whole() -> None:
    whole, left, right = s1("whole"), s1("left", source="opera"), s1("right", source="opera")
    west = np.where(np.arange(SHAPE[1]) < 3, 0.1, 0)
    given = {
        ("whole", "VV"): 0.3,
        ("whole", "VH"): CorruptError("x"),
        ("left", "*"): west,
        ("right", "*"): np.where(west > 0, 0, 0.2),
    }
    images, record = lay(given, ((whole,),), ((left,), (right,)), stack="s1_desc")
    np.testing.assert_array_equal(images["s1_desc"][0, :, 1], scale_s1(np.where(west > 0, 0.1, 0.2).astype(np.float32)))
    assert record["lost"] == []
    assert record["fallbacks"][0]["id"] == "whole"
    given["right", "VV"] = MissingError("x")
    images, record = lay(given, ((whole,),), ((left,), (right,)), stack="s1_desc")
    assert (images["s1_desc"][..., 0] > 0).any()
    assert [lost["id"] for lost in record["lost"]] == ["right"]


def test_a_missing_polarisation_is_zero_and_the_other_one_counts() -> None:
    scene = s1("one", assets={"VV": Asset("/one/VV")})
    images, record = lay({("one", "VV"): 0.1}, ((scene,),), stack="s1_asc")
    assert (images["s1_asc"][..., 0] == scale_s1(np.array([0.1], np.float32))[0]).all()
    assert not images["s1_asc"][..., 1].any()
    assert record["used"]


def test_the_mean_of_a_pass_is_truncated() -> None:
    given = {("one", "*"): 0.1, ("two", "*"): 0.2, ("three", "VV"): 0, ("three", "VH"): np.nan}
    scenes = ((s1("one"),), (s1("two"),), (s1("three"),))
    images, record = lay(given, scenes, stack="s1_asc", radar_mosaic="mean")
    expected = (int(scale_s1(np.array([0.1], np.float32))[0]) + int(scale_s1(np.array([0.2], np.float32))[0])) // 2
    assert (images["s1_asc"] == expected).all()
    assert [key[2] for key in record["used"]] == ["one", "two"]


def test_the_offset_comes_off_by_asset_or_by_date() -> None:
    assets = {band: Asset("x", offset=band != "B02") for band in (*S2_BANDS, "SCL")}
    scene = s2("one", "2022-06-01T10:50:00", assets=assets)
    given = {("one", "SCL"): 4, ("one", "*"): 900}
    images, _ = lay(given, ((scene,),))
    assert images["s2"][0, 0].tolist() == [1, 900, *[1] * 8]
    images, _ = lay(given, ((scene,),), offset="date")
    assert images["s2"][0, 0].tolist() == [900] * 10
    early = s2("one", "2022-01-25T10:50:00", assets=assets)
    images, _ = lay({("one", "SCL"): 4, ("one", "*"): 2500}, ((early,),), offset="date")
    assert images["s2"][0, 0].tolist() == [2500] * 10
    images, _ = lay({("one", "SCL"): 4, ("one", "*"): 2500}, ((scene,),), offset="date")
    assert images["s2"][0, 0].tolist() == [1500, 2500, *[1500] * 8]


@given(st.integers(1, SHAPE[0] * SHAPE[1]), st.floats(0, 100))
def test_days_below_the_threshold_are_left_out(clear: int, least: float) -> None:
    pixels = SHAPE[0] * SHAPE[1]
    scl = np.where(np.arange(pixels).reshape(SHAPE) < clear, 4, 8)
    images, _ = lay({("one", "SCL"): scl, ("one", "*"): 5}, ((s2("one"),),), min_coverage_s2=least)
    assert (images is None) == (100 * clear / pixels < least)


@pytest.mark.parametrize("error", [CorruptError("x"), LoadError("busy")])
def test_another_source_without_a_valid_pixel_stands_in_for_nothing(error: NetError) -> None:
    """What it lacks is neither a reason to forget a good image nor to take the day for finished."""
    one, good, empty = s1("one"), s1("good"), s1("empty", source="opera")
    given = {("one", "VV"): error, ("one", "VH"): 0.1, ("good", "*"): 0.2, ("empty", "*"): 0.0}
    choices = ((one,), (good,)), ((empty,),)
    if isinstance(error, LoadError):
        with pytest.raises(LoadError):
            lay(given, *choices, stack="s1_desc")
        return
    images, record = lay(given, *choices, stack="s1_desc")
    assert images is not None
    assert [lost["id"] for lost in record["lost"]] == ["one"]
    images, record = lay({("one", "*"): error, ("empty", "*"): 0.0}, ((one,),), ((empty,),), stack="s1_desc")
    assert images is None
    assert len(record["lost"]) == 1


@pytest.mark.parametrize("stack", ["s2", "s1_desc"])
def test_no_file_is_read_again_because_of_another_one(stack: str) -> None:
    """Ten acquisitions that fail one after the other cost their own files, and not those of all before them."""
    make = s2 if stack == "s2" else s1
    given: dict[tuple[str, str], Any] = {}
    choices = []
    for place in range(10):
        bad, good = make(f"bad{place}"), make(f"good{place}")
        column = np.where(np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE) % 10 == place, 1, 0)
        for name in (bad.id, good.id):
            given |= {
                (name, "SCL"): np.where(column, 4, 9),
                (name, "*"): 100 + place if stack == "s2" else column * 0.1,
            }
        given[bad.id, "B12" if stack == "s2" else "VH"] = CorruptError("x")
        choices.append((bad, good))
    fake = Fake(given)
    images, record = mosaic_day(fake, stack, Day(DAY, (tuple(choices),)), Recipe(), SHAPE)
    assert images is not None
    assert len(record["fallbacks"]) == 10
    assert len(fake.asked) == len(set(fake.asked)) == 10 * 2 * (len(S2_BANDS) + 1 if stack == "s2" else 2)


@st.composite
def days(draw: st.DrawFn, stack: str) -> tuple[Day, dict[tuple[str, str], Any]]:
    """A day of a few acquisitions with a few copies each, some of whose files cannot be read."""
    given: dict[tuple[str, str], Any] = {}
    errors = st.sampled_from([CorruptError("c"), MissingError("m"), LoadError("l"), CredentialError("r")])
    acquisitions = []
    for place in range(draw(st.integers(1, 4))):
        copies = []
        for number in range(draw(st.integers(1, 3))):
            name = f"{place}.{number}"
            make = s2 if stack == "s2" else s1
            copies.append(make(name, source=draw(st.sampled_from(["mpc", "other"]))))
            bits = draw(st.lists(st.booleans(), min_size=SHAPE[0] * SHAPE[1], max_size=SHAPE[0] * SHAPE[1]))
            seen = np.reshape(bits, SHAPE)
            given[name, "SCL"] = np.where(seen, 4, 8)
            given[name, "*"] = (
                1000 * place + number + 5 if stack == "s2" else seen * (0.1 + 0.01 * place + 0.1 * number)
            )
            fails = draw(st.sampled_from(["", "", "SCL", "B02", "B12"] if stack == "s2" else ["", "", "VV", "VH"]))
            if fails:
                given[name, fails] = draw(errors)
        acquisitions.append(tuple(copies))
    return Day(DAY, (tuple(acquisitions),)), given


@pytest.mark.parametrize("stack", ["s2", "s1_asc"])
@given(data=st.data(), least=st.sampled_from([0.0, 40.0, 90.0]), radar=st.sampled_from(["first", "mean"]))
def test_the_day_is_that_of_the_files_that_can_be_read(stack: str, data: Any, least: float, radar: Any) -> None:
    """As if the copies that failed had never been there; and no file is asked for twice."""
    day, given = data.draw(days(stack))
    recipe = Recipe(min_coverage_s2=least, min_coverage_s1=least, radar_mosaic=radar)
    fake = Fake(given)
    try:
        images, record = mosaic_day(fake, stack, day, recipe, SHAPE)
    except (LoadError, CredentialError):
        return
    finally:
        assert len(fake.asked) == len(set(fake.asked))
    (acquisitions,) = day.choices
    failed = {trouble["id"] for trouble in (*record["lost"], *record["fallbacks"])}
    passed_by = {
        scene.id
        for copies in acquisitions
        for scene in copies
        for other in copies
        # what a silent provider's other copies would have been
        if other.id in failed and other.source == scene.source and isinstance(error_of(given, other), SILENT)
    }
    rest = [tuple(one for one in copies if one.id not in failed | passed_by) for copies in acquisitions]
    want, told = mosaic_day(Fake(given), stack, Day(DAY, (tuple(filter(None, rest)),)), recipe, SHAPE)
    assert (images is None) == (want is None)
    for name, image in (images or {}).items():
        np.testing.assert_array_equal(image, (want or {})[name])
    assert told == {**record, "lost": [], "fallbacks": []}


SILENT = (LoadError, CredentialError)


def error_of(given: dict[tuple[str, str], Any], scene: Scene) -> object:
    return next((value for (name, _), value in given.items() if name == scene.id and isinstance(value, NetError)), None)


WEST_RING = ((5.0, 50.0), (5.4, 50.0), (5.6, 51.0), (5.0, 51.0))
EAST_RING = ((5.35, 50.0), (6.0, 50.0), (6.0, 51.0), (5.55, 51.0))
"""Of a granule cut along a slanted line, the pieces overlapping a little."""
WEST = np.where(np.arange(SHAPE[1]) < 4, 4, 0)
"""Data in the west; 0 is the scene class without data."""
EAST = np.where(np.arange(SHAPE[1]) >= 3, 5, 0)


def pieces(*names: str, rings: Any = (WEST_RING, EAST_RING), **changes: Any) -> tuple[Scene, ...]:
    return tuple(s2(name, footprint=ring, **changes) for name, ring in zip(names, rings, strict=True))


@pytest.mark.parametrize("rings", [(WEST_RING, EAST_RING), (FOOTPRINT, FOOTPRINT), (WEST_RING, WEST_RING)])
@pytest.mark.parametrize("turned", [False, True])
def test_pieces_of_a_granule_are_laid_all_whatever_their_outlines_say(rings: Any, turned: bool) -> None:
    west, east = pieces("west", "east", rings=rings)
    given = {("west", "SCL"): WEST, ("west", "*"): 1, ("east", "SCL"): EAST, ("east", "*"): 2}
    images, record = lay(given, ((east, west) if turned else (west, east),))
    assert images["s2_mask"].all()
    expected = np.where(np.arange(SHAPE[1]) < (3 if turned else 4), 1, 2)
    np.testing.assert_array_equal(images["s2"][..., 0], np.broadcast_to(expected, SHAPE))
    assert len(record["used"]) == 2


def test_an_area_within_the_second_piece_is_not_lost_behind_the_first() -> None:
    west, east = pieces("west", "east")
    images, record = lay({("west", "SCL"): 0, ("east", "SCL"): 4, ("east", "*"): 2}, ((west, east),))
    assert (images["s2"] == 2).all()
    assert [used[2] for used in record["used"]] == ["east"]


def test_a_cloud_of_the_best_copy_is_not_filled_from_a_later_one() -> None:
    """It is the same acquisition, processed otherwise."""
    best, older = s2("best"), s2("older", baseline="02.14")
    given = {("best", "SCL"): HALF, ("best", "*"): 1, ("older", "SCL"): 4, ("older", "*"): 2}
    fake = Fake(given)
    images, record = mosaic_day(fake, "s2", Day(DAY, (((best, older),),)), Recipe(), SHAPE)
    assert images is not None
    np.testing.assert_array_equal(images["s2_mask"], np.broadcast_to(HALF == 4, SHAPE))
    assert [used[2] for used in record["used"]] == ["best"]
    assert {name for name, _ in fake.asked} == {"best"}


def test_three_pieces_of_two_baselines_give_the_newer_ones() -> None:
    columns = np.arange(SHAPE[1])
    rings = [((5.0 + w, 50.0), (5.4 + w, 50.0), (5.4 + w, 51.0), (5.0 + w, 51.0)) for w in (0.0, 0.3, 0.6)]
    newer = pieces("n0", "n1", "n2", rings=rings)
    older = pieces("o0", "o1", "o2", rings=rings, baseline="02.14")
    given: dict[tuple[str, str], Any] = {}
    for place, scene in enumerate((*newer, *older)):
        given[scene.id, "SCL"] = np.where(columns // 2 == place % 3, 4, 0)
        given[scene.id, "*"] = 10 + place
    images, record = lay(given, ((*newer, *older),))
    np.testing.assert_array_equal(images["s2"][0, :, 0], 10 + np.arange(SHAPE[1]) // 2)
    assert images["s2_mask"].all()
    # one of the newer that cannot be read: its own older copy stands in, the others stay
    given["n1", "B04"] = CorruptError("x")
    images, record = lay(given, ((*newer, *older),))
    np.testing.assert_array_equal(images["s2"][0, :, 0], np.array([10, 14, 12])[np.arange(SHAPE[1]) // 2])
    assert [(one["id"], one["taken"]) for one in record["fallbacks"]] == [("n1", "o1")]
    assert record["lost"] == []


@pytest.mark.parametrize("band", ["SCL", "B04"])
def test_a_piece_that_cannot_be_read_is_lost_and_the_other_is_laid(band: str) -> None:
    west, east = pieces("west", "east")
    given = {("west", "SCL"): WEST, ("west", "*"): 1, ("east", "SCL"): EAST, ("east", "*"): 2}
    images, record = lay(given | {("west", band): CorruptError("x")}, ((west, east),))
    np.testing.assert_array_equal(images["s2_mask"], np.broadcast_to(EAST > 0, SHAPE))
    assert [lost["id"] for lost in record["lost"]] == ["west"]
    assert record["fallbacks"] == []


def test_a_piece_is_lost_where_the_outline_of_the_other_lies() -> None:
    """Its own classes say what it had; the other one has nothing there."""
    west, east = pieces("west", "east", rings=(FOOTPRINT, FOOTPRINT))
    given = {("west", "SCL"): WEST, ("west", "*"): 1, ("east", "SCL"): EAST, ("east", "*"): 2}
    _, record = lay(given | {("west", "B04"): CorruptError("x")}, ((west, east),))
    assert ([lost["id"] for lost in record["lost"]], record["fallbacks"]) == (["west"], [])
    images, record = lay(given | {("east", "B04"): CorruptError("x")}, ((west, east),))
    assert [lost["id"] for lost in record["lost"]] == ["east"]
    np.testing.assert_array_equal(images["s2_mask"], np.broadcast_to(WEST > 0, SHAPE))


def test_a_silent_provider_of_pieces_stops_the_day_unless_another_one_has_each() -> None:
    west, east = pieces("west", "east")
    there = pieces("west2", "east2", source="earth-search")
    given = {
        ("west", "*"): LoadError("busy"),
        ("east", "*"): LoadError("busy"),
        ("west2", "SCL"): WEST,
        ("west2", "*"): 1,
        ("east2", "SCL"): EAST,
        ("east2", "*"): 2,
    }
    images, record = lay(given, ((west, east, *there),))
    assert images["s2_mask"].all()
    assert [one["taken"] for one in record["fallbacks"]] == ["west2"]
    with pytest.raises(LoadError):
        lay(given, ((west, east, there[0]),))
    with pytest.raises(LoadError):
        lay(given, ((west, east),))


def test_a_copy_that_only_an_edge_would_have_needed_is_not_lost() -> None:
    best, older = s2("best"), s2("older", baseline="02.14")
    given = {("best", "SCL"): WEST, ("best", "*"): 1, ("older", "SCL"): CorruptError("x")}
    for error in (CorruptError("x"), LoadError("busy")):
        images, record = lay(given | {("older", "SCL"): error}, ((best, older),))
        np.testing.assert_array_equal(images["s2_mask"], np.broadcast_to(WEST > 0, SHAPE))
        assert record["lost"] == record["fallbacks"] == []


@pytest.mark.parametrize("radar", ["first", "mean"])
def test_a_burst_cut_in_two_is_laid_whole_and_its_copy_not_twice(radar: Any) -> None:
    west = s1("west", footprint=WEST_RING, source="opera")
    east = s1("east", footprint=EAST_RING, source="opera")
    older = s1("older", footprint=WEST_RING, source="opera")
    given = {("west", "*"): np.where(WEST > 0, 0.1, 0), ("east", "*"): np.where(EAST > 0, 0.2, 0), ("older", "*"): 0.4}
    fake = Fake(given)
    images, record = mosaic_day(fake, "s1_asc", Day(DAY, (((west, older, east),),)), Recipe(radar_mosaic=radar), SHAPE)
    assert images is not None
    wanted = scale_s1(np.where(WEST > 0, 0.1, 0.2).astype(np.float32))
    np.testing.assert_array_equal(images["s1_asc"][0, :, 0], wanted)
    assert [used[2] for used in record["used"]] == ["west", "east"]
    assert "older" not in {name for name, _ in fake.asked}


def test_outlines_meet_over_the_date_line() -> None:
    here = s2("here", footprint=((179.5, 0.0), (-179.9, 0.0), (-179.9, 1.0), (179.5, 1.0)))
    same = s2("same", footprint=((-180.5, 0.0), (-179.9, 0.0), (-179.9, 1.0), (-180.5, 1.0)))
    beside = s2("beside", footprint=((-179.9, 0.0), (-179.0, 0.0), (-179.0, 1.0), (-179.9, 1.0)))
    assert cover_footprint([same], here)
    assert cover_footprint([here], same)
    assert not cover_footprint([beside], here)
    assert nearest_copy([beside, same], here) is same
    assert not cover_footprint([], here)
    corners = s2("corners", footprint=((5.0, 50.0), (6.0, 51.0)))
    assert cover_footprint([s2("whole")], corners)
