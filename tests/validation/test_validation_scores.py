"""Scores against scikit-learn's, and intervals that hold what they promise."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from tessera.validation import bootstrap, group_weights, interval, score_classes, score_numbers, scores


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(8, 60))
def test_class_scores_are_those_of_repeated_labels(seed: int, classes: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, count)
    # rounded, so that scores tie
    chances = np.round(rng.dirichlet(np.ones(classes), count), 1) + np.eye(classes)[truth] * 0.2
    said = chances.argmax(axis=1)
    weights = rng.integers(0, 4, (5, count)).astype(np.float64)
    weights[0] = 1
    found = score_classes(truth, said, weights, classes=classes, probabilities=chances)
    for row, weight in zip(found, weights, strict=True):
        rows = np.repeat(np.arange(count), weight.astype(int))
        present = np.unique(truth[rows])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            balanced = metrics.balanced_accuracy_score(truth[rows], said[rows])
            f1, iou = (
                score(truth[rows], said[rows], average="macro", labels=present, zero_division=0)
                for score in (metrics.f1_score, metrics.jaccard_score)
            )
            kappa = metrics.cohen_kappa_score(truth[rows], said[rows])
        same = [balanced, f1, metrics.accuracy_score(truth[rows], said[rows]), iou, kappa]
        np.testing.assert_allclose(row[:5], same, atol=1e-12)
        chosen = [1] if classes == 2 else list(range(classes))
        areas = [
            metrics.roc_auc_score(truth[rows] == k, chances[rows, k])
            for k in chosen
            if 0 < (truth[rows] == k).sum() < len(rows)
        ]
        if areas:
            np.testing.assert_allclose(row[5], np.mean(areas))
        else:
            assert np.isnan(row[5])


@given(st.integers(0, 10_000), st.integers(3, 60))
def test_number_scores_are_those_of_repeated_labels(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.normal(100, 30, count)
    said = truth + rng.normal(0, 10, count)
    weights = rng.integers(1, 4, (3, count)).astype(np.float64)
    for row, weight in zip(score_numbers(truth, said, weights), weights, strict=True):
        rows = np.repeat(np.arange(count), weight.astype(int))
        expected = [
            metrics.r2_score(truth[rows], said[rows]),
            metrics.mean_squared_error(truth[rows], said[rows]) ** 0.5,
            metrics.mean_absolute_error(truth[rows], said[rows]),
            np.mean(said[rows] - truth[rows]),
        ]
        np.testing.assert_allclose(row, expected, atol=1e-9)


def test_nothing_is_scored_without_weight() -> None:
    truth = np.array([0, 1])
    assert np.isnan(score_classes(truth, truth, np.zeros((1, 2)), classes=2, probabilities=np.eye(2))).all()
    assert np.isnan(score_numbers(np.ones(2), np.ones(2), np.zeros((1, 2)))).all()
    # R2 of a constant truth is undefined, its error is not
    r2, rmse, mae, bias = score_numbers(np.full(3, 5.0), np.full(3, 7.0), np.ones((1, 3)))[0]
    assert np.isnan(r2)
    assert rmse == mae == bias == pytest.approx(2)


@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(1, 60))
def test_losses_of_probabilities_are_those_of_scikit_learn(seed: int, classes: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, count)
    chances = rng.dirichlet(np.ones(classes), count) + 1e-3
    chances /= chances.sum(axis=1, keepdims=True)
    weights = rng.integers(1, 4, (2, count)).astype(np.float64)
    found = score_classes(truth, chances.argmax(axis=1), weights, classes=classes, probabilities=chances)
    for row, weight in zip(found, weights, strict=True):
        loss = metrics.log_loss(truth, chances, labels=list(range(classes)), sample_weight=weight)
        square = sum(
            metrics.brier_score_loss(truth == k, chances[:, k], sample_weight=weight, pos_label=True)
            for k in range(classes)
        )
        np.testing.assert_allclose(row[6:], [loss, square])


def test_scores_of_a_small_confusion_by_hand() -> None:
    #         said a b c
    matrix = np.array([[3, 1, 0], [1, 2, 2], [0, 0, 0]])
    found = scores(matrix)
    # a: 3 right of 4, 4 said, 5 in either; b: 2 right of 5, 3 said, 6 in either; c: never true
    np.testing.assert_allclose(found.iou, [3 / 5, 2 / 6, 0])
    assert found.mean_iou == pytest.approx((3 / 5 + 2 / 6) / 2)
    assert found.balanced_accuracy == pytest.approx((3 / 4 + 2 / 5) / 2)
    # of 9 labels 5 are right; by chance (4 x 4 + 5 x 3) / 81
    assert found.kappa == pytest.approx((5 / 9 - 31 / 81) / (1 - 31 / 81))
    assert np.isnan(scores(np.array([[4, 0], [0, 0]])).kappa)


def test_a_class_that_a_forest_gives_nothing_costs_a_finite_log_loss() -> None:
    truth, chances = np.array([1, 0]), np.array([[1.0, 0.0], [1.0, 0.0]])
    found = score_classes(truth, chances.argmax(axis=1), np.ones((1, 2)), classes=2, probabilities=chances)[0]
    assert found[6] == pytest.approx(np.log(1e6) / 2)
    assert found[7] == pytest.approx(1)


def test_weights_draw_as_many_groups_as_there_are() -> None:
    weights = group_weights(np.array([0, 1, 1, 2, 4]), 50, 3)
    assert weights.shape == (51, 5)
    assert (weights[0] == 1).all()
    assert (weights.sum(axis=1) == 5).all()


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    """Groups of labels whose errors go together: 95 % intervals of the mean square over groups."""
    rng = np.random.default_rng(0)
    inside = []
    for trial in range(150):
        shared = rng.normal(0, 1, 40)
        error = np.repeat(shared, 10) + rng.normal(0, 0.5, 400)
        weights = group_weights(np.repeat(np.arange(40), 10), 200, trial)[1:, np.repeat(np.arange(40), 10)]
        scores = score_numbers(np.zeros(400), error, weights.astype(np.float64))[:, 1]
        low, high = interval(bootstrap(scores[None], trial))
        inside.append(low <= 1.25**0.5 <= high)
    # a bootstrap of single labels, ten of a group, would hold it about half of the time
    assert 0.85 <= np.mean(inside) <= 1


def test_one_draw_with_no_score_is_left_out() -> None:
    scores = np.array([[np.nan, 1.0], [2.0, 3.0]])
    assert np.isfinite(bootstrap(np.repeat(scores, 20, axis=1), 0)).any()
    assert all(np.isnan(interval(np.array([np.nan]))))
