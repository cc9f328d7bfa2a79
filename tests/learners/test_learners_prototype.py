"""The prototype head: the nearest class mean, as a linear score."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestCentroid

from tessera.base import InputError
from tessera.embeddings import CodedVectors, StackedVectors, quantise
from tessera.learners import CodedLinearModel, LinearModel, learn


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(2, 20), st.integers(1, 9))
def test_the_nearest_mean_is_predicted(seed: int, classes: int, each: int, dims: int) -> None:
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(classes), each)
    x = rng.normal(size=(classes, dims))[y] * 3 + rng.normal(size=(len(y), dims)) * 10.0 ** rng.integers(-2, 3, dims)
    model = learn("prototype", x, y, classes)
    assert isinstance(model, LinearModel)
    new = rng.normal(size=(50, dims)) * x.std(axis=0) + x.mean(axis=0)
    scaled, fresh = (part / model.std.astype(np.float64) for part in (x, new))
    other = NearestCentroid().fit(scaled, y)
    distance = ((fresh[:, None] - other.centroids_) ** 2).sum(axis=2)
    best = np.sort(distance, axis=1)
    # two means at one distance, but for the last digits, are a tie
    clear = best[:, 1] - best[:, 0] > 1e-4 * best[:, 1]
    np.testing.assert_array_equal(model.predict(new.astype(np.float32))[clear], other.predict(fresh)[clear])


def test_the_spread_is_that_within_the_classes() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(2000) % 2
    x = np.column_stack([100 * y + rng.normal(0, 1, 2000), rng.normal(0, 5, 2000)])
    model = learn("prototype", x, y, 2)
    assert isinstance(model, LinearModel)
    # four labels' worth of the spread of all, 50 and 5
    np.testing.assert_allclose(model.std, [np.sqrt((1998 + 4 * 2500) / 2002), 5], rtol=0.05)


def test_probabilities_are_no_surer_than_labels_that_were_left_out() -> None:
    """In 200 features that say nothing, the nearest mean is right by chance, and its probability says so."""
    rng = np.random.default_rng(0)
    y = np.arange(120) % 4
    model = learn("prototype", rng.normal(size=(120, 200)), y, 4)
    said = model.probabilities(rng.normal(size=(500, 200)).astype(np.float32))
    assert said.max(axis=1).mean() < 0.4
    clear = learn("prototype", np.eye(4)[y] * 9 + rng.normal(size=(120, 4)), y, 4)
    assert clear.probabilities((np.eye(4) * 9).astype(np.float32)).max(axis=1).min() > 0.95


def test_what_occurs_more_often_weighs_more() -> None:
    x, y = np.array([[0.0], [0.0], [0.1], [1.0]]).repeat(9, axis=0), np.array([0, 0, 0, 1]).repeat(9)
    x = x + np.random.default_rng(0).normal(0, 0.4, x.shape)
    middle = np.array([[0.5]], dtype=np.float32)
    even, occur = (learn("prototype", x, y, 2, weights=w).probabilities(middle)[0, 1] for w in ("even", "occur"))
    assert occur < even


def test_on_codes_it_is_whole_weights() -> None:
    rng = np.random.default_rng(2)
    y = np.arange(80) % 3
    values = (rng.normal(size=(3, 8))[y] + rng.normal(size=(80, 8)) * 0.3).astype(np.float32)
    stacked = StackedVectors((CodedVectors(*quantise(values)),))
    model = learn("prototype", stacked, y, 3)
    assert isinstance(model, CodedLinearModel)
    same = learn("prototype", stacked.values(), y, 3)
    np.testing.assert_allclose(model.probabilities_codes(stacked), same.probabilities(stacked.values()), atol=2e-3)


def test_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="head 'prototype' learns classes, and the labels are numbers"):
        learn("prototype", np.eye(3), np.arange(3.0), 0)


def test_one_label_a_class_and_features_that_do_not_vary() -> None:
    model = learn("prototype", np.column_stack([np.eye(3), np.ones(3)]), np.arange(3), 3)
    assert model.predict(np.column_stack([np.eye(3), np.ones(3)]).astype(np.float32)).tolist() == [0, 1, 2]
