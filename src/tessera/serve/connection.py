"""One connection: requests and answers, with a time limit on everything that a client can delay."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from ._answer import Answer, refusal
from ._conditions import http_date
from ._request import Refused, Request, parse_request, split_head
from ._wire import SLICE, Cut, Wire

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable

    from ._answer import Site
    from ._paths import Opened
    from ._ranges import Span

_TAIL = 64 * 1024
"""Last bytes of a span, sent only after the file is checked; a shorter body is sent in one write with its head."""
_LINGER_SECONDS = 1.0


@dataclass(frozen=True)
class Limits:
    """Limits for clients.

    Attributes
    ----------
    connections : concurrent ones, with a thread each; None: 256, or a quarter of the process's limit of open files. A
        further one replaces the connection that has waited longest for its client
    head_seconds : for a request line and headers, from their first byte; for a TLS handshake
    idle_seconds : between requests
    stall_seconds : for each 256 KiB of an answer
    """

    connections: int | None = None
    head_seconds: float = 10
    idle_seconds: float = 120
    stall_seconds: float = 30


@dataclass(frozen=True)
class Served:
    """An answered request: method, target, Range header, status, and bytes of the body that were sent."""

    method: str
    target: str
    range: str | None
    status: int
    bytes: int


class Connection:
    """Serves one client until it leaves, is too slow, or the server stops.

    Attributes
    ----------
    waits : whether the client must act: send a request or finish its handshake
    """

    def __init__(
        self, raw: socket.socket, site: Site, limits: Limits, tls: ssl.SSLContext | None, seen: Callable[[Served], None]
    ) -> None:
        self.wire = Wire(raw, limits.stall_seconds)
        self.waits = True
        self._site = site
        self._limits = limits
        self._tls = tls
        self._seen = seen
        self._buffer = b""

    def run(self) -> None:
        """Serve, and close the socket."""
        try:
            if self._tls is not None:
                self.wire.encrypt(self._tls, self._limits.head_seconds)
            while self._serve_one():
                pass
        except (OSError, Cut):
            # the connection broke, the client is too slow, or the file changed: the incomplete answer shows it
            return
        finally:
            self.wire.close()

    def _serve_one(self) -> bool:
        """Answer one request; False if it was the last."""
        self.waits, self.wire.since = True, time.monotonic()
        try:
            head = self._read_head()
            if head is None:
                return False
            self.waits = False
            request = parse_request(head)
        except Refused as refused:
            self.waits = False
            answer = refusal(refused)
            self._send(_head(answer, last=True), answer)
            self.wire.linger(_LINGER_SECONDS)
            return False
        last = not request.keeps_alive or request.has_body
        self._reply(request, last=last)
        if request.has_body:
            self.wire.linger(_LINGER_SECONDS)
        return not last

    def _read_head(self) -> bytes | None:
        """The next head, None if the client left or sent nothing in time; refused with 408 (slow) or 431 (long)."""
        start = time.monotonic()
        while (found := split_head(self._buffer)) is None:
            limit = self._limits.head_seconds if self._buffer else self._limits.idle_seconds
            data = self.wire.receive(start + limit - time.monotonic())
            if data is None and self._buffer:
                raise Refused(HTTPStatus.REQUEST_TIMEOUT, "the request came too slowly")
            if not data:
                return None
            if not self._buffer:
                start = time.monotonic()
            self._buffer += data
        head, self._buffer = found
        return head

    def _reply(self, request: Request, *, last: bool) -> None:
        start = self.wire.sent
        answer = self._site.answer(request)
        head = _head(answer, last=last)
        try:
            try:
                self._send(head, answer)
            except Cut:
                if self.wire.sent > start:
                    raise
                answer = refusal(Refused(HTTPStatus.SERVICE_UNAVAILABLE, "the file changed while it was read"))
                head = _head(answer, last=last)
                self._send(head, answer)
        finally:
            body = max(0, self.wire.sent - start - len(head))
            self._seen(Served(request.method, request.target, request.headers.get("range"), answer.status.value, body))

    def _send(self, head: bytes, answer: Answer) -> None:
        """Send an answer and close its file; `Cut` if it changed meanwhile, so that its last bytes were not sent."""
        pending = bytearray(head)
        try:
            for piece in answer.pieces:
                if isinstance(piece, bytes):
                    pending += piece
                elif answer.file is not None:
                    self._add(pending, piece, answer.file)
            if answer.file is not None and answer.pieces and not answer.file.is_unchanged:
                raise Cut
            self.wire.write(pending)
        finally:
            if answer.file is not None:
                answer.file.close()

    def _add(self, pending: bytearray, span: Span, file: Opened) -> None:
        """Send pending bytes and a span except its tail, which becomes pending; a short span only becomes pending."""
        tail = max(span.start, span.stop - _TAIL)
        if span.start < tail or len(pending) > SLICE:
            self.wire.write(pending)
            pending.clear()
        self.wire.stream(file.handle, span.start, tail)
        data = os.pread(file.handle, span.stop - tail, tail)
        if len(data) != span.stop - tail:
            raise Cut
        pending += data


def _head(answer: Answer, *, last: bool) -> bytes:
    lines = [f"HTTP/1.1 {answer.status.value} {answer.status.phrase}", f"Date: {http_date(time.time())}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    if last:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
