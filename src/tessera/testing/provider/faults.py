"""What can go wrong at a provider of scenes, each switched on by itself, for some requests and so many of them."""

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
    """Which requests a fault meets.

    Attributes
    ----------
    path : regular expression that is looked for in the path with its query; a plain part of a path is one
    times : how many of those requests; None for ever
    skip : how many of those requests pass before the first
    each : count every path (without its query) by itself
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
    """The switches; without any the provider does what it should.

    Faults of any request, in the order in which they are looked for:

    Attributes
    ----------
    reset : the line breaks before anything is answered
    busy : 429, with `retry_after`
    unavailable : 503, with `retry_after`
    bad_gateway : 502
    throttled : 403 that means slow down, with `throttle_words`
    expired : 403 that means that the signature is over
    unauthorised : 401
    missing : 404
    elsewhere : a redirect to the same path of another host, of `elsewhere_status`
    html : 200 with a page for people
    retry_after : seconds, or a date as RFC 9110 writes it; None for none. Of 429, 503 and throttling 403
    throttle_words : "egress" (the account's limit), "busy" (Azure's ServerBusy) or "plain" ({"message": "Forbidden"})
    elsewhere_status : 301, 302, 303, 307 or 308

    Faults of a search:

    most_bytes, most_items : a larger answer is 502, every time it is asked for
    bad_json : the answer ends in the middle
    loop : the next page is the same for ever
    no_next : a page that is not the last has no link to the next one
    shuffle : seed of the order of items; None for the provider's own

    Faults of credentials:

    token_uses : requests that a token is good for; None for any number
    token_seconds : that a token holds, by the provider's clock
    token_over : tokens are handed out after their end

    Faults of files:

    truncated : the promised length, half of the body, and the line is closed
    short : half of the body, of a length that says so
    longer : more bytes than the length of the range, and their length says so
    break_body : half of the body, and the line is reset
    slow : the body dribbles: `slow_piece` bytes, a pause of `slow_pause` seconds, and so on
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
    """Faults and how often each request was met; for many threads."""

    def __init__(self, faults: Faults) -> None:
        self._lock = threading.Lock()
        self.change(faults)

    def change(self, faults: Faults) -> None:
        """Set other faults; counting begins anew."""
        rules: dict[str, At] = {}
        for field in fields(faults):
            value = getattr(faults, field.name)
            if "At" in str(field.type) and value is not None:
                rules[field.name] = At(value) if isinstance(value, str) else value
        with self._lock:
            self.faults, self._rules = faults, rules
            self._met: Counter[tuple[str, str]] = Counter()

    def fires(self, name: str, asked: Asked) -> bool:
        """Whether a fault meets this request; it is counted by asking."""
        rule = self._rules.get(name)
        if rule is None or rule.method not in (None, asked.method) or not re.search(rule.path, asked.target):
            return False
        with self._lock:
            key = (name, asked.path if rule.each else "")
            place = self._met[key]
            self._met[key] += 1
        return place >= rule.skip and (rule.times is None or place < rule.skip + rule.times)
