"""A small server on loopback whose every path is a function."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tessera.net import Web
from tessera.net._host import host_of

DATA = bytes(range(256)) * 4
ONCE = Web(delays=())
Script = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        self.body = self.rfile.read(length)
        self.site.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, self.body))
        self.site.lines.add(self.client_address[1])
        try:
            self.site.scripts[urlsplit(self.path).path](self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_POST = do_GET  # noqa: N815 - the server's name

    def say(self, status: int, body: bytes = b"", *, length: int | None = None, **headers: str | None) -> None:
        """An answer; underscores in names of headers stand for hyphens; `length` in place of the body's own."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)
        if length is not None:
            self.close_connection = True

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))


class Site:
    """A server whose every path is a function."""

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.lines: set[int] = set()
        handler = type("Bound", (Handler,), {"site": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def at(self, path: str, script: Script) -> str:
        self.scripts[path] = script
        return self.url + path

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        # another test may get the same port, and would wait for what this one was told
        host_of.cache_clear()


def ranged(handler: Handler) -> None:
    """A file of `DATA` that answers ranges as it should."""
    asked = handler.headers.get("range")
    if asked is None:
        return handler.say(200, DATA)
    first, last = asked.removeprefix("bytes=").split("-")
    part = DATA[int(first) : int(last) + 1]
    told = f"bytes {first}-{int(first) + len(part) - 1}/{len(DATA)}"
    return handler.say(206, part, Content_Range=told, ETag='"one"')
