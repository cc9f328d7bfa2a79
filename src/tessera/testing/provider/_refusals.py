"""Answers of faults."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ._http import Answer
from ._signing import azure_error, expired_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._http import Asked
    from .faults import Faults, Switches

_PAGE = b"<!DOCTYPE html><html><head><title>Sorry</title></head><body><h1>We'll be back soon</h1></body></html>"
_ORDER = (
    "reset",
    "busy",
    "unavailable",
    "bad_gateway",
    "throttled",
    "expired",
    "unauthorised",
    "missing",
    "elsewhere",
    "html",
)


def refuse(asked: Asked, switches: Switches, elsewhere: str, nothing: Callable[[], Answer]) -> Answer | None:
    """The answer of the first fault that applies to a request, or None."""
    for name in _ORDER:
        # the request was already redirected here
        if (name != "elsewhere" or asked.base != elsewhere) and switches.fires(name, asked):
            answer = _answer(name, asked, switches.faults, elsewhere, nothing)
            answer.fault = name
            return answer
    return None


def _answer(name: str, asked: Asked, faults: Faults, elsewhere: str, nothing: Callable[[], Answer]) -> Answer:
    value = faults.retry_after
    later = {} if value is None else {"Retry-After": value if isinstance(value, str) else f"{value:g}"}
    if name == "reset":
        return Answer(502, end="silent")
    if name == "throttled":
        return _throttled(faults.throttle_words, later)
    if name == "expired":
        return expired_error()
    if name == "missing":
        return nothing()
    if name == "elsewhere":
        return Answer(faults.elsewhere_status, {"Location": elsewhere + asked.target})
    if name == "html":
        return Answer(200, {"Content-Type": "text/html"}, _PAGE)
    status, words, headers = {
        "busy": (429, "Too many requests", later),
        "unavailable": (503, "Service unavailable", later),
        "bad_gateway": (502, "Internal server error", {}),
        "unauthorised": (401, "Unauthorized", {"WWW-Authenticate": "Bearer"}),
    }[name]
    return _said(status, words, headers)


def _said(status: int, message: str, headers: dict[str, str]) -> Answer:
    body = json.dumps({"message": message}).encode()
    return Answer(status, {"Content-Type": "application/json", **headers}, body)


def _throttled(words: str, later: dict[str, str]) -> Answer:
    if words == "plain":
        return _said(403, "Forbidden", later)
    message = "The server is busy." if words == "busy" else "Egress is over the account limit."
    answer = azure_error(403, "ServerBusy", message)
    answer.headers |= later
    return answer
