"""Distances are exact, quantiles need no list of pixels, and a threshold rests on the best evidence."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tessera.base import InputError
from tessera.changes import Histogram, cosine_distance, find_threshold
from tessera.embeddings import CodedVectors

CODES = arrays(np.int8, (2, 12), elements=st.integers(-127, 127))


def coded(codes: np.ndarray, scales: object = 0.01) -> CodedVectors:
    return CodedVectors(codes, np.full(codes.shape[:-1], scales, dtype=np.float32))


def exact(one: list[int], other: list[int]) -> float:
    """1 - cosine by whole numbers, with 60 digits of the root."""
    dot = sum(x * y for x, y in zip(one, other, strict=True))
    squares = sum(x * x for x in one) * sum(y * y for y in other)
    root = Fraction(isqrt(squares * 10**60), 10**30)
    return float(1 - Fraction(dot) / root)


@given(CODES)
def test_distances_are_those_of_whole_numbers(codes: np.ndarray) -> None:
    found = cosine_distance(coded(codes[:1]), coded(codes[1:], 0.5))[0]
    one, other = codes.tolist()
    if not any(one) or not any(other):
        assert found == (0.0 if not any(one) and not any(other) else 1.0)
    else:
        assert abs(float(found) - exact(one, other)) <= 1.2e-7 * max(exact(one, other), 1e-8) + 3e-16


def test_the_longest_vectors_are_exact() -> None:
    one = np.full((1, 512), 127, dtype=np.int8)
    assert cosine_distance(coded(one), coded(one))[0] == 0.0
    assert cosine_distance(coded(one), coded(-one))[0] == 2.0
    rng = np.random.default_rng(0)
    codes = rng.integers(-127, 128, (3, 5, 512)).astype(np.int8)
    found = cosine_distance(coded(codes), coded(codes[::-1]))
    pairs = zip(codes.reshape(-1, 512).tolist(), codes[::-1].reshape(-1, 512).tolist(), strict=True)
    expected = np.array([exact(one, other) for one, other in pairs]).reshape(3, 5)
    assert np.array_equal(found[[0, 2]], expected.astype(np.float32)[[0, 2]])


def test_no_data_in_either_year_is_no_distance() -> None:
    codes = np.ones((4, 3), dtype=np.int8)
    one = CodedVectors(codes, np.array([0.1, np.nan, 0.1, np.inf], dtype=np.float32))
    other = CodedVectors(codes, np.array([0.1, 0.1, np.inf, np.nan], dtype=np.float32))
    assert np.isnan(cosine_distance(one, other)).tolist() == [False, True, True, True]
    with pytest.raises(InputError, match="expected the same shape"):
        cosine_distance(one, coded(codes[:2]))


@given(arrays(np.float32, st.integers(1, 300), elements=st.floats(0, 2, width=32)), st.floats(0.01, 1))
def test_quantiles_lie_within_a_bin_of_the_true_ones(values: np.ndarray, share: float) -> None:
    held = Histogram()
    for part in np.array_split(values, 3):
        held.add(part)
    assert held.total == len(values)
    found = held.quantile(share)
    assert (values <= np.float32(found)).mean() >= share - 1e-9
    below = np.sort(values)[max(0, int(np.ceil(share * len(values))) - 1)]
    assert found <= max(float(below) * 1.0006, 1e-38) or found == 2.0


def test_a_threshold_rests_on_the_best_evidence() -> None:
    rng = np.random.default_rng(1)
    stable, moved = (np.exp(rng.normal(mean, 0.5, 10_000)).astype(np.float32) for mean in (-4, -1.5))
    everything, same, known = Histogram(), Histogram(), Histogram()
    everything.add(np.concatenate([stable, moved[:2000]]))
    same.add(stable)
    known.add(stable[:500])
    evidence = ((same, known), (same, None), (None, None))
    found = [find_threshold(everything, one, other, 0.01) for one, other in evidence]
    assert [one.source for one in found] == ["stable", "same class", "robust"]
    assert found[1].distance == pytest.approx(np.quantile(stable, 0.99), rel=0.01)
    assert found[2].distance == pytest.approx(np.exp(-4 + 2.326 * 0.5), rel=0.1)
    for one in found:
        assert (stable > one.distance).mean() < 0.02
        assert (moved > one.distance).mean() > 0.9
    assert found[0].notes() == ("the threshold rests on 500 pixels only; expected 1,000 or more",)
    with pytest.raises(InputError, match="no pixel has data in both years"):
        find_threshold(Histogram(), None, None, 0.01)


def test_pixels_that_did_not_move_at_all_leave_a_threshold_above_zero() -> None:
    held = Histogram()
    held.add(np.zeros(100, dtype=np.float32))
    held.add(np.full(10, 0.3, dtype=np.float32))
    assert 0 < find_threshold(held, None, None, 0.01).distance < 0.3


def test_products_of_long_vectors_are_exact_too() -> None:
    """1,500 dims of codes near 127: sums pass 2^24, where float32 leaves out every second whole number."""
    rng = np.random.default_rng(0)
    one, other = rng.integers(120, 128, (2, 50, 1500)).astype(np.int8)
    scales = np.ones(50, dtype=np.float32)
    found = cosine_distance(CodedVectors(one, scales), CodedVectors(other, scales))
    a, b = one.astype(np.int64), other.astype(np.int64)
    squares = (a**2).sum(axis=1).astype(np.float64) * (b**2).sum(axis=1).astype(np.float64)
    assert (found == (1 - (a * b).sum(axis=1) / np.sqrt(squares)).astype(np.float32)).all()
