"""Pixel-years through an encoder: as the cube of each alone would go."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from evaluate_made import ragged
from hypothesis import given
from hypothesis import strategies as st

import tessera
from tessera.base import InputError
from tessera.cubes import cube_of
from tessera.embeddings import CodedVectors, ModelIdentity
from tessera.evaluation import encode_series, vectors_of
from tessera.labels import Labels


@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(0, 12))
def test_a_cube_holds_each_pixels_observations_in_the_order_of_days(seed: int, count: int, most: int) -> None:
    series = ragged(seed, count, most)
    first = seed % count
    cube = cube_of(series, first)
    assert (np.diff(cube.s2_doy) >= 0).all()
    for pixel in range(first, count):
        own = slice(series.s2_offsets[pixel], series.s2_offsets[pixel + 1])
        seen = np.asarray(cube.s2_mask[:, 0, pixel - first]) == 1
        np.testing.assert_array_equal(cube.s2_doy[seen], series.s2_day[own])
        np.testing.assert_array_equal(np.asarray(cube.s2[:, 0, pixel - first])[seen], series.s2[own])
        own = slice(series.s1_offsets[pixel], series.s1_offsets[pixel + 1])
        for stack, doy, way in ((cube.s1_asc, cube.s1_asc_doy, False), (cube.s1_desc, cube.s1_desc_doy, True)):
            chosen = series.s1_descending[own] == way
            seen = (np.asarray(stack[:, 0, pixel - first]) != 0).any(axis=1)
            np.testing.assert_array_equal(doy[seen], series.s1_day[own][chosen])
            np.testing.assert_array_equal(np.asarray(stack[:, 0, pixel - first])[seen], series.s1[own][chosen])


def test_vectors_are_those_of_each_pixel_alone_and_nan_without_observations() -> None:
    series = ragged(3, 25)
    encoder = tessera.load_encoder()
    together = encode_series(encoder, series)
    assert together.shape == (25, encoder.dims)
    assert np.isnan(together[0]).all()
    for pixel in (1, 7, 24):
        alone = encoder.encode(cube_of(series, pixel, pixel + 1)).values()[0, 0]
        # one int8 step of the vector's scale at most, where batches round otherwise
        np.testing.assert_allclose(together[pixel], alone, atol=float(np.abs(alone).max()) / 100, equal_nan=True)
    seen = (series.s2_count > 0) | (series.s1_count > 0)
    np.testing.assert_array_equal(np.isfinite(together).all(axis=1), seen)


def test_what_makes_features() -> None:
    label = np.array(["a", "b"] * 4, dtype=object)
    places = Labels(label, "classification", lonlat=np.zeros((8, 2)))
    numbers = np.arange(16.0).reshape(8, 2)
    assert vectors_of(numbers, places).dtype == np.float32
    np.testing.assert_array_equal(vectors_of(lambda given: numbers[: len(given)], places), numbers)
    model, codes = ModelIdentity("made", "ab" * 32, 2), np.arange(16, dtype=np.int8).reshape(8, 2)

    def sample_codes(lonlat: Any, year: int, dims: int | None = None) -> CodedVectors:
        scales = np.full(len(lonlat), (year - 2019) / 4, dtype=np.float32)
        scales[0] = np.nan
        return CodedVectors(codes[: len(lonlat)], scales)

    store = SimpleNamespace(years=(2020, 2021), dims=2, model=model, sample_codes=sample_codes)
    expected = codes / np.float32(2)
    expected[0] = np.nan
    np.testing.assert_array_equal(vectors_of(store, places, year=2021), expected)
    # each label of two years reads its own; the first of each year has no data
    own = replace(places, years=np.repeat([2020, 2021], 4))
    expected = np.concatenate([codes[:4] / np.float32(4), codes[:4] / np.float32(2)])
    expected[[0, 4]] = np.nan
    np.testing.assert_array_equal(vectors_of(store, own), expected)
    with pytest.raises(InputError, match="the years 2020, 2021 and none is named; expected year="):
        vectors_of(store, places)
    with pytest.raises(InputError, match=r"expected numbers \(8, D\)"):
        vectors_of(numbers[:3], places)
    with pytest.raises(InputError, match="no observations to encode"):
        vectors_of(None, places)
    with pytest.raises(InputError, match="no places"):
        vectors_of(store, Labels(label, "classification"), year=2020)
