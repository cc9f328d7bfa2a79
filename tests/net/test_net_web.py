"""Requests to a small server on loopback: what each answer means, what is bounded, what no message tells."""

from __future__ import annotations

import email.utils
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, count, repeat
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tessera.net.web
from tessera.base import InputError, TesseraError
from tessera.net import (
    Answer,
    CorruptError,
    CredentialError,
    LoadError,
    MissingError,
    NetError,
    OversizeError,
    PermanentError,
    Web,
)
from tessera.net.host import PATIENCE, Host, host_of
from tessera.net.web import _number, _retry_after

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


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


@pytest.fixture
def other() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


def ranged(handler: Handler) -> None:
    """A file of `DATA` that answers ranges as it should."""
    asked = handler.headers.get("range")
    if asked is None:
        return handler.say(200, DATA)
    first, last = asked.removeprefix("bytes=").split("-")
    part = DATA[int(first) : int(last) + 1]
    told = f"bytes {first}-{int(first) + len(part) - 1}/{len(DATA)}"
    return handler.say(206, part, Content_Range=told, ETag='"one"')


# what comes whole


def test_a_file_and_its_ranges(site: Site) -> None:
    url = site.at("/data", ranged)
    whole = ONCE.get(url, limit=len(DATA))
    assert (whole.data, whole.size) == (DATA, len(DATA))
    part = ONCE.get(url, limit=100, span=(10, 74))
    assert (part.data, part.size, part.headers["etag"]) == (DATA[10:74], len(DATA), '"one"')
    end = ONCE.get(url, limit=9999, span=(len(DATA) - 4, len(DATA) + 60))
    assert (end.data, end.size) == (DATA[-4:], len(DATA))
    assert [seen[2].get("range") for seen in site.seen] == [None, "bytes=10-73", "bytes=1020-1083"]
    assert {seen[2]["accept-encoding"] for seen in site.seen} == {"identity"}
    assert len(site.lines) == 1, "the line is kept open"


def test_an_empty_file(site: Site) -> None:
    assert ONCE.get(site.at("/empty", lambda to: to.say(200)), limit=5).data == b""


def test_json_is_posted(site: Site) -> None:
    url = site.at("/search", lambda to: to.say(200, to.body))
    answer = ONCE.post(url, {"limit": 3}, limit=100, headers={"X-Key": "k"})
    assert answer.json(url) == {"limit": 3}
    method, _, headers, _ = site.seen[0]
    assert (method, headers["content-type"], headers["x-key"]) == ("POST", "application/json", "k")


@pytest.mark.parametrize("data", [b"<html>busy</html>\nmore", b"", b"\xff\xfe", b"[" * 100_000, b"1" * 5000])
def test_what_is_not_json(data: bytes) -> None:
    with pytest.raises(CorruptError, match="the search is not JSON; it begins with") as caught:
        Answer(data, None, {}).json("the search")
    assert "\n" not in str(caught.value)


# what a status means

MEANINGS = {
    **dict.fromkeys((408, 425, 429, 500, 502, 503, 504, 507, 599), LoadError),
    **dict.fromkeys((401, 403, 407), CredentialError),
    **dict.fromkeys((404, 410), MissingError),
    413: OversizeError,
    416: CorruptError,
    **dict.fromkeys(
        (201, 202, 204, 300, 301, 302, 303, 304, 307, 308, 400, 402, 405, 406, 409, 411, 451), PermanentError
    ),
}


@pytest.mark.parametrize(("status", "meaning"), MEANINGS.items())
def test_each_status_has_one_meaning(site: Site, status: int, meaning: type[NetError]) -> None:
    body = b"" if status in (204, 304) else b"<Error><Code>Why</Code>\n<Message>so</Message></Error>"
    url = site.at("/x", lambda to: to.say(status, body))
    with pytest.raises(NetError) as caught:
        ONCE.get(url, limit=100)
    assert type(caught.value) is meaning
    assert str(caught.value).startswith(f"{url}: status {status}")
    assert str(caught.value).endswith("'Why so'" if body else str(status))


def test_a_long_refusal_is_cut(site: Site) -> None:
    url = site.at("/x", lambda to: to.say(400, b"word " * 100_000))
    with pytest.raises(PermanentError) as caught:
        ONCE.get(url, limit=100)
    assert len(str(caught.value)) < 300


