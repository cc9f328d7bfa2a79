"""A small server of scenes in a process of its own: ranges, a STAC search, a latency a request, and counters.

python benchmarks/scenes_server.py FOLDER

It prints its address. Every file of the folder is served; /search answers with the items of FOLDER/items.json by
collection, all in one page; /-/set?latency_ms=30 sets the latency and starts counting anew, and /-/counts tells what it
has seen since. Threads, HTTP/1.1 with connections kept, bodies by sendfile. The parent ends it.
"""

from __future__ import annotations

import json
import os
import re
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

_TYPES = {".json": "application/json", ".tif": "image/tiff"}
_LONGEST_LINE = 65_536


class _State:
    def __init__(self, folder: Path) -> None:
        self.folder, self.lock = folder.resolve(), threading.Lock()
        self.latency = 0.0
        self.counts: dict[str, int] = {}
        self.reset()

    def reset(self) -> None:
        with self.lock:
            self.counts = {"requests": 0, "head": 0, "documents": 0, "bytes": 0, "connections": 0}

    def add(self, **more: int) -> None:
        with self.lock:
            for name, number in more.items():
                self.counts[name] += number


class _Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        self.server.state.add(connections=1)
        try:
            while self._one():
                pass
        except (ConnectionError, BrokenPipeError, TimeoutError):
            pass

    def _one(self) -> bool:
        parts = self.rfile.readline(_LONGEST_LINE).decode("latin-1").split()
        if len(parts) != 3:
            return False
        method, target, _ = parts
        headers = {}
        while (line := self.rfile.readline(_LONGEST_LINE).decode("latin-1").strip()) != "":
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = self.rfile.read(int(headers.get("content-length", 0)))
        path = unquote(urlsplit(target).path)
        if path.startswith("/-/"):
            self._control(path, parse_qs(urlsplit(target).query))
        else:
            if self.server.state.latency:
                time.sleep(self.server.state.latency)
            if path == "/" or path == "/search":
                self._stac(path, method, target, body)
            else:
                self._file(method, path, headers.get("range", ""))
        return headers.get("connection", "").lower() != "close"

    def _control(self, path: str, asked: dict[str, list[str]]) -> None:
        state = self.server.state
        if path == "/-/set":
            state.latency = float(asked.get("latency_ms", ["0"])[0]) / 1000
            state.reset()
        with state.lock:
            self._document(dict(state.counts))

    def _stac(self, path: str, method: str, target: str, body: bytes) -> None:
        host, port = self.connection.getsockname()[:2]
        base = f"http://{host}:{port}"
        if path == "/":
            core = "https://api.stacspec.org/v1.0.0/core"
            links = [{"rel": "search", "method": method, "href": f"{base}/search"} for method in ("GET", "POST")]
            answer: dict[str, Any] = {
                "type": "Catalog",
                "stac_version": "1.0.0",
                "id": "benchmark",
                "description": "Scenes of a benchmark",
                "conformsTo": [core, "https://api.stacspec.org/v1.0.0/item-search"],
                "links": [{"rel": "self", "href": f"{base}/"}, {"rel": "root", "href": f"{base}/"}, *links],
            }
        else:
            asked = json.loads(body) if method == "POST" else parse_qs(urlsplit(target).query)
            wanted = asked.get("collections", [])
            wanted = [name for part in wanted for name in part.split(",")]
            text = (self.server.state.folder / "items.json").read_text().replace("{base}", base)
            found = [item for item in json.loads(text) if not wanted or item["collection"] in wanted]
            answer = {"type": "FeatureCollection", "features": found, "links": [], "numberReturned": len(found)}
        self.server.state.add(documents=1, requests=1, bytes=self._document(answer))

    def _document(self, answer: Any) -> int:
        body = json.dumps(answer).encode()
        self._head("200 OK", len(body), "application/json")
        self.connection.sendall(body)
        return len(body)

    def _file(self, method: str, path: str, asked: str) -> None:
        state = self.server.state
        file = (state.folder / path.lstrip("/")).resolve()
        if not file.is_relative_to(state.folder) or not file.is_file():
            state.add(requests=1)
            self._head("404 Not Found", 0, "text/plain")
            return
        size = file.stat().st_size
        start, stop, status, more = 0, size, "200 OK", ""
        match = re.fullmatch(r"bytes=(\d*)-(\d*)", asked)
        if match and (match[1] or match[2]):
            start = int(match[1]) if match[1] else max(0, size - int(match[2]))
            stop = min(size, int(match[2]) + 1) if match[1] and match[2] else size
            if start >= size or stop <= start:
                state.add(requests=1)
                self._head("416 Range Not Satisfiable", 0, "text/plain", f"Content-Range: bytes */{size}\r\n")
                return
            status, more = "206 Partial Content", f"Content-Range: bytes {start}-{stop - 1}/{size}\r\n"
        kind = _TYPES.get(file.suffix, "application/octet-stream")
        if method == "HEAD":
            state.add(requests=1, head=1)
            self._head(status, stop - start, kind, more, last=True)
            return
        state.add(requests=1)
        self._head(status, stop - start, kind, more)
        with file.open("rb") as source:
            state.add(bytes=self.connection.sendfile(source, start, stop - start))

    def _head(self, status: str, length: int, kind: str, more: str = "", *, last: bool = False) -> None:
        # held back for the body to join it, where one follows
        self.connection.sendall(
            f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\nContent-Type: {kind}\r\nAccept-Ranges: bytes\r\n"
            f'ETag: "1"\r\n{more}\r\n'.encode(),
            0 if last or not length else getattr(socket, "MSG_MORE", 0),
        )


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 512

    def __init__(self, folder: Path) -> None:
        self.state = _State(folder)
        super().__init__(("127.0.0.1", 0), _Handler)


class Served:
    """A server of its own process, seen from its parent."""

    def __init__(self, url: str) -> None:
        self.url = url

    def _ask(self, path: str) -> dict[str, int]:
        with urllib.request.urlopen(f"{self.url}/-/{path}") as answer:
            return dict(json.load(answer))

    def start(self, latency_ms: float) -> None:
        """Count from 0, and answer every request so much later."""
        self._ask(f"set?latency_ms={latency_ms}")

    def counts(self) -> dict[str, int]:
        """What it has seen since."""
        return self._ask("counts")


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """Serve a folder while the context lasts."""
    command = [sys.executable, __file__, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Served(process.stdout.readline().strip())
        finally:
            process.terminate()


if __name__ == "__main__":
    with _Server(Path(sys.argv[1])) as server:
        print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            os._exit(0)
