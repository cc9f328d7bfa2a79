"""Prefetching: a thread makes the next item while the caller uses the current one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

Item = TypeVar("Item")


def prefetched(items: Iterable[Item]) -> Generator[Item, None, None]:
    """The same items in the same order, each made by a thread while the caller uses the previous one.

    At most two items are in memory. Closing the generator waits for the item that is being made and ends the thread.
    """
    source, end = iter(items), object()
    pool = ThreadPoolExecutor(1, thread_name_prefix="tessera-prefetch")
    try:
        coming = pool.submit(next, source, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, source, end)
            yield cast("Item", item)
            # else this frame would keep an item in memory that the caller has dropped
            del item
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