def test_a_provider_says_what_its_refusals_mean(site: Site) -> None:
    def verdict(status: int, body: bytes) -> type[NetError] | None:
        return LoadError if b"ServerBusy" in body else MissingError if status == 403 else None

    web = Web(verdict, delays=())
    for path, status, body, meaning in (
        ("/busy", 403, b"ServerBusy", LoadError),
        ("/gone", 403, b"AccessDenied", MissingError),
        ("/usual", 429, b"", LoadError),
        ("/other", 401, b"", CredentialError),
    ):
        url = site.at(path, lambda to, s=status, b=body: to.say(s, b))  # type: ignore[misc]
        with pytest.raises(NetError) as caught:
            web.get(url, limit=9)
        assert type(caught.value) is meaning
    assert web.get(site.at("/good", lambda to: to.say(200, b"ServerBusy")), limit=99).data == b"ServerBusy"


def test_a_verdict_of_busy_is_obeyed_with_its_wait(site: Site) -> None:
    url = site.at("/x", lambda to: to.say(403, b"slow down", Retry_After="7"))
    with pytest.raises(LoadError) as caught:
        Web(lambda *_: LoadError, delays=()).get(url, limit=9)
    assert caught.value.retry_after == 7.0


# when to ask again


@pytest.mark.parametrize(
    ("told", "least", "most"),
    [
        ("3", 3.0, 3.0),
        ("0.25", 0.25, 0.25),
        ("-5", 0.0, 0.0),
        (email.utils.formatdate(time.time() + 1000, usegmt=True), 900.0, 1001.0),
        (email.utils.formatdate(time.time() + 1000), 900.0, 1001.0),  # -0000, as old servers say it
        (email.utils.formatdate(time.time() - 1000, usegmt=True), 0.0, 0.0),
    ],
)
def test_retry_after(site: Site, told: str, least: float, most: float) -> None:
    url = site.at("/x", lambda to: to.say(503, b"", Retry_After=told))
    with pytest.raises(LoadError) as caught:
        ONCE.get(url, limit=9)
    assert caught.value.retry_after is not None
    assert least <= caught.value.retry_after <= most


def test_a_date_without_zone_is_of_gmt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        wait = _retry_after(email.utils.formatdate(time.time() + 1000))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert wait is not None
    assert 900 <= wait <= 1001


@pytest.mark.parametrize("told", [None, "", "nan", "inf", "soon", "Wed, 99 Foo 2021 25:61:61 GMT", "\x00", "1" * 400])
def test_a_wait_that_is_none(told: str | None) -> None:
    assert _retry_after(told) is None


