"""A line about a server that lets others wait: after some seconds without an answer it is said what is waited for."""

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
"""Seconds without an answer after which a line is said."""
AGAIN = 60.0
"""Seconds between two lines about one server."""


@dataclass
class _Server:
    """What is known of one server: requests under way with the moment they began, its last answer, and what it said."""

    pending: dict[int, float] = field(default_factory=dict)
    answered: float = float("-inf")
    told: float = float("-inf")
    reason: str = ""

    def due(self) -> float:
        """The moment at which a line is due."""
        if not self.pending:
            return float("inf")
        return max(max(min(self.pending.values()), self.answered) + AFTER, self.told + AGAIN)


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
        """A request to a server, to its answer; what is given is called with the reason when it must be asked again."""
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
        """Say what is due, and return the seconds until more may be."""
        lines = []
        with self._changed:
            now = self._now()
            for name, server in self._servers.items():
                if server.due() > now:
                    continue
                silent = now - max(min(server.pending.values()), server.answered)
                server.told = now
                said = f": {server.reason}" if server.reason else ""
                lines.append(f"waiting for {name}, no answer for {silent:.0f} s{said}")
            due = min((server.due() for server in self._servers.values()), default=float("inf"))
        for line in lines:
            self._tell(line)
        return due - now

    def _have_watcher(self) -> None:
        """One thread for all; a process that was forked has none of its parent's."""
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
"""The one of this process; a program that sets up no logging of its own sees its lines on standard error."""
