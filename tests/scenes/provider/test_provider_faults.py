"""Every switch does what it says, for the requests that it should and so many of them."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provider_helpers import ask, asked_of, faults_of, line, pages, scenes, span

from tessera.base import InputError
from tessera.testing import At, Faults, Provider, serve_scenes
from tessera.testing.provider._http import Asked
from tessera.testing.provider.faults import Switches


@pytest.fixture(scope="module")
def folder() -> Path:
    return scenes()


@contextmanager
def served(**faults: Any) -> Iterator[tuple[Provider, str, bytes]]:
    """A provider with faults, the address of one file, and its bytes."""
    with serve_scenes(scenes(), faults=Faults(**faults)) as provider:
        href = next(href for href in provider.files if "B04" in href)
        yield provider, href, provider.files[href].read_bytes()


REFUSALS = {
    "busy": (429, b"Too many requests"),
    "unavailable": (503, b"Service unavailable"),
    "bad_gateway": (502, b"Internal server error"),
    "throttled": (403, b"Egress is over the account limit."),
    "expired": (403, b"Signature not valid in the specified time frame"),
    "unauthorised": (401, b"Unauthorized"),
    "missing": (404, b"NoSuchKey"),
    "html": (200, b"<!DOCTYPE html>"),
}


@pytest.mark.parametrize("name", sorted(REFUSALS))
def test_refusals_come_so_often_and_then_no_more(name: str) -> None:
    status, words = REFUSALS[name]
    with served(**{name: At("B04", times=2)}) as (provider, href, data):
        for _ in range(2):
            reply = span(href, 0, 10)
            assert reply.status == status
            assert words in reply.body
        assert span(href, 0, 10).body == data[:10]
        other = next(other for other in provider.files if "B08" in other)
        assert span(other, 0, 4).status == 206
        assert faults_of(provider) == [name, name, "", ""]
        assert [one.status for one in asked_of(provider)] == [status, status, 206, 206]


@pytest.mark.parametrize("name", ["busy", "unavailable", "throttled"])
def test_when_to_come_again(name: str) -> None:
    for value, told in ((0.5, "0.5"), (7, "7"), ("Wed, 21 Oct 2026 07:28:00 GMT",) * 2, (None, None)):
        with served(**{name: "/search"}, retry_after=value) as (provider, _, _):
            assert ask(f"{provider.url}/search").headers.get("retry-after") == told


def test_a_throttle_and_an_expiry_differ_by_their_words_alone() -> None:
    said = {}
    for words in ("egress", "busy", "plain"):
        with served(throttled="B04", throttle_words=words) as (_, href, _):
            reply = ask(href)
            assert reply.status == 403
            said[words] = reply.body
            assert reply.headers.get("x-ms-error-code") == (None if words == "plain" else "ServerBusy")
    assert b"<Code>ServerBusy</Code>" in said["busy"]
    assert json.loads(said["plain"]) == {"message": "Forbidden"}
    with served(expired="B04") as (_, href, _):
        reply = ask(href)
        assert (reply.status, reply.headers["x-ms-error-code"]) == (403, "AuthenticationFailed")


def test_a_line_that_breaks_before_an_answer() -> None:
    with served(reset=At("B04", times=1)) as (provider, href, data):
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            ask(href)
        assert ask(href).body == data
        assert [(one.status, one.fault) for one in asked_of(provider)] == [(0, "reset"), (200, "")]


def test_truncated_promises_more_than_it_sends() -> None:
    with served(truncated=At("B04", times=1)) as (provider, href, data):
        with pytest.raises(http.client.IncompleteRead) as stopped:
            span(href, 0, 100)
        assert stopped.value.partial == data[:50]
        assert span(href, 0, 100).body == data[:100]
        assert [one.bytes_sent for one in asked_of(provider)] == [50, 100]


def test_a_head_meets_no_fault_of_bodies() -> None:
    with served(truncated=At("B04", times=1), corrupt=At("B04", times=1)) as (provider, href, _):
        assert ask(href, "HEAD").status == 200
        with pytest.raises(http.client.IncompleteRead):
            ask(href)
        assert faults_of(provider) == ["", "truncated"]


def test_short_tells_a_short_length() -> None:
    with served(short=At("B04", times=1)) as (_, href, data), line(href) as kept:
        reply = ask(href, headers={"Range": "bytes=0-99"}, on=kept)
        assert (reply.status, reply.body) == (206, data[:50])
        assert reply.headers["content-length"] == "50"
        assert reply.headers["content-range"] == f"bytes 0-99/{len(data)}"
        assert ask(href, headers={"Range": "bytes=0-99"}, on=kept).body == data[:100]


def test_longer_sends_more_than_was_asked_for() -> None:
    with served(longer="B04") as (_, href, data):
        reply = span(href, 0, 100)
        assert reply.status == 206
        assert len(reply.body) > 100
        assert reply.body[:100] == data[:100]


def test_a_line_that_is_reset_in_the_body() -> None:
    with served(break_body=At("B04", times=1)) as (provider, href, data):
        with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
            ask(href)
        assert ask(href).body == data
        assert asked_of(provider)[0].bytes_sent == len(data) // 2


def test_corrupt_bytes_are_where_they_should_be_in_any_range() -> None:
    with served(corrupt="B04", corrupt_span=(200, 210)) as (provider, href, data):
        spoilt = data[:200] + bytes(byte ^ 0xFF for byte in data[200:210]) + data[210:]
        assert ask(href).body == spoilt != data
        assert span(href, 205, 300).body == spoilt[205:300]
        assert span(href, 0, 200).body == data[:200]
        assert span(href, 210, 220).body == data[210:220]
        assert faults_of(provider) == ["corrupt", "corrupt", "", ""]
        assert provider.files[href].read_bytes() == data


def test_a_slow_body_comes_in_the_end() -> None:
    with served(slow="B04", slow_piece=500, slow_pause=0.01) as (_, href, data):
        began = time.monotonic()
        assert span(href, 0, 2000).body == data[:2000]
        assert time.monotonic() - began >= 0.03


def test_a_slow_body_does_not_keep_the_server() -> None:
    threads = threading.active_count()
    with served(slow="B04", slow_piece=1, slow_pause=30.0) as (_, href, _):
        open_line = http.client.HTTPConnection(href.split("/")[2], timeout=10)
        open_line.request("GET", href.removeprefix(href.split("/B04")[0].split("/files")[0]))
        answer = open_line.getresponse()
        assert len(answer.read(1)) == 1
        began = time.monotonic()
    assert time.monotonic() - began < 25
    assert threading.active_count() == threads
    answer.close()
    open_line.close()


def test_ranges_ignored() -> None:
    with served(whole=At("B04", times=1)) as (provider, href, data):
        first = span(href, 10, 20)
        assert (first.status, first.body) == (200, data)
        assert "content-range" not in first.headers
        assert span(href, 10, 20).body == data[10:20]
        assert asked_of(provider)[0].fault == "whole"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_elsewhere_is_another_host_and_its_record_has_the_headers(status: int) -> None:
    with served(elsewhere="B04", elsewhere_status=status) as (provider, href, data):
        first = ask(href, headers={"Authorization": "Bearer secret"})
        assert first.status == status
        assert first.headers["location"] == href.replace(provider.blobs, provider.elsewhere)
        with urllib.request.urlopen(href) as followed:
            assert followed.read() == data
        here, there = provider.blobs.removeprefix("http://"), provider.elsewhere.removeprefix("http://")
        # the record of a request is written after its answer
        end = time.monotonic() + 5
        while len(provider.seen) < 3 and time.monotonic() < end:
            time.sleep(0.01)
        asked = asked_of(provider)
        assert [one.host for one in asked] == [here, here, there]
        assert asked[0].headers["authorization"] == "Bearer secret"
        assert "authorization" not in asked[2].headers
        # a client that carries its credentials on is found out
        ask(first.headers["location"], headers={"Authorization": "Bearer secret"})
        assert provider.matching("B04")[-1].headers["authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    ("style", "size", "path"), [("stac", "limit", "search"), ("opera", "page_size", "granules.json")]
)
def test_too_large_an_answer_is_502_every_time(style: str, size: str, path: str) -> None:
    with serve_scenes(scenes(), style=style, faults=Faults(most_items=3)) as provider:
        url = f"{provider.url}/{path}"
        for _ in range(2):
            assert ask(f"{url}?{size}=4").status == 502
            assert ask(f"{url}?{size}=3").status == 200
    with serve_scenes(scenes(), style=style) as free:
        length = len(ask(f"{free.url}/{path}?{size}=2").body)
    with serve_scenes(scenes(), style=style, faults=Faults(most_bytes=length + 50)) as bound:
        assert ask(f"{bound.url}/{path}?{size}=4").status == 502
        assert ask(f"{bound.url}/{path}?{size}=2").status == 200


def test_json_that_ends_in_the_middle(folder: Path) -> None:
    with serve_scenes(folder, faults=Faults(bad_json=At(times=1))) as provider:
        reply = ask(f"{provider.url}/search")
        assert reply.status == 200
        with pytest.raises(ValueError):
            json.loads(reply.body)
        assert ask(f"{provider.url}/search").json["numberReturned"] == 8


@pytest.mark.parametrize("body", [None, {"limit": 3}])
def test_paging_that_loops(folder: Path, body: dict[str, int] | None) -> None:
    with serve_scenes(folder, faults=Faults(loop=At(skip=1))) as provider:
        found = pages(f"{provider.url}/search" + ("?limit=3" if body is None else ""), body, most=12)
        assert len(found) == 12
        assert found[0] != found[1]
        assert all(page == found[1] for page in found[1:])


def test_a_page_without_its_next(folder: Path) -> None:
    with serve_scenes(folder, faults=Faults(no_next=At(times=1, skip=1))) as provider:
        assert [len(page) for page in pages(f"{provider.url}/search?limit=3")] == [3, 3]
        first = ask(f"{provider.url}/search?limit=3").json
        assert first["numberMatched"] == 8


def test_a_shuffled_order_is_its_seeds(folder: Path) -> None:
    def order(seed: int | None) -> list[str]:
        with serve_scenes(folder, style="mpc", faults=Faults(shuffle=seed)) as provider:
            return [name for page in pages(f"{provider.url}/search?limit=3") for name in page]

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert sorted(order(1)) == sorted(order(None))


class Clock:
    """A time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.now