@given(st.text(max_size=40))
def test_any_text_is_a_wait_or_none(told: str) -> None:
    wait = _retry_after(told)
    assert wait is None or 0 <= wait < float("inf")
    number = _number(told)
    assert number is None or 0 <= number < 10**18


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that only runs when somebody sleeps."""
    slept: list[float] = []
    began = time.monotonic()
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(time, "monotonic", lambda: began + sum(slept))
    return slept


def test_a_busy_server_is_asked_again(site: Site, sleeps: list[float]) -> None:
    def script(to: Handler) -> None:
        if len(site.seen) < 4:
            to.say(429, b"", Retry_After="2" if len(site.seen) == 2 else "0")
        else:
            to.say(200, b"at last")

    assert Web(delays=(0.25, 0.5, 1.0, 9.0)).get(site.at("/x", script), limit=99).data == b"at last"
    assert (len(site.seen), len(site.lines)) == (4, 1)
    # what is left of a pause after rounding is slept too
    first, second, third = (slept for slept in sleeps if slept > 1e-6)
    assert 0.25 <= first <= 0.375
    assert second == 2.0
    assert 1.0 <= third <= 1.5


def test_a_wait_beyond_all_patience_is_not_waited(site: Site, sleeps: list[float]) -> None:
    url = site.at("/x", lambda to: to.say(503, b"", Retry_After="86400"))
    with pytest.raises(LoadError):
        Web(delays=(1.0,) * 8).get(url, limit=9)
    assert (len(site.seen), sleeps) == (1, [])


def test_other_readers_of_a_busy_host_wait_too(site: Site, sleeps: list[float]) -> None:
    host = host_of(site.url)
    host.ask(lambda: None)
    assert sleeps == []
    host._quiet_until = time.monotonic() + 3.0
    url = site.at("/x", lambda to: to.say(200))
    ONCE.get(url, limit=9)
    assert sleeps == [pytest.approx(3.0)]
    ONCE.get(url, limit=9)
    assert len(sleeps) == 1


def test_who_waits_for_a_host_waits_on_when_it_asks_for_more(
    site: Site, sleeps: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    host, began = host_of(site.url), time.monotonic()
    host._quiet_until = began + 3.0
    told = iter([5.0, 40.0])

    def slept(seconds: float) -> None:
        sleeps.append(seconds)
        host._quiet_until += next(told, 0.0)  # what another reader is told in the meantime

    monkeypatch.setattr(time, "sleep", slept)
    ONCE.get(site.at("/x", lambda to: to.say(200)), limit=9)
    assert sleeps == [pytest.approx(3.0), pytest.approx(5.0), pytest.approx(40.0)]


def test_nobody_waits_for_ever_for_a_host(site: Site, sleeps: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    host = host_of(site.url)
    host._quiet_until = time.monotonic() + 50.0

    def slept(seconds: float) -> None:
        sleeps.append(seconds)
        host._quiet_until += 50.0

    monkeypatch.setattr(time, "sleep", slept)
    ONCE.get(site.at("/x", lambda to: to.say(200)), limit=9)
    assert sum(sleeps) == pytest.approx(PATIENCE)


def test_what_others_wait_for_does_not_count_against_a_request(sleeps: list[float]) -> None:
    """Others are told to wait 100 s each time that it is about to ask again."""
    host = Host()
    asked: list[float] = []

    def request() -> str:
        asked.append(time.monotonic())
        if len(asked) < 4:
            host._quiet_until = time.monotonic() + 100.0
            raise LoadError("busy")
        return "here"

    assert host.ask(request, (1.0,) * 3) == "here"
    assert asked[-1] - asked[0] == pytest.approx(300.0)
    asked.clear()

    def busy() -> None:
        asked.append(time.monotonic())
        raise LoadError("busy", 70.0)

    with pytest.raises(LoadError):
        host.ask(busy, (1.0,) * 8)
    assert len(asked) == 2


@given(st.floats(0.0, 200.0), st.lists(st.floats(0.1, 100.0), max_size=9))
def test_attempts_that_take_long_are_few(lasts: float, delays: list[float]) -> None:
    """Never more than one beyond the patience, and never less than two where there is time for another to begin."""
    host, slept = Host(), [0.0]
    asked: list[float] = []

    def request() -> None:
        asked.append(sum(slept))
        slept.append(lasts)
        raise LoadError("busy")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", slept.append)
        patch.setattr(time, "monotonic", lambda: 1e6 + sum(slept))
        with pytest.raises(LoadError):
            host.ask(request, delays)
    spent = sum(slept)
    assert spent <= max(PATIENCE, lasts) + lasts * (len(asked) == 2) + 1e-6
    if delays and lasts + 1.5 * delays[0] < PATIENCE:
        assert len(asked) >= 2


@pytest.mark.parametrize("status", [400, 401, 404, 413, 416])
def test_what_will_not_change_is_asked_once(site: Site, sleeps: list[float], status: int) -> None:
    url = site.at("/x", lambda to: to.say(status))
    with pytest.raises(NetError):
        Web(delays=(1.0, 1.0)).get(url, limit=9)
    assert (len(site.seen), sleeps) == (1, [])


# bodies


def test_a_body_that_ends_early(site: Site) -> None:
    with pytest.raises(LoadError):
        ONCE.get(site.at("/x", lambda to: to.say(200, b"half", length=8)), limit=99)


def test_a_range_that_ends_early(site: Site) -> None:
    """Without a length, only Content-Range tells that something is missing."""

    def script(to: Handler) -> None:
        to.send_response(206)
        to.send_header("Content-Range", "bytes 0-7/100")
        to.end_headers()
        to.wfile.write(b"half")
        to.close_connection = True

    with pytest.raises(LoadError, match="4 of 8 bytes came"):
        ONCE.get(site.at("/x", script), limit=99, span=(0, 8))


def test_a_line_that_breaks_in_the_body(site: Site) -> None:
    def script(to: Handler) -> None:
        to.send_response(200)
        to.send_header("Transfer-Encoding", "chunked")
        to.end_headers()
        to.chunk(b"some")
        to.wfile.write(b"5\r\nab")
        to.close_connection = True

    with pytest.raises(LoadError, match="the line broke"):
        ONCE.get(site.at("/x", script), limit=99)


def test_a_line_that_breaks_before_the_answer(site: Site) -> None:
    with pytest.raises(LoadError, match="the line broke"):
        ONCE.get(site.at("/x", lambda to: to.connection.shutdown(socket.SHUT_RDWR)), limit=99)


def endless(to: Handler, status: int = 200, **headers: str) -> None:
    """A body without end; closed by who has enough of it."""
    to.send_response(status)
    to.send_header("Transfer-Encoding", "chunked")
    for name, value in headers.items():
        to.send_header(name.replace("_", "-"), value)
    to.end_headers()
    while True:
        to.chunk(b"x" * 65_536)


def test_bodies_larger_than_the_limit(site: Site) -> None:
    for path, script in (
        ("/told", lambda to: to.say(200, DATA)),
        ("/endless", endless),
    ):
        with pytest.raises(OversizeError):
            ONCE.get(site.at(path, script), limit=len(DATA) - 1)
    assert ONCE.get(site.at("/told", lambda to: to.say(200, DATA)), limit=len(DATA)).data == DATA


def test_a_range_larger_than_told(site: Site) -> None:
    url = site.at("/x", lambda to: endless(to, 206, Content_Range="bytes 5-9/100"))
    with pytest.raises(OversizeError):
        ONCE.get(url, limit=99, span=(5, 10))


@pytest.mark.parametrize("status", [404, 429, 500])
def test_a_refusal_without_end(site: Site, status: int) -> None:
    with pytest.raises(NetError, match="status"):
        ONCE.get(site.at("/x", lambda to: endless(to, status)), limit=99)


def test_a_redirect_without_end(site: Site) -> None:
    site.at("/there", lambda to: to.say(200, b"here"))
    answers: list[bytes] = []
    url = site.at("/x", lambda to: endless(to, 302, Location="/there"))
    thread = threading.Thread(target=lambda: answers.append(ONCE.get(url, limit=99).data), daemon=True)
    thread.start()
    thread.join(5)
    assert answers == [b"here"]


def test_a_body_that_drips(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every piece comes in time, and yet there is an end to patience."""
    monkeypatch.setattr(tessera.net.web, "_SECONDS", 0.1)
    monkeypatch.setattr(tessera.net.web, "SLOWEST", 1e6)
    sent: list[int] = []

    def script(to: Handler) -> None:
        to.send_response(200)
        to.send_header("Content-Length", "1000")
        to.end_headers()
        for _ in range(1000):
            to.wfile.write(b"x")
            sent.append(1)
            time.sleep(0.01)

    with pytest.raises(LoadError, match="silent or too slow"):
        ONCE.get(site.at("/x", script), limit=1000)
    assert len(sent) < 500


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small times; what a test does beyond them fails by its own clock."""
    monkeypatch.setattr(tessera.net.web, "_SILENCE", 0.2)
    monkeypatch.setattr(tessera.net.web, "_SECONDS", 0.3)
    monkeypatch.setattr(tessera.net.web, "SLOWEST", 1e6)


def raw(to: Handler, pieces: Iterator[bytes], pause: float = 0.01) -> None:
    """Piece after piece for as long as somebody takes them, each in good time."""
    end = time.monotonic() + 3
    for piece in pieces:
        to.wfile.write(piece)
        to.wfile.flush()
        time.sleep(pause)
        assert time.monotonic() < end, "the client waits for ever"
    to.close_connection = True


@pytest.mark.usefixtures("hurried")
def test_a_server_that_stays_silent(site: Site) -> None:
    waiting = threading.Event()
    try:
        with pytest.raises(LoadError, match="/x: the server is silent or too slow"):
            ONCE.get(site.at("/x", lambda to: (waiting.wait(5), None)[1]), limit=9)
    finally:
        waiting.set()


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param(lambda: (b"%c" % letter for letter in b"HTTP/1.1 200 OK" + b"x" * 500), id="status"),
        pytest.param(lambda: chain([b"HTTP/1.1 200 OK\r\nX: "], repeat(b"y")), id="a header"),
        pytest.param(lambda: chain([b"HTTP/1.1 200 OK\r\n"], (b"X%d: y\r\n" % n for n in count())), id="headers"),
        pytest.param(lambda: repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 100), id="answers before the answer"),
        pytest.param(lambda: chain([b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"], repeat(b"z")), id="body"),
        pytest.param(
            lambda: chain([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"], repeat(b"1")), id="a length"
        ),
    ],
)
def test_what_drips_has_an_end(site: Site, pieces: Callable[[], Iterator[bytes]]) -> None:
    began = time.monotonic()
    with pytest.raises(LoadError):
        ONCE.get(site.at("/x", lambda to: raw(to, pieces())), limit=900)
    assert time.monotonic() - began < 1.5


@pytest.mark.usefixtures("hurried")
def test_redirects_do_not_begin_the_time_anew(site: Site) -> None:
    def script(to: Handler) -> None:
        time.sleep(0.08)
        to.say(302, Location="/x")

    with pytest.raises(LoadError, match="silent or too slow"):
        ONCE.get(site.at("/x", script), limit=9)
    assert len(site.seen) < 6


@pytest.mark.usefixtures("hurried")
def test_who_keeps_up_has_the_time_that_so_many_bytes_take(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tessera.net.web, "_SILENCE", 2.0)
    monkeypatch.setattr(tessera.net.web, "SLOWEST", 1000.0)
    parts = [b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", *[b"z" * 90] * 10]
    url = site.at("/x", lambda to: raw(to, iter(parts), 0.05))
    assert ONCE.get(url, limit=900).data == b"z" * 900


def test_a_line_that_is_used_again_has_its_own_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tessera.net.web, "_SILENCE", 0.6)

    def script(to: Handler) -> None:
        time.sleep(0.25)
        to.say(200, b"here")

    url = site.at("/x", script)
    assert [ONCE.get(url, limit=9).data for _ in range(3)] == [b"here"] * 3
    assert len(site.lines) == 1


def test_the_addresses_of_a_host_share_the_time_of_one(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    import urllib3.util.connection

    port = site.server.server_port
    places = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "127.0.0.1"]
    tried: list[tuple[str, float]] = []

    def connect(address: tuple[str, int], seconds: float, **more: Any) -> socket.socket:
        tried.append((address[0], seconds))
        if address[0] in dead:
            raise TimeoutError
        line = socket.socket()
        line.settimeout(seconds)
        line.connect(address)
        return line

    monkeypatch.setattr(urllib3.util.connection, "create_connection", connect)
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_: [(socket.AF_INET, 1, 6, "", (place, port)) for place in places]
    )
    site.at("/x", lambda to: to.say(200, b"here"))
    dead = set(places[:3])
    assert ONCE.get(f"http://many.example:{port}/x", limit=9).data == b"here"
    assert [place for place, _ in tried] == places
    assert tried[0][1] == pytest.approx(5.0, abs=0.5)
    assert site.seen[0][2]["host"] == f"many.example:{port}"
    dead = set(places)
    with pytest.raises(LoadError) as caught:
        ONCE.get(f"http://more.example:{port}/x", limit=9)
    assert not caught.value.reached
    assert len(tried) == 8


def test_silence_is_told_after_two_attempts(sleeps: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def sent(*_: Any) -> Any:
        asked.append(tessera.net.web._SILENCE)
        sleeps.append(tessera.net.web._SILENCE)
        raise LoadError("silent")

    began = time.monotonic()
    monkeypatch.setattr(tessera.net.web, "_sent", sent)
    with pytest.raises(LoadError, match="silent"):
        Web().get("http://silent.example/x", limit=9)
    assert len(asked) == 2
    assert time.monotonic() - began < 90


# ranges that are none


def test_a_server_that_ignores_ranges(site: Site) -> None:
    url = site.at("/x", lambda to: to.say(200, DATA))
    with pytest.raises(PermanentError, match="ignores ranges"):
        ONCE.get(url, limit=99999, span=(10, 20))
    with pytest.raises(PermanentError, match="ignores ranges"):
        ONCE.get(url, limit=99999, span=(0, 20))
    small = ONCE.get(url, limit=99999, span=(0, 9999))
    assert (small.data, small.size) == (DATA, len(DATA)), "all of a small file is what was asked for"


@pytest.mark.parametrize(
    "told",
    [
        None,
        "",
        "bytes 11-19/1024",
        "bytes 0-9/1024",
        "bytes 10-20/1024",
        "bytes 10-9/1024",
        "bytes 10-2/1024",
        "bytes 10-19/15",
        "bytes */1024",
        "items 10-19/1024",
        "bytes 10-19/1024, 30-40/1024",
        "bytes 1٠-19/1024".encode().decode("latin-1"),
        "bytes 10-19/0",
        f"bytes 10-19/{'9' * 5000}",
        f"bytes {'9' * 5000}-19/1024",
        f"bytes 10-{'9' * 5000}/1024",
    ],
)
def test_a_wrong_content_range(site: Site, told: str | None) -> None:
    with pytest.raises(CorruptError):
        ONCE.get(site.at("/x", lambda to: to.say(206, DATA[10:20], Content_Range=told)), limit=99, span=(10, 20))


def test_a_size_that_is_not_told(site: Site) -> None:
    url = site.at("/x", lambda to: to.say(206, DATA[10:20], Content_Range="bytes 10-19/*"))
    assert ONCE.get(url, limit=99, span=(10, 20)).size is None


def test_a_part_of_a_range(site: Site) -> None:
    url = site.at("/x", lambda to: to.say(206, DATA[10:15], Content_Range="bytes 10-14/1024"))
    with pytest.raises(LoadError, match="only a part"):
        ONCE.get(url, limit=99, span=(10, 20))


def test_a_part_that_nobody_asked_for(site: Site) -> None:
    url = site.at("/x", lambda to: to.say(206, DATA[:5], Content_Range="bytes 0-4/1024"))
    with pytest.raises(CorruptError):
        ONCE.get(url, limit=99)


# redirects


SECRETS = {"Authorization": "Bearer secret", "X-Key": "secret", "Cookie": "secret"}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_another_server_gets_no_headers(site: Site, other: Site, status: int) -> None:
    there = other.at("/there", ranged)
    url = site.at("/x", lambda to: to.say(status, b"moved", Location=f"{there}?sig=1"))
    assert ONCE.get(url, limit=99, span=(3, 9), headers=SECRETS).data == DATA[3:9]
    assert all(site.seen[0][2][name.lower()] == value for name, value in SECRETS.items())
    ((_, path, headers, _),) = other.seen
    assert path == "/there?sig=1"
    assert headers["range"] == "bytes=3-8"
    assert not [value for value in headers.values() if "secret" in value]


def test_headers_do_not_come_back(site: Site, other: Site) -> None:
    """Once they are dropped on the way they stay so, since the way was another's choice."""
    site.at("/end", lambda to: to.say(200, b"end"))
    back = other.at("/back", lambda to: to.say(302, Location=f"{site.url}/end"))
    ONCE.get(site.at("/x", lambda to: to.say(302, Location=back)), limit=99, headers=SECRETS)
    assert [path for _, path, headers, _ in site.seen if "authorization" in headers] == ["/x"]
    assert "authorization" not in other.seen[0][2]


