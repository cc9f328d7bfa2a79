"""The area of applicability: distances in feature space, their threshold, and the arrays of a file."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.validation import Applicability, fit_applicability


def cloud(count: int, dims: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.normal(size=(count, dims)).astype(np.float32), np.arange(count, dtype=np.int64) % 5


def slow(x: np.ndarray, folds: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, float, float]:
    """The index of the paper and its threshold in plain float64, and the mean distance between labels."""
    mean, std = x.mean(axis=0), x.std(axis=0)
    labels, others = (x - mean) / std, (new - mean) / std
    between = np.linalg.norm(labels[:, None] - labels[None], axis=2)
    scale = between[~np.eye(len(x), dtype=bool)].mean()
    apart = np.where(folds[:, None] != folds[None], between, np.inf).min(axis=1) / scale
    low, high = np.quantile(apart, [0.25, 0.75])
    threshold = apart[apart <= high + 1.5 * (high - low)].max()
    return np.linalg.norm(others[:, None] - labels[None], axis=2).min(axis=1) / scale, threshold, scale


@given(st.integers(10, 60), st.integers(1, 6), st.integers(0, 9))
def test_it_is_the_dissimilarity_index_over_its_threshold(count: int, dims: int, seed: int) -> None:
    x, folds = cloud(count, dims, seed)
    new = 3 * cloud(20, dims, seed + 10)[0]
    found = fit_applicability(x, folds)
    index, threshold, scale = slow(x.astype(np.float64), folds, new.astype(np.float64))
    # labels are kept to the thousandth of a standard deviation
    near = {"rtol": 1e-3, "atol": 1e-3 * np.sqrt(dims)}
    np.testing.assert_allclose(found.threshold, threshold * scale, **near)
    np.testing.assert_allclose(found.distance(new) * found.threshold, index * scale, **near)


def test_labels_lie_inside_what_is_far_lies_outside_and_no_data_is_neither() -> None:
    x, folds = cloud(300)
    found = fit_applicability(x, folds)
    assert (found.distance(x) < 0.05).all()
    assert (found.distance(x + 50) > 10).all()
    assert np.isnan(found.distance(np.full((2, 4), np.nan))).all()
    assert found.distance(x[:0]).shape == (0,)


def test_fewer_references_than_labels_are_spread_so_that_every_label_is_near_one() -> None:
    x, folds = cloud(2000, 3)
    few = fit_applicability(x, folds, references=64)
    assert len(few.references) == 64
    assert (few.distance(x) <= 1).mean() > 0.95
    rare = np.concatenate([x, np.full((1, 3), 30, dtype=np.float32)])
    kept = fit_applicability(rare, np.append(folds, 0), references=64)
    assert kept.distance(rare[-1:])[0] < 0.05


def test_the_same_labels_give_the_same_arrays_and_the_arrays_the_same_distances() -> None:
    x, folds = cloud(25_000, 2)
    one, two = (fit_applicability(x, folds, seed=3) for _ in range(2))
    assert all(np.array_equal(one.arrays()[name], array) for name, array in two.arrays().items())
    read = Applicability.from_arrays(one.arrays())
    np.testing.assert_array_equal(read.distance(x[:50]), one.distance(x[:50]))


def test_labels_of_one_fold_are_compared_with_each_other() -> None:
    x, _ = cloud(40)
    assert np.isfinite(fit_applicability(x, np.zeros(40, dtype=np.int64)).threshold)


def test_labels_that_were_never_tested_are_references_and_set_no_threshold() -> None:
    x, folds = cloud(60)
    far = np.random.default_rng(1).normal(20, 1, size=(12, 4)).astype(np.float32)
    both, untested = np.concatenate([x, far]), np.append(folds, np.full(12, -1))
    found = fit_applicability(both, untested)
    assert (found.distance(far) < 0.05).all()
    rows = (both - both.mean(axis=0)) / both.std(axis=0)
    between = np.linalg.norm(rows[:60, None] - rows[None], axis=2)
    apart = np.where(folds[:, None] != untested[None], between, np.inf).min(axis=1)
    low, high = np.quantile(apart, [0.25, 0.75])
    assert found.threshold == pytest.approx(apart[apart <= high + 1.5 * (high - low)].max(), rel=5e-3)
    # a given split: the tested against those that were learnt from
    given_split = fit_applicability(both, np.append(np.full(60, -1), np.zeros(12, dtype=np.int64)))
    assert given_split.threshold > 5 * found.threshold


@pytest.mark.parametrize("count", [1, 5])
def test_too_few_labels_or_labels_that_are_all_alike_are_refused(count: int) -> None:
    with pytest.raises(InputError, match=r"expected (at least two|vectors that differ)"):
        fit_applicability(np.ones((count, 3), dtype=np.float32), np.arange(count, dtype=np.int64))


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("references", np.zeros((2, 4), dtype=np.int32), "references int32"),
        ("references", np.zeros((0, 4), dtype=np.int16), "expected int16"),
        ("mean", np.zeros(3, dtype=np.float32), "mean float32"),
        ("std", np.zeros(4, dtype=np.float32), "not above 0"),
        ("std", np.full(4, np.nan, dtype=np.float32), "expected finite"),
        ("threshold", np.zeros(1), "not above 0"),
        ("threshold", np.array([np.nan]), "not above 0"),
        ("threshold", np.zeros(2), "threshold float64"),
        ("more", np.zeros(2), "expected mean, std"),
    ],
)
def test_arrays_that_no_area_of_applicability_has_are_refused(name: str, array: np.ndarray, message: str) -> None:
    arrays = fit_applicability(*cloud(20)).arrays()
    with pytest.raises(InputError, match=message):
        Applicability.from_arrays({**arrays, name: array})


def test_vectors_of_another_length_are_refused() -> None:
    with pytest.raises(InputError, match=r"expected \(n, 4\)"):
        fit_applicability(*cloud(20)).distance(np.zeros((3, 5), dtype=np.float32))


def test_the_share_inside_is_that_of_tested_labels_within_the_threshold() -> None:
    x, folds = cloud(60)
    found = fit_applicability(x, folds)
    rows = (x - found.mean) / found.std
    kept = np.rint(rows * 1024) / 1024
    apart = np.sqrt(((rows[:, None] - kept[None]) ** 2).sum(axis=2))
    apart[folds[:, None] == folds[None]] = np.inf
    assert found.inside == pytest.approx((apart.min(axis=1) <= found.threshold * (1 + 1e-5)).mean())
    assert found.inside is not None
    assert 0.5 < found.inside <= 1
