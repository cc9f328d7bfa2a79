"""Versions of files and conditional requests: entity tags, dates, and the precedence of conditions (RFC 9110, 13)."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = "|".join(_MONTHS)
_TIME = r"([0-9]{2}):([0-9]{2}):([0-9]{2})"
_FIXED = re.compile(rf"[A-Z][a-z]{{2}}, ([0-9]{{2}}) ({_MONTH}) ([0-9]{{4}}) {_TIME} GMT")
_RFC850 = re.compile(rf"[A-Z][a-z]{{5,8}}, ([0-9]{{2}})-({_MONTH})-([0-9]{{2}}) {_TIME} GMT")
_ASCTIME = re.compile(rf"[A-Z][a-z]{{2}} ({_MONTH}) ([ 0-9][0-9]) {_TIME} ([0-9]{{4}})")
_TAG = re.compile(r'(W/)?("[!#-~\x80-\xff]*")')


@dataclass(frozen=True)
class Version:
    """The version of a file."""

    etag: str  # strong, from inode, modification time in ns, and size
    modified: int  # whole seconds since 1970

    @classmethod
    def of(cls, inode: int, mtime_ns: int, size: int, now: float) -> Version:
        """The version of a file; a modification time in the future becomes now (8.8.2.1)."""
        return cls(f'"{inode:x}-{mtime_ns:x}-{size:x}"', min(mtime_ns // 10**9, int(now)))


def http_date(seconds: float) -> str:
    """A time in the format of headers: `Sun, 06 Nov 1994 08:49:37 GMT`."""
    return formatdate(seconds, usegmt=True)


def parse_date(text: str) -> int | None:
    """Seconds since 1970 of a date in one of HTTP's three formats, else None (5.6.7)."""
    if match := _FIXED.fullmatch(text):
        day, month, year, *time = match.groups()
    elif match := _RFC850.fullmatch(text):
        day, month, year, *time = match.groups()
        # two digits, with the rule of POSIX
        year = str(int(year) + (1900 if int(year) >= 69 else 2000))
    elif match := _ASCTIME.fullmatch(text):
        month, day, *time, year = match.groups()
    else:
        return None
    hour, minute, second = (int(part) for part in time)
    number = _MONTHS.index(month) + 1
    if not 1 <= int(year) <= 9999 or not 1 <= int(day) <= calendar.monthrange(int(year), number)[1]:
        return None
    if hour > 23 or minute > 59 or second > 60:
        return None
    return calendar.timegm((int(year), number, int(day), hour, minute, second))


def precondition(headers: Mapping[str, str], version: Version) -> HTTPStatus | None:
    """The status that conditions require instead of the file, 412 or 304, or None to send the file (13.2.2)."""
    if "if-match" in headers:
        if not _names(headers["if-match"], version.etag, weakly=False):
            return HTTPStatus.PRECONDITION_FAILED
    else:
        date = parse_date(headers.get("if-unmodified-since", ""))
        if date is not None and version.modified > date:
            return HTTPStatus.PRECONDITION_FAILED
    if "if-none-match" in headers:
        if _names(headers["if-none-match"], version.etag, weakly=True):
            return HTTPStatus.NOT_MODIFIED
    else:
        date = parse_date(headers.get("if-modified-since", ""))
        if date is not None and version.modified <= date:
            return HTTPStatus.NOT_MODIFIED
    return None


def same_version(value: str, version: Version, now: float) -> bool:
    """Whether an If-Range value names exactly this version, so that a range of it may be sent (13.1.5).

    A date counts only if it is the file's own and its second is over, since the file may still change within it.
    """
    date = parse_date(value)
    if date is not None:
        return date == version.modified and int(now) > version.modified
    return value == version.etag


def _names(value: str, etag: str, *, weakly: bool) -> bool:
    """Whether a list of entity tags, or "*", includes `etag`; weak tags count only if `weakly` (8.8.3.2)."""
    if value == "*":
        return True
    return any(tag == etag and (weakly or not weak) for weak, tag in _TAG.findall(value))
