"""Byte ranges: the Range header, its bytes in a file, and several ranges in one body (RFC 9110, section 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_RANGES = 256
"""A request with more ranges is answered with the whole file, which is never longer."""
_SET = re.compile(r"bytes=(.*)", re.IGNORECASE)
_SPEC = re.compile(r"([0-9]*)-([0-9]*)")
_FAR = 1 << 64
"""Replaces every longer number; no file is as large."""


@dataclass(frozen=True, order=True)
class Span:
    """Bytes `start` up to, not including, `stop` of a file."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def content_range(self, size: int) -> str:
        """The value of a Content-Range header."""
        return f"bytes {self.start}-{self.stop - 1}/{size}"


class Unsatisfiable(Exception):  # noqa: N818 - a result, answered with 416
    """None of the ranges contains a byte of the file."""


def parse_ranges(header: str) -> tuple[tuple[int | None, int | None], ...] | None:
    """Read a Range header.

    Returns
    -------
    (first, last) a range, inclusive; (first, None) is open, (None, length) the last bytes. None if the header must be
    ignored: another unit, malformed, or more than 256 ranges.
    """
    match = _SET.fullmatch(header.strip())
    if match is None:
        return None
    found: list[tuple[int | None, int | None]] = []
    for text in match[1].split(","):
        if not text.strip(" \t"):
            # a list may have empty elements (5.6.1)
            continue
        spec = _SPEC.fullmatch(text.strip(" \t"))
        if spec is None or spec[0] == "-" or len(found) == MOST_RANGES:
            return None
        first, last = _number(spec[1]), _number(spec[2])
        if first is not None and last is not None and last < first:
            return None
        found.append((first, last))
    return tuple(found) or None


def _number(digits: str) -> int | None:
    if not digits:
        return None
    digits = digits.lstrip("0")
    return min(int(digits or "0"), _FAR) if len(digits) < 21 else _FAR


def resolve(ranges: tuple[tuple[int | None, int | None], ...], size: int) -> tuple[Span, ...]:
    """The spans of ranges in a file of `size` bytes, in order; overlapping ranges are joined.

    No byte is sent twice, so that the sum is at most the size. There is none only for the last bytes of an empty file,
    which is sent whole. `Unsatisfiable`: no range starts inside the file.
    """
    spans: list[Span] = []
    satisfiable = False
    for first, last in ranges:
        if first is None:
            wanted = Span(max(0, size - (last or 0)), size)
            satisfiable |= last != 0
        else:
            wanted = Span(first, size if last is None else min(last + 1, size))
        if wanted.start < wanted.stop:
            spans.append(wanted)
            satisfiable = True
    if not satisfiable:
        raise Unsatisfiable
    return tuple(_joined(spans))


def _joined(spans: list[Span]) -> list[Span]:
    """Join overlapping spans, each at the position of its first member."""
    groups: list[tuple[Span, int]] = []
    for span, place in sorted((span, place) for place, span in enumerate(spans)):
        if groups and span.start < groups[-1][0].stop:
            last, first = groups[-1]
            groups[-1] = (Span(last.start, max(last.stop, span.stop)), min(first, place))
        else:
            groups.append((span, place))
    return [span for span, _ in sorted(groups, key=lambda group: group[1])]


def multipart(spans: tuple[Span, ...], size: int, kind: str, boundary: str) -> tuple[bytes | Span, ...]:
    """The pieces of a multipart/byteranges body, in order: headers as bytes, and spans of the file."""
    pieces: list[bytes | Span] = []
    for number, span in enumerate(spans):
        break_ = "\r\n" if number else ""
        head = f"{break_}--{boundary}\r\nContent-Type: {kind}\r\nContent-Range: {span.content_range(size)}\r\n\r\n"
        pieces += [head.encode("latin-1"), span]
    return (*pieces, f"\r\n--{boundary}--\r\n".encode("latin-1"))
