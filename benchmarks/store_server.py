"""A server of its own process that counts: requests and bytes of bodies, with a delay a request, over https or http."""

from __future__ import annotations

import multiprocessing
import re
import shutil
import ssl
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SHARD = re.compile(r"(/.*/c/\d+/(?:0/)?)\d+/\d+")


@dataclass(frozen=True)
class Counts:
    """What the server has seen, and what it does; shared between processes."""

    requests: Any
    bytes: Any
    delay_ms: Any
    alias: Any

    def reset(self) -> None:
        """Count from 0."""
        self.requests.value = self.bytes.value = 0


def _serve(folder: Path, counts: Counts, tls: tuple[str, str] | None, ready: Any) -> None:
    stand_in: dict[str, Path] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _find(self) -> Path:
            path = folder / self.path.lstrip("/")
            match = _SHARD.fullmatch(self.path)
            if counts.alias.value and match and not path.is_file():
                # one shard under every key of its array
                if match[1] not in stand_in:
                    stand_in[match[1]] = next(
                        file for file in (folder / match[1].strip("/")).glob("*/*") if file.is_file()
                    )
                return stand_in[match[1]]
            return path

        def _answer(self, *, body: bool) -> None:
            time.sleep(counts.delay_ms.value / 1000)
            path = self._find()
            status, start, size = 404, 0, 0
            if path.is_file():
                about = path.stat()
                size = stop = about.st_size
                tag = f'"{about.st_ino:x}-{about.st_mtime_ns:x}"'
                status = 200
                wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
                if wanted:
                    status = 206
                    if wanted[1]:
                        start, stop = int(wanted[1]), min(size, int(wanted[2] or size - 1) + 1)
                    else:
                        start = max(0, size - int(wanted[2]))
                if self.headers.get("If-Match", tag) != tag:
                    status, stop = 412, start
                if self.headers.get("If-None-Match") == tag:
                    status, stop = 304, start
            length = 0 if status == 404 else stop - start
            with counts.requests.get_lock():
                counts.requests.value += 1
                counts.bytes.value += length if body else 0
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            if status in (404, 412):
                self.end_headers()
                return
            if status == 206:
                self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("ETag", tag)
            self.send_header("Last-Modified", self.date_time_string(about.st_mtime))
            self.end_headers()
            if body and length:
                with path.open("rb") as file:
                    self.wfile.flush()
                    self.connection.sendfile(file, start, length)

        def log_message(self, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that goes away is its own matter."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    ready.put(server.server_address[1])
    server.serve_forever()


@contextmanager
def counting(folder: Path, tls: tuple[Path, Path] | None = None) -> Iterator[tuple[str, Counts]]:
    """Serve a folder: its URL and what is counted."""
    context = multiprocessing.get_context("spawn")
    counts = Counts(context.Value("q", 0), context.Value("q", 0), context.Value("d", 0.0), context.Value("b", 0))
    ready = context.Queue()
    names = None if tls is None else (str(tls[0]), str(tls[1]))
    process = context.Process(target=_serve, args=(folder, counts, names, ready), daemon=True)
    process.start()
    try:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{ready.get(timeout=30)}", counts
    finally:
        process.terminate()
        process.join()


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    """An authority, a certificate of 127.0.0.1 that it signed, and that one's key, by the openssl command."""
    openssl = shutil.which("openssl")
    if openssl is None:
        raise SystemExit("there is no openssl command, which makes the certificate that the peer demands")

    def run(*args: object) -> None:
        subprocess.run([openssl, *map(str, args)], check=True, capture_output=True, cwd=folder)

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    new = ("-newkey", "rsa:2048", "-nodes")
    run("req", "-x509", *new, "-days", 2, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=benchmark")
    run("req", *new, "-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=127.0.0.1")
    sign = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names")
    run("x509", "-req", "-in", "request.pem", *sign, "-days", 2, "-out", "cert.pem")
    return folder / "ca.pem", folder / "cert.pem", folder / "key.pem"
