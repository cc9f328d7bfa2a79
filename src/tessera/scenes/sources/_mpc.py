"""Microsoft Planetary Computer: Sentinel-2 L2A and Sentinel-1 RTC in Azure, whose addresses are signed for a while.

Its facts: the STAC and SAS APIs at planetarycomputer.microsoft.com. The library planetary-computer signs addresses of
Azure alone, caches tokens for the whole process and asks again blindly when refused.
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

    from .stac_api import Place

API = "https://planetarycomputer.microsoft.com/api/stac/v1"
TOKENS = "https://planetarycomputer.microsoft.com/api/sas/v1/token"
KEY = "PC_SDK_SUBSCRIPTION_KEY"
"""The variable that holds a subscription key; without one there are lower limits."""
_PAGE = 250
_MARGIN = 300.0
"""Seconds before its end at which a token is replaced: longer than a file takes."""
_LEAST = 30.0
"""Seconds that a token must still hold when it is handed out: some come expired (planetary-computer's issue 463)."""
_TRIES = 4
_PAUSE = 1.0
_BUSY = (b"Egress is over the account limit", b"ServerBusy", b"OperationTimedOut", b"AccountBeingThrottled")
"""What Azure says in a 403 that means slow down."""
_ACCOUNT, _CONTAINER = re.compile(r"[a-z0-9]{3,24}"), re.compile(r"[a-z0-9$-]{3,63}")
"""Names that Azure's storage allows."""
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
    place : an address -> account and container whose token it needs, None where it needs none
    now, pause : the clock, seconds since 1970, and what waits
    """

    def __init__(
        self,
        url: str = API,
        *,
        tokens: str = TOKENS,
        place: Place | None = None,
        web: Web | None = None,
        now: Callable[[], float] = time.time,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        key = os.environ.get(KEY, "")
        headers = {"Ocp-Apim-Subscription-Key": key} if key else {}
        super().__init__(url, "mpc", page=_PAGE, headers=headers, web=web)
        # what a refusal of a search means is not what one of a token does: 502 is no sign of size here
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
            # another thread has been here since
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
                # tokens may be cached by the service: the longest lasting is kept
                if held is None or fresh.ends > held.ends:
                    self._tokens[place] = fresh
                else:
                    self._tokens[place] = replace(held, asked=fresh.asked)
            return self._tokens[place]

    def _is_old(self, held: _Token) -> bool:
        now = self._now()
        left = held.ends - now
        # what the service keeps for a while is not asked for again with every file
        return left < _LEAST or (left < _MARGIN and now - held.asked >= _LEAST)

    def _lock_of(self, place: tuple[str, str]) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(place, threading.Lock())

    def _fetch(self, place: tuple[str, str]) -> _Token:
        """A token that holds for a while.

        Raises
        ------
        LoadError
            The service cannot be reached.
        CredentialError
            It gives none; never an error that would count as a file's own, which the cube would go on without.
        """
        url = f"{self._service}/{'/'.join(place)}"
        last = ""
        for attempt in range(_TRIES):
            if attempt:
                self._pause(_PAUSE * attempt)
            try:
                told = self._asking.get(url, limit=1 << 20, headers=self._headers).json(url)
            except CorruptError:
                told = None  # a page for people, such as that of a gateway
            except (LoadError, CredentialError):
                raise
            except NetError as error:
                raise CredentialError(f"no token: {error}") from None
            token = _token_of(told, self._now())
            if token is not None and token.ends - self._now() >= _LEAST:
                return token
            last = (
                f"{url} gives no token; expected msft:expiry and token"
                if token is None
                else f"{url} gave {_TRIES} tokens that were over, the last at {token.said}; is the clock right?"
            )
        raise CredentialError(last)


def _token_of(told: Any, now: float) -> _Token | None:
    """What the service said, None where that is no token."""
    text, expiry = (told.get("token"), told.get("msft:expiry")) if isinstance(told, dict) else (None, None)
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
    # a token is not for everybody on the line
    if parts.scheme != "https" or domain != "blob.core.windows.net" or host == _PUBLIC or "sig=" in parts.query:
        return None
    # both become a part of the token service's address
    return (host, container) if _ACCOUNT.fullmatch(host) and _CONTAINER.fullmatch(container) else None
