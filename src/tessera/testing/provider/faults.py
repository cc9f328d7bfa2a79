"""Faults of a provider of scenes. Each is switched on alone, for some requests."""

from __future__ import annotations

import re
import threading
from collections import Counter
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from tessera.base import InputError

if TYPE_CHECKING:
    from ._http import Asked


@dataclass(frozen=True)
class At:
    """The requests that a fault applies to.

    Attributes
    ----------
    path : regular expression to find in the path with its query, such as a part of it
    times : number of such requests; None for all
    skip : number of such requests that pass first
    each : count every path (without its query) separately
    method : "GET", "HEAD" or "POST"; None for all
    """

    path: str = ""
    times: int | None = None
    skip: int = 0
    each: bool = False
    method: str | None = None

    def __post_init__(self) -> None:
        try:
            re.compile(self.path)
        except re.error as error:
            raise InputError(f"path {self.path!r} of a fault is no regular expression: {error}") from None
        if (self.times is not None and self.times < 0) or self.skip < 0:
            raise InputError(f"times {self.times} and skip {self.skip} of a fault; expected 0 or more")


@dataclass(frozen=True)
class Faults:
    """Switches of all faults; by default none.

    Faults of any request, in the order of checking:

    Attributes
    ----------
    reset : the connection breaks before an answer
    busy : 429, with `retry_after`
    unavailable : 503, with `retry_after`
    bad_gateway : 502
    throttled : 403 for too many requests, with `throttle_words`
    expired : 403 for an expired signature
    unauthorised : 401
    missing : 404
    elsewhere : a redirect to the same path of another host, of `elsewhere_status`
    html : 200 with an HTML page
    retry_after : header of 429, 503 and throttling 403: seconds, or a date (RFC 9110); None for none
    throttle_words : "egress" (the account's limit), "busy" (Azure's ServerBusy) or "plain" ({"message": "Forbidden"})
    elsewhere_status : 301, 302, 303, 307 or 308

    Faults of a search:

    most_bytes, most_items : a larger answer is always 502
    bad_json : the answer ends in the middle
    loop : the next page is always the same
    no_next : a page that is not the last has no link to the next
    shuffle : seed of a random order of items; None for the provider's own

    Faults of credentials:

    token_uses : number of requests that a token allows; None for any
    token_seconds : how long a token is valid, by the provider's clock
    token_over : new tokens have already expired

    Faults of files:

    truncated : half of the body under the full Content-Length, then the connection closes
    short : half of the body, with its own Content-Length
    longer : more bytes than the range, with their Content-Length
    break_body : half of the body, then the connection is reset
    slow : `slow_piece` bytes, a pause of `slow_pause` seconds, and so on
    whole : ranges are ignored: 200 and the whole file
    corrupt : bytes of the file from `corrupt_span[0]` to `corrupt_span[1]` (exclusive) are inverted
    """

    reset: At | str | None = None
    busy: At | str | None = None
    unavailable: At | str | None = None
    bad_gateway: At | str | None = None
    throttled: At | str | None = None
    expired: At | str | None = None
    unauthorised: At | str | None = None
    missing: At | str | None = None
    elsewhere: At | str | None = None
    html: At | str | None = None
    retry_after: float | str | None = 0.01
    throttle_words: str = "egress"
    elsewhere_status: int = 302
    most_bytes: int | None = None
    most_items: int | None = None
    bad_json: At | str | None = None
    loop: At | str | None = None
    no_next: At | str | None = None
    shuffle: int | None = None
    token_uses: int | None = None
    token_seconds: float = 2700.0
    token_over: At | str | None = None
    truncated: At | str | None = None
    short: At | str | None = None
    longer: At | str | None = None
    break_body: At | str | None = None
    slow: At | str | None = None
    slow_piece: int = 256
    slow_pause: float = 0.005
    whole: At | str | None = None
    corrupt: At | str | None = None
    corrupt_span: tuple[int, int] = (0, 1 << 62)

    def __post_init__(self) -> None:
        if self.throttle_words not in ("egress", "busy", "plain"):
            raise InputError(f"throttle_words {self.throttle_words!r}; expected egress, busy or plain")
        if self.elsewhere_status not in (301, 302, 303, 307, 308):
            raise InputError(f"elsewhere_status {self.elsewhere_status}; expected 301, 302, 303, 307 or 308")
        if self.slow_piece < 1:
            raise InputError(f"slow_piece {self.slow_piece}; expected 1 byte or more")


class Switches:
    """Faults, and how often each was applied; for many threads."""

    def __init__(self, faults: Faults) -> None:
        self._lock = threading.Lock()
        self.change(faults)

    def change(self, faults: Faults) -> None:
        """Set other faults and start counting again."""
        rules: dict[str, At] = {}
        for field in fields(faults):
            value = getattr(faults, field.name)
            if "At" in str(field.type) and value is not None:
                rules[field.name] = At(value) if isinstance(value, str) else value
        with self._lock:
            self.faults, self._rules = faults, rules
            self._met: Counter[tuple[str, str]] = Counter()

    def fires(self, name: str, asked: Asked) -> bool:
        """Whether a fault applies to this request, which counts it."""
        rule = self._rules.get(name)
        if rule is None or rule.method not in (None, asked.method) or not re.search(rule.path, asked.target):
            return False
        with self._lock:
            key = (name, asked.path if rule.each else "")
            place = self._met[key]
            self._met[key] += 1
        return place >= rule.skip and (rule.times is None or place < rule.skip + rule.times)
