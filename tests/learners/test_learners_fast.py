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
    patch.setattr(linear, "linear_kernel", lambda: None)
    patch.setattr(knn, "products", lambda: None)
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


@pytest.mark.parametrize("features", [{"+avx512bw"}, {"+avx2"}, set()])
def test_every_instruction_gives_the_same_scores(features: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    numba = pytest.importorskip("numba")
    from tessera.learners import _linear_kernel as kernel

    if not features <= kernel.FEATURES:
        pytest.skip("this processor lacks it")
    monkeypatch.setattr(kernel, "FEATURES", frozenset(features))
    add = kernel._adder(2)

    @numba.njit
    def run(*at):  # type: ignore[no-untyped-def]
        add(at[0], at[1], at[2], at[3], at[4], at[5], at[6], at[7], at[8])

    rng = np.random.default_rng(0)
    rows, weights = rng.integers(-128, 128, (32, 448)), rng.integers(-32767, 32768, (2, 448))
    # the largest sums there can be
    rows[0], weights[0] = -128, 32767
    words = rows.reshape(32, -1, 4)[..., [0, 2, 1, 3]].reshape(32, -1, 2).transpose(1, 0, 2).astype(np.int16, order="C")
    packed = _fast.pack_weights((weights.astype(np.int16),))
    t, step, before, scores = rng.uniform(size=32), rng.uniform(size=2), rng.normal(size=(2, 32)), np.empty((2, 32))
    told = [array.ctypes.data for array in (words, packed, t, step, before, scores)]
    run(told[0], 448 // 4, told[1], 448 * 2, told[2], told[3], 8, told[4], told[5])
    assert (scores == before + t * (step[:, None] * (weights @ rows.T))).all()
