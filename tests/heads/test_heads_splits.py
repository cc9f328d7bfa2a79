from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tessera.base import InputError
from tessera.geo import to_lonlat
from tessera.labels import HeldOut, Labels, hold_out, make_folds, spatial_blocks
from tessera.validation import Task, cross_validate


def held_apart(lonlat: Any, features: Any, block_km: float | None = 0.5) -> Any:
    labels = Labels(np.full(len(lonlat), "a", dtype=object), groups=np.asarray(features, np.int64), lonlat=lonlat)
    return hold_out(labels, np.ones(len(labels), np.bool_), "spatial", block_km).groups


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 60))
def test_no_feature_is_split_and_labels_of_their_own_lie_in_their_block(data: st.DataObject, count: int) -> None:
    x = data.draw(hnp.arrays(float, count, elements=st.floats(0, 3000)))
    y = data.draw(hnp.arrays(float, count, elements=st.floats(-3000, 3000)))
    features = data.draw(hnp.arrays(np.int64, count, elements=st.integers(0, 40)))
    classes = data.draw(hnp.arrays(np.int64, count, elements=st.integers(0, 3)))
    lonlat = np.column_stack(to_lonlat(500_000 + x, y, 31))
    groups = held_apart(lonlat, features, 0.5)
    fold = make_folds(classes, groups, seed=data.draw(st.integers(0, 5)))
    assert fold.min() >= 0
    assert fold.max() < 5
    for feature in np.unique(features):
        assert len(np.unique(groups[features == feature])) == 1
        assert len(np.unique(fold[features == feature])) == 1
    alone = held_apart(lonlat, np.arange(count), 0.5)
    np.testing.assert_array_equal(alone, spatial_blocks(lonlat, 0.5))


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.int64, st.integers(1, 80), elements=st.integers(0, 4)), st.integers(2, 6), st.integers(0, 3))
def test_folds_of_single_labels_are_stratified(classes: Any, folds: int, seed: int) -> None:
    fold = make_folds(classes, np.arange(len(classes)), folds=folds, seed=seed)
    np.testing.assert_array_equal(fold, make_folds(classes, np.arange(len(classes)), folds=folds, seed=seed))
    for name in np.unique(classes):
        counts = np.bincount(fold[classes == name], minlength=min(folds, len(classes)))
        assert np.ptp(counts) <= 1


def test_a_group_lies_whole_in_the_block_of_its_centre_and_joins_no_blocks() -> None:
    lonlat = np.column_stack(to_lonlat(500_000 + np.array([10.0, 700.0, 5000.0, 9000.0]), np.full(4, 100.0), 31))
    assert len(np.unique(held_apart(lonlat, np.array([0, 1, 2, 3])))) == 4
    groups = held_apart(lonlat, np.array([0, 1, 1, 0]))
    assert groups[0] == groups[3] != groups[1] == groups[2]
    # fields of 42 m on every edge of blocks in a row: with joined blocks all of them were one group
    edges = np.arange(1, 13) * 0.5
    labels = placed(
        np.column_stack([edges - 0.021, edges, edges + 0.02]).reshape(-1), groups=np.repeat(np.arange(12), 3)
    )
    held = hold_out(labels, np.ones(36, np.bool_), "spatial", 0.5)
    assert len(np.unique(held.groups)) == 12
    assert (held.groups.reshape(12, 3) == held.groups.reshape(12, 3)[:, :1]).all()


def test_a_group_over_the_date_line_has_its_centre_there() -> None:
    lonlat = np.array([[179.99, 0.01], [-179.97, 0.01], [-179.98, 0.01], [0.01, 0.01]])
    groups = held_apart(lonlat, np.array([0, 0, 1, 2]), 10.0)
    assert groups[0] == groups[1] == groups[2] != groups[3]


def placed(x_km: Any, y_km: Any = 0.0, **parts: Any) -> Labels:
    """Labels so many kilometres east and north of 3 E on the equator."""
    x, y = np.broadcast_arrays(np.asarray(x_km, float), np.asarray(y_km, float))
    lonlat = np.column_stack([3 + x / 111.32, y / 111.32])
    return Labels(np.full(len(lonlat), "a", dtype=object), lonlat=lonlat, **parts)


@pytest.mark.parametrize(
    ("step_km", "count", "side"),
    [
        # 100 labels in blocks of 10 km of their own, or two in each: as large as there are
        (12.0, 100, 10.0),
        (5.0, 200, 10.0),
        # 60 groups need 5 km, 2 km, 1 km
        (4.9, 90, 5.0),
        (1.9, 90, 2.0),
        (0.9, 90, 1.0),
        # not even half a kilometre holds 60 apart: three quarters of what it does hold
        (0.05, 90, 0.5),
        # few labels far apart: no smaller block would hold more
        (30.0, 8, 10.0),
        # 45 labels, of which two lie in one block of 10 km: no reason for a smaller one
        (9.9, 45, 10.0),
    ],
)
def test_the_side_of_a_block_is_the_largest_that_leaves_enough_groups(step_km: float, count: int, side: float) -> None:
    labels = placed(np.arange(count) * step_km + 0.01)
    held = hold_out(labels, np.ones(count, np.bool_), "spatial")
    assert held.block_km == side
    assert labels.lonlat is not None
    np.testing.assert_array_equal(held.groups, spatial_blocks(labels.lonlat, side))
    assert "try --block-km" not in held.advice


