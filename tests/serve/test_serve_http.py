"""The rules of HTTP, one by one, on raw sockets."""

from __future__ import annotations

import email
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from serve_helpers import LETTERS, Reply, ask, connect, raw, read_reply, request, serving

from tessera.base import InputError
from tessera.serve import Served, Server, make_server

EXPOSED = ("Content-Range", "Content-Length", "ETag", "Accept-Ranges", "Last-Modified")
BIG = os.urandom(700_001)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("http")
    (root / "letters").write_bytes(LETTERS)
    (root / "big.bin").write_bytes(BIG)
    (root / "empty").write_bytes(b"")
    (root / "old").write_bytes(LETTERS)
    os.utime(root / "old", (784111777, 784111777))
    return root


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serving(folder) as running:
        yield running


def test_a_file(server: Server, folder: Path) -> None:
    reply = ask(server, "/old")
    assert (reply.status, reply.body) == (200, LETTERS)
    assert reply.headers["content-length"] == str(len(LETTERS))
    assert reply.headers["last-modified"] == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert reply.headers["accept-ranges"] == "bytes"
    assert reply.headers["cache-control"] == "no-cache"
    about = (folder / "old").stat()
    assert reply.headers["etag"] == f'"{about.st_ino:x}-{about.st_mtime_ns:x}-{about.st_size:x}"'
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT", reply.headers["date"])


@pytest.mark.parametrize("target", ["/letters", "/big.bin", "/empty"])
def test_head_is_get_without_a_body(server: Server, target: str) -> None:
    get, head = ask(server, target), ask(server, target, "HEAD")
    assert head.body == b""
    assert {**head.headers, "date": ""} == {**get.headers, "date": ""}
    assert int(head.headers["content-length"]) == len(get.body)
    # ranges are of GET alone
    ranged = ask(server, target, "HEAD", Range="bytes=0-0")
    assert (ranged.status, ranged.headers["content-length"]) == (200, head.headers["content-length"])


def test_head_sends_no_byte_of_a_body_on_errors_too(server: Server) -> None:
    with connect(server) as line:
        line.sendall(request("/nothing", "HEAD") + request("/letters", Range="bytes=3-4", Connection="close"))
        data = b""
        while more := line.recv(65536):
            data += more
    first, second = data.split(b"HTTP/1.1 ")[1:]
    assert first.startswith(b"404 Not Found\r\n")
    assert first.endswith(b"\r\n\r\n")
    assert first.count(b"\r\n\r\n") == 1
    assert second.startswith(b"206 Partial Content\r\n")
    assert second.endswith(b"\r\n\r\n" + LETTERS[3:5])


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-9", 5, 10),
        ("BYTES=5-9", 5, 10),
        ("bytes=1000-", 1000, 1024),
        ("bytes=0-", 0, 1024),
        ("bytes=1000-99999", 1000, 1024),
        ("bytes=-24", 1000, 1024),
        ("bytes=-99999", 0, 1024),
        ("bytes=1023-1023,5000-", 1023, 1024),
        ("bytes=0-9,5-19", 0, 20),
        ("bytes= 5-9 ,", 5, 10),
    ],
)
def test_a_range(server: Server, asked: str, start: int, stop: int) -> None:
    reply = ask(server, "/letters", Range=asked)
    assert (reply.status, reply.body) == (206, LETTERS[start:stop])
    assert reply.headers["content-range"] == f"bytes {start}-{stop - 1}/1024"
    assert reply.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(("start", "stop"), [(0, 700_001), (1, 65_538), (1, 65_537), (5, 400_000), (699_999, 700_001)])
def test_a_range_of_a_large_file(server: Server, start: int, stop: int) -> None:
    assert ask(server, "/big.bin", Range=f"bytes={start}-{stop - 1}").body == BIG[start:stop]


@pytest.mark.parametrize(
    ("target", "asked"),
    [
        ("/letters", "bytes=1024-"),
        ("/letters", "bytes=2000-3000,-0"),
        ("/letters", "bytes=-0"),
        ("/empty", "bytes=0-"),
        ("/letters", "bytes=" + "9" * 5000 + "-"),
    ],
)
def test_a_range_outside(server: Server, target: str, asked: str) -> None:
    reply = ask(server, target, Range=asked)
    size = {"/letters": 1024, "/empty": 0}[target]
    assert (reply.status, reply.headers["content-range"]) == (416, f"bytes */{size}")
    assert reply.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("asked", ["bytes=5-4", "items=0-1", "bytes=x", "bytes=" + ",".join(["0-0"] * 257)])
