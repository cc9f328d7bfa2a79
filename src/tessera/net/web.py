"""HTTP requests where status, headers and body matter: searches, tokens, and parts of scenes.

Stores are read through `objects`. Here the body of a refusal distinguishes throttling from an expired token, and
Retry-After is obeyed.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from tessera.base import InputError, raise_if_machine, require

from ._host import host_of
from ._proxies import proxy_for
from .errors import CorruptError, CredentialError, LoadError, MissingError, NetError, OversizeError, PermanentError

if TYPE_CHECKING:
    import urllib3

    from ._lines import Clock
    from ._proxies import Proxy

SEE_DOCTOR = "; look at the network, or run tessera doctor"
"""What an error adds where the host's name could not be resolved; the doctor itself leaves it out."""
PATIENT_DELAYS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds before each retry: providers of scenes throttle for minutes, not seconds."""
SLOWEST = 64_000.0
"""Least bytes a second of an answer after `_SECONDS`; a satellite connection has ten times as much."""
_SECONDS = 60.0
_SILENCE = 40.0
"""Most seconds from connecting to status and headers, redirects included, and most seconds without a byte of a body.
Earth Search's gateway waits 29 s for its own server. Two attempts take 80 s."""
_CONNECT_SECONDS = 20.0
_READ = 1024 * 1024
_REDIRECTS = 5
_MOVED = (301, 302, 303, 307, 308)
_REFUSAL = 4096
"""Bytes of a refusal that are read."""
_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")
_PORTS = {"http": 80, "https": 443}

Verdict = Callable[[int, bytes], type[NetError] | None]
"""(status, body) of a refusal -> the error class, or None if the status has its usual meaning."""


@dataclass(frozen=True)
class Answer:
    """An answer of a server.

    Attributes
    ----------
    data : the body; for a range, that range or as much of it as the file has
    size : bytes of the whole file, None if unknown
    headers : names in lower case
    """

    data: bytes
    size: int | None
    headers: Mapping[str, str]

    def json(self, what: str) -> Any:
        """The body as JSON.

        Raises
        ------
        CorruptError
            It is not JSON.
        """
        try:
            return json.loads(self.data)
        except (ValueError, RecursionError):
            start = self.data[:60].decode("utf-8", "replace").split("\n")[0]
            raise CorruptError(f"{what} is not JSON; it begins with {start!r}") from None


