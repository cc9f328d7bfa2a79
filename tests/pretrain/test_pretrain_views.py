"""Views: only valid observations, each as likely as the other, standardised by its own statistics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.models import STUDENT_SPEC
from tessera.pretrain import PixelSeries, draw_view, pixels_of_step, series_of_arrays, step_generator


def make_series(counts: list[tuple[int, int, int]], seed: int = 0) -> PixelSeries:
    """Pixels of (Sentinel-2, ascending, descending) observations; every value is unlike all others."""
    rng = np.random.default_rng(seed)
    pixels, steps = len(counts), max(max(row) for row in counts)
    s2 = rng.permutation(pixels * steps * 10).reshape(pixels, steps, 10).astype(np.uint16)
    s1 = (1 + rng.permutation(pixels * 2 * steps * 2)).reshape(pixels, 2 * steps, 2).astype(np.int16)
    slots = np.arange(steps)
    valid = slots < np.array([row[0] for row in counts])[:, None]
    radar = np.concatenate([slots < np.array([row[i] for row in counts])[:, None] for i in (1, 2)], axis=1)
    s1[~radar] = 0
    days = np.arange(1, steps + 1, dtype=np.int16)
    descending = np.repeat([False, True], steps)
    return series_of_arrays(s2, valid, days, s1, np.concatenate([days, days]), descending)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.integers(0, 6), st.integers(0, 6)).filter(lambda row: row[1] + row[2] > 0),
        min_size=1,
        max_size=6,
    ),
    st.integers(1, 12),
    st.integers(0, 1000),
)
def test_views_hold_valid_observations_by_their_own_statistics(
    counts: list[tuple[int, int, int]], draws: int, seed: int
) -> None:
    series = make_series(counts, seed)
    pixels = np.random.default_rng(seed).integers(0, len(series), 5)
    view = draw_view(series, pixels, draws, STUDENT_SPEC, step_generator(seed, 3))
    assert view.s2.shape == (5, draws, 11)
    assert view.s1.shape == (5, draws, 3)
    assert view.s2.dtype == view.s1.dtype == np.float32
    for row, pixel in enumerate(pixels):
        own = slice(series.s2_offsets[pixel], series.s2_offsets[pixel + 1])
        optical = (series.s2[own] - np.array(STUDENT_SPEC.s2.mean)) / np.array(STUDENT_SPEC.s2.std)
        _all_in(view.s2[row], np.column_stack([optical, series.s2_day[own]]))
        own = slice(series.s1_offsets[pixel], series.s1_offsets[pixel + 1])
        orbits = (STUDENT_SPEC.s1_asc, STUDENT_SPEC.s1_desc)
        descending = series.s1_descending[own].astype(int)
        mean, std = (np.array([getattr(orbit, key) for orbit in orbits])[descending] for key in ("mean", "std"))
        _all_in(view.s1[row], np.column_stack([(series.s1[own] - mean) / std, series.s1_day[own]]))


def _all_in(tokens: np.ndarray, allowed: np.ndarray) -> None:
    distance = np.abs(tokens[:, None, :] - allowed[None]).max(axis=2)
    assert distance.min(axis=1).max() < 1e-4


def test_draws_are_uniform_over_all_valid_observations() -> None:
    series = make_series([(7, 4, 2), (3, 0, 5)])
    pixels = np.repeat([0, 1], 4000)
    view = draw_view(series, pixels, 10, STUDENT_SPEC, step_generator(11, 0))
    for tokens, pixel, expected in (
        (view.s2, 0, 7),
        (view.s2, 1, 3),
        (view.s1, 0, 6),
        (view.s1, 1, 5),
    ):
        drawn = tokens[pixels == pixel].reshape(40_000, -1)
        _, counts = np.unique(drawn, axis=0, return_counts=True)
        assert len(counts) == expected
        # chi-squared of at most 6 degrees of freedom: above 22.5 once in a thousand
        mean = 40_000 / expected
        assert ((counts - mean) ** 2 / mean).sum() < 22.5


def test_views_differ_and_repeat_with_the_seed_and_the_step() -> None:
    series = make_series([(9, 9, 9)] * 4)
    pixels = np.arange(4)

    def two(seed: int, step: int) -> list[np.ndarray]:
        generator = step_generator(seed, step)
        return [draw_view(series, pixels, 8, STUDENT_SPEC, generator).s2 for _ in range(2)]

    first = two(1, 5)
    assert not np.array_equal(first[0], first[1])
    np.testing.assert_array_equal(first, two(1, 5))
    assert not np.array_equal(first, two(1, 6))
    assert not np.array_equal(first, two(2, 5))


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(1, 10), st.integers(0, 99))
def test_every_epoch_sees_a_pixel_at_most_once(n: int, batch: int, seed: int) -> None:
    batch = min(n, batch)
    steps = n // batch
    for epoch in range(2):
        seen = [pixels_of_step(n, batch, seed, epoch * steps + step) for step in range(steps)]
        assert all(len(part) == batch for part in seen)
        assert len(np.unique(np.concatenate(seen))) == steps * batch
        assert 0 <= np.min(seen) <= np.max(seen) < n


def test_what_cannot_be_drawn_is_refused_in_one_line() -> None:
    series = make_series([(3, 2, 0), (3, 0, 0)])
    with pytest.raises(InputError, match=r"1 pixels without a valid Sentinel-1 observation; expected at least one"):
        draw_view(series, np.array([0, 1]), 4, STUDENT_SPEC, step_generator(0, 0))
    with pytest.raises(InputError, match=r"views of 0 draws; expected at least 1"):
        draw_view(series, np.array([0]), 0, STUDENT_SPEC, step_generator(0, 0))
    with pytest.raises(InputError, match=r"3 pixel-years for a batch of 4; expected"):
        pixels_of_step(3, 4, 0, 0)