def test_the_same_server_gets_them_again(site: Site) -> None:
    site.at("/a/there", lambda to: to.say(200, b"here"))
    url = site.at("/a/x", lambda to: to.say(307, Location="there?q=1"))
    assert ONCE.get(url, limit=99, headers=SECRETS).data == b"here"
    assert site.seen[1][1] == "/a/there?q=1"
    assert all(site.seen[1][2][name.lower()] == value for name, value in SECRETS.items())
    assert len(site.lines) == 1, "the line of a short redirect is used again"


@pytest.mark.parametrize(("status", "method"), [(303, "GET"), (307, "POST"), (308, "POST")])
def test_what_is_posted_is_redirected(site: Site, other: Site, status: int, method: str) -> None:
    there = other.at("/there", lambda to: to.say(200, to.body))
    url = site.at("/x", lambda to: to.say(status, Location=there))
    data = ONCE.post(url, {"a": 1}, limit=99, headers=SECRETS).data
    ((seen, _, headers, _),) = other.seen
    assert seen == method
    assert data == (b'{"a": 1}' if method == "POST" else b"")
    assert ("content-type" in headers) == (method == "POST")
    assert "authorization" not in headers


def test_redirects_in_circles(site: Site) -> None:
    url = site.at("/x", lambda to: to.say(302, Location="/x"))
    with pytest.raises(PermanentError, match="redirected more than 5 times"):
        Web(delays=(9.0,)).get(url, limit=99)
    assert len(site.seen) == 6


