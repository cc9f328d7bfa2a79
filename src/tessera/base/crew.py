"""Threads that can be abandoned, because a reader may hang on a server that does not answer."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from .machine import MachineError, raise_if_machine

if TYPE_CHECKING:
    from collections.abc import Callable

_Job = tuple["Future[Any]", "Callable[..., Any]", tuple[Any, ...]]


class Crew:
    """A pool of threads; unlike an executor's, they delay neither an error nor the end of the process."""

    def __init__(self, size: int, name: str) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._broken = threading.Event()
        self._threads: list[threading.Thread] = []
        try:
            for number in range(size):
                thread = threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True)
                thread.start()
                self._threads.append(thread)
        except (RuntimeError, MemoryError) as error:
            self.dismiss(0.0)
            raise_if_machine(error, name)
            raise

    def check(self) -> None:
        """Raise MachineError if a thread died without reporting its job, since waiting for it would never end."""
        if self._broken.is_set():
            raise MachineError(
                "a thread that reads files ran out of memory; run again with more memory, or with a smaller area"
            )

    def submit(self, call: Callable[..., Any], *args: Any) -> Future[Any]:
        """Schedule a call for the next free thread."""
        job: Future[Any] = Future()
        self._jobs.put((job, call, args))
        return job

    def dismiss(self, patience: float | None) -> None:
        """Let the threads end when all jobs are done, and wait for them for `patience` seconds; None for ever."""
        for _ in self._threads:
            self._jobs.put(None)
        end = None if patience is None else time.monotonic() + patience
        for thread in self._threads:
            thread.join(None if end is None else max(0.0, end - time.monotonic()))

    def _work(self) -> None:
        try:
            self._take_jobs()
        except BaseException:
            self._broken.set()

    def _take_jobs(self) -> None:
        while (taken := self._jobs.get()) is not None:
            job, call, args = taken
            if job.set_running_or_notify_cancel():
                try:
                    job.set_result(call(*args))
                except BaseException as error:
                    job.set_exception(error)
            # else this frame would keep an image in memory until the next job
            del taken, job, call, args
