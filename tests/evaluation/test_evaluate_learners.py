"""Heads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsClassifier

from tessera.base import InputError
from tessera.evaluation import HEADS, parse_heads
from tessera.evaluation.learners import _ridge, knn, linear


@pytest.mark.parametrize("head", sorted(HEADS))
@pytest.mark.parametrize("each", [2, 12, 120])
def test_classes_are_learnt_from_few_and_many(head: str, each: int) -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([0, 2, 3], each)
    x = np.eye(4)[y] * 4 + rng.normal(0, 0.5, (len(y), 4))
    predict = HEADS[head](x, y, 4, 1)
    said = predict(x)
    assert said.shape == (len(y), 4)
    np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-5)
    assert (said.argmax(axis=1) == y).mean() > 0.9
    # class 1 was never met
    assert (said.argmax(axis=1) != 1).all()
    if each == 12:
        np.testing.assert_array_equal(HEADS[head](x, y, 4, 1)(x), said)


@pytest.mark.parametrize("head", sorted(HEADS))
@pytest.mark.parametrize("count", [4, 40, 400])
def test_numbers_are_learnt_in_their_own_units(head: str, count: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (count, 3))
    y = 1000 + 50 * x[:, 0] + rng.normal(0, 5, count)
    said = HEADS[head](x, y, 0, 1)(x)
    assert said.shape == (count,)
    assert abs(said.mean() - y.mean()) < 40
    if count == 400:
        assert np.corrcoef(said, y)[0, 1] > 0.9


@given(st.integers(0, 1000), st.integers(3, 40), st.integers(1, 30))
def test_the_ridge_is_a_ridge_under_the_likeliest_penalty(seed: int, count: int, dims: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(count, dims)), rng.normal(size=count)
    x -= x.mean(axis=0)
    y -= y.mean()
    found = _ridge(x, y)
    alphas = np.logspace(-4, 4, 33) * dims

    def likelihood(alpha: float) -> float:
        covariance = np.eye(count) + x @ x.T / alpha
        noise = y @ np.linalg.solve(covariance, y) / count
        return float(-count * np.log(noise) - np.linalg.slogdet(covariance)[1])

    values = np.array([likelihood(alpha) for alpha in alphas])
    near = alphas[values >= values.max() - 1e-6]
    assert any(np.allclose(found, Ridge(alpha=alpha, fit_intercept=False).fit(x, y).coef_, atol=1e-6) for alpha in near)


def test_ridge_on_noise_predicts_the_mean() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(40, 128)), rng.normal(5, 1, 40)
    assert np.std(linear(x, y, 0, 0)(rng.normal(size=(200, 128)))) < 0.7


def test_neighbours_are_those_of_another_implementation() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 5)) * [1, 10, 100, 1, 1], rng.integers(0, 3, 60)
    new = rng.normal(size=(30, 5)) * [1, 10, 100, 1, 1]
    mean, std = x.mean(axis=0), x.std(axis=0)
    other = KNeighborsClassifier(5).fit((x - mean) / std, y).predict_proba((new - mean) / std)
    np.testing.assert_allclose(knn(x, y, 3, 0)(new), other)


def test_a_feature_that_does_not_vary_does_no_harm() -> None:
    x = np.column_stack([np.full(20, 7.0), np.arange(20.0)])
    for head in HEADS.values():
        assert np.isfinite(head(x, np.arange(20.0), 0, 0)(x)).all()


def test_heads_refused() -> None:
    assert parse_heads("linear, forest,linear") == ("linear", "forest")
    with pytest.raises(InputError, match="head 'svm'; expected some of linear, knn, mlp, forest"):
        parse_heads("svm")
    with pytest.raises(InputError, match="no heads"):
        parse_heads(())
