from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.embeddings import CodedVectors, StackedVectors


def vectors(shape: tuple[int, ...], dims: int, seed: int = 0) -> CodedVectors:
    rng = np.random.default_rng(seed)
    codes = rng.integers(-128, 128, (*shape, dims)).astype(np.int8)
    scales = rng.choice([0.01, 0.06, np.nan, np.inf], shape).astype(np.float32)
    return CodedVectors(codes, scales)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=3), st.integers(0, 5), st.integers(1, 4))
def test_parts_lie_side_by_side(widths: list[int], height: int, width: int) -> None:
    parts = tuple(vectors((height, width), dims, seed) for seed, dims in enumerate(widths))
    both = StackedVectors(parts)
    assert (both.dims, both.widths, both.shape, len(both)) == (sum(widths), tuple(widths), (height, width), height)
    values = both.values()
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, np.concatenate([part.values() for part in parts], axis=-1))
    np.testing.assert_array_equal(both.valid, np.isfinite(values).all(axis=-1))
    flat = both.reshape(-1)
    np.testing.assert_array_equal(flat.values(), values.reshape(-1, both.dims))
    np.testing.assert_array_equal(flat[flat.valid].values(), values[both.valid])


def test_of_one_part() -> None:
    one = vectors((3,), 4)
    both = StackedVectors.of(one)
    assert both.parts == (one,)
    assert StackedVectors.of(both) is both
    assert repr(StackedVectors((one, vectors((3,), 2)))) == "StackedVectors((3,), 4 + 2 dims)"


@pytest.mark.parametrize("parts", [(), (vectors((3,), 4), vectors((2,), 4))])
def test_parts_of_other_places_are_refused(parts: tuple[CodedVectors, ...]) -> None:
    with pytest.raises(InputError, match="expected one part or more, all of one shape"):
        StackedVectors(parts)
