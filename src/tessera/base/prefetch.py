"""Prefetching: a thread makes the next item while the caller works on this one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

Item = TypeVar("Item")


def prefetched(items: Iterable[Item]) -> Generator[Item, None, None]:
    """The same items in the same order, each made by a thread while the caller uses the one before it.

    At most two items are held. Closing the generator waits for the item that is being made and leaves no thread behind.
    """
    source, end = iter(items), object()
    pool = ThreadPoolExecutor(1, thread_name_prefix="tessera-prefetch")
    try:
        coming = pool.submit(next, source, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, source, end)
            yield cast("Item", item)
            # the caller may have dropped it; this frame must not be what keeps it
            del item
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