def test_a_range_that_is_ignored(server: Server, asked: str) -> None:
    reply = ask(server, "/letters", Range=asked)
    assert (reply.status, reply.body) == (200, LETTERS)
    assert "content-range" not in reply.headers


def test_the_last_bytes_of_an_empty_file(server: Server) -> None:
    assert ask(server, "/empty", Range="bytes=-5").status == 200


def _parts(reply: Reply) -> list[tuple[str, bytes]]:
    boundary = reply.headers["content-type"].partition("boundary=")[2]
    pieces = reply.body.split(b"--" + boundary.encode())
    assert pieces[0] == b""
    assert pieces[-1] == b"--\r\n"
    found = []
    for piece in pieces[1:-1]:
        head, _, data = piece[2:-2].partition(b"\r\n\r\n")
        found.append((str(email.message_from_bytes(head)["Content-Range"]), data))
    return found


def test_several_ranges(server: Server) -> None:
    reply = ask(server, "/letters", Range="bytes=1000-1001, 0-4 ,-2,9999-")
    assert reply.status == 206
    assert reply.headers["content-type"].startswith("multipart/byteranges; boundary=")
    assert "content-range" not in reply.headers
    assert _parts(reply) == [
        ("bytes 1000-1001/1024", LETTERS[1000:1002]),
        ("bytes 0-4/1024", LETTERS[:5]),
        ("bytes 1022-1023/1024", LETTERS[-2:]),
    ]


def test_several_large_ranges(server: Server) -> None:
    reply = ask(server, "/big.bin", Range="bytes=300000-600000,1-200000,650000-")
    assert [data for _, data in _parts(reply)] == [BIG[300000:600001], BIG[1:200001], BIG[650000:]]


def test_many_small_ranges(server: Server) -> None:
    asked = "bytes=" + ",".join(f"{at}-{at + 131}" for at in range(0, 700_000, 2800))
    found = _parts(ask(server, "/big.bin", Range=asked))
    assert [data for _, data in found] == [BIG[at : at + 132] for at in range(0, 700_000, 2800)]


def test_greedy_ranges_never_cost_more_than_the_file(server: Server) -> None:
    reply = ask(server, "/big.bin", Range="bytes=" + ",".join(f"{at}-" for at in range(200)))
    assert (reply.status, reply.body) == (206, BIG)


def test_conditions_on_a_file(server: Server) -> None:
    tag, date = (ask(server, "/old").headers[name] for name in ("etag", "last-modified"))
    held = ask(server, "/old", If_None_Match=tag)
    assert (held.status, held.headers["etag"]) == (304, tag)
    assert "content-length" not in held.headers
    assert ask(server, "/old", If_Modified_Since=date).status == 304
    assert ask(server, "/old", If_None_Match='"x"', If_Modified_Since=date).status == 200
    assert ask(server, "/old", If_Match=tag, Range="bytes=0-1").body == LETTERS[:2]
    changed = ask(server, "/old", If_Match='"x"', Range="bytes=0-1")
    assert (changed.status, changed.headers["etag"]) == (412, tag)
    assert ask(server, "/old", If_Unmodified_Since="Sun, 06 Nov 1994 08:49:36 GMT").status == 412
    assert ask(server, "/old", If_Unmodified_Since=date).status == 200
    assert ask(server, "/old", "HEAD", If_None_Match=tag).status == 304
    # a precondition comes before the range, a missing file before both
    assert ask(server, "/old", If_None_Match=tag, Range="bytes=9999-").status == 304
    assert ask(server, "/nothing", If_Match='"x"').status == 404


def test_if_range(server: Server) -> None:
    tag, date = (ask(server, "/old").headers[name] for name in ("etag", "last-modified"))
    assert ask(server, "/old", If_Range=tag, Range="bytes=0-1").status == 206
    assert ask(server, "/old", If_Range=date, Range="bytes=0-1").status == 206
    assert ask(server, "/old", If_Range='"x"', Range="bytes=0-1").body == LETTERS
    assert ask(server, "/old", If_Range="W/" + tag, Range="bytes=0-1").status == 200
    assert ask(server, "/old", If_Range="Sun, 06 Nov 1994 08:49:38 GMT", Range="bytes=0-1").status == 200
    assert ask(server, "/old", If_Range='"x"', Range="bytes=9999-").status == 200


