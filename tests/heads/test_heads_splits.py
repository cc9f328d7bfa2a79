from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tessera.geo import points_in_zones, to_lonlat
from tessera.heads import join_groups, make_folds, spatial_groups
from tessera.heads.splits import testable as lies_in_two_folds


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 60))
def test_neither_feature_nor_block_is_split(data: st.DataObject, count: int) -> None:
    x = data.draw(hnp.arrays(float, count, elements=st.floats(0, 3000)))
    y = data.draw(hnp.arrays(float, count, elements=st.floats(-3000, 3000)))
    features = data.draw(hnp.arrays(np.int64, count, elements=st.integers(0, 40)))
    classes = data.draw(hnp.arrays(np.int64, count, elements=st.integers(0, 3)))
    lonlat = np.column_stack(to_lonlat(500_000 + x, y, 31))
    groups = spatial_groups(lonlat, features)
    fold = make_folds(classes, groups, seed=data.draw(st.integers(0, 5)))
    assert fold.min() >= 0
    assert fold.max() < 5
    for feature in np.unique(features):
        assert len(np.unique(groups[features == feature])) == 1
    (_, index, px, py) = next(iter(points_in_zones(lonlat)))
    blocks = np.empty((count, 2), dtype=np.int64)
    blocks[index] = np.column_stack([px // 32, py // 32])
    for keys in (features[:, None], blocks):
        for key in np.unique(keys, axis=0):
            same = (keys == key).all(axis=1)
            assert len(np.unique(fold[same])) == 1


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.int64, st.integers(1, 80), elements=st.integers(0, 4)), st.integers(2, 6), st.integers(0, 3))
def test_folds_of_single_labels_are_stratified(classes: Any, folds: int, seed: int) -> None:
    fold = make_folds(classes, np.arange(len(classes)), folds=folds, seed=seed)
    np.testing.assert_array_equal(fold, make_folds(classes, np.arange(len(classes)), folds=folds, seed=seed))
    for name in np.unique(classes):
        counts = np.bincount(fold[classes == name], minlength=min(folds, len(classes)))
        assert np.ptp(counts) <= 1


def test_far_apart_points_stand_alone_and_a_chain_joins() -> None:
    lonlat = np.column_stack(to_lonlat(500_000 + np.array([10.0, 400.0, 5000.0, 9000.0]), np.full(4, 100.0), 31))
    assert len(np.unique(spatial_groups(lonlat, np.array([0, 1, 2, 3])))) == 4
    assert spatial_groups(lonlat, np.array([0, 1, 1, 0])).tolist() == [0, 1, 1, 0]
    chain = lonlat[[0, 1, 1, 2]]
    assert len(np.unique(spatial_groups(chain, np.array([7, 7, 8, 8])))) == 1
    assert len(spatial_groups(np.empty((0, 2)), np.empty(0, dtype=np.int64))) == 0


def test_groups_joined_by_a_chain_are_numbered_in_the_order_of_the_first() -> None:
    first = np.array([30, 9, 9, 4, 30, -2])
    second = np.array([70, 1, 5, 5, 8, 8])
    assert join_groups(first, second).tolist() == [0, 1, 1, 1, 0, 0]
    assert join_groups(second, first).tolist() == [1, 0, 0, 0, 1, 1]
    assert join_groups(first[:0], second[:0]).shape == (0,)


def test_the_same_pixel_numbers_in_two_zones_are_two_blocks() -> None:
    here, there = (np.column_stack(to_lonlat([500_100.0], [5_600_000.0], zone)) for zone in (31, 32))
    assert spatial_groups(np.concatenate([here, there]), np.array([0, 1])).tolist() == [0, 1]


def test_which_classes_can_be_tested() -> None:
    classes, fold = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 0, 1])
    assert lies_in_two_folds(classes, fold, 3).tolist() == [True, False, False]
