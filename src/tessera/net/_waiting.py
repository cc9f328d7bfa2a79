"""A log line about each server that has not answered for some seconds."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AFTER = 5.0
"""Seconds without an answer after which a line is logged."""
AGAIN = 60.0
"""Seconds between two lines about one server."""


@dataclass
class _Server:
    """State of one server: start times of its open requests, time of its last answer, and its reason to retry."""

    pending: dict[int, float] = field(default_factory=dict)
    answered: float = float("-inf")
    logged: float = float("-inf")
    reason: str = ""

    def due(self) -> float:
        """The time at which a line is due."""
        if not self.pending:
            return float("inf")
        return max(max(min(self.pending.values()), self.answered) + AFTER, self.logged + AGAIN)


class Waiting:
    """Watches requests of all threads.

    Parameters
    ----------
    tell : called with a line
    clock : seconds
    """

    def __init__(
        self, tell: Callable[[str], object], clock: Callable[[], float] | None = None, *, watch: bool = True
    ) -> None:
        self._tell, self._clock, self._watch = tell, clock, watch
        self._servers: dict[str, _Server] = {}
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._watcher: tuple[int, threading.Thread] | None = None

    def _now(self) -> float:
        return time.monotonic() if self._clock is None else self._clock()

    @contextmanager
    def request(self, name: str) -> Iterator[Callable[[str], None]]:
        """Watch a request until its answer; yields a function to call with the reason before each retry."""
        number = next(self._numbers)
        with self._changed:
            server = self._servers.setdefault(name, _Server())
            server.pending[number] = self._now()
            if self._watch:
                self._have_watcher()
                self._changed.notify()

        def again(reason: str) -> None:
            with self._changed:
                server.reason = reason

        try:
            yield again
        except BaseException:
            with self._changed:
                del server.pending[number]
            raise
        with self._changed:
            del server.pending[number]
            server.answered, server.reason = self._now(), ""

    def look(self) -> float:
        """Log the lines that are due, and return the seconds until the next may be."""
        lines = []
        with self._changed:
            now = self._now()
            for name, server in self._servers.items():
                if server.due() > now:
                    continue
                silent = now - max(min(server.pending.values()), server.answered)
                server.logged = now
                said = f": {server.reason}" if server.reason else ""
                lines.append(f"waiting for {name}, no answer for {silent:.0f} s{said}")
            due = min((server.due() for server in self._servers.values()), default=float("inf"))
        for line in lines:
            self._tell(line)
        return due - now

    def _have_watcher(self) -> None:
        """Start the one watching thread; a forked process does not inherit its parent's."""
        if self._watcher is None or self._watcher[0] != os.getpid():
            thread = threading.Thread(target=self._run, name="tessera-waiting", daemon=True)
            self._watcher = os.getpid(), thread
            thread.start()

    def _run(self) -> None:
        while True:
            left = self.look()
            with self._changed:
                self._changed.wait(None if left == float("inf") else max(left, 0.05))


WAITING = Waiting(logging.getLogger("tessera").warning)
"""The instance of this process; without logging configured, its lines go to standard error."""
