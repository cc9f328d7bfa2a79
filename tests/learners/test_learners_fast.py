"""Compiled predictions have the bits of numpy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.embeddings import CodedVectors, StackedVectors
from tessera.learners import BoostingModel, CodedKnnModel, CodedLinearModel, ForestModel, _fast, forest, knn, learn
from tessera.learners import _trees as trees
from tessera.learners import coded as linear


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Skips where nothing is compiled."""
    if _fast.products() is None:
        pytest.skip("this processor has no AVX-512 VNNI, or numba is not installed")
    return monkeypatch


def without(patch: pytest.MonkeyPatch) -> None:
    for module in (linear, knn):
        patch.setattr(module, "products", lambda: None)
    for module in (forest, trees):
        patch.setattr(module, "kernels", lambda: None)


def draw(count: int, widths: list[int], seed: int, *, coarse: bool, times: float = 1.0) -> StackedVectors:
    rng = np.random.default_rng(seed)
    low, high = (-1, 2) if coarse else (-128, 128)
    return StackedVectors(
        tuple(
            CodedVectors(
                rng.integers(low, high, (count, width)).astype(np.int8),
                rng.choice(rng.uniform(0.001, 0.9, 4).astype(np.float32) * np.float32(times), count),
            )
            for width in widths
        )
    )


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["linear", "knn", "forest", "boosting"]),
    st.integers(0, 10_000),
    st.lists(st.sampled_from([1, 3, 4, 16, 128, 448]), min_size=1, max_size=3),
    st.integers(2, 20),
    st.integers(1, 60),
    st.booleans(),
    st.sampled_from([1.0, 1.0, 1e-30, 1e-10, 1e8, 1e30]),
)
def test_compiled_predictions_have_the_bits_of_numpy(
    head: str, seed: int, widths: list[int], classes: int, count: int, coarse: bool, times: float
) -> None:
    if _fast.products() is None:
        pytest.skip("nothing is compiled here")
    if head == "boosting":
        pytest.importorskip("lightgbm")
    times = times if head == "knn" else 1.0
    rows = draw(3 * classes, widths, seed, coarse=coarse, times=times)
    small = {"boosting": {"rounds": 3}, "forest": {"trees": 5}, "knn": {"neighbours": seed % 7}}.get(head)
    model = learn(head, rows, np.arange(3 * classes) % classes, classes, seed, settings=small)
    assert isinstance(model, (CodedLinearModel, CodedKnnModel, ForestModel, BoostingModel))
    new = draw(count, widths, seed + 1, coarse=coarse, times=times)
    found, scores = model.predict_codes(new), model.scores_of(new)
    with pytest.MonkeyPatch.context() as patch:
        without(patch)
        np.testing.assert_array_equal(model.predict_codes(new), found)
        assert model.scores_of(new).tobytes() == scores.tobytes()


def test_many_vectors_are_predicted_in_threads_as_one_by_one(compiled: pytest.MonkeyPatch) -> None:
    model = learn("linear", draw(30, [16], 0, coarse=False), np.arange(30) % 3, 3)
    new = draw(150_001, [16], 1, coarse=False)
    found = model.predict_codes(new)
    without(compiled)
    np.testing.assert_array_equal(model.predict_codes(new), found)


def test_a_processor_without_the_instruction_predicts_by_numpy(compiled: pytest.MonkeyPatch) -> None:
    binding = pytest.importorskip("llvmlite.binding")
    compiled.setattr(binding, "get_host_cpu_features", dict)
    assert _fast.products.__wrapped__() is None
    compiled.setattr(_fast, "find_spec", lambda name: None)
    assert _fast.kernels.__wrapped__() is None
