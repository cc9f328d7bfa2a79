"""How work is divided among processors, without effect on what comes out."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST = 8
"""Threads that predict: each holds the features of its pixels."""


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_threads(work: Callable[[int], None], starts: range) -> None:
    """Do the work of each start, several at a time; each writes its own place."""
    count = min(processors(), len(starts), _MOST)
    if count < 2:
        for start in starts:
            work(start)
        return
    with ThreadPoolExecutor(count) as pool:
        for _ in pool.map(work, starts):
            pass
