"""From a request to an answer: method, host, path, conditions, ranges, and common headers."""

from __future__ import annotations

import ipaddress
import os
import secrets
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from ._conditions import Version, http_date, precondition, same_version
from ._media import media_type
from ._paths import Opened, open_inside, parse_path
from ._ranges import Span, Unsatisfiable, multipart, parse_ranges, resolve
from ._request import Refused
from .page import PAGE

if TYPE_CHECKING:
    from ._request import Request

METHODS = "GET, HEAD, OPTIONS"
_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
_INDEX = "index.html"
_ALWAYS = {
    "Server": "tessera",
    "Accept-Ranges": "bytes",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Content-Range, Content-Length, ETag, Accept-Ranges, Last-Modified",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
    # files of a store are replaced, so caches must revalidate their copies
    "Cache-Control": "no-cache",
}
"""COOP and COEP together give a page SharedArrayBuffer
(https://html.spec.whatwg.org/multipage/document-sequences.html#cross-origin-isolation)."""
_PREFLIGHT = {
    "Access-Control-Allow-Methods": METHODS,
    "Access-Control-Allow-Headers": (
        "Range, If-Range, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, Cache-Control, Content-Type"
    ),
    "Access-Control-Max-Age": "86400",
}


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: HTTPStatus
    headers: dict[str, str]  # all but the date and those of the connection
    pieces: tuple[bytes | Span, ...] = ()  # the body in order, as bytes and spans of the file; empty for HEAD
    file: Opened | None = None  # the open file of the spans; the sender closes it

    @property
    def body_bytes(self) -> int:
        """Length of the body that is sent."""
        return sum(len(piece) for piece in self.pieces)


@dataclass(frozen=True)
class Site:
    """A served folder."""

    root: str
    hosts: frozenset[str] | None = None  # accepted Host names, lower case; None for any
    page: str | None = None  # folder of the built page, answered at /page/ where the root has none

    def answer(self, request: Request) -> Answer:
        """The answer to a request; errors of the client are answers too."""
        try:
            return self._answer(request)
        except Refused as refused:
            return refusal(refused, with_body=request.method != "HEAD")

    def _answer(self, request: Request) -> Answer:
        host = request.host
        if self.hosts is not None and host is not None and host not in self.hosts:
            raise Refused(
                HTTPStatus.MISDIRECTED_REQUEST, "an unknown Host; expected localhost, 127.0.0.1 or the name served"
            )
        if request.has_body:
            raise Refused(HTTPStatus.BAD_REQUEST, "a request with a body; expected none")
        if request.method == "OPTIONS":
            return Answer(HTTPStatus.NO_CONTENT, {**_ALWAYS, **_PREFLIGHT, "Allow": METHODS})
        if request.method not in ("GET", "HEAD"):
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, f"only {METHODS} are answered", {"Allow": METHODS})
        if request.target == "*":
            raise Refused(HTTPStatus.BAD_REQUEST, "a target that does not start with /")
        names = parse_path(request.target)
        opened = self._open(names, request.target)
        try:
            return _file_answer(request, opened, media_type(names[-1] if _names_file(request.target) else _INDEX))
        except BaseException:
            opened.close()
            raise

    def _open(self, names: tuple[str, ...], target: str) -> Opened:
        try:
            return self._open_in(self.root, names, target)
        except Refused as refused:
            if self.page is None or refused.status != HTTPStatus.NOT_FOUND:
                raise
            if not names:
                raise Refused(HTTPStatus.TEMPORARY_REDIRECT, "see the page", {"Location": f"/{PAGE}/"}) from None
            if names[0] != PAGE:
                raise
        if names == (PAGE,) and _names_file(target):
            raise Refused(HTTPStatus.TEMPORARY_REDIRECT, "this is a folder", {"Location": f"/{PAGE}/"})
        return self._open_in(self.page, names[1:], target)

    def _open_in(self, root: str, names: tuple[str, ...], target: str) -> Opened:
        opened = open_inside(root, names)
        if _names_file(target) and not opened.is_folder:
            return opened
        opened.close()
        if not opened.is_folder:
            raise Refused(HTTPStatus.NOT_FOUND, "no such folder")
        index = self._index(root, names)
        if not _names_file(target):
            return index
        index.close()
        # relative links of a page need the slash; names are not empty, so the location is on this server
        location = "/" + "".join(quote(os.fsencode(name), safe="") + "/" for name in names)
        mark, query = target.partition("?")[1:]
        raise Refused(HTTPStatus.TEMPORARY_REDIRECT, "this is a folder", {"Location": location + mark + query})

    def _index(self, root: str, names: tuple[str, ...]) -> Opened:
        none = Refused(HTTPStatus.NOT_FOUND, "no index.html in this folder, and folders are not listed")
        try:
            index = open_inside(root, (*names, _INDEX))
        except Refused as refused:
            raise none if refused.status == HTTPStatus.NOT_FOUND else refused from None
        if index.is_folder:
            index.close()
            raise none
        return index


