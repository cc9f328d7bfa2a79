"""Models on codes: the same bits as arithmetic on Python integers and floats, one operation after another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from tessera.base import InputError
from tessera.embeddings import CodedVectors, StackedVectors, quantise
from tessera.learners import CodedKnnModel, CodedLinearModel, coded_linear, learn

WIDTHS = st.lists(st.integers(1, 70), min_size=1, max_size=3)


def draw(count: int, widths: list[int], rng: np.random.Generator, kinds: int = 256) -> StackedVectors:
    """Vectors with codes out of `kinds` values, so that few of them make ties."""
    parts = []
    for dims in widths:
        codes = rng.choice(np.linspace(-128, 127, kinds).astype(np.int8), (count, dims))
        scales = rng.choice(rng.uniform(0.01, 0.9, 5).astype(np.float32), count)
        parts.append(CodedVectors(codes, scales))
    return StackedVectors(tuple(parts))


def plain(stacked: StackedVectors) -> list[list[tuple[float, list[int]]]]:
    """Each vector as a scale and codes of each part."""
    return [
        [(float(part.scales[k]), [int(c) for c in part.codes[k]]) for part in stacked.parts]
        for k in range(len(stacked))
    ]


def dot(one: list[int], other: list[int]) -> int:
    return sum(a * b for a, b in zip(one, other, strict=True))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), WIDTHS, st.integers(2, 5), st.booleans(), st.sampled_from([2, 256]))
def test_linear_scores_are_whole_numbers_and_then_one_float_operation_after_another(
    seed: int, widths: list[int], classes: int, numbers: bool, kinds: int
) -> None:
    rng = np.random.default_rng(seed)
    count = 1 if numbers else classes
    weights = rng.integers(-32767, 32768, (count, sum(widths))).astype(np.int16)
    if kinds == 2:
        # classes that tie
        weights[:] = weights[:1]
    scale = np.repeat(rng.uniform(0, 1e-4, (1, len(widths))), count, axis=0)
    bias = np.zeros(count) if kinds == 2 else rng.normal(size=count)
    model = CodedLinearModel(0 if numbers else classes, np.array(widths, np.int32), weights, scale, bias)
    new = draw(30, widths, rng, kinds)
    want = []
    for vector in plain(new):
        scores = []
        for k in range(count):
            score, start = float(bias[k]), 0
            for index, (own, codes) in enumerate(vector):
                whole = dot(codes, [int(w) for w in weights[k, start : start + len(codes)]])
                score = score + own * (float(scale[k, index]) * float(whole))
                start += len(codes)
            scores.append(score)
        want.append(scores)
    said = model.scores_of(new)
    if numbers:
        assert said.tolist() == [row[0] for row in want]
        assert model.predict_codes(new).tolist() == [float(np.float32(row[0])) for row in want]
    else:
        assert said.tolist() == want
        assert model.predict_codes(new).tolist() == [row.index(max(row)) for row in want]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), WIDTHS, st.booleans(), st.sampled_from([2, 256]))
def test_neighbours_of_codes_are_those_of_whole_numbers_and_floats(
    seed: int, count: int, widths: list[int], numbers: bool, kinds: int
) -> None:
    rng = np.random.default_rng(seed)
    rows, new = draw(count, widths, rng, kinds), draw(20, widths, rng, kinds)
    y = rng.normal(size=count) if numbers else rng.integers(0, 3, count)
    near = min(count, int(rng.integers(1, 6)))
    model = CodedKnnModel(
        0 if numbers else 3,
        np.array(widths, np.int32),
        np.concatenate([part.codes for part in rows.parts], axis=1),
        np.column_stack([part.scales for part in rows.parts]),
        y,
        np.array([near], np.int32),
    )
    labels = plain(rows)
    for vector, said in zip(plain(new), model.predict_codes(new).tolist(), strict=True):
        far = []
        for label in labels:
            order = 0.0
            for (own, q), (scale, p) in zip(label, vector, strict=True):
                order = order + ((own * own) * float(dot(q, q)) - (scale * (2.0 * own)) * float(dot(q, p)))
            far.append(order)
        chosen = sorted(range(count), key=lambda index: (far[index], index))[:near]
        if numbers:
            total = float(y[chosen[0]])
            for index in chosen[1:]:
                total += float(y[index])
            assert said == float(np.float32(total / near))
        else:
            votes = [sum(int(y[index]) == k for index in chosen) for k in range(3)]
            assert said == votes.index(max(votes))


def store_vectors(count: int, widths: tuple[int, ...], seed: int) -> StackedVectors:
    rng = np.random.default_rng(seed)
    values = [rng.normal(size=(count, dims)).astype(np.float32) * 3 for dims in widths]
    return StackedVectors(tuple(CodedVectors(*quantise(part)) for part in values))


@pytest.mark.parametrize("widths", [(128,), (64, 16)])
def test_neighbours_of_codes_predict_as_those_of_scikit_learn(widths: tuple[int, ...]) -> None:
    x, new = store_vectors(300, widths, 0), store_vectors(500, widths, 1)
    y = np.arange(300) % 7
    theirs = KNeighborsClassifier(5).fit(x.values(), y)
    np.testing.assert_allclose(
        learn("knn", x, y, 7).probabilities_codes(new), theirs.predict_proba(new.values()), rtol=1e-6
    )
    numbers = learn("knn", x, y * 1.5, 0, settings={"neighbours": 3}).predict_codes(new)
    np.testing.assert_allclose(
        numbers, KNeighborsRegressor(3).fit(x.values(), y * 1.5).predict(new.values()), rtol=1e-6
    )


def test_weights_in_whole_numbers_give_the_scores_of_the_weights() -> None:
    rng = np.random.default_rng(0)
    weights, bias, mean = rng.normal(size=(4, 80)), rng.normal(size=4), rng.normal(size=80)
    # the second part has values and so weights of another size
    weights[:, 64:] *= 1e-6
    model = coded_linear(4, weights, bias, (64, 16), mean)
    assert np.abs(model.weights).max(axis=1).tolist() == [32767] * 4
    new = store_vectors(200, (64, 16), 0)
    exact = (new.values().astype(np.float64) - mean) @ weights.T + bias
    np.testing.assert_allclose(model.scores_of(new), exact, atol=0.02)
    np.testing.assert_allclose(model.scores(new.values()), model.scores_of(new), atol=1e-5)
    np.testing.assert_allclose(model.probabilities_codes(new).sum(axis=1), 1, rtol=1e-6)
    flat = coded_linear(2, np.zeros((2, 3)), np.array([1.0, 2.0]), (3,))
    assert flat.predict_codes(store_vectors(2, (3,), 0)).tolist() == [1, 1]


@pytest.mark.parametrize("head", ["linear", "knn"])
def test_heads_on_codes_agree_with_heads_on_values(head: str) -> None:
    centres = np.random.default_rng(3).normal(size=(4, 32))
    y = np.arange(200) % 4
    rng = np.random.default_rng(5)
    values = (centres[y] + 0.6 * rng.normal(size=(200, 32))).astype(np.float32)
    stacked = StackedVectors.of(CodedVectors(*quantise(values)))
    model, other = learn(head, stacked, y, 4), learn(head, stacked.values(), y, 4)
    assert type(model) is not type(other)
    assert (model.predict_codes(stacked) == other.predict_codes(stacked)).mean() > 0.97


@pytest.mark.parametrize("neighbours", [-1, 1.5, True, "many"])
def test_neighbours_that_are_no_number(neighbours: Any) -> None:
    with pytest.raises(InputError, match=r"setting neighbours .*; expected a whole number from 0 to 32,767"):
        learn("knn", store_vectors(4, (3,), 0), np.array([0, 1, 0, 1]), 2, settings={"neighbours": neighbours})


def test_vectors_of_other_parts_are_refused() -> None:
    model = learn("linear", store_vectors(6, (3, 5), 0), np.arange(6) % 2, 2)
    with pytest.raises(InputError, match=r"vectors of 5 \+ 3 dims; expected 3 \+ 5"):
        model.predict_codes(store_vectors(6, (5, 3), 0))
