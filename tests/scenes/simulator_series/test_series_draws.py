"""Random numbers by counter, the choice of passes, and days of the civil year."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.simulator.series._calendar import _keep, civil_day
from tessera.simulator.series._climate import extraterrestrial
from tessera.simulator.series._draws import Draws, speckle


def test_numbers_are_uniform_and_of_their_name_seed_and_pixel() -> None:
    draws = Draws(3, np.arange(4000))
    x = draws.uniform("a", 5)
    assert x.shape == (4000, 5)
    assert 0 < x.min() < x.max() < 1
    counts = np.histogram(x, bins=20, range=(0, 1))[0]
    assert np.abs(counts - 1000).max() < 150
    assert abs(np.corrcoef(x.T) - np.eye(5)).max() < 0.06
    for other in (draws.uniform("b", 5), Draws(4, np.arange(4000)).uniform("a", 5)):
        assert abs(np.corrcoef(x.ravel(), other.ravel())[0, 1]) < 0.03
    np.testing.assert_array_equal(Draws(3, np.arange(100, 107)).uniform("a", 5), x[100:107])


def test_numbers_of_rows_are_those_of_their_pixel() -> None:
    draws = Draws(1, np.arange(10))
    pixel, number = np.array([2, 7, 2]), np.array([0, 3, 3])
    x = draws.at("x", pixel, number, 4)
    np.testing.assert_array_equal(x[2], Draws(1, np.array([2])).at("x", np.array([0]), np.array([3]), 4)[0])
    np.testing.assert_array_equal(x[0], draws.uniform("x", 4)[2])
    assert len(np.unique(x)) == 12


@pytest.mark.parametrize("looks", [2.0, 4.4, 20.0])
def test_speckle_has_mean_one_and_variance_one_over_looks(looks: float) -> None:
    pytest.importorskip("scipy", reason="the extra `train` is not installed")
    x = speckle(Draws(2, np.arange(40000)).normal("z"), looks)
    assert abs(x.mean() - 1) < 0.02
    assert abs(x.var() * looks - 1) < 0.08


@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(1, 40), st.integers(1, 8), st.booleans())
def test_kept_passes_are_clear_in_order_and_no_more_than_asked(
    seed: int, n: int, width: int, most: int, months: bool
) -> None:
    rng = np.random.default_rng(seed)
    clear = rng.random((n, width)) < 0.6
    day = np.tile(np.arange(width) * 5.0, (n, 1))
    group = np.tile(np.arange(width) // 6 if months else np.zeros(width, dtype=np.int64), (n, 1))
    kept = _keep(rng.random((n, width)), clear, day, group, np.full(n, most))
    assert clear[kept.pixel, kept.slot].all()
    assert (np.diff(kept.pixel * 10_000 + kept.day) > 0).all()
    for pixel in range(n):
        for value in np.unique(group):
            there = (clear[pixel] & (group[pixel] == value)).sum()
            assert ((kept.pixel == pixel) & (kept.group == value)).sum() == min(most, there)


def test_seasons_are_turned_in_the_south() -> None:
    days = np.array([1.0, 183.0, 365.0, 366.0])
    np.testing.assert_array_equal(civil_day(days, np.zeros(4, dtype=bool)), [1, 183, 365, 1])
    np.testing.assert_array_equal(civil_day(days, np.ones(4, dtype=bool)), [184, 1, 183, 184])


def test_radiation_at_the_top_of_the_atmosphere_is_the_published_example() -> None:
    # FAO-56, example 8: 20 degrees south on 3 September (day 246), 32.2 MJ/m2
    assert abs(extraterrestrial(np.array([-20.0]), np.array([246.0]))[0] - 32.2) < 0.15