def test_the_side_is_chosen_by_the_labels_with_data() -> None:
    labels = placed(np.concatenate([np.arange(90) * 12.0, np.arange(90) * 0.9]))
    near = np.arange(180) >= 90
    assert hold_out(labels, ~near, "spatial").block_km == 10.0
    assert hold_out(labels, near, "spatial").block_km == 1.0
    assert hold_out(labels, near, "spatial", 3.0).block_km == 3.0


def test_what_each_split_holds_out_and_what_it_says() -> None:
    labels = placed(np.arange(12) * 20.0, groups=np.repeat(np.arange(6), 2), test=np.arange(12) < 4)
    every = np.ones(12, np.bool_)
    assert hold_out(labels, every).split == "given"
    assert hold_out(replace(labels, test=None), every).split == "spatial"
    assert hold_out(replace(labels, test=None, lonlat=None), every).split == "group"
    assert len(np.unique(hold_out(labels, every, "spatial").groups)) == 6
    assert len(np.unique(hold_out(labels, every, "random").groups)) == 12
    assert "inflates" in hold_out(labels, every, "random").notes[0]
    alone = replace(labels, groups=np.arange(12))
    assert hold_out(alone, every, "group").notes == ("every group is one label: the split is a random one",)
    assert hold_out(labels, every, "group").notes == ()
    assert hold_out(labels, every, "spatial").told(every) == "spatial, 6 blocks of 10 km apart"
    assert hold_out(labels, every, "group").told(every) == "group, 6 groups apart"
    bare = replace(labels, groups=None, lonlat=None, test=None)
    for split, message in (
        ("auto", "no split, group or place"),
        ("group", "no groups"),
        ("spatial", "no places"),
        ("given", "no split"),
        ("best", "split 'best'; expected one of auto, spatial, group, region, year, given, random"),
    ):
        with pytest.raises(InputError, match=message):
            hold_out(bare, every, split)
    with pytest.raises(InputError, match="finite above 0"):
        hold_out(labels, every, "spatial", -1.0)


def test_labels_whose_class_the_buffer_leaves_out_are_counted() -> None:
    # "rare": two labels of one group, and a third of another, nearer than the buffer to the second
    y = np.array([*([0, 1] * 12), 2, 2, 2, 3])
    groups = np.array([*(np.arange(24) // 4), 6, 6, 7, 7])
    x_km = np.array([*(10.0 + 2 * np.arange(24)), 0.0, 1.0, 1.1, 5.0])
    places = np.column_stack([x_km, np.zeros((len(y), 2))])
    held = HeldOut("group", groups, buffer_km=0.3, places=places)
    vectors = np.eye(4)[y] + np.random.default_rng(0).normal(scale=0.01, size=(len(y), 4))
    task = Task("prototype", vectors.astype(np.float32), y, 4, groups=groups)
    metrics, found = cross_validate(task, ("a", "b", "rare", "alone"), held, units=groups, curve=False)
    assert found is not None
    assert metrics["per_class"]["rare"]["tested"] == 3
    notes = " / ".join(metrics["notes"])
    assert "2 of 27 tested labels count as wrong, as no label of their class is learnt from in their fold" in notes
    assert "fold: rare (2); without them macro-F1 is 1.000" in notes
    assert "all in one group: alone" in notes
    assert metrics["unmet"] == {
        "labels": 2,
        "classes": {"rare": 2},
        "without": {"balanced_accuracy": 1.0, "macro_f1": 1.0, "accuracy": 1.0},
    }
    # as scikit-learn counts predictions of all tested labels: two of 27 are wrong
    assert metrics["accuracy"] == pytest.approx(25 / 27)
    assert metrics["per_class"]["rare"]["recall"] == pytest.approx(1 / 3)
    assert found.met.sum() == 25
    matrix = np.array(metrics["confusion"]["counts"])
    assert matrix.sum() == 27
    assert np.trace(matrix) == 25
    # a class that cannot be tested was predicted all the same, and counts where labels are a sample
    assert np.array(metrics["confusion"]["predicted"]).sum(axis=1).tolist() == [12, 12, 3, 1]
    parts = np.array(metrics["confusion"]["parts"])
    again = np.zeros((4, 4), dtype=int)
    np.add.at(again, (parts[:, 1], parts[:, 2]), parts[:, 3])
    assert (again == matrix).all()
    assert len(np.unique(parts[:, 0])) == len(np.unique(groups[:27]))