@pytest.mark.parametrize("target", ["/letters", "/nothing", "/..", "/%zz"])
def test_every_answer_can_be_read_by_a_page(server: Server, target: str) -> None:
    headers = ask(server, target, Origin="https://example.org").headers
    assert headers["access-control-allow-origin"] == "*"
    assert set(headers["access-control-expose-headers"].split(", ")) == set(EXPOSED)
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-embedder-policy"] == "require-corp"
    assert headers["cross-origin-resource-policy"] == "cross-origin"
    assert headers["x-content-type-options"] == "nosniff"


def test_a_preflight(server: Server) -> None:
    reply = ask(
        server, "/letters", "OPTIONS", Origin="https://example.org",
        Access_Control_Request_Method="GET", Access_Control_Request_Headers="range,if-match",
    )  # fmt: skip
    assert (reply.status, reply.body) == (204, b"")
    assert "content-length" not in reply.headers
    allowed = reply.headers["access-control-allow-headers"].lower().split(", ")
    assert {"range", "if-match", "if-none-match", "if-range"} <= set(allowed)
    assert reply.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
    assert ask(server, "*", "OPTIONS").status == 204


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("zarr.json", "application/json"),
        ("a.geojson", "application/geo+json"),
        ("a.parquet", "application/vnd.apache.parquet"),
        ("a.wasm", "application/wasm"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.PNG", "image/png"),
        ("a.html", "text/html; charset=utf-8"),
        ("a.pmtiles", "application/vnd.pmtiles"),
        ("a.tif", "image/tiff"),
        ("0", "application/octet-stream"),
        ("json", "application/octet-stream"),
        ("a.unheard-of", "application/octet-stream"),
    ],
)
def test_media_types(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with serving(tmp_path) as running:
        assert ask(running, "/" + name).headers["content-type"] == kind


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND", "get"])
def test_other_methods(server: Server, method: str) -> None:
    reply = ask(server, "/letters", method)
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:1234", 200),
        ("localhost.", 200),
        ("127.0.0.1", 200),
        ("127.0.0.1:80", 200),
        ("[::1]:80", 200),
        ("evil.example", 421),
        ("evil.example:8000", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("169.254.169.254", 421),
        ("[::1", 400),
        ("a b", 400),
        ("localhost@evil.example", 400),
        ("", 400),
    ],
)
def test_only_hosts_of_this_machine_on_loopback(server: Server, host: str, status: int) -> None:
    assert ask(server, "/letters", Host=host).status == status


def test_the_absolute_form_names_the_host(server: Server) -> None:
    assert ask(server, "http://evil.example/letters", Host="localhost").status == 421
    assert ask(server, "http://localhost/letters", Host="evil.example").status == 200


