"""Neighbours whose votes weigh by distance: as scikit-learn's, and to the last bit as plain Python."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from tessera.base import InputError
from tessera.embeddings import CodedVectors, StackedVectors
from tessera.learners import HEADS, CodedKnnModel, KnnModel, learn

BY_DISTANCE = {"neighbours": 4, "vote": "distance"}


def drawn(count: int, widths: list[int], rng: np.random.Generator) -> StackedVectors:
    """Vectors of few codes and scales, so that some are the same."""
    parts = []
    for dims in widths:
        codes = rng.choice(np.array([-7, 0, 9], np.int8), (count, dims))
        parts.append(CodedVectors(codes, rng.choice(np.array([0.1, 0.3], np.float32), count)))
    return StackedVectors(tuple(parts))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(1, 4), min_size=1, max_size=2), st.booleans())
def test_votes_by_distance_are_one_float_operation_after_another(seed: int, widths: list[int], numbers: bool) -> None:
    rng = np.random.default_rng(seed)
    labels, new = drawn(12, widths, rng), drawn(25, widths, rng)
    y: Any = rng.normal(size=12) if numbers else np.arange(12) % 3
    model = learn("knn", labels, y, 0 if numbers else 3, settings=BY_DISTANCE)
    assert isinstance(model, CodedKnnModel)
    found = model.scores_of(new)
    for k in range(len(new)):
        distances = []
        for row in range(12):
            order, square = 0.0, 0.0
            for own, other in zip(labels.parts, new.parts, strict=True):
                s, t = float(own.scales[row]), float(other.scales[k])
                q, p = ([int(c) for c in codes] for codes in (own.codes[row], other.codes[k]))
                order += (s * s) * float(sum(c * c for c in q)) - (t * (2.0 * s)) * float(
                    sum(a * b for a, b in zip(q, p, strict=True))
                )
                square += (t * t) * float(sum(c * c for c in p))
            distances.append((order, row, order + square))
        near = sorted(distances)[:4]
        same = [squared <= 0 for _, _, squared in near]
        weights = [float(one) for one in same] if any(same) else [1 / sqrt(squared) for _, _, squared in near]
        whole = weights[0]
        for weight in weights[1:]:
            whole += weight
        sums = [0.0] * 3
        for (_, row, _), weight in zip(near, weights, strict=True):
            sums[0 if numbers else int(y[row])] += (float(y[row]) if numbers else 1.0) * weight
        want = [one / whole for one in sums]
        assert (found[k] == want[0]) if numbers else (found[k].tolist() == want)


@pytest.mark.parametrize("numbers", [False, True])
def test_votes_by_distance_are_those_of_another_implementation(numbers: bool) -> None:
    rng = np.random.default_rng(0)
    x, new = (rng.normal(size=(count, 5)).astype(np.float32) for count in (60, 30))
    new[:3] = x[:3]
    y: Any = x[:, 0] * 3 if numbers else rng.integers(0, 3, 60)
    model = learn("knn", x, y, 0 if numbers else 3, settings=BY_DISTANCE)
    assert isinstance(model, KnnModel)
    scaled, fresh = ((part - x.mean(axis=0)) / x.std(axis=0) for part in (x, new))
    if numbers:
        other = KNeighborsRegressor(4, weights="distance").fit(scaled, y).predict(fresh)
        np.testing.assert_allclose(model.predict(new), other, rtol=2e-3, atol=2e-3)
    else:
        chances = KNeighborsClassifier(4, weights="distance").fit(scaled, y).predict_proba(fresh)
        np.testing.assert_allclose(model.probabilities(new), chances, atol=2e-3)
        np.testing.assert_array_equal(model.predict(x), y)


def test_the_vote_is_kept_in_the_arrays_and_equal_votes_leave_none() -> None:
    rng = np.random.default_rng(1)
    for x in (rng.normal(size=(20, 3)), drawn(20, [3], rng)):
        y = np.arange(20) % 2
        model = learn("knn", x, y, 2, settings=BY_DISTANCE)
        arrays = model.arrays()
        back = HEADS["knn"].read(arrays, 2)
        assert back.by_distance  # type: ignore[attr-defined]
        assert "vote" not in learn("knn", x, y, 2).arrays()
        with pytest.raises(InputError, match="vote 2; expected 1, or no such array"):
            HEADS["knn"].read({**arrays, "vote": np.array([2], np.int32)}, 2)
        with pytest.raises(InputError, match=r"vote int64 \(1,\); expected finite int32"):
            HEADS["knn"].read({**arrays, "vote": np.array([1])}, 2)
