"""Curves of a year, and what a view saw, against numbers made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.cubes import PixelSeries, series_of_arrays
from tessera.pretrain import View, month_means, recall, year_curves

COUNTS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=6)


def made(counts: list[tuple[int, int]], seed: int = 0) -> PixelSeries:
    rng = np.random.default_rng(seed)
    n = len(counts)
    s2 = rng.integers(1, 9000, (n, 12, 10)).astype(np.uint16)
    s1 = rng.integers(1, 9000, (n, 12, 2)).astype(np.int16)
    for i, (optical, radar) in enumerate(counts):
        s1[i, radar:] = 0
        s2[i, optical:] = 0
    days = rng.integers(1, 367, (n, 12)).astype(np.int16)
    return series_of_arrays(s2, s2[..., 0] > 0, days, s1, days, np.zeros((n, 12), dtype=np.bool_))


@settings(max_examples=25)
@given(COUNTS, st.integers(1, 4), st.integers(0, 9))
def test_curves_are_the_ridge_fit_of_each_pixel_alone(counts: list[tuple[int, int]], orders: int, seed: int) -> None:
    series = made(counts, seed)
    found = year_curves(series, orders).reshape(len(series), -1)
    size = 1 + 2 * orders
    assert found.shape == (len(series), 17 * size)
    for i in range(len(series)):
        part = series.take(np.array([i]))
        b = part.s2.astype(float)
        pairs = ((3, 0), (3, 8), (3, 9), (5, 0), (8, 9))
        ratios = [(b[:, p] - b[:, q]) / (b[:, p] + b[:, q] + 2) for p, q in pairs]
        expected = []
        for values, day in ((np.column_stack([b / 1e4, *ratios]), part.s2_day), (part.s1 / 1e4, part.s1_day)):
            if len(day) < 4:
                expected.append(np.full((size, values.shape[1]), np.nan))
                continue
            t = 2 * np.pi * day.astype(float) / 365.25
            columns = [np.ones(len(t))]
            for j in range(1, orders + 1):
                columns += [np.cos(j * t), np.sin(j * t)]
            a = np.column_stack(columns)
            weights = [1e-4] + [0.1 * j * j / 6 for j in range(1, orders + 1) for _ in (0, 1)]
            # ridge as least squares with rows that ask for zeros
            extra = np.diag(np.sqrt(np.array(weights) * len(t)))
            expected.append(
                np.linalg.lstsq(np.vstack([a, extra]), np.vstack([values, np.zeros((size, values.shape[1]))]))[0]
            )
        np.testing.assert_allclose(found[i], np.concatenate([e.reshape(-1) for e in expected]), rtol=2e-4, atol=2e-4)


def test_a_curve_finds_a_season() -> None:
    days = np.arange(8, 366, 30, dtype=np.int16)
    level = 3000 + 1000 * np.cos(2 * np.pi * (days - 200) / 365.25)
    s2 = np.repeat(level[None, :, None], 10, axis=2).astype(np.uint16)
    radar = np.full((1, len(days), 2), 5000, dtype=np.int16)
    series = series_of_arrays(
        s2, np.ones((1, len(days)), np.bool_), days, radar, days, np.zeros(len(days), dtype=np.bool_)
    )
    red = year_curves(series)[0].reshape(-1)[: 7 * 15].reshape(7, 15)[:, 0]
    assert red[0] == pytest.approx(0.3, abs=0.003)
    # the ridge takes some of it
    assert np.hypot(red[1], red[2]) == pytest.approx(0.1, abs=0.01)
    assert np.arctan2(red[2], red[1]) % (2 * np.pi) == pytest.approx(2 * np.pi * 200 / 365.25, abs=0.03)
    assert np.abs(red[3:]).max() < 0.005


def test_months_are_means_of_their_days_and_unknown_where_unseen() -> None:
    days = np.array([1, 30, 32, 365], dtype=np.int16)
    s2 = np.arange(40, dtype=np.uint16).reshape(1, 4, 10) * 100 + 100
    radar = np.arange(2, dtype=np.int16).reshape(1, 1, 2) * 100 + 4000
    series = series_of_arrays(
        s2, np.ones((1, 4), np.bool_), days, radar, np.array([[200]], dtype=np.int16), np.zeros((1, 1), np.bool_)
    )
    found = month_means(series).reshape(12, 12)
    expected = np.full((12, 12), np.nan, dtype=np.float32)
    expected[:10, 0] = s2[0, :2].mean(axis=0) / 1e4
    expected[:10, 1], expected[:10, 11] = s2[0, 2] / 1e4, s2[0, 3] / 1e4
    expected[10:, 6] = radar[0, 0] / 1e4
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert month_means(series.take(np.empty(0, dtype=np.int64))).shape == (0, 144)


def test_no_waves_and_no_pixels() -> None:
    with pytest.raises(InputError, match="0 waves a year; expected at least 1"):
        year_curves(made([(5, 5)]), 0)
    assert year_curves(made([(5, 5)]).take(np.empty(0, dtype=np.int64))).shape == (0, 119)


def test_what_a_view_saw() -> None:
    rng = np.random.default_rng(3)
    s2, s1 = rng.normal(size=(3, 5, 11)).astype(np.float32), rng.normal(size=(3, 4, 3)).astype(np.float32)
    s2[..., -1], s1[..., -1] = rng.integers(1, 367, (3, 5)), rng.integers(1, 367, (3, 4))
    s2[1], s1[2] = 0, 0
    found = recall(View(s2, s1))
    assert found.shape == (3, 16)
    np.testing.assert_allclose(found[0, :10], np.median(s2[0, :, :10], axis=0), rtol=1e-6)
    np.testing.assert_allclose(found[0, 10:12], s1[0, :, :2].mean(axis=0), rtol=1e-5)
    angle = 2 * np.pi * s2[0, :, -1] / 365.25
    expected = [np.cos(angle).mean(), np.sin(angle).mean(), np.cos(2 * angle).mean(), np.sin(2 * angle).mean()]
    np.testing.assert_allclose(found[0, 12:], expected, atol=1e-5)
    assert np.isnan(found[1, :10]).all()
    # without optical dates the radar's tell when
    assert found[1, 13] == pytest.approx(np.sin(2 * np.pi * s1[1, :, -1] / 365.25).mean(), abs=1e-5)
    assert np.isnan(found[2, 10:12]).all()
    assert np.isfinite(found[2, :10]).all()
