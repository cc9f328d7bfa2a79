"""The time that a cube covers."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.geo import Period, check_year_of, parse_period, period_of_provenance

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
    assert parse_period(tuple(period.to_json())) == parse_period(f"{first}/{last}") == parse_period(period) == period
    assert first in period
    assert last in period
    assert last + dt.timedelta(days=1) not in period
    assert period.year == (first.year if first.year == last.year else None)


def test_months_and_years_are_read_as_text() -> None:
    season = parse_period("2020-11-01/2021-10-31")
    assert parse_period("2020-11/2021-10") == parse_period("2020-11..2021-10") == parse_period(" 2020-11 .. 2021-10 ")
    assert parse_period("2020-11/2021-10") == season
    assert parse_period("2023-12/2024-02").last == dt.date(2024, 2, 29)
    assert parse_period("2021") == parse_period(2021)
    assert season.year is None


def test_what_a_provenance_says_of_its_time() -> None:
    season = {"year": None, "period": ["2020-11-01", "2021-10-31"]}
    assert period_of_provenance(season) == (dt.date(2020, 11, 1), dt.date(2021, 10, 31))
    assert period_of_provenance({"year": "2021"}) == (dt.date(2021, 1, 1), dt.date(2021, 12, 31))
    for empty in ({"year": True}, {}, {"period": ["a", "b"]}):
        assert period_of_provenance(empty) is None
    for year, first, last in ((2021, "2020-11-01", "2021-10-31"), (2020, "2021-01-01", "2021-12-31")):
        with pytest.raises(InputError, match=f"year {year} and a period from {first} to {last} contradict"):
            period_of_provenance({"year": year, "period": [first, last]})
    with pytest.raises(InputError, match="year 20211; expected a calendar year"):
        period_of_provenance({"year": 20211})
    assert [check_year_of(season, year, "x") for year in (2020, 2021)] == [2020, 2021]
    assert check_year_of({}, 1999, "x") == 1999
    for year in (2019, 2022):
        with pytest.raises(InputError, match=f"x from 2020-11-01 to 2021-10-31 for the year {year}; expected a year"):
            check_year_of(season, year, "x")


def test_moments_are_taken_for_their_days() -> None:
    assert parse_period((dt.datetime(2021, 4, 1, 12), dt.date(2021, 5, 1))) == parse_period("2021-04-01/2021-05-01")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2013, "year 2013; expected a whole number from 2014 to 2100"),
        (True, "period True; expected a year or two days"),
        ("20211", "period '20211'; expected a year or two days: 2021, 2020-11/2021-10"),
        ("x\x1b[31m", r"period 'x.x1b.31m'; expected a year"),
        ("2021-13/2021-14", "day '2021-13'; expected a date"),
        ("2021-10/2020-11", "expected its last day not before its first"),
        ("2021-04-01/2021-04-31", "day '2021-04-31'; expected a date such as 2021-04-01"),
        ("2021-04-02/2021-04-01", "expected its last day not before its first"),
        ("2013-12-31/2014-01-02", "year 2013; expected a whole number"),
        ("2019-01-01/2022-01-10", "expected at most 1098 days"),
        (("2021-01-01",), "expected a year or two days"),
        (None, "period None; expected"),
    ],
)
def test_what_is_no_period(value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_period(value)