def loopback_hosts(address: str, host: str) -> frozenset[str] | None:
    """Host names that a server at `address` accepts: only those of this machine if it listens on loopback.

    A malicious page whose name resolves to 127.0.0.1 (DNS rebinding) sends its own name and is refused.
    """
    if not ipaddress.ip_address(address).is_loopback:
        return None
    written = f"[{address}]" if ":" in address else address
    return _LOOPBACK_HOSTS | {written.lower(), host.strip("[]").lower()}


def refusal(refused: Refused, *, with_body: bool = True) -> Answer:
    """An error answer with one line of plain text."""
    body = f"{refused}\n".encode("utf-8", "replace")
    headers = {
        **_ALWAYS,
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": str(len(body)),
        **refused.headers,
    }
    return Answer(refused.status, headers, (body,) if with_body else ())


def _names_file(target: str) -> bool:
    return not target.partition("?")[0].endswith("/")


def _file_answer(request: Request, opened: Opened, kind: str) -> Answer:
    size, now = opened.size, time.time()
    version = Version.of(opened.inode, opened.mtime_ns, size, now)
    headers = {"ETag": version.etag, "Last-Modified": http_date(version.modified)}
    status = precondition(request.headers, version)
    if status == HTTPStatus.NOT_MODIFIED:
        return Answer(status, {**_ALWAYS, **headers}, (), opened)
    if status is not None:
        raise Refused(status, "the file is of another version", headers)
    status, headers = HTTPStatus.OK, {**_ALWAYS, **headers, "Content-Type": kind}
    pieces: tuple[bytes | Span, ...] = (Span(0, size),)
    spans = _wanted(request, version, size, now)
    if spans:
        status = HTTPStatus.PARTIAL_CONTENT
        if len(spans) == 1:
            pieces = spans
            headers["Content-Range"] = spans[0].content_range(size)
        else:
            boundary = secrets.token_hex(16)
            pieces = multipart(spans, size, kind, boundary)
            headers["Content-Type"] = f"multipart/byteranges; boundary={boundary}"
    headers["Content-Length"] = str(sum(len(piece) for piece in pieces))
    return Answer(status, headers, pieces if request.method == "GET" else (), opened)


def _wanted(request: Request, version: Version, size: int, now: float) -> tuple[Span, ...]:
    """The spans to send, none for the whole file (HEAD ignores ranges: 14.2)."""
    asked = request.headers.get("range")
    if asked is None or request.method != "GET":
        return ()
    if "if-range" in request.headers and not same_version(request.headers["if-range"], version, now):
        return ()
    ranges = parse_ranges(asked)
    if ranges is None:
        return ()
    try:
        return resolve(ranges, size)
    except Unsatisfiable:
        raise Refused(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
            f"no byte of the file, which has {size}",
            {"Content-Range": f"bytes */{size}"},
        ) from None
