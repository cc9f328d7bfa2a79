"""Rate limits and retries per host: concurrent requests, backoff, and a pause for all readers when it is busy."""

from __future__ import annotations

import random
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from ._waiting import WAITING
from .errors import ChangedError, LoadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Result = TypeVar("Result")
DELAYS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Seconds before each retry, each lengthened by up to a half at random; 8 to 12 s in all."""
PATIENCE = 120.0
"""Seconds of a request's own attempts and pauses after which it is not retried."""
UNREACHED = 2
"""Retries if no server was reached, for about a second: unknown names and refused ports rarely change."""
BROKEN = 5
"""Retries if every connection breaks before an answer, for about ten seconds: a server may be restarting."""
_MOMENT = 1e-3
"""Seconds too short to wait for."""
MOST_AT_ONCE = 64
"""Concurrent requests to one host, from all readers of this process."""


class Host:
    """The state that all readers of one host share."""

    def __init__(self, name: str = "") -> None:
        self._name = name
        self._slots = threading.BoundedSemaphore(MOST_AT_ONCE)
        self._lock = threading.Lock()
        self._quiet_until = 0.0

    @contextmanager
    def _slot(self) -> Iterator[None]:
        with self._slots:
            latest = time.monotonic() + PATIENCE
            # other threads may extend the pause meanwhile
            while (wait := min(self._quiet_until, latest) - time.monotonic()) > _MOMENT:
                time.sleep(wait)
            yield

    def ask(self, request: Callable[[], Result], delays: Sequence[float] | None = None) -> Result:
        """Make a request; retry it when the host is busy or the connection broke, while all other requests wait too.

        After some seconds without an answer a log line names the host (`waiting`).

        Retry-After is obeyed if it is within `PATIENCE`; pauses that other requests caused do not count. After the
        second attempt, a retry is made only if it would end within `PATIENCE` when it takes as long as the last one. So
        a silent server gets fewer attempts than one that refuses. Errors of `request` that no retry mends are raised at
        once.
        """
        delays = DELAYS if delays is None else delays
        if not self._name:
            return self._ask(request, delays, lambda _: None)
        with WAITING.request(self._name) as again:
            return self._ask(request, delays, again)

    def _ask(self, request: Callable[[], Result], delays: Sequence[float], again: Callable[[str], None]) -> Result:
        own = 0.0
        for attempt, delay in enumerate(delays):
            try:
                with self._slot():
                    began = time.monotonic()
                    return request()
            except ChangedError:
                raise
            except LoadError as error:
                lasted = time.monotonic() - began
                pause = delay * (1 + random.random() / 2)  # noqa: S311 - spreads attempts, guards nothing
                pause = max(pause, error.retry_after or 0.0)
                if error.reached:
                    # without a server to spare, pauses of many readers would only add up
                    with self._lock:
                        self._quiet_until = max(self._quiet_until, time.monotonic() + min(pause, PATIENCE))
                own += lasted + pause
                ends = own + (lasted if attempt else 0.0)
                most = UNREACHED if not error.reached else BROKEN if error.broken else len(delays)
                if ends > PATIENCE or attempt >= most:
                    raise
                again(str(error))
                time.sleep(pause)
        with self._slot():
            return request()


@cache
def host_of(name: str) -> Host:
    """The one Host with a name such as "https://data.source.coop"; requests to "local", this machine, never wait."""
    scheme, _, rest = name.partition("://")
    return Host("" if not rest else f"{scheme}://{rest.rpartition('@')[2]}")


def retries() -> dict[str, Any]:
    """The same retries as options of an object store client that retries by itself."""
    backoff = {"init_backoff": timedelta(seconds=DELAYS[0]), "max_backoff": timedelta(seconds=DELAYS[-1]), "base": 2}
    return {"max_retries": len(DELAYS), "backoff": backoff, "retry_timeout": timedelta(seconds=PATIENCE)}
