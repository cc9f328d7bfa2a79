"""The Range header against slices of bytes; multipart bodies read back by the standard library's parser."""

from __future__ import annotations

import email
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tessera.serve._ranges import MOST_RANGES, Span, Unsatisfiable, multipart, parse_ranges, resolve

DATA = bytes(range(100))

Range = tuple[int | None, int | None]


def _spec(item: Range) -> str:
    return "-".join("" if part is None else str(part) for part in item)


def _reference(item: Range, data: bytes) -> tuple[int, bytes] | None:
    """Where a range begins and its bytes, by slicing; None where it holds none."""
    first, last = item
    if first is None:
        found = data[-last:] if last else b""
        return (len(data) - len(found), found) if found else None
    found = data[first:] if last is None else data[first : last + 1]
    return (first, found) if found else None


_numbers = st.integers(0, 130) | st.integers(0, 10**30)
_items = st.one_of(
    st.tuples(_numbers, _numbers).map(lambda pair: (min(pair), max(pair))),
    st.tuples(_numbers, st.none()),
    st.tuples(st.none(), _numbers),
)


@given(_items, st.integers(0, 100))
@example((0, 0), 1)
@example((None, 0), 100)
@example((10**25, None), 100)
def test_one_range_is_the_slice(item: Range, size: int) -> None:
    data = DATA[:size]
    parsed = parse_ranges(f"bytes={_spec(item)}")
    assert parsed is not None
    expected = _reference(item, data)
    if size == 0 and item[0] is None and item[1]:
        assert resolve(parsed, size) == ()
    elif expected is None:
        with pytest.raises(Unsatisfiable):
            resolve(parsed, size)
    else:
        (span,) = resolve(parsed, size)
        assert (span.start, data[span.start : span.stop]) == expected


@given(st.lists(_items, min_size=1, max_size=12))
def test_several_ranges_hold_the_same_bytes_and_none_twice(items: list[Range]) -> None:
    parsed = parse_ranges("bytes=" + " , ,".join(_spec(item) for item in items))
    assert parsed is not None
    wanted = [found for found in (_reference(item, DATA) for item in items) if found]
    if not wanted:
        with pytest.raises(Unsatisfiable):
            resolve(parsed, len(DATA))
        return
    spans = resolve(parsed, len(DATA))
    sent = [byte for span in spans for byte in range(span.start, span.stop)]
    assert len(sent) == len(set(sent))
    assert set(sent) == {byte for start, found in wanted for byte in range(start, start + len(found))}
    # each range that was asked for can be cut out of one part
    for start, found in wanted:
        assert any(span.start <= start and start + len(found) <= span.stop for span in spans)


@given(st.lists(st.integers(0, 99), min_size=1, max_size=20, unique=True))
def test_ranges_without_overlap_keep_their_order(starts: list[int]) -> None:
    parsed = parse_ranges("bytes=" + ",".join(f"{start}-{start}" for start in starts))
    assert parsed is not None
    assert resolve(parsed, 100) == tuple(Span(start, start + 1) for start in starts)


def test_joined_ranges_stand_where_the_first_of_them_was() -> None:
    assert resolve(((0, 9), (50, 60), (5, 20)), 100) == (Span(0, 21), Span(50, 61))
    assert resolve(((50, 60), (5, 20), (0, 9), (19, 30)), 100) == (Span(50, 61), Span(0, 31))


@given(st.text(alphabet="bytes=0123456789-, \t٣x", max_size=30) | st.text(max_size=20))
def test_any_header_is_parsed_or_ignored(header: str) -> None:
    parsed = parse_ranges(header)
    if parsed is not None:
        assert re.fullmatch(r"\s*bytes=[0-9,\- \t]+", header, re.IGNORECASE)
        assert all(item != (None, None) for item in parsed)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=,",
        "bytes=5",
        "bytes=5-4",
        "bytes=1-2,x",
        "bytes=1-2;3-4",
        "bytes 1-2",
        "items=0-1",
        "bytes=--1",
        "bytes=1-2-3",
        "bytes=0x1-2",
        "bytes=+1-2",
        "bytes=٣-٤",
        "bytes=1- 2",
        "bytes=0-1,5-4",
    ],
)
def test_malformed_headers_are_ignored(header: str) -> None:
    assert parse_ranges(header) is None


def test_too_many_ranges_are_ignored() -> None:
    assert len(parse_ranges("bytes=" + ",".join(["0-0"] * MOST_RANGES)) or ()) == MOST_RANGES
    assert parse_ranges("bytes=" + ",".join(["0-0"] * (MOST_RANGES + 1))) is None


def test_the_whole_file_many_times_is_sent_once() -> None:
    parsed = parse_ranges("bytes=" + ",".join(["0-"] * 200))
    assert parsed is not None
    assert resolve(parsed, 1000) == (Span(0, 1000),)


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(1, 30)), min_size=2, max_size=8))
def test_multipart_bodies_read_back(wanted: list[tuple[int, int]]) -> None:
    parsed = parse_ranges("bytes=" + ",".join(f"{start}-{start + length - 1}" for start, length in wanted))
    assert parsed is not None
    spans = resolve(parsed, len(DATA))
    pieces = multipart(spans, len(DATA), "application/octet-stream", "edge")
    body = b"".join(piece if isinstance(piece, bytes) else DATA[piece.start : piece.stop] for piece in pieces)
    assert len(body) == sum(len(piece) for piece in pieces)
    head = b"Content-Type: multipart/byteranges; boundary=edge\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    message = email.message_from_bytes(head + body)
    parts = message.get_payload()
    assert isinstance(parts, list)
    assert not message.defects
    assert [part["Content-Range"] for part in parts] == [span.content_range(100) for span in spans]  # type: ignore[index]
    for span in spans:
        mark = f"Content-Range: {span.content_range(100)}\r\n\r\n".encode()
        at = body.index(mark) + len(mark)
        assert body[at : at + len(span) + 8] == DATA[span.start : span.stop] + b"\r\n--edge"
