"""What is held out together, and what may be learnt from around it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.labels import Labels, hold_out, judged

SPLITS = ("spatial", "group", "region", "year")


def land(seed: int, count: int, groups: int = 30, extent_km: float = 20.0) -> Labels:
    """Labels of three classes in fields that lie anywhere, with regions and years."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, groups, count)
    centre = rng.uniform(0, extent_km, (groups, 2))
    places = centre[group] + rng.normal(0, 0.05, (count, 2))
    lonlat = np.column_stack([5 + places[:, 0] / 71.5, 50 + places[:, 1] / 111.32])
    return Labels(
        rng.integers(0, 3, groups)[group].astype(str).astype(object),
        groups=group.astype(np.int64),
        lonlat=lonlat,
        regions=np.array([f"r{k}" for k in range(4)], dtype=object)[group % 4],
        years=2020 + rng.integers(0, 3, groups)[group],
    )


def apart_km(one: Any, other: Any) -> Any:
    """(n, m) great-circle distances, kilometres, by the haversine."""
    (lon, lat), (lon2, lat2) = np.radians(one).T[:, :, None], np.radians(other).T[:, None]
    half = np.sin((lat - lat2) / 2) ** 2 + np.cos(lat) * np.cos(lat2) * np.sin((lon - lon2) / 2) ** 2
    return 2 * 6371.0 * np.arcsin(np.sqrt(half))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(30, 150), st.sampled_from(SPLITS), st.sampled_from(["auto", 0.5, 2.0, 0]))
def test_no_group_is_split_and_no_training_label_lies_within_the_buffer(
    seed: int, count: int, split: str, buffer: Any
) -> None:
    labels = land(seed, count)
    assert labels.lonlat is not None
    assert labels.groups is not None
    held = hold_out(labels, np.ones(count, np.bool_), split, "auto", buffer)
    strata = labels.values.astype(np.int64)
    folds = held.folds(strata, seed=seed)
    tested = np.zeros(count, np.int64)
    for fold in folds:
        assert not np.intersect1d(labels.groups[fold.train], labels.groups[fold.test]).size
        assert not np.intersect1d(held.groups[fold.train], held.groups[fold.test]).size
        tested[fold.test] += 1
        if held.buffer_km:
            assert apart_km(labels.lonlat[fold.train], labels.lonlat[fold.test]).min() >= held.buffer_km * (1 - 1e-6)
    assert tested.max() <= 1
    if buffer == 0:
        assert held.buffer_km is None
    if isinstance(buffer, float) and held.buffer_km:
        assert held.buffer_km == buffer
    again = held.folds(strata, seed=seed)
    assert [fold.test.tolist() for fold in folds] == [fold.test.tolist() for fold in again]


def test_regions_are_tested_one_after_another_and_years_from_other_years() -> None:
    labels = land(3, 200)
    assert labels.regions is not None
    assert labels.years is not None
    strata = labels.values.astype(np.int64)
    by_region = hold_out(labels, np.ones(200, np.bool_), "region", None, 0).folds(strata)
    assert [fold.name for fold in by_region] == ["r0", "r1", "r2", "r3"]
    for fold in by_region:
        assert set(labels.regions[fold.test]) == {fold.name}
        assert fold.name not in set(labels.regions[fold.train])
    for fold in hold_out(labels, np.ones(200, np.bool_), "year").folds(strata):
        assert set(labels.years[fold.test].astype(str)) == {fold.name}
        assert fold.name not in set(labels.years[fold.train].astype(str))


def test_places_that_are_labelled_in_several_years_are_not_tested_by_themselves() -> None:
    labels = land(5, 120)
    twice = Labels(
        np.concatenate([labels.values] * 2),
        groups=np.concatenate([labels.groups] * 2),
        lonlat=np.concatenate([labels.lonlat] * 2),
        years=np.repeat([2021, 2022], 120),
    )
    assert twice.groups is not None
    assert twice.years is not None
    held = hold_out(twice, np.ones(240, np.bool_), "year")
    folds = held.folds(twice.values.astype(np.int64))
    assert {fold.name for fold in folds} == {"2021", "2022"}
    assert sum(len(fold.test) for fold in folds) == 240
    for fold in folds:
        assert not np.intersect1d(twice.groups[fold.train], twice.groups[fold.test]).size
        assert not np.intersect1d(twice.years[fold.train], twice.years[fold.test]).size


