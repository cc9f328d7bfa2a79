"""A small HTTP/1.1 server, a thread per connection, that sends answers exactly as given, faults included."""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
import time
from dataclasses import dataclass, field
from http.client import responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_LINE = 65536
_MOST_HEADERS = 200
_MOST_BODY = 16 * 1024 * 1024
_SMALL = 64 * 1024
"""Largest part of a file, bytes, that is sent together with the head; larger ones go by sendfile."""


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str  # method, target: as sent; the target is the path with its query
    target: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes  # of a POST
    base: str  # "http://host:port" of the listener that it came to

    @property
    def path(self) -> str:
        """The path without its query."""
        return self.target.split("?")[0]

    @property
    def query(self) -> str:
        """The part after the question mark."""
        return self.target.partition("?")[2]


@dataclass
class Answer:
    """An answer to a request."""

    status: int
    # without Content-Length, which is the body's unless it is given
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | tuple[Path, int, int] = b""  # bytes, or (file, start, stop) of it
    sent: int | None = None  # how many bytes of the body go out; None for all
    # "keep" the line, "close" it or "reset" it after the answer; "silent" breaks it without any answer
    end: str = "keep"
    piece: int = 0  # piece, pause: bytes at a time and seconds between them; 0 for all at once
    pause: float = 0.0
    fault: str = ""  # name of the switch that made it

    @property
    def length(self) -> int:
        """Length of the body, bytes."""
        return len(self.body) if isinstance(self.body, bytes) else self.body[2] - self.body[1]

    def data(self) -> bytes:
        """The whole body."""
        if isinstance(self.body, bytes):
            return self.body
        file, start, stop = self.body
        with file.open("rb") as stream:
            stream.seek(start)
            return stream.read(stop - start)


class Listener(ThreadingHTTPServer):
    """Listens on a port of this machine; `close` leaves no thread and no connection behind."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 512
    allow_reuse_address = True

    def __init__(
        self,
        answer: Callable[[Asked], Answer],
        done: Callable[[Asked, Answer, float, float, int], None],
        began: Callable[[], None],
        latency: float,
        port: int = 0,
    ) -> None:
        self.answer, self.done, self.began, self.latency = answer, done, began, latency
        self.stopping = threading.Event()
        self._lines: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Line)
        self.base = f"http://127.0.0.1:{self.server_address[1]}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name="provider", daemon=True)

    def server_bind(self) -> None:
        # HTTPServer looks up the host name here, which can take seconds
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def start(self) -> None:
        """Start answering."""
        self._thread.start()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._lines.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._lines.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # a client that hangs up is no error; anything else is a bug of this server
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def close(self) -> None:
        """Stop at once, in the middle of answers too."""
        self.stopping.set()
        self.shutdown()
        with self._lock:
            lines = list(self._lines)
        for line in lines:
            try:
                line.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self.server_close()
        self._thread.join()


class _Line(BaseHTTPRequestHandler):
    server: Listener
    disable_nagle_algorithm = True
    timeout = 300.0

    def handle_one_request(self) -> None:
        self.close_connection = True
        try:
            asked = self._asked()
        except (OSError, ValueError):
            return
        if asked is None:
            return
        start = time.monotonic()
        self.server.began()
        answer, sent = Answer(500), 0
        try:
            try:
                answer = self.server.answer(asked)
            except Exception:
                self.server.handle_error(self.connection, self.client_address)
            if self.server.latency > 0:
                self.server.stopping.wait(self.server.latency)
            sent = self._send(asked, answer)
        finally:
            # recorded before the connection ends, so that a client that sees the end finds it in the record
            self.server.done(asked, answer, start, time.monotonic(), sent)
        if answer.end in ("reset", "silent"):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif answer.end == "keep" and asked.headers.get("connection", "").lower() != "close":
            self.close_connection = False

    def _asked(self) -> Asked | None:
        """Read the next request. The standard library's parser would take longer than the answer."""
        first = self.rfile.readline(_LINE).decode("latin-1").split()
        if len(first) != 3:
            return None
        headers: dict[str, str] = {}
        for _ in range(_MOST_HEADERS):
            line = self.rfile.readline(_LINE)
            if line in (b"\r\n", b"\n", b""):
                break
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        length = int(headers.get("content-length", "0"))
        if not 0 <= length <= _MOST_BODY:
            return None
        if length and headers.get("expect", "").lower() == "100-continue":
            self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self.rfile.read(length) if length else b""
        return Asked(first[0], first[1], headers, body, self.server.base)

    def _send(self, asked: Asked, answer: Answer) -> int:
        if answer.end == "silent":
            return 0
        headers = dict(answer.headers)
        if answer.status != 304:  # which has no body, and of whose length nothing is told here (RFC 9110, 15.4.5)
            headers["Content-Length"] = str(answer.length)
        if answer.end != "keep":
            headers["Connection"] = "close"
        lines = [f"HTTP/1.1 {answer.status} {responses.get(answer.status, '')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        count = answer.length if answer.sent is None else min(answer.sent, answer.length)
        if asked.method == "HEAD" or not count:
            self.connection.sendall(head)
            return 0
        if answer.piece:
            return self._dribble(head, answer, count)
        if isinstance(answer.body, bytes):
            self.connection.sendall(head + answer.body[:count])
            return count
        file, start, _ = answer.body
        with file.open("rb", buffering=0) as stream:
            if count <= _SMALL:
                self.connection.sendall(head + os.pread(stream.fileno(), count, start))
            else:
                self.connection.sendall(head)
                self.connection.sendfile(stream, start, count)
        return count

    def _dribble(self, head: bytes, answer: Answer, count: int) -> int:
        self.connection.sendall(head)
        body = memoryview(answer.data())[:count]
        for place in range(0, count, answer.piece):
            if place and self.server.stopping.wait(answer.pause):
                return place
            self.connection.sendall(body[place : place + answer.piece])
        return count