def token(provider: Provider, rest: str = "sentinel2l2a01/sentinel2-l2") -> dict[str, str]:
    reply = ask(f"{provider.token_url}/{rest}")
    assert reply.status == 200, reply.body
    found: dict[str, str] = reply.json
    return found


def test_tokens_open_their_container_until_their_end(folder: Path) -> None:
    clock = Clock()
    with serve_scenes(folder, style="mpc", clock=clock, faults=Faults(token_seconds=60)) as provider:
        optical = next(href for href in provider.files if "B04" in href)
        radar = next(href for href in provider.files if "vv" in href)
        assert ask(optical).status == 409
        given_ = token(provider)
        assert given_["msft:expiry"] == "2026-06-01T12:01:00Z"
        assert ask(f"{optical}?{given_['token']}").status == 200
        assert ask(f"{radar}?{given_['token']}").status == 403
        assert ask(f"{radar}?{token(provider, 'sentinel1euwestrtc/sentinel1-grd-rtc')['token']}").status == 200
        assert ask(f"{radar}?{token(provider, 'sentinel-1-rtc')['token']}").status == 200
        assert ask(f"{optical}?{given_['token']}x").status == 403
        assert ask(f"{optical}?{given_['token'].replace('12%3A01', '13%3A01')}").status == 403
        clock.now += dt.timedelta(seconds=60)
        assert ask(f"{optical}?{given_['token']}").status == 200
        clock.now += dt.timedelta(seconds=1)
        over = ask(f"{optical}?{given_['token']}")
        assert over.status == 403
        assert b"Signature not valid in the specified time frame" in over.body
        assert ask(f"{optical}?{token(provider)['token']}").status == 200
        assert ask(f"{provider.token_url}/none/none").status == 404
        assert ask(f"{provider.token_url}/none").status == 404
        assert (
            ask(f"{optical.replace('B04', 'B99')}?{token(provider)['token']}").headers["x-ms-error-code"]
            == "BlobNotFound"
        )