def test_every_host_where_others_may_connect(folder: Path) -> None:
    with make_server(folder, host="0.0.0.0") as running:
        assert not running.is_local
        assert running.url.startswith("http://127.0.0.1:")
        assert ask(running, "/letters", Host="data.example.org").status == 200


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /letters HTTP/1.1\r\n\r\n", 400),
        (b"GET /letters HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /letters HTTP/1.1\r\nHost: localhost\r\nBad Name: x\r\n\r\n", 400),
        (b"GET /letters HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
        (b"GET /letters HTTP/1.1\r\nHost: localhost\r\nA: b\r\n folded\r\n\r\n", 400),
        (b"GET /letters HTTP/1.1\r\nHost: localhost\r\nA: b\x00c\r\n\r\n", 400),
        (b"GET /letters HTTP/1.1\r\nHost: localhost\r\nA: b\rX: c\r\n\r\n", 400),
        (b"GET  /letters HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /letters\r\n\r\n", 400),
        (b"GET /let ters HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"GET /letters HTTP/2.0\r\nHost: localhost\r\n\r\n", 505),
        (b"GET /letters HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 70 + b"\r\n", 431),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431),
        (b"GET /" + b"x" * 20_000, 431),
        (b"\r\n" * 20_000, 431),
        (b"GET /letters HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello", 400),
        (b"GET /letters HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET /letters HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 200),
        (b"\r\nGET /letters HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
        (b"GET /letters HTTP/1.1\nHost: localhost\n\n", 200),
        (b"GET /letters HTTP/1.0\r\n\r\n", 200),
        (b"GET /letters HTTP/1.9\r\nHOST:localhost\r\n\r\n", 200),
    ],
)
def test_heads(server: Server, data: bytes, status: int) -> None:
    assert raw(server, data).status == status


def test_a_body_is_never_taken_for_the_next_request(server: Server) -> None:
    smuggled = request("/letters", Range="bytes=0-0")
    with connect(server) as line:
        line.sendall(request("/letters", Content_Length=str(len(smuggled))) + smuggled)
        assert read_reply(line).headers["connection"] == "close"
        assert line.recv(1) == b""


def test_a_connection_carries_many_requests(server: Server) -> None:
    with connect(server) as line:
        for at in range(50):
            line.sendall(request("/letters", Range=f"bytes={at}-{at + 3}"))
            assert read_reply(line).body == LETTERS[at : at + 4]
        line.sendall(request("/nothing"))
        assert read_reply(line).status == 404
        line.sendall(request("/letters", Connection="close"))
        assert read_reply(line).headers["connection"] == "close"
        assert line.recv(1) == b""


def test_requests_that_are_sent_ahead_are_answered_in_order(server: Server) -> None:
    with connect(server) as line:
        line.sendall(
            b"".join(
                request("/letters", Range=f"bytes={at}-{at}", Connection="close" if at == 9 else "x")
                for at in range(10)
            )
        )
        line.shutdown(socket.SHUT_WR)
        data = b""
        while more := line.recv(65536):
            data += more
    bodies = re.findall(rb"\r\n\r\n(.)", data, re.DOTALL)
    assert bodies == [bytes([at]) for at in range(10)]


def test_http_1_0_gets_one_answer(server: Server) -> None:
    with connect(server) as line:
        line.sendall(b"GET /letters HTTP/1.0\r\n\r\n")
        assert read_reply(line).headers["connection"] == "close"
        assert line.recv(1) == b""


def test_requests_can_be_counted(folder: Path) -> None:
    seen: list[Served] = []
    with make_server(folder, seen=seen.append) as running, connect(running) as line:
        line.sendall(request("/letters", Range="bytes=2-5"))
        read_reply(line)
        line.sendall(request("/big.bin?x", "HEAD"))
        read_reply(line, without_body=True)
        line.sendall(request("/big.bin"))
        read_reply(line)
    assert seen == [
        Served("GET", "/letters", "bytes=2-5", 206, 4),
        Served("HEAD", "/big.bin?x", None, 200, 0),
        Served("GET", "/big.bin", None, 200, len(BIG)),
    ]


def test_a_port_in_use_is_one_line(folder: Path, server: Server) -> None:
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(
        InputError, match=rf"^port {port} of 127\.0\.0\.1 is in use; expected a free one, or 0 for any$"
    ):
        make_server(folder, port=port)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"port": 70000}, "port 70000; expected 1 to 65535"),
        ({"port": -1}, "port -1; expected 1 to 65535"),
        ({"host": "no.such.host.invalid"}, "host 'no.such.host.invalid' is not known here"),
        ({"host": "192.0.2.1"}, "192.0.2.1 is no address of this machine"),
        ({"tls": ("nowhere.pem", "nowhere.pem")}, "nowhere.pem is no file; expected a certificate"),
    ],
)
def test_what_cannot_be_listened_at(folder: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_server(folder, **options)  # type: ignore[arg-type]


def test_a_folder_that_is_none(folder: Path) -> None:
    with pytest.raises(InputError, match=r"letters cannot be served; expected a folder"):
        make_server(folder / "letters")


def test_the_port_is_free_again(folder: Path) -> None:
    with make_server(folder) as first:
        port = int(first.url.rpartition(":")[2])
        ask(first, "/letters")
    with make_server(folder, port=port) as second:
        assert ask(second, "/letters").status == 200
    second.close()
    make_server(folder, port=port).close()
