"""The time that a cube covers: a calendar year, a season, or more than a year."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np

from tessera.base import InputError

from .rules import parse_year

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

    def told(self) -> list[str]:
        """As provenance holds it."""
        return [self.first.isoformat(), self.last.isoformat()]


def parse_period(value: object) -> Period:
    """Read a period.

    Parameters
    ----------
    value : a calendar year (int), a `Period`, a pair of days (dates or ISO text), or "2021-04-01/2021-09-30"

    Raises
    ------
    InputError
        It is none of these, ends before it begins, or lies outside 2014 to 2100.
    """
    if isinstance(value, Period):
        return value
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return Period.of_year(parse_year(value))
    parts: Any = value.split("/") if isinstance(value, str) else value
    if isinstance(parts, (tuple, list)) and len(parts) == 2:
        return Period(_day(parts[0]), _day(parts[1]))
    raise InputError(f"year {value!r}; expected a whole number, or two days such as 2021-04-01/2021-09-30")


def _day(value: object) -> dt.date:
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    try:
        return dt.date.fromisoformat(str(value).strip())
    except ValueError:
        raise InputError(f"day {value!r}; expected a date such as 2021-04-01") from None