def test_regions_without_names_are_places_that_lie_together() -> None:
    rng = np.random.default_rng(0)
    town = np.repeat(np.arange(5), 20)
    lonlat = np.array([[5, 50], [8, 50], [5, 53], [8, 53], [6.5, 51.5]])[town] + rng.normal(0, 0.05, (100, 2))
    labels = Labels(rng.integers(0, 2, 100).astype(str).astype(object), lonlat=lonlat)
    held = hold_out(labels, np.ones(100, np.bool_), "region")
    assert len({tuple(set(town[held.groups == k])) for k in range(5)}) == 5
    assert "5 regions of places that lie together" in held.why


def field_labels(side_km: float, seed: int = 0, numbers: bool = False) -> Labels:
    """Points on a chequered land of square fields, each of a random class."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(0, 12, (1500, 2))
    cell = np.floor(places / side_km).astype(int)
    table = rng.integers(0, 4, (200, 200))
    lonlat = np.column_stack([5 + places[:, 0] / 71.5, 50 + places[:, 1] / 111.32])
    value = table[cell[:, 0], cell[:, 1]]
    if numbers:
        return Labels(value + rng.normal(0, 0.2, 1500), "regression", lonlat=lonlat)
    return Labels(value.astype(str).astype(object), lonlat=lonlat)


@pytest.mark.parametrize("numbers", [False, True])
def test_the_buffer_grows_with_the_fields(numbers: bool) -> None:
    every = np.ones(1500, np.bool_)
    found = [hold_out(field_labels(side, numbers=numbers), every, "spatial") for side in (0.25, 0.6, 1.2)]
    reach = [held.range_km or 0 for held in found]
    for side, distance in zip((0.25, 0.6, 1.2), reach, strict=True):
        assert 0.4 * side <= distance <= 1.8 * side
    assert reach == sorted(reach)
    assert all(held.buffer_km for held in found)
    scattered = replace(
        field_labels(0.6), values=np.random.default_rng(1).integers(0, 4, 1500).astype(str).astype(object)
    )
    alone = hold_out(scattered, every, "spatial")
    assert (alone.range_km, alone.buffer_km) == (0.0, 0.05)
    assert "agree no more than far ones" in alone.why


def test_a_chosen_buffer_leaves_half_of_the_training_labels() -> None:
    held = hold_out(field_labels(4.0), np.ones(1500, np.bool_), "spatial")
    assert held.buffer_km is not None
    assert held.range_km is not None
    assert held.buffer_km < held.range_km
    assert "leaves half of the training labels" in held.why
    strata = field_labels(4.0).values.astype(np.int64)
    left = np.mean([len(fold.train) / (1500 - len(fold.test)) for fold in held.folds(strata)])
    assert left > 0.4


@pytest.mark.parametrize(
    ("split", "change", "line"),
    [
        ("year", {"years": None}, "has no years; expected a column that names the year"),
        ("year", {"years": np.full(60, 2020)}, "are all of 2020; expected two years"),
        ("region", {"regions": np.full(60, "a", dtype=object)}, "lie in 1 region; expected at least two"),
        ("region", {"regions": None, "lonlat": None}, "has no regions and no places"),
    ],
)
def test_splits_that_labels_do_not_allow_are_one_line(split: str, change: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line):
        hold_out(replace(land(0, 60), source="plots", **change), np.ones(60, np.bool_), split)


@pytest.mark.parametrize("given", ["wide", "", -1, float("nan"), float("inf"), 10**400])
def test_a_buffer_is_kilometres_or_auto(given: Any) -> None:
    with pytest.raises(InputError, match=r"a buffer of .*; expected "):
        hold_out(land(0, 60), np.ones(60, np.bool_), "spatial", None, given)


def test_which_classes_are_scored() -> None:
    classes = np.array([0, 0, 0, 1, 1, 1, 2, 2, -1])
    assert judged(classes, np.array([0, 0, 1, 5, 5, 5, 1, 2, 3]), 3).tolist() == [True, False, False]
