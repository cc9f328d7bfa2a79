"""Patience with a host: how many requests at once, when to try again, and that all wait when it is busy."""

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
"""Seconds before each further attempt, each lengthened by up to a half at random; 8 to 12 s in all."""
PATIENCE = 120.0
"""Seconds of a request's own attempts and pauses within which the last attempt is made, whatever their number."""
UNREACHED = 2
"""Further attempts where no server was reached, about a second: an unknown name or a port that refuses stays so."""
BROKEN = 5
"""Further attempts where every line breaks before there is an answer, some ten seconds: a server that starts anew."""
_MOMENT = 1e-3
"""Seconds that nobody waits for."""
MOST_AT_ONCE = 64
"""Requests under way to one host, from all readers of this process."""


class Host:
    """What all readers of one host share."""

    def __init__(self, name: str = "") -> None:
        self._name = name
        self._slots = threading.BoundedSemaphore(MOST_AT_ONCE)
        self._lock = threading.Lock()
        self._quiet_until = 0.0

    @contextmanager
    def _slot(self) -> Iterator[None]:
        with self._slots:
            latest = time.monotonic() + PATIENCE
            # others may learn meanwhile that it takes longer
            while (wait := min(self._quiet_until, latest) - time.monotonic()) > _MOMENT:
                time.sleep(wait)
            yield

    def ask(self, request: Callable[[], Result], delays: Sequence[float] | None = None) -> Result:
        """Make a request, again after a while when the host is busy or the line broke; all others wait with it.

        After some seconds without an answer a line says what is waited for (`waiting`).

        A server that says how long to wait is obeyed, where that is within the patience. What others were told to wait
        does not count against it. After the second attempt, none is made that would end beyond the patience if it
        took as long as the one before: a server that stays silent is not asked for as often as one that refuses.

        Raises
        ------
        LoadError
            It failed so often; and whatever else `request` raises, at once.
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
                    # where there is no server none is spared, and the pauses of many readers would add up
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
    """The one Host of a name such as "https://data.source.coop"; of "local", this machine, nobody is told to wait."""
    scheme, _, rest = name.partition("://")
    return Host("" if not rest else f"{scheme}://{rest.rpartition('@')[2]}")


def retries() -> dict[str, Any]:
    """The same patience for an object store's client that asks by itself."""
    backoff = {"init_backoff": timedelta(seconds=DELAYS[0]), "max_backoff": timedelta(seconds=DELAYS[-1]), "base": 2}
    return {"max_retries": len(DELAYS), "backoff": backoff, "retry_timeout": timedelta(seconds=PATIENCE)}
