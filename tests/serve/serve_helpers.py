"""A raw client for the server, which sends exactly what it is told; a certificate."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tessera.serve import Limits, Server, make_server

LETTERS = bytes(range(256)) * 4


@dataclass(frozen=True)
class Reply:
    """An answer: headers by lower-case name."""

    status: int
    headers: dict[str, str]
    body: bytes


def read_reply(line: socket.socket, *, without_body: bool = False) -> Reply:
    """The next answer on a connection; an answer that is shorter than it says is an EOFError."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = line.recv(65536)
        if not more:
            raise EOFError(f"{len(data)} bytes of a head")
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (text.partition(": ") for text in lines)}
    status = int(first.split()[1])
    wanted = 0 if without_body or status in (204, 304) else int(headers["content-length"])
    parts, got = [body], len(body)
    while got < wanted:
        more = line.recv(1 << 20)
        if not more:
            raise EOFError(f"{got} of {wanted} bytes")
        parts.append(more)
        got += len(more)
    assert got == wanted, "bytes behind the answer"
    return Reply(status, headers, b"".join(parts))


def connect(server: Server, timeout: float = 10) -> socket.socket:
    host, _, port = server.url.split("://")[1].rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout)


def raw(server: Server, data: bytes, *, without_body: bool = False) -> Reply:
    """Send bytes on a new connection, read one answer."""
    with connect(server) as line:
        line.sendall(data)
        return read_reply(line, without_body=without_body)


def request(target: str, method: str = "GET", **headers: str) -> bytes:
    lines = {"Host": "localhost", **{name.replace("_", "-"): value for name, value in headers.items()}}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1")


def ask(server: Server, target: str, method: str = "GET", **headers: str) -> Reply:
    """One request on a new connection; `If_None_Match=` is the header If-None-Match."""
    return raw(server, request(target, method, **headers), without_body=method == "HEAD")


@contextmanager
def serving(folder: Path, limits: Limits | None = None) -> Iterator[Server]:
    with make_server(folder, limits=limits) as server:
        yield server


def certificate(folder: Path, *, password: str | None = None) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1, signed by itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command, which makes the certificate, is not installed")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2",
         "-keyout", key, "-out", cert, "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
         "-addext", "basicConstraints=critical,CA:FALSE",
         *(["-nodes"] if password is None else ["-passout", f"pass:{password}"])],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key
