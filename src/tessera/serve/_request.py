"""Strict parsing of a request's head."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http import HTTPStatus

HEAD_BYTES = 16 * 1024
"""Most bytes of a request line with its headers."""
_HEADERS = 64
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - the token of RFC 9110, section 5.6.2
_LINE = re.compile(rf"({_TOKEN}) ([!-~]+) HTTP/([0-9])\.([0-9])")
_HEADER = re.compile(rf"({_TOKEN}):[ \t]*((?:[!-~\x80-\xff](?:[ \t!-~\x80-\xff]*[!-~\x80-\xff])?)?)[ \t]*")
_END = re.compile(rb"\r?\n\r?\n")
_ORIGIN = re.compile(r"https?://([^/?]*)(.*)", re.IGNORECASE)
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:/@\[\]\s]+?)\.?(?::[0-9]*)?")


class Refused(Exception):  # noqa: N818 - an answer, not an error of the server
    """A request is answered with a status and one line instead of a file."""

    def __init__(self, status: HTTPStatus, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


@dataclass(frozen=True)
class Request:
    """A client's request."""

    method: str  # as sent
    target: str  # path and query, as sent; "*" for the whole server
    # by lower-case name; several with one name are joined with commas
    headers: dict[str, str] = field(default_factory=dict)
    version: int = 1  # minor version of HTTP/1

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection stays open for another request."""
        said = {word.strip().lower() for word in self.headers.get("connection", "").split(",")}
        return self.version >= 1 and "close" not in said

    @property
    def has_body(self) -> bool:
        """Whether a body follows the head."""
        return "transfer-encoding" in self.headers or self.headers.get("content-length", "0") != "0"

    @property
    def host(self) -> str | None:
        """The host that the client addresses, lower case, without its port; refused with 400 if it is not valid."""
        given = self.headers.get("host")
        if given is None:
            return None
        match = _AUTHORITY.fullmatch(given)
        if match is None:
            raise Refused(HTTPStatus.BAD_REQUEST, f"Host {given[:100]!r}; expected a name with or without a port")
        return match[1].lower()


def split_head(buffer: bytes) -> tuple[bytes, bytes] | None:
    """The first head in `buffer` and the bytes after it, None if incomplete; refused with 431 beyond 16 KiB."""
    start = len(buffer) - len(buffer.lstrip(b"\r\n"))
    found = _END.search(buffer, start)
    if (found.start() if found else len(buffer)) > HEAD_BYTES:
        raise Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"a head of more than {HEAD_BYTES} bytes")
    return None if found is None else (buffer[start : found.start()], buffer[found.end() :])


def parse_request(head: bytes) -> Request:
    """Read a request line and headers (RFC 9112, sections 3 and 5).

    Refused with 400: malformed; 431: too many headers; 505: not HTTP/1.
    """
    line, *rest = re.split(r"\r?\n", head.decode("latin-1"))
    match = _LINE.fullmatch(line)
    if match is None:
        raise Refused(HTTPStatus.BAD_REQUEST, "no request line of HTTP/1.1")
    method, target, major, minor = match.groups()
    if major != "1":
        raise Refused(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, f"HTTP/{major}.{minor}; expected HTTP/1.1")
    if len(rest) > _HEADERS:
        raise Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"{len(rest)} headers; at most {_HEADERS} are read")
    headers: dict[str, str] = {}
    for text in rest:
        header = _HEADER.fullmatch(text)
        if header is None:
            raise Refused(HTTPStatus.BAD_REQUEST, "a malformed header")
        name = header[1].lower()
        if name == "host" and name in headers:
            raise Refused(HTTPStatus.BAD_REQUEST, "two Host headers; expected one")
        headers[name] = f"{headers[name]}, {header[2]}" if name in headers else header[2]
    if int(minor) >= 1 and "host" not in headers:
        raise Refused(HTTPStatus.BAD_REQUEST, "no Host header; HTTP/1.1 demands one")
    origin = _ORIGIN.fullmatch(target)
    if origin is not None:
        # the absolute form, whose authority replaces the Host header (RFC 9112, 3.2.2)
        headers["host"] = origin[1]
        target = origin[2] if origin[2].startswith("/") else "/" + origin[2]
    elif not target.startswith("/") and target != "*":
        raise Refused(HTTPStatus.BAD_REQUEST, "a target that does not start with /")
    return Request(method, target, headers, int(minor))