@pytest.mark.parametrize(
    "there",
    ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://[", "http://h:99999999/", "//[::1", "http://a b/"],
)
def test_a_redirect_to_nowhere(site: Site, there: str) -> None:
    url = site.at("/x", lambda to: to.say(302, Location=there))
    with pytest.raises(PermanentError):
        Web(delays=(9.0,)).get(url, limit=99)
    assert len(site.seen) == 1


# what cannot be asked


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(LoadError, match=r"the line broke \(NewConnectionError\)"):
            ONCE.get(f"http://127.0.0.1:{port}/x?sig=secret", limit=9)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "/etc/passwd",
        "file:///etc/passwd",
        "s3://bucket/key",
        "http://",
        "https:///x",
        "http://[",
        "http://[::1",
        "http://[zz]/x",
        "http://a\u2100b/",
        "http://:80/x",
    ],
)
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(InputError, match="http or https address"):
        ONCE.get(url, limit=9)


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999999/", "http://127.0.0.1:x/", "http://" + "a" * 70 + ".test/"])
def test_an_address_that_no_line_leads_to(url: str) -> None:
    with pytest.raises(TesseraError):
        ONCE.get(url + "?sig=SECRET", limit=9)


@given(st.text(max_size=30), st.sampled_from(["", "http://", "https://[", "http://127.0.0.1:1@", "http://127.0.0.1:"]))
def test_any_text_is_asked_or_refused_in_one_line(text: str, start: str) -> None:
    """Nothing is listening on port 1, and no name is looked up."""
    url = f"{start}{text}" if start != "http://" else f"http://127.0.0.1:1/{text}"
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = None
    if parts is not None and parts.hostname not in (None, "127.0.0.1"):
        return
    with pytest.raises(TesseraError) as caught:
        ONCE.get(url, limit=9)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("value", ["se\ncret", "secret\r\nX: y", "secr\u2603et"])