def test_signed_addresses(folder: Path) -> None:
    with serve_scenes(folder, style="mpc") as provider:
        href = next(href for href in provider.files if "B04" in href)
        signed = ask(f"{provider.token_url.replace('/token', '/sign')}?href={href}").json["href"]
        assert signed.startswith(f"{href}?st=")
        assert ask(signed).status == 200


def test_tokens_that_are_used_up(folder: Path) -> None:
    with serve_scenes(folder, style="mpc", faults=Faults(token_uses=2)) as provider:
        href = next(href for href in provider.files if "B04" in href)
        first = token(provider)["token"]
        assert [ask(f"{href}?{first}").status for _ in range(4)] == [200, 200, 403, 403]
        assert ask(f"{href}?{token(provider)['token']}").status == 200


def test_tokens_that_are_over_when_they_come(folder: Path) -> None:
    clock = Clock()
    with serve_scenes(folder, style="mpc", clock=clock, faults=Faults(token_over=At(times=1))) as provider:
        href = next(href for href in provider.files if "B04" in href)
        old, new = token(provider), token(provider)
        assert dt.datetime.fromisoformat(old["msft:expiry"]) < clock.now < dt.datetime.fromisoformat(new["msft:expiry"])
        assert [ask(f"{href}?{said['token']}").status for said in (old, new)] == [403, 200]


