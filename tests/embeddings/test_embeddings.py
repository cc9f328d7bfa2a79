from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tessera.base import InputError
from tessera.embeddings import Embeddings, ModelIdentity, dequantise, is_valid, parse_scales, quantise

MODEL = ModelIdentity("test", "ab" * 32, 4, (2, 4))
vectors = hnp.arrays(np.float32, st.tuples(st.integers(1, 9), st.just(16)), elements=st.floats(-50, 50, width=32))


@given(vectors)
def test_quantising_loses_at_most_half_a_step(values: Any) -> None:
    codes, scales = quantise(values)
    assert codes.dtype == np.int8
    assert scales.dtype == np.float32
    assert codes.min() >= -127
    assert (np.abs(dequantise(codes, scales) - values) <= scales[:, None] * 0.5001 + 1e-12).all()


def test_quantising_rounds_half_to_even_with_one_scale_a_vector() -> None:
    codes, scales = quantise(np.array([[127.0, 0.5, 1.5, -2.5], [0.0, 0.0, 0.0, 0.0]], np.float32))
    assert codes.tolist() == [[127, 0, 2, -2], [0, 0, 0, 0]]
    assert scales.tolist() == [1.0, np.float32(np.float32(1e-12) / np.float32(127))]


def test_only_a_finite_positive_scale_is_valid() -> None:
    scales = np.array([0.1, 0.0, -0.1, np.nan, np.inf, -np.inf], np.float32)
    assert is_valid(scales).tolist() == [True, False, False, False, False, False]
    values = dequantise(np.ones((6, 2), np.int8), scales)
    assert np.isnan(values[1:]).all()
    assert (values[0] == np.float32(0.1)).all()


@pytest.mark.parametrize("bad", [0.0, -0.5, 1.0, 161_685.0, -np.inf])
def test_scales_that_cannot_be_are_refused(bad: float) -> None:
    with pytest.raises(InputError, match="1 scales such as"):
        parse_scales(np.array([0.1, np.nan, np.inf, bad], np.float32))


def make(**change: Any) -> Embeddings:
    arrays: dict[str, Any] = {
        "codes": np.zeros((2, 3, 4), np.int8),
        "scales": np.full((2, 3), 0.1, np.float32),
        "counts": np.zeros((2, 3, 3), np.uint16),
        "model": MODEL,
    }
    return Embeddings(**{**arrays, **change})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"codes": np.zeros((2, 3, 4), np.float32)}, "expected int8"),
        ({"codes": np.zeros((2, 3, 5), np.int8)}, "5 dims from a model of 4"),
        ({"scales": np.zeros((3, 2), np.float32)}, r"expected float32 \(2, 3\)"),
        ({"scales": np.full((2, 3), 7, np.float32)}, "6 scales such as 7"),
        ({"counts": np.zeros((2, 3, 2), np.uint16)}, "counts"),
    ],
)
def test_embeddings_that_do_not_fit_are_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        make(**change)


def test_identities_round_trip_and_refuse_nonsense() -> None:
    assert ModelIdentity.from_json(MODEL.to_json()) == MODEL
    for bad in ({**MODEL.to_json(), "sha256": "xyz"}, {**MODEL.to_json(), "dims": 0}, {"name": "a"}, None):
        with pytest.raises(InputError):
            ModelIdentity.from_json(bad)
