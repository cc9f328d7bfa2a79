"""Pixel-years: ragged tables from cubes and arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.cubes import PixelCube, PixelSeries, concatenate, series_of_arrays, series_of_cube


def make_cube(seed: int, height: int = 5, width: int = 4, steps: int = 14, share: float = 0.9) -> PixelCube:
    rng = np.random.default_rng(seed)

    def radar(t: int) -> np.ndarray:
        stack = rng.integers(1, 9000, (t, height, width, 2)).astype(np.int16)
        stack[rng.random((t, height, width)) > share] = 0
        return stack

    def days(t: int) -> np.ndarray:
        return np.sort(rng.integers(1, 367, t)).astype(np.int16)

    return PixelCube(
        rng.integers(1, 10000, (steps, height, width, 10)).astype(np.uint16),
        (rng.random((steps, height, width)) < share).astype(np.uint8),
        days(steps),
        radar(8),
        days(8),
        radar(6),
        days(6),
    )


@pytest.mark.parametrize("every", [1, 2, 3])
def test_series_of_cube_holds_what_each_pixel_saw(every: int) -> None:
    cube = make_cube(1)
    series = series_of_cube(cube, every=every, minimum=0)
    pixels = [(row, col) for row in range(0, 5, every) for col in range(0, 4, every)]
    assert len(series) == len(pixels)
    for index, (row, col) in enumerate(pixels):
        seen = cube.s2_mask[:, row, col] != 0
        own = slice(series.s2_offsets[index], series.s2_offsets[index + 1])
        np.testing.assert_array_equal(series.s2[own], cube.s2[seen, row, col])
        np.testing.assert_array_equal(series.s2_day[own], cube.s2_doy[seen])
        own = slice(series.s1_offsets[index], series.s1_offsets[index + 1])
        asc, desc = ((stack[:, row, col] != 0).any(axis=1) for stack in (cube.s1_asc, cube.s1_desc))
        np.testing.assert_array_equal(
            series.s1[own], np.concatenate([cube.s1_asc[asc, row, col], cube.s1_desc[desc, row, col]])
        )
        np.testing.assert_array_equal(
            series.s1_day[own], np.concatenate([cube.s1_asc_doy[asc], cube.s1_desc_doy[desc]])
        )
        np.testing.assert_array_equal(series.s1_descending[own], np.repeat([False, True], [asc.sum(), desc.sum()]))


def test_minimum_keeps_pixels_with_enough_of_both() -> None:
    cube = make_cube(2, share=0.7)
    series = series_of_cube(cube, minimum=0)
    enough = (series.s2_count >= 10) & (series.s1_count >= 10)
    assert 0 < enough.sum() < len(series)
    kept = series_of_cube(cube)
    assert len(kept) == enough.sum()
    assert min(kept.s2_count.min(), kept.s1_count.min()) >= 10
    assert kept.digest() == series.take(np.flatnonzero(enough)).digest()


def test_one_value_of_radar_makes_it_valid() -> None:
    s1 = np.zeros((1, 3, 2), dtype=np.int16)
    s1[0, 1, 1] = 7
    day = np.array([5, 6, 7], dtype=np.int16)
    series = series_of_arrays(
        np.ones((1, 3, 10), dtype=np.uint16), np.ones((1, 3), dtype=np.bool_), day, s1, day, np.zeros(3, dtype=np.bool_)
    )
    assert series.s1.tolist() == [[0, 7]]
    assert series.s1_day.tolist() == [6]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 3), st.integers(0, 3))
def test_taking_and_putting_together(seed: int, first: int, second: int) -> None:
    rng = np.random.default_rng(seed)
    series = series_of_cube(make_cube(seed % 7, share=0.4), minimum=0)
    chosen = [rng.integers(0, len(series), size) for size in (first, second)]
    whole = series.take(np.concatenate(chosen))
    assert concatenate([series.take(part) for part in chosen]).digest() == whole.digest()
    np.testing.assert_array_equal(whole.s2_count, series.s2_count[np.concatenate(chosen)])


def test_targets_go_with_their_pixels() -> None:
    series = series_of_cube(make_cube(1), minimum=0)
    assert series.targets.shape == (len(series), 0)
    assert series.targets.dtype == np.float32
    truths = np.arange(2 * len(series), dtype=np.float32).reshape(-1, 2)
    known = PixelSeries(**{**vars(series), "targets": truths})
    np.testing.assert_array_equal(known.take(np.array([3, 1, 3])).targets, truths[[3, 1, 3]])
    enough = (series.s2_count >= 10) & (series.s1_count >= 10)
    np.testing.assert_array_equal(known.keep().targets, truths[enough])
    assert known.digest() != series.digest()
    assert known.digest() != PixelSeries(**{**vars(series), "targets": truths + 1}).digest()
    whole = concatenate([known, series, known])
    n = len(series)
    np.testing.assert_array_equal(whole.targets[:n], truths)
    np.testing.assert_array_equal(whole.targets[2 * n :], truths)
    assert np.isnan(whole.targets[n : 2 * n]).all()
    assert concatenate([series, series]).targets.shape == (2 * n, 0)
    with pytest.raises(InputError, match=r"tables with 1 and 2 targets a pixel; expected one number"):
        concatenate([known, PixelSeries(**{**vars(series), "targets": truths[:, :1]})])
    for wrong in (truths[1:], truths.astype(np.float64), truths[:, 0]):
        with pytest.raises(InputError, match=r"targets is float.*; expected float32 \(20, truths\)"):
            PixelSeries(**{**vars(series), "targets": wrong})
    truths[[0, 4], 1] = np.inf, -np.inf
    with pytest.raises(InputError, match=r"^2 targets are infinite; expected finite numbers, NaN where unknown$"):
        PixelSeries(**{**vars(series), "targets": truths})


def test_bad_tables_are_refused_in_one_line() -> None:
    series = series_of_cube(make_cube(3))
    with pytest.raises(InputError, match=r"0 tables of pixel-years.*expected at least one"):
        concatenate([])
    with pytest.raises(InputError, match=r"one pixel in 0; expected"):
        series_of_cube(make_cube(3), every=0)
    with pytest.raises(InputError, match=r"s2 is float64 .*; expected uint16"):
        PixelSeries(**{**vars(series), "s2": series.s2.astype(np.float64)})
    with pytest.raises(InputError, match=r"s2_day from 0 to .*; expected days of the year"):
        PixelSeries(**{**vars(series), "s2_day": series.s2_day * 0})
    with pytest.raises(InputError, match=r"s1_offsets of .*; expected ascending values from 0"):
        PixelSeries(**{**vars(series), "s1_offsets": series.s1_offsets[::-1].copy()})


def test_a_table_is_shown_in_one_short_line() -> None:
    series = series_of_cube(make_cube(3), minimum=0)
    seen = f"{len(series.s2)} Sentinel-2 and {len(series.s1)} Sentinel-1 observations"
    assert repr(series) == f"PixelSeries(20 pixel-years, {seen})"


def test_the_digest_of_a_table_stays_what_it_was() -> None:
    """A digest names kept scores, blocks and finished runs, so it may not change by accident."""
    day = np.array([5, 6, 7], dtype=np.int16)
    s1 = np.array([[[0, 0], [0, 7], [9, 0]]] * 2, dtype=np.int16)
    s2 = np.arange(60, dtype=np.uint16).reshape(2, 3, 10)
    valid = np.array([[True, False, True], [False, True, False]])
    series = series_of_arrays(s2, valid, day, s1, day, np.array([False, True, True]))
    known = PixelSeries(**{**vars(series), "targets": np.array([[0.5], [2.0]], dtype=np.float32)})
    assert series.digest() == "cd2fb7350f494f7fda9acc7f4b06524b93bb1713156fc42bbd847a0ec0491a4c"
    assert known.digest() == "b2a35c41c080f11b9ae738064f253e42ddfc146822d1843da75f3c60796a8677"


def test_pixel_years_without_radar_keep_the_rest() -> None:
    series = series_of_cube(make_cube(3), minimum=1)
    bare = series.without_s1()
    assert bare.s1_count.tolist() == [0] * len(series)
    assert bare.s1.shape == (0, 2)
    for name in ("s2", "s2_day", "s2_offsets", "targets"):
        np.testing.assert_array_equal(getattr(bare, name), getattr(series, name))
    np.testing.assert_array_equal(bare.take(np.array([1])).s2, series.take(np.array([1])).s2)
