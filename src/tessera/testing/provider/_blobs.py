"""Files by byte range, as an object store answers: 206, Content-Range, ETag, If-Match, HEAD, 416."""

from __future__ import annotations

import email.utils
import re
from typing import TYPE_CHECKING

from ._http import Answer

if TYPE_CHECKING:
    from pathlib import Path

    from ._http import Asked
    from .faults import Switches

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_EXTRA = 64
"""Extra bytes of a body with the fault `longer`."""


def answer_blob(asked: Asked, file: Path, switches: Switches) -> Answer:
    """Answer with a file or a range of it, with the faults of files."""
    if asked.method not in ("GET", "HEAD"):
        return Answer(405, {"Allow": "GET, HEAD"})
    about = file.stat()
    size, etag = about.st_size, f'"0x{about.st_mtime_ns:X}{about.st_size:X}"'
    headers = {
        "Content-Type": "image/tiff" if file.suffix in (".tif", ".tiff") else "application/octet-stream",
        "Accept-Ranges": "bytes",
        "ETag": etag,
        "Last-Modified": email.utils.formatdate(about.st_mtime, usegmt=True),
    }
    wanted = asked.headers.get("if-match")
    if wanted not in (None, "*") and etag not in [part.strip() for part in str(wanted).split(",")]:
        return Answer(412, {"ETag": etag})
    known = asked.headers.get("if-none-match")
    if known is not None and (known == "*" or etag in [part.strip() for part in known.split(",")]):
        return Answer(304, {"ETag": etag})
    span = None
    text = asked.headers.get("range")
    if text is not None and asked.headers.get("if-range", etag) == etag and not switches.fires("whole", asked):
        span = parse_range(text, size)
        if span is not None and span[0] >= span[1]:
            return Answer(416, {"Content-Range": f"bytes */{size}"})
    answer = Answer(200, headers, (file, 0, size))
    if span is not None:
        headers["Content-Range"] = f"bytes {span[0]}-{span[1] - 1}/{size}"
        answer = Answer(206, headers, (file, *span))
    elif text is not None:
        answer.fault = "whole"
    return _spoil(answer, span or (0, size), asked, switches)


def parse_range(text: str, size: int) -> tuple[int, int] | None:
    """Start and end (exclusive) of a range, empty if it begins after the end; None without a Range header.

    A header with several ranges is ignored, which RFC 9110 (14.2) allows.
    """
    match = _RANGE.fullmatch(text.replace(" ", ""))
    if match is None or match[1] == match[2] == "":
        return None
    if not match[1]:
        last = min(size, int(match[2]))
        return size - last, size
    start = int(match[1])
    if match[2] and int(match[2]) < start:
        return None
    return start, max(start, min(size, int(match[2]) + 1) if match[2] else size) if start < size else start


def _spoil(answer: Answer, span: tuple[int, int], asked: Asked, switches: Switches) -> Answer:
    if asked.method == "HEAD":
        return answer
    faults = switches.faults
    if switches.fires("corrupt", asked):
        start, stop = max(span[0], faults.corrupt_span[0]), min(span[1], faults.corrupt_span[1])
        if start < stop:
            data = bytearray(answer.data())
            for place in range(start - span[0], stop - span[0]):
                data[place] ^= 0xFF
            answer.body, answer.fault = bytes(data), "corrupt"
    half = answer.length // 2
    if switches.fires("longer", asked):
        answer.body, answer.fault = answer.data() + bytes(_EXTRA), "longer"
    if switches.fires("short", asked):
        answer.body, answer.fault = answer.data()[:half], "short"
    if switches.fires("truncated", asked):
        answer.sent, answer.end, answer.fault = half, "close", "truncated"
    if switches.fires("break_body", asked):
        answer.sent, answer.end, answer.fault = half, "reset", "break_body"
    if switches.fires("slow", asked):
        answer.piece, answer.pause, answer.fault = faults.slow_piece, faults.slow_pause, "slow"
    return answer
