"""Reads by zarr-python that leave no task running when one of their chunks fails."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATIENCE = 30.0
"""Seconds to wait for reads of other threads before the error is raised anyway."""
_lock = threading.Lock()
_active = 0


@contextmanager
def settled_reads() -> Iterator[None]:
    """After an error, wait for the chunks that zarr-python is still reading; else they print errors at exit.

    If no other thread reads, they are cancelled at once.
    """
    global _active
    with _lock:
        _active += 1
    try:
        yield
    except Exception:
        with _lock:
            alone = _active == 1
        _settle(alone)
        raise
    finally:
        with _lock:
            _active -= 1


def _settle(alone: bool) -> None:
    from zarr.core.sync import sync

    async def rest() -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        if alone:
            for task in tasks:
                task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_PATIENCE)

    sync(rest())
