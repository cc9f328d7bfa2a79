"""Prefetching: order, one item ahead, errors, and no thread that stays."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tessera.base import prefetched


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("tessera-prefetch")]


def test_items_come_in_order_and_one_is_made_ahead() -> None:
    made: list[int] = []
    ready = threading.Event()

    def items() -> Iterator[int]:
        for number in range(4):
            made.append(number)
            if number == 1:
                ready.set()
            yield number

    found = prefetched(items())
    assert made == []
    assert next(found) == 0
    assert ready.wait(20)
    assert made == [0, 1]
    assert list(found) == [1, 2, 3]
    assert threads() == []


def test_none_is_an_item_and_nothing_gives_nothing() -> None:
    assert list(prefetched([None, None])) == [None, None]
    assert list(prefetched([])) == []


def test_an_error_comes_at_its_place_and_closing_leaves_no_thread() -> None:
    found = prefetched(6 // number for number in (3, 2, 0, 1))
    assert [next(found), next(found)] == [2, 3]
    with pytest.raises(ZeroDivisionError):
        next(found)
    assert threads() == []
    found = prefetched(range(9))
    next(found)
    found.close()
    assert threads() == []
