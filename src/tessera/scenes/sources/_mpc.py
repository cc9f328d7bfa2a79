"""Microsoft Planetary Computer: Sentinel-2 L2A and Sentinel-1 RTC in Azure, read by signed addresses that expire.

Reference: the STAC and SAS APIs at planetarycomputer.microsoft.com. The library planetary-computer is not used: it
signs addresses of Azure only, caches tokens for the whole process, and retries every refusal.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tessera.net import CorruptError, CredentialError, LoadError, NetError, Web

from .source import Address
from .stac_api import StacApi

if TYPE_CHECKING:
    from collections.abc import Callable

    from .stac_api import ContainerOf

API = "https://planetarycomputer.microsoft.com/api/stac/v1"
TOKENS = "https://planetarycomputer.microsoft.com/api/sas/v1/token"
KEY = "PC_SDK_SUBSCRIPTION_KEY"
"""Environment variable with a subscription key; without one the rate limits are lower."""
_PAGE = 250
_MARGIN = 300.0
"""Seconds before its expiry at which a token is replaced: longer than reading a file takes."""
_LEAST = 30.0
"""Seconds that a token must still be valid when it is used: some arrive expired (planetary-computer's issue 463)."""
_TRIES = 4
_PAUSE = 1.0
_BUSY = (b"Egress is over the account limit", b"ServerBusy", b"OperationTimedOut", b"AccountBeingThrottled")
"""Texts in Azure's 403 answers that mean: send fewer requests."""
_ACCOUNT, _CONTAINER = re.compile(r"[a-z0-9]{3,24}"), re.compile(r"[a-z0-9$-]{3,63}")
"""Names that Azure storage allows."""
_PUBLIC = "ai4edatasetspublicassets"


@dataclass(frozen=True)
class _Token:
    text: str
    ends: float
    asked: float
    said: str


class PlanetaryComputer(StacApi):
    """See `Source`.

    Parameters
    ----------
    url, tokens : roots of the STAC API and of the token service
    place : address -> account and container whose token it needs, None where it needs none
    now, pause : the clock (seconds since 1970) and the function that waits
    """

    def __init__(
        self,
        url: str = API,
        *,
        tokens: str = TOKENS,
        place: ContainerOf | None = None,
        web: Web | None = None,
        now: Callable[[], float] = time.time,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        key = os.environ.get(KEY, "")
        headers = {"Ocp-Apim-Subscription-Key": key} if key else {}
        super().__init__(url, "mpc", page=_PAGE, headers=headers, web=web)
        # separate from searches, where 502 means that the answer was too large
        self._asking = web if web is not None else Web(self.verdict)
        self._service, self._place = tokens.rstrip("/"), place or azure_place
        self._now, self._pause = now, pause
        self._tokens: dict[tuple[str, str], _Token] = {}
        self._lock = threading.Lock()
        self._locks: dict[tuple[str, str], threading.Lock] = {}

    def address(self, href: str) -> Address:
        """See `Source`."""
        place = self._place(href)
        return Address(href if place is None else _signed(href, self._token(place)))

    def renew(self, href: str, refused: Address) -> bool:
        """See `Source`."""
        place = self._place(href)
        if place is None:
            return False
        with self._lock_of(place):
            held = self._tokens.get(place)
            # else another thread has renewed it meanwhile
            if held is None or refused.url == _signed(href, held):
                self._tokens[place] = self._fetch(place)
        return True

    def verdict(self, status: int, body: bytes) -> type[NetError] | None:
        """See `Source`."""
        if status in (403, 409):
            return LoadError if any(words in body for words in _BUSY) else CredentialError
        return None

    def _token(self, place: tuple[str, str]) -> _Token:
        with self._lock_of(place):
            held = self._tokens.get(place)
            if held is None or self._is_old(held):
                fresh = self._fetch(place)
                # the service may return a cached token: keep the one that expires last
                if held is None or fresh.ends > held.ends:
                    self._tokens[place] = fresh
                else:
                    self._tokens[place] = replace(held, asked=fresh.asked)
            return self._tokens[place]

    def _is_old(self, held: _Token) -> bool:
        now = self._now()
        left = held.ends - now
        # the service caches tokens, so a request for every file would bring the same one
        return left < _LEAST or (left < _MARGIN and now - held.asked >= _LEAST)

    def _lock_of(self, place: tuple[str, str]) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(place, threading.Lock())

    def _fetch(self, place: tuple[str, str]) -> _Token:
        """Fetch a token that is valid for at least 30 s; LoadError where the service cannot be reached.

        CredentialError where it gives none: never the error of a single file, since the cube would go on without it.
        """
        url = f"{self._service}/{'/'.join(place)}"
        last = ""
        for attempt in range(_TRIES):
            if attempt:
                self._pause(_PAUSE * attempt)
            try:
                answer = self._asking.get(url, limit=1 << 20, headers=self._headers).json(url)
            except CorruptError:
                answer = None  # such as the HTML page of a gateway
            except (LoadError, CredentialError):
                raise
            except NetError as error:
                raise CredentialError(f"no token: {error}") from None
            token = _token_of(answer, self._now())
            if token is not None and token.ends - self._now() >= _LEAST:
                return token
            last = (
                f"{url} gives no token; expected msft:expiry and token"
                if token is None
                else f"{url} gave {_TRIES} expired tokens, the last until {token.said}; check this machine's clock"
            )
        raise CredentialError(last)


def _token_of(answer: Any, now: float) -> _Token | None:
    """The token in the service's answer, None where there is none."""
    text, expiry = (answer.get("token"), answer.get("msft:expiry")) if isinstance(answer, dict) else (None, None)
    if not isinstance(text, str) or not text or not text.isprintable() or " " in text:
        return None
    try:
        moment = dt.datetime.fromisoformat(str(expiry))
        return _Token(text, moment.replace(tzinfo=moment.tzinfo or dt.UTC).timestamp(), now, moment.isoformat())
    except (ValueError, OverflowError):
        return None


def _signed(href: str, token: _Token) -> str:
    return f"{href}{'&' if '?' in href else '?'}{token.text}"


def azure_place(href: str) -> tuple[str, str] | None:
    """Account and container of a file in Azure's blob storage."""
    try:
        parts = urlsplit(href)
        host, _, domain = (parts.hostname or "").partition(".")
    except ValueError:
        return None
    container = parts.path.lstrip("/").partition("/")[0]
    # a token is sent encrypted only
    if parts.scheme != "https" or domain != "blob.core.windows.net" or host == _PUBLIC or "sig=" in parts.query:
        return None
    # both become part of the token service's address
    return (host, container) if _ACCOUNT.fullmatch(host) and _CONTAINER.fullmatch(container) else None
