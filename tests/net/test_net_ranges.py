"""Joining ranges of one object into requests."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tessera.net import join_ranges

SPANS = st.lists(st.tuples(st.integers(0, 60_000), st.integers(1, 9000)), max_size=30)
GAP, LIMIT = 4096, 8 * 1024**2


@given(SPANS, st.booleans(), st.sampled_from([20_000, LIMIT]), st.sampled_from([0.25, float("inf")]))
def test_every_range_lies_in_one_request(
    pairs: list[tuple[int, int]], disjoint: bool, limit: int, waste: float
) -> None:
    spans = np.array([(start, start + size) for start, size in pairs], dtype=np.int64).reshape(-1, 2)
    runs = join_ranges(spans[:, 0], spans[:, 1], gap=GAP, limit=limit, waste=waste, disjoint=disjoint)
    assert sorted(number for run in runs for number in run.members) == list(range(len(spans)))
    for run in runs:
        assert all(run.start <= spans[number, 0] and spans[number, 1] <= run.stop for number in run.members)
        used = np.zeros(run.stop - run.start, dtype=np.bool_)
        for number in run.members:
            used[spans[number, 0] - run.start : spans[number, 1] - run.start] = True
        # both ends are wanted, and what is not lies between two ranges
        assert used[0]
        assert used[-1]
        assert disjoint or run.stop - run.start <= limit or len(run.members) == 1
    for before, after in itertools.pairwise(runs):
        assert before.start <= after.start
        if disjoint:
            assert before.stop <= after.start


@given(SPANS)
def test_ranges_that_are_near_are_joined(pairs: list[tuple[int, int]]) -> None:
    starts = [start for start, _ in pairs]
    runs = join_ranges(starts, [start + size for start, size in pairs], gap=GAP, disjoint=True)
    for before, after in itertools.pairwise(runs):
        assert after.start > before.stop + GAP


def test_no_request_grows_without_end() -> None:
    starts = np.arange(40, dtype=np.int64) * 2**20
    runs = join_ranges(starts, starts + 2**20, gap=GAP)
    assert [run.stop - run.start for run in runs] == [LIMIT] * 5
    assert (runs[0].start, runs[-1].stop) == (0, 40 * 2**20)
