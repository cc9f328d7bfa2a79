"""The time that observations cover: a calendar year, a season, or more; and what a provenance says of it."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

_YEARS = range(2014, 2101)
"""Sentinel-1A was launched in 2014."""
_MONTH = re.compile(r"\d{4}-\d{2}")
_EXAMPLES = "2021, 2020-11/2021-10 (months) or 2021-04-01/2021-09-30 (days)"
_LONGEST = 3 * 366
"""Days; a day of the year must still tell something."""


@dataclass(frozen=True)
class Period:
    """Days from `first` to `last`, both included.

    Attributes
    ----------
    first, last : by the day that the recipe goes by, solar or UTC
    """

    first: dt.date
    last: dt.date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise InputError(f"period from {self.first} to {self.last}; expected its last day not before its first")
        parse_year(self.first.year)
        parse_year(self.last.year)
        if (self.last - self.first).days >= _LONGEST:
            raise InputError(f"period {self}; expected at most {_LONGEST} days")

    def __str__(self) -> str:
        return str(self.year) if self.whole_year else f"{self.first}/{self.last}"

    def __contains__(self, day: dt.date) -> bool:
        return self.first <= day <= self.last

    @property
    def year(self) -> int | None:
        """The calendar year that it lies in, None where it lies in several."""
        return self.first.year if self.first.year == self.last.year else None

    @property
    def whole_year(self) -> bool:
        """Whether it is one calendar year."""
        return self == Period.of_year(self.first.year)

    @classmethod
    def of_year(cls, year: int) -> Period:
        """A calendar year."""
        return cls(dt.date(year, 1, 1), dt.date(year, 12, 31))

    def to_json(self) -> list[str]:
        """As provenance holds it."""
        return [self.first.isoformat(), self.last.isoformat()]


def parse_year(year: object) -> int:
    """Check a calendar year.

    Raises
    ------
    InputError
        It is not a whole number from 2014 to 2100.
    """
    if isinstance(year, bool) or not isinstance(year, (int, np.integer)) or int(year) not in _YEARS:
        raise InputError(f"year {ascii(year)[:80]}; expected a whole number from {_YEARS.start} to {_YEARS.stop - 1}")
    return int(year)


def parse_period(value: object) -> Period:
    """Read a period.

    Parameters
    ----------
    value : a calendar year (int or "2021"), a `Period`, a pair of days (dates or ISO text), "2021-04-01/2021-09-30" or
        the same with "..", or months: "2020-11/2021-10" is from the first day of the one to the last of the other

    Raises
    ------
    InputError
        It is none of these, ends before it begins, or lies outside 2014 to 2100.
    """
    if isinstance(value, Period):
        return value
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return Period.of_year(parse_year(value))
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value.strip()) == 4:
        return Period.of_year(parse_year(int(value)))
    parts: Any = re.split(r"/|\.\.", value) if isinstance(value, str) else value
    if isinstance(parts, (tuple, list)) and len(parts) == 2:
        return Period(_end(parts[0]), _end(parts[1], last=True))
    given = shown(value) if isinstance(value, str) else ascii(value)[:80]
    raise InputError(f"period {given}; expected a year or two days: {_EXAMPLES}")


def parse_day(value: object, named: str = "day") -> dt.date:
    """Read a calendar day: a date, a datetime, numpy's datetime64 or ISO text.

    Parameters
    ----------
    named : begins the line of an error

    Raises
    ------
    InputError
        It is none of these.
    """
    found = value
    try:
        if isinstance(value, np.datetime64):
            found = value.astype("datetime64[D]").item()
        elif isinstance(value, str):
            found = dt.datetime.fromisoformat(value.strip())
    except (ValueError, OverflowError):
        found = None
    if not isinstance(found, dt.date):
        raise InputError(f"{named} {shown(value)}; expected a date such as 2021-04-01")
    return found.date() if isinstance(found, dt.datetime) else found


def _end(value: object, *, last: bool = False) -> dt.date:
    """The first or last day of a period; of a month such as 2020-11 its first or last."""
    if not isinstance(value, str) or not _MONTH.fullmatch(value.strip()):
        return parse_day(value)
    try:
        first = dt.date.fromisoformat(f"{value.strip()}-01")
    except ValueError:
        return parse_day(value)
    return (first + dt.timedelta(days=31)).replace(day=1) - dt.timedelta(days=1) if last else first


def year_of_provenance(provenance: Mapping[str, Any]) -> int | None:
    """The calendar year that a provenance names, None where it names none."""
    value = provenance.get("year")
    if isinstance(value, bool) or not isinstance(value, (int, str)) or not str(value).isascii():
        return None
    return int(value) if str(value).isdigit() and len(str(value)) <= 9 else None


def period_of_provenance(provenance: Mapping[str, Any]) -> tuple[dt.date, dt.date] | None:
    """First and last day that a provenance says: its period, else its year; None where it says neither.

    Raises
    ------
    InputError
        Its year is none, or is not that of its period.
    """
    year, told = year_of_provenance(provenance), provenance.get("period")
    if year is not None and not dt.MINYEAR <= year <= dt.MAXYEAR:
        raise InputError(f"year {year}; expected a calendar year")
    if isinstance(told, list) and len(told) == 2:
        try:
            first, last = (dt.date.fromisoformat(day) for day in told)
        except (TypeError, ValueError):
            pass
        else:
            if first <= last and year is not None and not first.year == year == last.year:
                raise InputError(
                    f"year {year} and a period from {first} to {last} contradict each other; "
                    "expected the period alone where it lies in several years or in another one"
                )
            if first <= last:
                return first, last
    return None if year is None else (dt.date(year, 1, 1), dt.date(year, 12, 31))


def check_year_of(provenance: Mapping[str, Any], year: int, what: str) -> int:
    """Check the year under which something is kept against the time that its provenance says.

    Parameters
    ----------
    what : has that provenance, in the line of an error

    Raises
    ------
    InputError
        None of its days lies in that year.
    """
    told = period_of_provenance(provenance)
    if told is not None and not told[0].year <= year <= told[1].year:
        raise InputError(f"{what} from {told[0]} to {told[1]} for the year {year}; expected a year that it lies in")
    return year
