"""Time: when a server is asked again, who waits for a busy host, and the end of what drips."""

from __future__ import annotations

import email.utils
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import chain, count, repeat
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_helpers import ONCE, Handler, Site

import tessera.net.web
from tessera.net import LoadError, NetError, Web
from tessera.net._host import PATIENCE, Host, host_of
from tessera.net.web import _number, _retry_after


@pytest.fixture
def site() -> Iterator[Site]:
    with closing(Site()) as made:
        yield made


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that only runs when somebody sleeps."""
    slept: list[float] = []
    began = time.monotonic()
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(time, "monotonic", lambda: began + sum(slept))
    return slept


# when to ask again


@pytest.mark.parametrize(
    ("told", "least", "most"),
    [
        (lambda now: "3", 3.0, 3.0),
        (lambda now: "0.25", 0.25, 0.25),
        (lambda now: "-5", 0.0, 0.0),
        (lambda now: email.utils.formatdate(now + 1000, usegmt=True), 900.0, 1001.0),
        (lambda now: email.utils.formatdate(now + 1000), 900.0, 1001.0),  # -0000, as old servers say it
        (lambda now: email.utils.formatdate(now - 1000, usegmt=True), 0.0, 0.0),
    ],
    ids=["seconds", "a fraction", "below 0", "a date", "a date of -0000", "a date gone by"],
)
def test_retry_after(site: Site, told: Callable[[float], str], least: float, most: float) -> None:
    # the date is made now: tests are collected minutes before they run
    header = told(time.time())
    url = site.at("/x", lambda to: to.say(503, b"", Retry_After=header))
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


# how long an answer may take


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
    end = time.monotonic() + 60
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
    # without an end the server would go on for a minute
    assert time.monotonic() - began < 30


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


def test_a_name_that_nobody_knows_is_told_with_what_to_do(sleeps: list[float]) -> None:
    with pytest.raises(LoadError, match=r"name could not be resolved; look at the network, or run tessera doctor"):
        ONCE.get("http://no-such-host.invalid/x", limit=9)
