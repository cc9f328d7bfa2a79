"""Requests over HTTP where status, headers and body matter: searches, tokens, and parts of scenes.

Stores are read through `objects`; here a refusal's body tells a throttle from an expired token, and Retry-After counts.
"""

from __future__ import annotations

import email.utils
import json
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tessera.base import InputError, require

from .errors import CorruptError, CredentialError, LoadError, MissingError, NetError, OversizeError, PermanentError
from .host import host_of

if TYPE_CHECKING:
    import urllib3

PATIENT_DELAYS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds before each further attempt: a provider of scenes throttles for minutes, not seconds."""
SLOWEST = 64_000.0
"""Bytes a second below which an answer is given up after `_SECONDS`; a satellite line gives ten times as much."""
_SECONDS = 60.0
_CONNECT_SECONDS = 20.0
_READ = 1024 * 1024
_REDIRECTS = 5
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")

Verdict = Callable[[int, bytes], type[NetError] | None]
"""What a refusal means to a provider: its class, or None where the status means what it usually does."""


@dataclass(frozen=True)
class Answer:
    """What a server said.

    Attributes
    ----------
    data : the body; of a range, that range or as much of it as the file has
    size : bytes of the whole file, None where they are not told
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
            It is none.
        """
        try:
            return json.loads(self.data)
        except (ValueError, RecursionError):
            start = self.data[:60].decode("utf-8", "replace").split("\n")[0]
            raise CorruptError(f"{what} is not JSON; it begins with {start!r}") from None


@dataclass(frozen=True)
class Web:
    """Asks servers, all users of one host together being patient with it.

    Attributes
    ----------
    verdict : what a refusal means, where it is not what the status usually means
    delays : seconds before each further attempt
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
        headers : for this host alone; a redirect to another one does not carry them on

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
        """Send JSON and take the answer. Errors are those of `get`; what is asked must be safe to ask again."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        return self._ask("POST", url, sent, json.dumps(body).encode(), limit, None)

    def _ask(self, method: str, url: str, headers: dict[str, str], body: bytes | None, limit: int, span: Any) -> Answer:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"{_shown(url)} is no http or https address")
        host = host_of(f"{parts.scheme}://{parts.netloc}")
        return host.ask(lambda: self._once(method, url, headers, body, limit, span), self.delays)

    def _once(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, limit: int, span: Any
    ) -> Answer:
        from urllib3 import Retry, Timeout
        from urllib3.exceptions import HTTPError, LocationValueError, SSLError

        where = _shown(url)
        # other errors than redirects are this package's matter, which lets all users of a host wait
        once = Retry(
            total=None,
            connect=0,
            read=0,
            status=0,
            other=0,
            redirect=_REDIRECTS,
            respect_retry_after_header=False,
            remove_headers_on_redirect=[name for name in headers if name not in ("Range", "Content-Type")],
        )
        answer = None
        try:
            answer = _pool().request(
                method,
                url,
                body=body,
                headers={"Accept-Encoding": "identity", "User-Agent": "tessera-earth", **headers},
                retries=once,
                timeout=Timeout(connect=_CONNECT_SECONDS, read=_SECONDS),
                preload_content=False,
                decode_content=False,
            )
            return self._take(answer, where, limit, span)
        except SSLError as error:
            raise PermanentError(f"{where}: no secure line to the server ({error})") from None
        except (LocationValueError, UnicodeError) as error:
            raise PermanentError(f"{where} is not an address: {error}") from None
        except HTTPError as error:
            reason = getattr(error, "reason", None)
            if isinstance(reason, SSLError):
                raise PermanentError(f"{where}: no secure line to the server ({reason})") from None
            if "too many redirects" in str(error):
                raise PermanentError(f"{where} is redirected more than {_REDIRECTS} times") from None
            raise LoadError(f"{where}: the line broke ({type(reason or error).__name__})") from None
        finally:
            if answer is not None:
                # a body that was taken whole has given its line back already
                answer.close()

    def _take(self, answer: urllib3.BaseHTTPResponse, where: str, limit: int, span: Any) -> Answer:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        if answer.status not in (200, 206):
            self._refuse(answer.status, _body(answer, 4096, where), headers, where)
        size = _number(headers.get("content-length"))
        expected = size
        if span is not None:
            if answer.status == 200:
                if size is None or span[0] > 0 or size > limit:
                    raise PermanentError(f"{where}: its server ignores ranges; expected one that answers them")
            else:
                match = _RANGE.fullmatch(headers.get("content-range", ""))
                if match is None or int(match[1]) != span[0] or int(match[2]) >= span[1]:
                    raise CorruptError(
                        f"{where}: bytes {headers.get('content-range')!r} came; expected from {span[0]} to {span[1]}"
                    )
                expected = int(match[2]) + 1 - int(match[1])
                size = _number(match[3])
                if int(match[2]) + 1 < span[1] and size is not None and size > int(match[2]) + 1:
                    raise LoadError(f"{where}: only a part of the range came")
        elif size is not None and size > limit:
            raise OversizeError(f"{where} has {size} bytes; at most {limit} are read")
        data = _body(answer, limit + 1, where)
        if expected is not None and len(data) < expected:
            raise LoadError(f"{where}: {len(data)} of {expected} bytes came")
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


@cache
def _pool() -> urllib3.PoolManager:
    """One for all: lines are kept open between requests."""
    require("urllib3", extra="scenes", purpose="asking providers of scenes")
    import urllib3

    return urllib3.PoolManager(num_pools=32, maxsize=64)


def _body(answer: urllib3.BaseHTTPResponse, most: int, where: str) -> bytes:
    """At most so many bytes, from a server that is not slower than the slowest allowed."""
    parts: list[bytes] = []
    taken = 0
    began = time.monotonic()
    while taken < most:
        part = answer.read1(min(_READ, most - taken))
        if not part:
            break
        parts.append(part)
        taken += len(part)
        if time.monotonic() - began > _SECONDS + taken / SLOWEST:
            raise LoadError(f"{where}: {taken} bytes in {time.monotonic() - began:.0f} s, too slow")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _shown(url: str) -> str:
    """An address without its signature, and without anybody's password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 19 else None


def _said(body: bytes) -> str:
    """The first words of a refusal."""
    text = " ".join(re.sub(r"<[^>]*>", " ", body[:600].decode("utf-8", "replace")).split())
    return f", {text[:160]!r}" if text else ""


def _retry_after(text: str | None) -> float | None:
    """Seconds that a server asks to wait, given as a number or as a date (RFC 9110, 10.2.3)."""
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
        except (TypeError, ValueError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
