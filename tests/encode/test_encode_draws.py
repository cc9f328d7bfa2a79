"""The random choice of v1.0: forty a pixel, the same wherever and with whatever else the pixel is embedded."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from encode_tiny import PLACE, expanded, job_of, observed, ragged_cube, runner_of, spec_of
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from tessera.base import InputError
from tessera.cubes import PixelCube
from tessera.encode import Draw, Options, plan_blocks
from tessera.encode import row_blocks as blocks_module
from tessera.encode.draws import draw_counts, pixel_keys, pool_of

SPEC = spec_of("v1.0")
DATES = (61, 23, 29)


def sequences(cube: PixelCube, *, first_row: int = 0, **options: Any) -> dict[tuple[int, int], bytes]:
    """Pixel and modality -> the raw observations that it enters with."""
    job = job_of(cube, SPEC, first_row=first_row, **options)
    return {
        (pixel + first_row * cube.shape[1], modality): rows.tobytes()
        for modality, ragged in enumerate(job.draws[0])
        for pixel, rows in expanded(ragged).items()
    }


def keys_of(pixels: int, seed: int = 0) -> NDArray[np.uint64]:
    return np.random.default_rng(seed).integers(0, 2**64, pixels, dtype=np.uint64)


@given(arrays(np.bool_, st.tuples(st.integers(1, 6), st.integers(1, 90))), st.integers(0, 2**32 - 1))
def test_forty_are_drawn_from_the_valid_and_each_once_where_forty_are(valid: NDArray[np.bool_], seed: int) -> None:
    counts = draw_counts(valid, keys_of(len(valid), seed), 40)
    assert counts.shape == valid.shape
    assert (counts.sum(axis=1) == 40).all()
    for row, of in zip(counts, valid, strict=True):
        from_ = of if of.any() else np.ones_like(of)
        assert not row[~from_].any()
        if from_.sum() >= 40:
            assert row.max() == 1


@given(st.lists(st.booleans(), min_size=1, max_size=80), st.integers(0, 80), st.integers(0, 2**63))
def test_dates_without_an_observation_do_not_change_what_is_drawn(valid: list[bool], at: int, key: int) -> None:
    row = np.asarray([valid])
    keys = np.asarray([key], dtype=np.uint64)
    if row.any():
        longer = np.insert(row, [min(at, row.shape[1])] * 3, False, axis=1)
        counts = draw_counts(longer, keys, 40)
        assert counts[longer].tolist() == draw_counts(row, keys, 40)[row].tolist()


def test_the_pool_is_the_valid_or_all_where_none_is() -> None:
    assert pool_of(np.asarray([[True, False], [False, False]])).tolist() == [[True, False], [True, True]]


@pytest.mark.parametrize("placed", [False, True])
def test_a_pixel_draws_the_same_in_any_block_of_rows(placed: bool) -> None:
    cube = ragged_cube(placed=placed)
    whole = sequences(cube)
    assert len(whole) == 2 * len(job_of(cube, SPEC).kept)
    for edges in ([0, 1, 4, 9], [0, 8, 9]):
        parts: dict[tuple[int, int], bytes] = {}
        for start, stop in pairwise(edges):
            parts |= sequences(cube.window(start, stop), first_row=start)
        assert parts == whole


def test_a_pixel_of_a_placed_cube_draws_the_same_in_any_crop() -> None:
    cube = ragged_cube(placed=True)
    whole = sequences(cube)
    crop = sequences(cube.window(2, 7, 3, 10))
    assert len(crop) == 2 * 5 * 7
    for (pixel, modality), rows in crop.items():
        row, col = divmod(pixel, 7)
        assert whole[(row + 2) * 11 + col + 3, modality] == rows


@pytest.mark.parametrize(
    "change",
    [
        {"options": {"draw": Draw(1)}},
        {"grid": replace(PLACE, west=PLACE.west + 1).grid},
        {"grid": replace(PLACE, north=PLACE.north - 1).grid},
        {"grid": replace(PLACE, zone=32).grid},
    ],
)
def test_another_seed_or_place_or_zone_draws_others(change: dict[str, Any]) -> None:
    cube = ragged_cube(placed=True)
    options = change.pop("options", {})
    one, other = sequences(cube), sequences(replace(cube, **change), **options)
    assert one.keys() == other.keys()
    # pixels with very few observations may draw the same ones as often
    assert np.mean([one[key] == other[key] for key in one]) < 0.2


def test_keys_differ_between_pixels_modalities_repeats_and_seeds() -> None:
    cube = ragged_cube(shape=(40, 50), dates=(1, 0, 0))
    keys = [
        pixel_keys(cube, 0, seed, stream, repeat) for seed in (0, 1, 7) for stream in (0, 1) for repeat in (0, 1, 2)
    ]
    assert len(np.unique(np.concatenate(keys))) == len(keys) * 2000


def test_draws_with_replacement_are_uniform_and_neighbours_independent() -> None:
    cube = ragged_cube(shape=(64, 64), dates=(1, 0, 0))
    for n, bound in ((2, 10.9), (10, 27.9), (39, 70.7)):  # chi-square, 99.9 %
        counts = draw_counts(np.ones((4096, n), np.bool_), pixel_keys(cube, 0, 5, 0, 0), 40).astype(float)
        expected = 4096 * 40 / n
        assert ((counts.sum(axis=0) - expected) ** 2 / expected).sum() < bound
        centred = counts - 40 / n
        variance = 40 / n * (1 - 1 / n)
        for shift in (1, 64):
            together = (centred[shift:, 0] * centred[:-shift, 0]).mean() / variance
            assert abs(together) < 4 / np.sqrt(4096)


def test_draws_without_replacement_include_every_observation_as_often() -> None:
    cube = ragged_cube(shape=(64, 64), dates=(1, 0, 0))
    for n in (41, 60, 150):
        counts = draw_counts(np.ones((4096, n), np.bool_), pixel_keys(cube, 0, 5, 1, 0), 40)
        share = 40 / n
        spread = np.sqrt(share * (1 - share) / 4096)
        assert (np.abs(counts.mean(axis=0) - share) < 4.5 * spread).all()
        if n > 50:
            assert len(np.unique(counts, axis=0)) == 4096


def test_as_many_as_are_drawn_are_all_taken() -> None:
    valid = np.zeros((3, 60), np.bool_)
    valid[:, 10:50] = True
    assert np.array_equal(draw_counts(valid, keys_of(3), 40), valid)
    assert np.array_equal(draw_counts(valid[:, 10:50], keys_of(3), 40), valid[:, 10:50])


@pytest.mark.parametrize("repeats", [1, 3])
def test_the_published_stream_is_reproduced_over_blocks(monkeypatch: pytest.MonkeyPatch, repeats: int) -> None:
    monkeypatch.setattr(blocks_module, "_BLOCK_PIXELS", 25)
    cube, batch, seed = ragged_cube(), 16, 99
    options = Options(128, draw=Draw(seed, repeats, batch))
    jobs = list(blocks_module._jobs(runner_of("v1.0"), cube, options, plan_blocks(cube)))
    assert len(jobs) == 5
    found = {
        (repeat, modality, pixel + job.rows[0] * 11): rows
        for job in jobs
        for repeat, draw in enumerate(job.draws)
        for modality, ragged in enumerate(draw)
        for pixel, rows in expanded(ragged).items()
    }
    generator = np.random.RandomState(seed)  # what numpy.random.seed gives to numpy.random.choice
    members = [pixel for pixel in range(99) if np.asarray(cube.s2)[:, pixel // 11, pixel % 11].any()]
    wanted = {}
    for start in range(0, len(members), batch):
        for repeat in range(repeats):
            for modality in (0, 1):
                for pixel in members[start : start + batch]:
                    rows = pool_by_hand(cube, pixel // 11, pixel % 11)[modality]
                    chosen = generator.choice(len(rows), 40, replace=len(rows) < 40)
                    wanted[repeat, modality, pixel] = rows[np.sort(chosen)]
    kept = {pixel for job in jobs for pixel in (job.kept + job.rows[0] * 11).tolist()}
    assert kept == {pixel for pixel in members if any(map(len, observed(cube, pixel // 11, pixel % 11)))}
    assert len(found) == repeats * 2 * len(kept)
    for key, rows in found.items():
        assert np.array_equal(rows, wanted[key])


def pool_by_hand(cube: PixelCube, row: int, col: int) -> list[NDArray[Any]]:
    """What v1.0 draws from: a pixel's valid observations, or all of them where none is valid."""
    everything = replace(
        cube,
        s2_mask=np.ones_like(cube.s2_mask[:]),
        s1_asc=np.where(cube.s1_asc[:] == 0, np.int16(-1), cube.s1_asc[:]),
        s1_desc=np.where(cube.s1_desc[:] == 0, np.int16(-1), cube.s1_desc[:]),
    )
    out = []
    for own, rows in zip(observed(cube, row, col), observed(everything, row, col), strict=True):
        all_of_it = rows.copy()
        all_of_it[:, :-2] = np.maximum(all_of_it[:, :-2], 0)
        out.append(own if len(own) else all_of_it)
    return out


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ((-1,), r"seed -1; expected 0 to 2\*\*32 - 1"),
        ((2**32,), "seed 4294967296; expected"),
        ((0, 0), "0 repeats; expected 1 to 1000"),
        ((0, 1001), "1001 repeats"),
        ((0, 1, 0), "numpy batch 0; expected at least 1"),
    ],
)
def test_draws_that_make_no_sense_are_refused(values: tuple[int, ...], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        Draw(*values)
