"""Parallel batches on a CPU, each computed by one thread, so that cores do not wait for each other within a product.

Threads that share a product spin until the last one is done. On a busy machine that takes several times the processor
time, and longer. Also, the last bits of a shared sum depend on the number of threads; here they do not.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from functools import cache
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_T = TypeVar("_T")
_GLANCE = 0.2
"""Seconds between two progress reports."""


class _StoppedError(Exception):
    """The result is no longer needed."""


def side_by_side(
    work: Callable[[_T, Callable[[int], None]], None], items: Iterable[_T], report: Callable[[int], None]
) -> None:
    """Do work for each item, on as many independent threads as torch uses; if that is one, in this thread.

    Parameters
    ----------
    work : called with an item and a function that takes units done; runs in inference mode
    report : called with units done, in this thread
    """
    threads = torch.get_num_threads()
    if threads == 1:
        for item in items:
            work(item, report)
        return
    said: SimpleQueue[int] = SimpleQueue()
    stopped = threading.Event()

    def tell(units: int) -> None:
        if stopped.is_set():
            raise _StoppedError
        said.put(units)

    def alone(item: _T) -> None:
        if stopped.is_set():
            raise _StoppedError
        with torch.inference_mode():
            work(item, tell)

    pool = _pool(threads, os.getpid())
    waiting: set[Future[None]] = {pool.submit(alone, item) for item in items}
    try:
        while waiting:
            done, waiting = wait(waiting, _GLANCE, FIRST_EXCEPTION)
            for job in done:
                job.result()
            _pass_on(said, report)
    finally:
        stopped.set()
        for job in waiting:
            job.cancel()
        # no work may continue after this call, because its output may be freed
        wait(waiting)


def _pass_on(said: SimpleQueue[int], report: Callable[[int], None]) -> None:
    while True:
        try:
            report(said.get_nowait())
        except Empty:
            return


@cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Threads that each use one core; torch's number of threads elsewhere is unchanged.

    Parameters
    ----------
    process : process id, since a fork does not inherit its parent's threads
    """
    del process
    pool = ThreadPoolExecutor(threads, thread_name_prefix="tessera-lane")
    ready = threading.Barrier(threads + 1)

    def alone() -> None:
        # the first call initialises the setting of the process, the second one is for this thread
        torch.get_num_threads()
        torch.set_num_threads(1)
        ready.wait()

    for _ in range(threads):
        pool.submit(alone)
    ready.wait()
    torch.set_num_threads(threads)
    return pool
