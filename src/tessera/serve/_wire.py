"""The socket of one client: every wait has a time limit, and the system copies files to the socket if it can."""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl
import time

SLICE = 256 * 1024
"""Bytes that must be sent within the stall limit: by default about 9 kB a second."""
_RECEIVE = 16 * 1024
_NOT_DIRECTLY = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOVERFLOW)
"""Errors of sendfile on file systems that do not support it."""


class Cut(Exception):  # noqa: N818
    """The file was truncated or written to: the answer cannot be finished, and must not look finished."""


class Wire:
    """A client's socket, encrypted or not.

    Attributes
    ----------
    sent : bytes so far
    since : start of the wait for the client, or of sending the current slice; seconds of the monotonic clock
    """

    def __init__(self, raw: socket.socket, stall_seconds: float) -> None:
        self._socket = raw
        self._stall = stall_seconds
        self.sent = 0
        self.since = time.monotonic()

    def encrypt(self, context: ssl.SSLContext, seconds: float) -> None:
        """Do the TLS handshake within `seconds`; `OSError` if the client does not speak TLS, or is too slow."""
        self._socket.settimeout(seconds)
        self._socket = context.wrap_socket(self._socket, server_side=True, do_handshake_on_connect=False)
        self._socket.do_handshake()

    def receive(self, seconds: float) -> bytes | None:
        """The next bytes, b"" if the client has gone; None if nothing arrived in time."""
        if seconds <= 0:
            return None
        self._socket.settimeout(seconds)
        try:
            return self._socket.recv(_RECEIVE)
        except TimeoutError:
            return None

    def write(self, data: bytes | bytearray) -> None:
        """Send all data; `OSError` if the client is gone, or received less than a slice within the stall limit."""
        self._socket.settimeout(self._stall)
        view = memoryview(data)
        for start in range(0, len(view), SLICE):
            self.since = time.monotonic()
            part = view[start : start + SLICE]
            self._socket.sendall(part)
            self.sent += len(part)

    def stream(self, handle: int, start: int, stop: int) -> None:
        """Send bytes `start` up to `stop` of an open file; `Cut` if it ends before."""
        directly = not isinstance(self._socket, ssl.SSLSocket)
        while start < stop:
            count = min(SLICE, stop - start)
            if directly:
                taken = self._send_directly(handle, start, count)
                directly = taken is not None
                start += taken or 0
                continue
            data = os.pread(handle, count, start)
            if not data:
                raise Cut
            self.write(data)
            start += len(data)

    def _send_directly(self, handle: int, start: int, count: int) -> int | None:
        """Let the system copy a slice from file to socket; None if it cannot."""
        self.since = time.monotonic()
        self._socket.settimeout(0)
        done = 0
        while done < count:
            try:
                taken = os.sendfile(self._socket.fileno(), handle, start + done, count - done)
            except BlockingIOError:
                self._wait_writable(self.since + self._stall - time.monotonic())
                continue
            except OSError as error:
                if done == 0 and error.errno in _NOT_DIRECTLY:
                    return None
                raise
            if taken == 0:
                raise Cut
            done += taken
            self.sent += taken
        return done

    def _wait_writable(self, seconds: float) -> None:
        waiter = select.poll()
        waiter.register(self._socket.fileno(), select.POLLOUT)
        if seconds <= 0 or not waiter.poll(seconds * 1000):
            raise TimeoutError

    def linger(self, seconds: float) -> None:
        """Read for a moment after the last answer, because unread bytes would make the system discard it."""
        if isinstance(self._socket, ssl.SSLSocket):
            return
        self._socket.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + seconds
        while self.receive(deadline - time.monotonic()):
            pass

    def stop(self) -> None:
        """Shut down both directions, from any thread, so that waiting calls fail at once."""
        try:
            # not the method of an encrypted socket, which would then continue in plain text
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        except OSError:
            return

    def close(self) -> None:
        """Close the socket, once, from the thread that uses it."""
        self._socket.close()
