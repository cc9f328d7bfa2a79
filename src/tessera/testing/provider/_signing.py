"""Tokens for a container of files, which expire, like Azure's shared access signatures."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import threading
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote

from ._http import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._http import Asked
    from .faults import Switches

_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_BEFORE = dt.timedelta(days=1)
"""Planetary Computer's tokens are valid from a day before the request."""


_FAILED = (
    "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly "
    "including the signature."
)


def azure_error(status: int, code: str, message: str, detail: str = "") -> Answer:
    """An error in the form of Azure's blob storage."""
    more = f"<AuthenticationErrorDetail>{detail}</AuthenticationErrorDetail>" if detail else ""
    body = (
        f'\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{message}\n'
        f"RequestId:00000000-0000-0000-0000-000000000000\nTime:2026-01-01T00:00:00.0000000Z</Message>{more}</Error>"
    )
    return Answer(status, {"Content-Type": "application/xml", "x-ms-error-code": code}, body.encode())


def expired_error() -> Answer:
    """403 for a signature that has expired or is not valid yet."""
    return azure_error(
        403,
        "AuthenticationFailed",
        _FAILED,
        "Signature not valid in the specified time frame: Start [Thu, 01 Jan 2026 00:00:00 GMT] - Expiry "
        "[Thu, 01 Jan 2026 00:45:00 GMT] - Current [Thu, 01 Jan 2026 01:00:00 GMT]",
    )


class Signer:
    """Hands out tokens and checks them.

    Parameters
    ----------
    containers : collection -> its (account, container) pairs
    clock : the time now, with its time zone
    """

    def __init__(
        self, containers: Mapping[str, set[tuple[str, str]]], switches: Switches, clock: Callable[[], dt.datetime]
    ) -> None:
        self._containers, self._switches, self._clock = containers, switches, clock
        self._lock = threading.Lock()
        self._given = 0
        self._tokens: dict[str, tuple[frozenset[tuple[str, str]], dt.datetime]] = {}
        self._used: Counter[str] = Counter()

    def answer(self, asked: Asked, rest: str) -> Answer:
        """.../token/{account}/{container}, .../token/{collection} or .../sign?href=..."""
        parts = rest.strip("/").split("/")
        if parts[0] == "token" and len(parts) == 2 and parts[1] in self._containers:
            token, end = self._give(asked, self._containers[parts[1]])
            return _json({"msft:expiry": end, "token": token})
        if parts[0] == "token" and len(parts) == 3:
            pair = (parts[1], parts[2])
            if any(pair in pairs for pairs in self._containers.values()):
                token, end = self._give(asked, {pair})
                return _json({"msft:expiry": end, "token": token})
        if parts == ["sign"]:
            href = parse_qs(asked.query).get("href", [""])[0]
            place = href.removeprefix(f"{asked.base}/").split("/")
            token, end = self._give(asked, {(place[0], place[1] if len(place) > 1 else "")})
            return _json({"msft:expiry": end, "href": f"{href}?{token}"})
        return _json({"detail": "Not Found"}, 404)

    def check(self, asked: Asked, path: str) -> Answer | None:
        """The refusal of a request for a file, None if its token is valid."""
        query = {name: values[0] for name, values in parse_qs(asked.query).items()}
        if "sig" not in query:
            return azure_error(
                409, "PublicAccessNotPermitted", "Public access is not permitted on this storage account."
            )
        with self._lock:
            known = self._tokens.get(query["sig"])
        account, container = (*path.split("/"), "")[:2]
        if known is None or query.get("se") != known[1].strftime(_FORMAT):
            return azure_error(403, "AuthenticationFailed", _FAILED, "Signature did not match.")
        if (account, container) not in known[0]:
            return azure_error(403, "AuthorizationFailure", "This request is not authorized to perform this operation.")
        uses = self._switches.faults.token_uses
        with self._lock:
            self._used[query["sig"]] += 1
            used_up = uses is not None and self._used[query["sig"]] > uses
        if used_up or self._clock() > known[1]:
            answer = expired_error()
            answer.fault = "token over"
            return answer
        return None

    def _give(self, asked: Asked, pairs: set[tuple[str, str]]) -> tuple[str, str]:
        now = self._clock().replace(microsecond=0)
        end = now + dt.timedelta(seconds=self._switches.faults.token_seconds)
        if self._switches.fires("token_over", asked):
            end = now - dt.timedelta(seconds=60)
        with self._lock:
            self._given += 1
            signature = hashlib.sha256(f"{self._given} {end} {sorted(pairs)}".encode()).hexdigest() + "+/="
            self._tokens[signature] = (frozenset(pairs), end)
        start = (now - _BEFORE).strftime(_FORMAT)
        stop = end.strftime(_FORMAT)
        said = f"st={quote(start, '')}&se={quote(stop, '')}&sp=rl&sv=2025-07-05&sr=c&sig={quote(signature, '')}"
        return said, stop


def _json(value: object, status: int = 200) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(value).encode())
