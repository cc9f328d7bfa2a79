"""A small simulated place, and a client without any patience."""

from __future__ import annotations

import atexit
import http.client
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tessera.geo import Window
from tessera.simulator import simulate
from tessera.testing import Provider
from tessera.testing.provider.server import Seen

WINDOW = Window(31, 64 * 1024, 548 * 1024, 64, 64)
BOX = (4.0, 49.0, 7.0, 52.0)


@cache
def scenes() -> Path:
    """Four Sentinel-2 scenes and two Sentinel-1 passes of each orbit, made once for all tests; not to be changed."""
    parent = Path(tempfile.mkdtemp(prefix="tessera-provider-"))
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    return simulate(parent / "scenes", WINDOW, 2021, s2_dates=4, s1_dates=2).path


@dataclass(frozen=True)
class Reply:
    """An answer, headers by lower-case name."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@contextmanager
def line(url: str) -> Iterator[http.client.HTTPConnection]:
    """A kept-open line to the host of an address."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        yield connection
    finally:
        connection.close()


def ask(
    url: str,
    method: str = "GET",
    *,
    headers: dict[str, str] | None = None,
    body: Any = None,
    on: http.client.HTTPConnection | None = None,
) -> Reply:
    """One request, no redirect followed, nothing tried again."""
    if on is None:
        with line(url) as own:
            return ask(url, method, headers=headers, body=body, on=own)
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    sent = dict(headers or {})
    if body is not None and not isinstance(body, (str, bytes)):
        body, sent["Content-Type"] = json.dumps(body), "application/json"
    on.request(method, target, body=body, headers=sent)
    answer = on.getresponse()
    return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())


def span(url: str, start: int, stop: int, **more: str) -> Reply:
    """Bytes from `start` to `stop` (exclusive) of a file."""
    return ask(url, headers={"Range": f"bytes={start}-{stop - 1}", **more})


def pages(url: str, body: dict[str, Any] | None = None, most: int = 20) -> list[list[str]]:
    """Ids of each page of a search, by GET or, with a body, by POST; links are followed as STAC API says."""
    found = []
    said = body
    for _ in range(most):
        reply = ask(url, "GET" if said is None else "POST", body=said)
        assert reply.status == 200, reply.body
        found.append([item["id"] for item in reply.json["features"]])
        following = [link for link in reply.json["links"] if link["rel"] == "next"]
        if not following:
            break
        url = following[0]["href"]
        if said is not None:
            assert following[0]["method"] == "POST"
            more = following[0]["body"]
            said = {**said, **more} if following[0].get("merge") else more
    return found


def asked_of(provider: Provider) -> list[Seen]:
    """Answered requests in the order in which they came; `Provider.seen` has that of their ends."""
    return sorted(provider.seen, key=lambda one: one.start)


def faults_of(provider: Provider) -> list[str]:
    """Faults that answers met, in the order of their requests."""
    return [one.fault for one in asked_of(provider)]