@dataclass(frozen=True)
class Web:
    """An HTTP client; all clients of one host share its limits and pauses.

    Attributes
    ----------
    verdict : see `Verdict`
    delays : seconds before each retry
    """

    verdict: Verdict | None = None
    delays: tuple[float, ...] = PATIENT_DELAYS

    def get(
        self,
        url: str,
        *,
        limit: int,
        span: tuple[int, int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The file at an address, or bytes `span[0]` to `span[1]` (exclusive) of it, at most `limit` bytes.

        Parameters
        ----------
        headers : for this host only; they are dropped on a redirect to another one

        Raises
        ------
        LoadError, CredentialError, MissingError, CorruptError, OversizeError, PermanentError
        """
        sent = dict(headers or {})
        if span is not None:
            sent["Range"] = f"bytes={span[0]}-{span[1] - 1}"
            limit = min(limit, span[1] - span[0])
        return self._ask("GET", url, sent, None, limit, span)

    def post(self, url: str, body: Any, *, limit: int, headers: Mapping[str, str] | None = None) -> Answer:
        """Send JSON and return the answer. Errors are those of `get`; the request must be safe to repeat."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        return self._ask("POST", url, sent, json.dumps(body).encode(), limit, None)

    def _ask(self, method: str, url: str, headers: dict[str, str], body: bytes | None, limit: int, span: Any) -> Answer:
        if _server(url) is None:
            raise InputError(f"{_shown(url)} is not an http or https address")
        parts = urlsplit(url)
        host = host_of(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")
        return host.ask(lambda: self._once(method, url, headers, body, limit, span), self.delays)

    def _once(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, limit: int, span: Any
    ) -> Answer:
        where = _shown(url)
        clock = _clock()
        # by hand, because urllib3 reads the body of a redirect to its end, which may never come
        for _ in range(_REDIRECTS + 1):
            answer = _sent(method, url, headers, body, where, clock)
            try:
                with _translated(where):
                    moved = answer.headers.get("location") if answer.status in _MOVED else None
                    if moved is None:
                        return self._take(answer, where, limit, span)
                    _short(answer)
            finally:
                # a body that was read completely has already released its connection
                answer.close()
            further = _joined(url, moved, where)
            if _server(further) != _server(url):
                headers = {name: value for name, value in headers.items() if name in ("Range", "Content-Type")}
            if answer.status == 303:
                method, body = "GET", None
                headers = {name: value for name, value in headers.items() if name != "Content-Type"}
            url = further
        raise PermanentError(f"{where} is redirected more than {_REDIRECTS} times")

    def _take(self, answer: urllib3.BaseHTTPResponse, where: str, limit: int, span: Any) -> Answer:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        if answer.status not in (200, 206):
            self._refuse(answer.status, _short(answer), headers, where)
        size = _number(headers.get("content-length"))
        expected = size
        if span is not None:
            if answer.status == 200:
                if size is None or span[0] > 0 or size > limit:
                    raise PermanentError(f"{where}: its server ignores ranges; expected one that supports them")
            else:
                spanned = headers.get("content-range", "")
                match = _RANGE.fullmatch(spanned)
                stop = int(match[2]) + 1 if match is not None else 0
                size = _number(match[3]) if match is not None else None
                most = span[1] if size is None else min(span[1], size)
                if match is None or int(match[1]) != span[0] or not span[0] < stop <= most:
                    raise CorruptError(
                        f"{where}: received {spanned[:80]!r}; expected bytes from {span[0]} to {span[1]}"
                    )
                expected = stop - span[0]
                if stop < span[1] and size is not None and size > stop:
                    raise LoadError(f"{where}: only a part of the range arrived")
        elif answer.status == 206:
            raise CorruptError(f"{where}: received a part; expected the whole file")
        elif size is not None and size > limit:
            raise OversizeError(f"{where} has {size} bytes; at most {limit} are read")
        data = _body(answer, limit + 1)
        if expected is not None and len(data) < expected:
            raise LoadError(f"{where}: received {len(data)} of {expected} bytes")
        if len(data) > limit or (expected is not None and len(data) > expected):
            raise OversizeError(f"{where} sent more than {min(limit, expected or limit)} bytes")
        if len(data) == expected:
            answer.release_conn()
        return Answer(data, size, headers)

    def _refuse(self, status: int, body: bytes, headers: Mapping[str, str], where: str) -> None:
        said = f"{where}: status {status}{_said(body)}"
        meaning = self.verdict(status, body) if self.verdict is not None else None
        if meaning is None:
            meaning = _usual(status)
        if meaning is LoadError:
            raise LoadError(said, _retry_after(headers.get("retry-after")))
        raise meaning(said)


def _usual(status: int) -> type[NetError]:
    if status in (408, 425, 429) or status >= 500:
        return LoadError
    if status in (401, 403, 407):
        return CredentialError
    if status in (404, 410):
        return MissingError
    if status == 413:
        return OversizeError
    if status == 416:
        return CorruptError
    return PermanentError


def _clock() -> Clock:
    _ready()
    from ._lines import Clock

    return Clock(_SILENCE, _SECONDS, SLOWEST)


def _sent(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None, where: str, clock: Clock
) -> urllib3.BaseHTTPResponse:
    """Send a request and return its answer, whose body is not read yet."""
    from urllib3 import Timeout

    from ._lines import timed

    proxy = proxy_for(url)
    pool = _pool(proxy)
    try:
        with _translated(where, proxy), timed(clock):
            return pool.request(
                method,
                url,
                body=body,
                headers={"Accept-Encoding": "identity", "User-Agent": "tessera-earth", **headers},
                # `Host` retries instead, so that all users of a host wait
                retries=False,
                redirect=False,
                timeout=Timeout(connect=_CONNECT_SECONDS, read=_SILENCE),
                preload_content=False,
                decode_content=False,
            )
    except ValueError:
        raise PermanentError(f"{where} cannot be requested: its address or a header has invalid characters") from None


@contextmanager
def _translated(where: str, proxy: Proxy | None = None) -> Iterator[None]:
    """Translate errors of the connection; their texts are dropped, since they hold whole addresses and headers."""
    from urllib3.exceptions import (
        ConnectTimeoutError,
        HTTPError,
        LocationValueError,
        NameResolutionError,
        NewConnectionError,
        ProxyError,
        ReadTimeoutError,
        SSLError,
    )

    try:
        yield
    except SSLError as error:
        raise PermanentError(f"{where}: no secure connection to the server ({error})") from None
    except LocationValueError:
        raise PermanentError(f"{where} redirects to an invalid address") from None
    except ReadTimeoutError:
        raise LoadError(f"{where}: the server is silent or too slow") from None
    except NameResolutionError:
        raise LoadError(f"{where}: the host's name could not be resolved{SEE_DOCTOR}", reached=False) from None
    except ProxyError as error:
        raise_if_machine(error, where)
        through = "" if proxy is None else f" {proxy.shown}"
        reached = not isinstance(error.original_error, NewConnectionError | ConnectTimeoutError | NameResolutionError)
        raise LoadError(
            f"{where}: the proxy{through} of this environment {'refuses' if reached else 'does not answer'}; check "
            "http_proxy, https_proxy and no_proxy",
            reached=reached,
        ) from None
    except HTTPError as error:
        raise_if_machine(error, where)
        if _is_nonsense(error):
            raise PermanentError(f"{where}: the server does not speak HTTP") from None
        if isinstance(error, NewConnectionError | ConnectTimeoutError):
            raise LoadError(f"{where}: no server answers at this address", reached=False) from None
        raise LoadError(f"{where}: the connection broke ({type(error).__name__})", broken=True) from None
    except OSError as error:
        raise_if_machine(error, where)
        raise


def _is_nonsense(error: Exception) -> bool:
    """Whether the answer was not HTTP; a closed connection does not count."""
    from http.client import HTTPException, IncompleteRead, RemoteDisconnected

    causes = [error, *error.args, error.__cause__, error.__context__]
    return any(
        isinstance(cause, HTTPException) and not isinstance(cause, RemoteDisconnected | IncompleteRead)
        for cause in causes
    )


@cache
def _pool(proxy: Proxy | None) -> urllib3.PoolManager:
    """The one pool for a proxy, which keeps connections open between requests."""
    _ready()
    from ._lines import line_pool

    return line_pool(proxy)


def _ready() -> None:
    require("urllib3", extra="scenes", purpose="asking providers of scenes")


def _body(answer: urllib3.BaseHTTPResponse, most: int) -> bytes:
    """At most `most` bytes of a body."""
    parts: list[bytes] = []
    taken = 0
    while taken < most:
        part = answer.read1(min(_READ, most - taken))
        if not part:
            break
        parts.append(part)
        taken += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _short(answer: urllib3.BaseHTTPResponse) -> bytes:
    """The beginning of a body; if it is complete, the connection is reused."""
    data = _body(answer, _REFUSAL)
    if len(data) < _REFUSAL:
        answer.release_conn()
    return data


def _server(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an HTTP address, None for others."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            return None
        return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]
    except ValueError:
        return None


def _joined(url: str, moved: str, where: str) -> str:
    try:
        further = urljoin(url, moved)
    except ValueError:
        further = ""
    if _server(further) is None:
        raise PermanentError(f"{where} is redirected to an address that is not http or https")
    return further


def _shown(url: str) -> str:
    """An address without signature and password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return repr(url.partition("?")[0].rpartition("@")[2][:80])
    path = "".join(letter if letter.isprintable() else "?" for letter in parts.path)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}" if parts.netloc else repr(path[:80])


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 19 else None


def _said(body: bytes) -> str:
    """The first words of a refusal."""
    text = re.sub(r"<[^>]*>", " ", body[:600].decode("utf-8", "replace"))
    # some servers repeat the address with its signature
    text = " ".join(re.sub(r"\?\S+", "?", text).split())
    return f", {text[:160]!r}" if text else ""


def _retry_after(text: str | None) -> float | None:
    """Seconds that a server asks to wait, given as a number or as a date (RFC 9110, 10.2.3)."""
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = email.utils.parsedate_to_datetime(text)
            seconds = moment.replace(tzinfo=moment.tzinfo or dt.UTC).timestamp() - time.time()
        except (TypeError, ValueError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
