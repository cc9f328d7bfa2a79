"""One job ahead: while the caller works on a result, a thread makes the next one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from concurrent.futures import Future

Result = TypeVar("Result")


def ahead(jobs: Iterable[Callable[[], Result]]) -> Generator[Result, None, None]:
    """Results of jobs in their order, one job ahead of the caller, so that at most two results are held.

    Closing the iterator drops the job that has not begun, waits for the one that has, and leaves no thread behind.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="tessera-ahead")
    waiting: Future[Result] | None = None
    try:
        for job in jobs:
            coming = pool.submit(job)
            if waiting is not None:
                done, waiting = waiting, coming
                yield done.result()
                # the caller may have dropped it; this frame must not be what keeps it
                del done
            else:
                waiting = coming
        if waiting is not None:
            yield waiting.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