few = st.integers(0, 4)


@given(few, st.one_of(st.none(), few), st.booleans(), st.lists(st.sampled_from("ab"), max_size=12))
def test_a_switch_meets_the_requests_that_it_should(skip: int, times: int | None, each: bool, asked: list[str]) -> None:
    switches = Switches(Faults(busy=At("x", times=times, skip=skip, each=each, method="GET")))
    met: dict[str, int] = {}
    for name in asked:
        place = met.setdefault(name if each else "", 0)
        met[name if each else ""] += 1
        assert not switches.fires("busy", Asked("POST", f"/x/{name}", {}, b"", ""))
        assert not switches.fires("busy", Asked("GET", f"/y/{name}", {}, b"", ""))
        assert not switches.fires("unavailable", Asked("GET", f"/x/{name}", {}, b"", ""))
        expected = place >= skip and (times is None or place - skip < times)
        assert switches.fires("busy", Asked("GET", f"/x/{name}?q={place}", {}, b"", "")) == expected


def test_faults_can_be_changed_on_the_way() -> None:
    with served(busy="B04") as (provider, href, data):
        assert ask(href).status == 429
        provider.change(Faults(missing=At("B04", times=1)))
        assert [ask(href).status for _ in range(2)] == [404, 200]
        provider.change(Faults(missing=At("B04", times=1)))
        assert [ask(href).status for _ in range(2)] == [404, 200]
        assert ask(href).body == data


def test_switches_that_make_no_sense() -> None:
    for make in (
        lambda: At("("),
        lambda: At(times=-1),
        lambda: At(skip=-1),
        lambda: Faults(throttle_words="loud"),
        lambda: Faults(elsewhere_status=200),
        lambda: Faults(slow_piece=0),
    ):
        with pytest.raises(InputError):
            make()