def test_a_header_that_cannot_be_sent(site: Site, value: str) -> None:
    url = site.at("/x", lambda to: to.say(200))
    with pytest.raises(PermanentError) as caught:
        ONCE.get(url, limit=9, headers={"X-Key": value})
    assert "secr" not in str(caught.value)
    assert site.seen == []


# what no message tells


def test_no_message_tells_a_secret(site: Site) -> None:
    def echo(to: Handler) -> None:
        to.say(404, f"Cannot GET {to.path} on this server".encode())

    site.at("/wrong", lambda to: to.say(206, b"x"))
    site.at("/long", lambda to: to.say(200, DATA))
    site.at("/short", lambda to: to.say(200, b"", length=5))
    site.at("/circle", lambda to: to.say(302, Location="/circle?sig=SECRET"))
    site.at("/there", lambda to: to.say(302, Location="http://u:SECRET@h:99999999/?sig=SECRET"))
    site.at("/echo", echo)
    site.at("/denied", lambda to: to.say(403, b"denied"))
    for path in site.scripts:
        with pytest.raises(NetError) as caught:
            ONCE.get(f"http://user:SECRET@{site.url[7:]}{path}?sig=SECRET&se=1#SECRET", span=(0, 9), limit=9)
        assert "SECRET" not in str(caught.value), path
        assert path in str(caught.value)
    for url in (
        "http://user:SECRET@127.0.0.1:1/x?sig=SECRET",
        "http://user:SECRET@127.0.0.1:99999999/x?sig=SECRET",
        "ftp://user:SECRET@127.0.0.1/x?sig=SECRET",
        "http://user:SECRET@[/x?sig=SECRET",
    ):
        with pytest.raises(TesseraError) as failed:
            ONCE.get(url, limit=9)
        assert "SECRET" not in str(failed.value), url
        assert failed.value.__suppress_context__ or failed.value.__context__ is None, url


def test_json_that_is_posted_is_not_told(site: Site) -> None:
    url = site.at("/x", lambda to: to.say(400, b"no"))
    with pytest.raises(PermanentError) as caught:
        ONCE.post(url, {"password": "SECRET"}, limit=9)
    assert "SECRET" not in str(caught.value)
    assert json.loads(site.seen[0][3]) == {"password": "SECRET"}


def test_a_name_that_nobody_knows_is_told_with_what_to_do(sleeps: list[float]) -> None:
    with pytest.raises(LoadError, match=r"name could not be resolved; look at the network, or run tessera doctor"):
        ONCE.get("http://no-such-host.invalid/x", limit=9)
