"""Requests to a small server on loopback: what each answer means, and how much of it is taken."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from web_helpers import DATA, ONCE, Handler, Site, ranged

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


@pytest.fixture
def site() -> Iterator[Site]:
    with closing(Site()) as made:
        yield made


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

    with pytest.raises(LoadError, match="received 4 of 8 bytes"):
        ONCE.get(site.at("/x", script), limit=99, span=(0, 8))


def test_a_line_that_breaks_in_the_body(site: Site) -> None:
    def script(to: Handler) -> None:
        to.send_response(200)
        to.send_header("Transfer-Encoding", "chunked")
        to.end_headers()
        to.chunk(b"some")
        to.wfile.write(b"5\r\nab")
        to.close_connection = True

    with pytest.raises(LoadError, match="the connection broke"):
        ONCE.get(site.at("/x", script), limit=99)


def test_a_line_that_breaks_before_the_answer(site: Site) -> None:
    with pytest.raises(LoadError, match="the connection broke"):
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
