"""Connections with a time limit on a whole answer, from the first address that is tried to its last byte.

urllib3 limits only the wait for each piece, so a server that sends a byte now and then would hold a thread for hours.
This module imports urllib3, and is imported when the first request is made.
"""

from __future__ import annotations

import http.client
import io
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from tessera.base import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._proxies import Proxy


@dataclass
class Clock:
    """The time limits of one attempt, including all its redirects."""

    silence: float  # seconds until status and headers must have arrived, and most seconds without a byte
    seconds: float  # until an empty body must have arrived
    slowest: float  # least bytes a second, which extend that limit for longer bodies
    taken: int = 0  # bytes of bodies so far
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = time.monotonic()

    def left(self, head: bool) -> float:
        """Most seconds for the next piece."""
        passed = time.monotonic() - self.began
        if head:
            return self.silence - passed
        return min(self.silence, self.seconds + self.taken / self.slowest - passed)


class _Mine(threading.local):
    clock: Clock | None = None


_MINE = _Mine()


@contextmanager
def timed(clock: Clock) -> Iterator[None]:
    """Apply a clock to answers that begin in this thread, to the end of their bodies."""
    _MINE.clock = clock
    try:
        yield
    finally:
        _MINE.clock = None


def line_pool(proxy: Proxy | None) -> urllib3.PoolManager:
    """A pool that keeps connections open between requests."""
    sides: dict[str, Any] = {"num_pools": 32, "maxsize": 64}
    if proxy is None:
        pool = urllib3.PoolManager(**sides)
    elif proxy.is_socks:
        try:
            from urllib3.contrib.socks import SOCKSProxyManager
        except ImportError:
            raise InputError(
                f"the proxy {proxy.shown} speaks SOCKS, which needs another package: pip install pysocks; "
                "or set http_proxy and https_proxy to http://HOST:PORT"
            ) from None
        # it makes its connections itself
        return SOCKSProxyManager(proxy.url, **sides)
    else:
        headers = urllib3.make_headers(proxy_basic_auth=proxy.user) if proxy.user else None
        pool = urllib3.ProxyManager(proxy.shown, proxy_headers=headers, **sides)
    pool.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    return pool


class _Timed(io.RawIOBase):
    """The bytes that a server sends, until its time is up."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, clock: Clock) -> None:
        self._raw, self._sock, self._clock = raw, sock, clock
        self.head = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._clock.left(self.head)
        if left <= 0:
            raise TimeoutError("too slow")
        self._sock.settimeout(left)
        count = cast("int | None", self._raw.readinto(buffer))
        if not self.head:
            self._clock.taken += count or 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer under the clock of its thread."""

    def __init__(self, sock: socket.socket, *args: Any, **more: Any) -> None:
        super().__init__(sock, *args, **more)
        self._timed: _Timed | None = None
        if _MINE.clock is not None:
            self._timed = _Timed(self.fp.detach(), sock, _MINE.clock)
            self.fp = io.BufferedReader(self._timed)

    def begin(self) -> None:
        super().begin()
        if self._timed is not None:
            self._timed.head = False


class _Line:
    """Common part of both kinds of connection."""

    sock: Any
    timeout: Any
    port: Any
    _dns_host: str

    def _new_conn(self) -> socket.socket:
        """Connect to the first address of the host that answers; all addresses share the time limit of one."""
        name, seconds = self._dns_host, self.timeout
        try:
            found = socket.getaddrinfo(name, self.port, 0, socket.SOCK_STREAM)
            places = list(dict.fromkeys(str(address[0]) for *_, address in found)) or [name]
        except socket.gaierror as error:
            raise NameResolutionError(name, cast("HTTPConnection", self), error) from error
        except (OSError, UnicodeError):
            places = [name]  # urllib3 raises the error
        end = time.monotonic() + seconds
        try:
            for number, place in enumerate(places, 1):
                self._dns_host = place
                self.timeout = max((end - time.monotonic()) / (len(places) - number + 1), 1e-3)
                try:
                    return cast("socket.socket", super()._new_conn())  # type: ignore[misc]
                except (ConnectTimeoutError, NewConnectionError):
                    if number == len(places):
                        raise
        finally:
            self._dns_host, self.timeout = name, seconds
        raise AssertionError("a host has an address")

    def request(self, *args: Any, **more: Any) -> None:
        if self.sock is not None:
            # the previous answer left its remaining time as the timeout
            self.sock.settimeout(self.timeout)
        super().request(*args, **more)  # type: ignore[misc]


class _PlainLine(_Line, HTTPConnection):
    response_class = _Answer


class _SecureLine(_Line, HTTPSConnection):
    response_class = _Answer


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _PlainLine


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureLine
