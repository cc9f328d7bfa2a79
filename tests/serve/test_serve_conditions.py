"""Versions, dates and the order of conditions."""

from __future__ import annotations

from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.serve._conditions import Version, http_date, parse_date, precondition, same_version

NOW = 784111777
VERSION = Version('"a-b-c"', NOW)
EARLIER, LATER = http_date(NOW - 1), http_date(NOW + 1)


@pytest.mark.parametrize(
    "text", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
def test_the_three_forms_of_a_date(text: str) -> None:
    assert parse_date(text) == NOW


@given(st.integers(0, 253402300799))
def test_dates_round_trip(seconds: int) -> None:
    assert parse_date(http_date(seconds)) == seconds


@given(st.text(max_size=40) | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{2} Feb [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"))
def test_any_date_is_read_or_none(text: str) -> None:
    found = parse_date(text)
    assert found is None or isinstance(found, int)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:49:37 +0100",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "784111777",
    ],
)
def test_what_is_no_date(text: str) -> None:
    assert parse_date(text) is None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, None),
        ({"if-match": '"a-b-c"'}, None),
        ({"if-match": '"x", "a-b-c"'}, None),
        ({"if-match": "*"}, None),
        ({"if-match": '"x"'}, 412),
        ({"if-match": 'W/"a-b-c"'}, 412),
        ({"if-match": "a-b-c"}, 412),
        ({"if-match": ""}, 412),
        ({"if-unmodified-since": http_date(NOW)}, None),
        ({"if-unmodified-since": LATER}, None),
        ({"if-unmodified-since": EARLIER}, 412),
        ({"if-unmodified-since": "yesterday"}, None),
        ({"if-match": '"a-b-c"', "if-unmodified-since": EARLIER}, None),
        ({"if-none-match": '"a-b-c"'}, 304),
        ({"if-none-match": 'W/"a-b-c"'}, 304),
        ({"if-none-match": '"x",W/"a-b-c"'}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": '"x"'}, None),
        ({"if-modified-since": http_date(NOW)}, 304),
        ({"if-modified-since": LATER}, 304),
        ({"if-modified-since": EARLIER}, None),
        ({"if-modified-since": "yesterday"}, None),
        ({"if-none-match": '"x"', "if-modified-since": LATER}, None),
        ({"if-match": '"x"', "if-none-match": '"a-b-c"'}, 412),
        ({"if-match": '"a-b-c"', "if-none-match": '"a-b-c"'}, 304),
        ({"if-unmodified-since": EARLIER, "if-modified-since": LATER}, 412),
    ],
)
def test_preconditions(headers: dict[str, str], status: int | None) -> None:
    assert precondition(headers, VERSION) == (None if status is None else HTTPStatus(status))


@pytest.mark.parametrize(
    ("value", "now", "same"),
    [
        ('"a-b-c"', NOW, True),
        ('W/"a-b-c"', NOW + 9, False),
        ('"x"', NOW + 9, False),
        ('"a-b-c", "x"', NOW + 9, False),
        (http_date(NOW), NOW + 1, True),
        (http_date(NOW), NOW + 0.9, False),
        (EARLIER, NOW + 9, False),
        (LATER, NOW + 9, False),
        ("", NOW + 9, False),
    ],
)
def test_if_range_wants_exactly_this_version(value: str, now: float, same: bool) -> None:
    assert same_version(value, VERSION, now) is same


def test_versions_differ_by_inode_time_and_size_and_never_lie_ahead() -> None:
    tags = {Version.of(inode, time, size, NOW).etag for inode in (1, 2) for time in (1, 2) for size in (1, 2)}
    assert len(tags) == 8
    assert Version.of(1, (NOW + 100) * 10**9, 1, NOW).modified == NOW
