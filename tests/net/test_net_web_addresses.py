"""Where a request may go, which headers go along, and what no message tells."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_helpers import DATA, ONCE, Handler, Site, ranged

from tessera.base import InputError, TesseraError
from tessera.net import LoadError, NetError, PermanentError, Web


@pytest.fixture
def site() -> Iterator[Site]:
    with closing(Site()) as made:
        yield made


@pytest.fixture
def other() -> Iterator[Site]:
    with closing(Site()) as made:
        yield made


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
        with pytest.raises(LoadError, match="no server answers at this address"):
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
