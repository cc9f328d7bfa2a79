"""What is waited for is said; a server that is not there, or speaks no HTTP, is given up at once."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tessera.net import LoadError, PermanentError, Web, open_objects
from tessera.net._host import BROKEN, UNREACHED, Host, host_of
from tessera.net._waiting import AFTER, AGAIN, Waiting

Ask = Callable[[str], Any]
ASKS: dict[str, Ask] = {
    "scenes": lambda url: Web().get(f"{url}/x", limit=9),
    "stores": lambda url: open_objects(url).read("x", limit=9),
}


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses that are asked for; the clock goes on by them and nobody waits."""
    # what another test was told of a host, by another clock
    host_of.cache_clear()
    pauses: list[float] = []
    began = time.monotonic()
    monkeypatch.setattr(time, "sleep", pauses.append)
    monkeypatch.setattr(time, "monotonic", lambda: began + sum(pauses))
    return pauses


@contextmanager
def raw_server(answer: bytes) -> Iterator[tuple[str, list[int]]]:
    """A server that sends these bytes to whatever asks, and closes: its address, and an entry for each that asked."""
    asked: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def run() -> None:
            while True:
                try:
                    line, _ = listening.accept()
                except OSError:
                    return
                with line:
                    asked.append(1)
                    line.recv(4096)
                    line.sendall(answer)

        threading.Thread(target=run, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked


def test_a_line_says_what_is_waited_for_after_some_seconds() -> None:
    said: list[str] = []
    clock = Clock()
    waiting = Waiting(said.append, clock, watch=False)
    assert waiting.look() == float("inf")
    with waiting.request("https://a.test") as again:
        assert waiting.look() == AFTER
        clock.now += AFTER - 0.1
        waiting.look()
        assert said == []
        again("status 503")
        clock.now += 0.1
        assert waiting.look() == AGAIN
        assert said == ["waiting for https://a.test, no answer for 5 s: status 503"]
        clock.now += AGAIN
        waiting.look()
        assert said[1:] == ["waiting for https://a.test, no answer for 65 s: status 503"]
    clock.now += AGAIN
    assert waiting.look() == float("inf")
    assert len(said) == 2


def test_a_server_that_answers_others_is_not_waited_for() -> None:
    said: list[str] = []
    clock = Clock()
    waiting = Waiting(said.append, clock, watch=False)
    with waiting.request("https://a.test"):
        for _ in range(4):
            clock.now += AFTER - 1
            with waiting.request("https://a.test"):
                pass
            waiting.look()
        assert said == []
        # another one is silent
        failing = waiting.request("https://b.test")
        failing.__enter__()
        clock.now += AFTER
        waiting.look()
        assert not failing.__exit__(LoadError, LoadError("gone"), None)
        assert sorted(said) == [f"waiting for https://{name}.test, no answer for 5 s" for name in "ab"]


def test_the_watcher_says_it_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without anybody looking, while a request blocks."""
    said = threading.Event()
    clock = Clock()
    waiting = Waiting(lambda _: said.set(), clock)
    with waiting.request("https://a.test"):
        clock.now += AFTER
        with waiting.request("https://a.test"):
            assert said.wait(60)


@pytest.mark.parametrize("kind", ASKS)
@pytest.mark.parametrize(
    "answer", [b"\x15\x03\x01\x00\x02\x02\x28" * 9 + b"\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"220 ok\r\n"]
)
def test_what_speaks_no_http_is_given_up_at_once(kind: str, answer: bytes, slept: list[float]) -> None:
    with raw_server(answer) as (url, asked), pytest.raises(PermanentError, match="does not speak HTTP") as error:
        ASKS[kind](url)
    assert url in str(error.value)
    assert (len(asked), slept) == (1, [])


@pytest.mark.parametrize("kind", ASKS)
def test_a_line_that_breaks_each_time_is_tried_a_few_times(kind: str, slept: list[float]) -> None:
    with raw_server(b"") as (url, asked), pytest.raises(LoadError) as error:
        ASKS[kind](url)
    assert url in str(error.value)
    assert error.value.broken
    assert len(asked) == BROKEN + 1


@pytest.mark.parametrize("kind", ASKS)
def test_a_server_that_is_not_there_is_told_within_a_second_or_two(
    kind: str, slept: list[float], closed_port: int
) -> None:
    for host, said in (
        (f"127.0.0.1:{closed_port}", "no server answers at this address"),
        ("no-such-host.invalid", "no server answers at this address|name could not be resolved"),
    ):
        slept.clear()
        with pytest.raises(LoadError, match=said) as error:
            ASKS[kind](f"http://{host}")
        assert f"http://{host}" in str(error.value)
        assert not error.value.reached
        assert sum(slept) <= 1.5 * (0.25 + 0.5)


def test_only_so_many_attempts() -> None:
    assert UNREACHED < BROKEN
    asked: list[int] = []

    def ask() -> None:
        asked.append(1)
        raise LoadError("gone", reached=False)

    with pytest.raises(LoadError):
        Host().ask(ask, (0.0,) * 9)
    assert len(asked) == UNREACHED + 1


def test_readers_of_a_server_that_is_not_there_do_not_hold_each_other_up(slept: list[float]) -> None:
    host = Host()

    def gone() -> None:
        raise LoadError("gone", reached=False)

    for _ in range(3):
        before = len(slept)
        with pytest.raises(LoadError):
            host.ask(gone)
        assert len(slept) - before == UNREACHED
