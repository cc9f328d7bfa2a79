"""Threads that nobody has to wait for: a reader may hang on a server that does not answer."""

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
    """A number of threads that take jobs in turn; unlike an executor's, they hold up neither an error nor the end of
    the process.
    """

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
        """Raise MachineError where a thread could not even say how its job ended; who waits for that waits for ever."""
        if self._broken.is_set():
            raise MachineError(
                "a thread that reads files ended for want of memory; run again with more, or a smaller area"
            )

    def submit(self, call: Callable[..., Any], *args: Any) -> Future[Any]:
        """Have a call made as soon as a thread is free."""
        job: Future[Any] = Future()
        self._jobs.put((job, call, args))
        return job

    def dismiss(self, patience: float | None) -> None:
        """Let threads end when all jobs are done, and wait for them for so many seconds; None for ever."""
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
            # an image must not wait here for the next job
            del taken, job, call, args
