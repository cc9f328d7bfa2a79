"""The time that a cube covers."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.scenes.period import Period, parse_period

DAYS = st.dates(dt.date(2014, 1, 1), dt.date(2100, 12, 31))


@given(st.integers(2014, 2100))
def test_a_year_is_its_days(year: int) -> None:
    period = parse_period(year)
    assert period == parse_period(np.int64(year)) == parse_period((f"{year}-01-01", f"{year}-12-31"))
    assert period.whole_year
    assert period.year == year
    assert str(period) == str(year)
    assert dt.date(year, 1, 1) in period
    assert dt.date(year, 12, 31) in period
    assert dt.date(year - 1, 12, 31) not in period


@given(DAYS, st.integers(0, 1097))
def test_a_period_is_read_as_it_is_told(first: dt.date, more: int) -> None:
    last = min(first + dt.timedelta(days=more), dt.date(2100, 12, 31))
    period = Period(first, last)
    assert parse_period(tuple(period.told())) == parse_period(f"{first}/{last}") == parse_period(period) == period
    assert first in period
    assert last in period
    assert last + dt.timedelta(days=1) not in period
    assert period.year == (first.year if first.year == last.year else None)


def test_moments_are_taken_for_their_days() -> None:
    assert parse_period((dt.datetime(2021, 4, 1, 12), dt.date(2021, 5, 1))) == parse_period("2021-04-01/2021-05-01")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2013, "year 2013; expected a whole number from 2014 to 2100"),
        (True, "year True; expected a whole number, or two days"),
        ("2021", "year '2021'; expected a whole number, or two days such as 2021-04-01/2021-09-30"),
        ("2021-04-01/2021-04-31", "day '2021-04-31'; expected a date such as 2021-04-01"),
        ("2021-04-02/2021-04-01", "expected its last day not before its first"),
        ("2013-12-31/2014-01-02", "year 2013; expected a whole number"),
        ("2019-01-01/2022-01-10", "expected at most 1098 days"),
        (("2021-01-01",), "expected a whole number, or two days"),
        (None, "year None; expected"),
    ],
)
def test_what_is_no_period(value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_period(value)
