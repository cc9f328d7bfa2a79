"""Packing: exactly each pixel's observations, raw, and what they expand to is the published sequence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from encode_tiny import expanded, indices_by_hand, job_of, observed, ragged_cube, spec_of
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tessera.cubes import PixelCube
from tessera.encode._observations import Ragged, observe, pack_counts, pack_rule

NAMES = ("v1.1", "v2-student")
SMALL, LONG, BARE = (21, 7, 9), (300, 150, 140), (0, 0, 4)


def in_order(rows: NDArray[Any]) -> NDArray[Any]:
    return rows[np.lexsort(rows.T)]


def check_form(ragged: Ragged) -> None:
    assert (np.diff(ragged.lengths) >= 0).all()
    assert (ragged.lengths > 0).all()
    assert len(ragged.values) == len(ragged.days) == len(ragged.kinds) == len(ragged.counts) == ragged.lengths.sum()
    assert len(np.unique(ragged.pixels)) == len(ragged.pixels) == len(ragged.lengths) == len(ragged.spans)
    ends = np.cumsum(ragged.lengths)
    total = np.add.reduceat(ragged.counts.astype(np.int64), ends - ragged.lengths) if len(ends) else ragged.spans
    assert np.array_equal(total, ragged.spans)


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("dates", [SMALL, LONG, BARE, (5, 0, 0), (0, 0, 0)])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_packed_expands_to_the_published_sequence(
    name: str, dates: tuple[int, int, int], ordered: bool
) -> None:
    cube, spec = ragged_cube(dates=dates, shape=(4, 11)), spec_of(name)
    job = job_of(cube, spec, ordered=ordered)
    found = [expanded(ragged) for ragged in job.draws[0]]
    for modality, ragged in enumerate(job.draws[0]):
        check_form(ragged)
        assert (ragged.sequences is None) != ordered
        assert not ordered or ragged.spans.tolist() == sorted(ragged.spans.tolist())
        for pixel in range(44):
            rows = observed(cube, *divmod(pixel, 11))[modality]
            assert (pixel in found[modality]) == (len(rows) > 0)
            if len(rows):
                wanted = rows[indices_by_hand(spec.sampling.rule, len(rows))]
                got = found[modality][pixel]
                assert np.array_equal(got, wanted) if ordered else np.array_equal(in_order(got), in_order(wanted))
    assert job.counts.tolist() == [
        [len(s2), int((s1[:, -1] == 0).sum()), int((s1[:, -1] == 1).sum())]
        for s2, s1 in (observed(cube, *divmod(pixel, 11)) for pixel in range(44))
    ]
    if dates == LONG:
        assert int(job.counts[:, 0].max()) > 256
        assert {256} == {int(part.lengths.max()) for part in job.draws[0][:1]}


def test_the_extras_of_v1_1_come_at_the_end_and_not_in_order_of_time() -> None:
    cube = replace(ragged_cube(shape=(1, 1), dates=(11, 0, 0)), s2_mask=np.ones((11, 1, 1), np.uint8))
    job = job_of(cube, spec_of("v1.1"))
    days = expanded(job.draws[0][0])[0][:, -2].tolist()
    assert days[:11] == cube.s2_doy.tolist()
    assert days[11:] == cube.s2_doy[[2, 3, 5, 7, 8]].tolist()


@given(st.integers(0, 2**32 - 1), st.integers(0, 45), st.integers(0, 45), st.sampled_from(NAMES))
def test_each_observation_is_kept_whole_whatever_the_cube(seed: int, s2: int, s1: int, name: str) -> None:
    cube, spec = ragged_cube(seed, (2, 3), (s2, s1, s1 // 2)) if s1 else bare(seed, s2), spec_of(name)
    streams = observe(cube, spec.sampling)[:2]
    for modality, stream in enumerate(streams):
        ragged = pack_rule(stream, np.arange(6), spec.sampling, ordered=False)
        check_form(ragged)
        assert ragged.values.dtype == stream.stack.dtype
        for pixel, rows in expanded(ragged).items():
            wanted = observed(cube, *divmod(pixel, 3))[modality]
            assert np.array_equal(np.unique(rows, axis=0), np.unique(wanted, axis=0))


def bare(seed: int, dates: int) -> PixelCube:
    """A cube without Sentinel-1."""
    cube = ragged_cube(seed, (2, 3), (dates, 1, 1))
    return replace(
        cube,
        s1_asc=cube.s1_asc[:0],
        s1_asc_doy=cube.s1_asc_doy[:0],
        s1_desc=cube.s1_desc[:0],
        s1_desc_doy=cube.s1_desc_doy[:0],
    )


@given(st.data())
def test_what_was_drawn_is_packed_in_order_of_time_as_often_as_it_was_drawn(data: st.DataObject) -> None:
    cube, spec = ragged_cube(data.draw(st.integers(0, 9)), (2, 3), SMALL), spec_of("v1.0")
    pixels = np.asarray(sorted(data.draw(st.sets(st.integers(0, 5), min_size=1))))
    for stream in observe(cube, spec.sampling)[:2]:
        steps = stream.valid.shape[1]
        chosen = [data.draw(st.lists(st.integers(0, steps - 1), min_size=12, max_size=12)) for _ in pixels]
        often = np.stack([np.bincount(row, minlength=steps) for row in chosen]).astype(np.uint8)
        for ordered in (False, True):
            ragged = pack_counts(stream, pixels, often, ordered=ordered)
            check_form(ragged)
            found = expanded(ragged)
            assert sorted(found) == pixels.tolist()
            for pixel, row in zip(pixels.tolist(), chosen, strict=True):
                order = np.sort(row)
                assert np.array_equal(found[pixel][:, -2], stream.days[order])
                assert np.array_equal(found[pixel][:, -1], stream.kinds[order])
                assert np.array_equal(found[pixel][:, :-2], stream.stack[order, pixel])


def test_values_above_the_range_of_signed_numbers_survive() -> None:
    cube = ragged_cube(shape=(2, 2), dates=(3, 1, 1))
    high = np.asarray(cube.s2) | np.uint16(0x8000)
    job = job_of(replace(cube, s2=high, s2_mask=np.ones((3, 2, 2), np.uint8)), spec_of("v2-student"))
    values = expanded(job.draws[0][0])[2][:3, :-2]
    assert values.min() >= 32768
    assert np.array_equal(values, high[:, 1, 0])


def test_an_orbit_without_dates_is_a_day_of_zeros_in_v1_0_alone() -> None:
    cube = ragged_cube(shape=(2, 2), dates=(45, 0, 0))
    for name, rows in (("v1.0", [[0, 0, 180, 0], [0, 0, 180, 1]]), ("v1.1", []), ("v2-student", [])):
        job = job_of(cube, spec_of(name))
        found = expanded(job.draws[0][1])
        assert np.unique(np.concatenate([*found.values()]), axis=0).tolist() == rows if rows else found == {}
        assert not job.counts[:, 1:].any()
