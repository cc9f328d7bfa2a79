"""The order of an epoch: a bijection at any place, every order about as likely, and reads that stay together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.pretrain import Order, permute
from tessera.pretrain.data.random import bits, dealt, key_of, keys_of, normal, uniform


@given(st.integers(1, 3000), st.integers(0, 2**62), st.integers(0, 5))
def test_it_is_a_bijection(n: int, seed: int, epoch: int) -> None:
    out = permute(np.arange(n), n, seed, epoch)
    assert out.dtype == np.int64
    np.testing.assert_array_equal(np.sort(out), np.arange(n))


@given(st.integers(1, 2**40), st.lists(st.integers(0, 2**40), min_size=1, max_size=20))
def test_any_position_is_had_without_the_others(n: int, chosen: list[int]) -> None:
    places = np.unique(np.array(chosen) % n)
    whole = permute(places, n, 3, 1)
    assert 0 <= whole.min() <= whole.max() < n
    assert len(np.unique(whole)) == len(places)
    assert [int(permute(np.array([place]), n, 3, 1)[0]) for place in places] == whole.tolist()


@pytest.mark.parametrize(("n", "limit"), [(3, 18.5), (8, 85.4), (13, 202.0)])
def test_each_number_is_as_likely_everywhere(n: int, limit: float) -> None:
    # chi-squared of (n - 1) ** 2 degrees of freedom: above the limit once in a thousand
    orders = np.stack([permute(np.arange(n), n, 1, epoch) for epoch in range(1500)])
    table = np.stack([np.bincount(column, minlength=n) for column in orders.T])
    assert ((table - 1500 / n) ** 2 / (1500 / n)).sum() < limit


def test_neighbours_and_epochs_have_nothing_in_common() -> None:
    n = 100_000
    first, second = (permute(np.arange(n), n, 7, epoch) for epoch in range(2))
    for a, b in ((first, second), (first[1:], first[:-1]), (first, np.arange(n))):
        # four standard errors
        assert abs(np.corrcoef(a, b)[0, 1]) < 4 / np.sqrt(n)


@given(st.integers(1, 400), st.integers(1, 60), st.integers(1, 5), st.integers(0, 3))
def test_windows_keep_a_few_blocks_at_a_time(n: int, block: int, window: int, epoch: int) -> None:
    order = Order(n, 5, block, window)
    out = order.at(epoch, np.arange(n))
    np.testing.assert_array_equal(np.sort(out), np.arange(n))
    for start in range(0, n, window * block):
        assert len(np.unique(out[start : start + window * block] // block)) <= window
    np.testing.assert_array_equal(order.at(epoch, np.arange(n)[::3]), out[::3])


def test_windows_hold_other_blocks_each_epoch() -> None:
    order = Order(1000, 5, 10, 4)
    held = [tuple(sorted(set((order.at(epoch, np.arange(40)) // 10).tolist()))) for epoch in range(6)]
    assert len(set(held)) == 6


def test_what_is_no_order_is_refused_in_one_line() -> None:
    for n, positions in ((0, [0]), (2**63, [0]), (5, [5]), (5, [-1])):
        with pytest.raises(InputError, match="expected"):
            permute(np.array(positions), n, 1)
    with pytest.raises(InputError, match=r"positions from 0 to 20; expected 0 to 19"):
        Order(20, 1, 5, 2).at(0, np.arange(21))
    with pytest.raises(InputError, match=r"blocks of 0"):
        Order(20, 1, 0)


def test_random_numbers_are_uniform_normal_and_apart() -> None:
    keys = keys_of(key_of(11), np.arange(4000))
    draws = uniform(keys, 50)
    assert 0 <= draws.min() < draws.max() < 1
    counts = np.histogram(draws, bins=100, range=(0, 1))[0]
    # chi-squared of 99 degrees of freedom: above 149 once in a thousand
    assert ((counts - 2000) ** 2 / 2000).sum() < 149
    other = uniform(keys_of(key_of(12), np.arange(4000)), 50)
    for a, b in (
        (draws, other),
        (draws[1:], draws[:-1]),
        (draws[:, 1:], draws[:, :-1]),
        (draws, uniform(keys, 50, purpose=1)),
    ):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / np.sqrt(a.size)
    np.testing.assert_array_equal(bits(keys, 3, first=2), bits(keys, 5)[:, 2:])
    bell = normal(keys, 50)
    assert abs(bell.mean()) < 4 / np.sqrt(bell.size)
    assert abs(bell.std() - 1) < 4 / np.sqrt(2 * bell.size)
    # every bit of a hash is set half of the time
    share = np.unpackbits(bits(keys, 50).view(np.uint8)).mean()
    assert abs(share - 0.5) < 4 * 0.5 / np.sqrt(64 * 200_000)


def test_keys_depend_on_order_and_number_of_words() -> None:
    keys = [key_of(*words) for words in ((), (0,), (0, 0), (1, 2), (2, 1), (-1,), (2**63,))]
    assert len(set(keys)) == len(keys)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=8), st.integers(1, 70), st.integers(0, 2**40))
def test_dealt_is_a_random_order_again_and_again(limits: list[int], count: int, seed: int) -> None:
    sizes = np.array(limits, dtype=np.int64)
    keys = keys_of(key_of(seed), np.arange(len(sizes)))
    found = dealt(keys, sizes, count)
    assert found.shape == (len(sizes), count)
    for row, size in zip(found, sizes, strict=True):
        if size == 0:
            assert not row.any()
            continue
        first = row[:size]
        assert len(set(first.tolist())) == len(first)
        assert row.min() >= 0
        assert row.max() < size
        assert np.array_equal(row[size:], row[:-size] if size < count else row[:0])
    np.testing.assert_array_equal(dealt(keys, sizes, max(1, count - 1)), found[:, : max(1, count - 1)])
    # what others have does not matter
    np.testing.assert_array_equal(dealt(keys[:1], sizes[:1], count), found[:1])


def test_dealt_starts_anywhere() -> None:
    first = dealt(keys_of(key_of(3), np.arange(7000)), np.full(7000, 7), 1)[:, 0]
    # chi-square of 6 degrees, 1 in 1000
    assert ((np.bincount(first, minlength=7) - 1000.0) ** 2 / 1000).sum() < 22.5
