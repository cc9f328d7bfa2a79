"""The calendar dates of a cube's observations, and whether all that a cube says of its time agrees."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Protocol

from tessera.base import InputError, shown
from tessera.geo import parse_day, parse_period, period_of_provenance, year_of_provenance

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DATED = ("s2", "s1_asc", "s1_desc")
"""Stacks that have days."""


class Dated(Protocol):
    """A cube: its provenance, and a `<stack>_doy` for each stack."""

    @property
    def provenance(self) -> dict[str, Any]: ...


def dates_of(cube: Dated, stack: str) -> list[dt.date]:
    """The dates of a cube's stack: as its provenance lists them, else by its period or year.

    Parameters
    ----------
    stack : "s2", "s1_asc" or "s1_desc"

    Raises
    ------
    InputError
        The cube says neither dates nor a period nor a year.
    """
    days = _dates(cube, stack)
    if days is None:
        count = len(getattr(cube, f"{stack}_doy"))
        raise InputError(f"the cube says neither the year nor the dates of its {count} {stack} observations")
    return days


def period_of(cube: Dated) -> tuple[dt.date, dt.date] | None:
    """First and last day that a cube covers: its provenance's period, else its year; None where it says neither."""
    return period_of_provenance(cube.provenance)


def check_dates(cube: Dated) -> None:
    """Refuse a cube of which days of the year, dates, period and year contradict each other.

    Raises
    ------
    InputError
        The line says what contradicts what.
    """
    for stack in DATED:
        _dates(cube, stack)


def stated_time(
    year: int | None, period: object, dates: Mapping[str, Sequence[dt.date | str]] | None = None
) -> dict[str, Any]:
    """Year, period and dates as a cube's provenance holds them, from what whoever brings a cube says of it.

    Raises
    ------
    InputError
        A year and a period, what is neither, or dates of a stack that there is not.
    """
    about: dict[str, Any] = {}
    if year is not None and period is not None:
        raise InputError("both a year and a period given; expected one of them")
    if year is not None:
        about["year"] = parse_period(year).year
    if period is not None:
        whole = parse_period(period)
        about |= {"year": whole.year, "period": whole.to_json()}
    for stack, days in (dates or {}).items():
        if stack not in DATED:
            raise InputError(f"dates of {shown(stack)}; expected {', '.join(DATED)}")
        about[f"{stack}_dates"] = [parse_day(day, f"{stack}_dates lists").isoformat() for day in days]
    return about


def _dates(cube: Dated, stack: str) -> list[dt.date] | None:
    """Dates that agree with all that the cube says, None where they are not known."""
    doy = [int(day) for day in getattr(cube, f"{stack}_doy")]
    period = period_of_provenance(cube.provenance)
    listed = cube.provenance.get(f"{stack}_dates")
    if isinstance(listed, list):
        days = [parse_day(value, f"{stack}_dates lists") for value in listed]
        if len(days) != len(doy):
            raise InputError(f"{stack}_dates lists {len(days)} dates for {len(doy)} observations")
        for date, day in zip(days, doy, strict=True):
            if date.timetuple().tm_yday != day:
                raise InputError(
                    f"{stack}_dates lists {date}, which is day {date.timetuple().tm_yday} of its year; "
                    f"{stack}_doy says {day}"
                )
            if period is not None and not period[0] <= date <= period[1]:
                raise InputError(f"{stack}_dates lists {date}, which is not in {_told(cube, period)}")
        return days
    return None if period is None else list(_in_period(cube, stack, doy, period))


def _in_period(cube: Dated, stack: str, doy: Sequence[int], period: tuple[dt.date, dt.date]) -> Iterator[dt.date]:
    """The dates of days of the year; where a period has a day twice, the first that does not go back in time."""
    before = dt.date.min
    for number, day in enumerate(doy):
        found = [date for date in _dates_of_day(day, period) if period[0] <= date <= period[1]]
        if not found:
            raise InputError(f"{stack}_doy has the day of year {day}, which is not in {_told(cube, period)}")
        date = next((date for date in found if date >= before), found[0])
        # a year without dates is all that says which year its days are of
        if date < before and "period" not in cube.provenance:
            raise InputError(
                f"{stack}_doy goes from day {doy[number - 1]} back to day {day}, which does not fit "
                f"{_told(cube, period)}; expected days in order of time, or the period where they go over a new year "
                "(such as 2020-11/2021-10), or their dates"
            )
        before = date
        yield date


def _dates_of_day(day: int, period: tuple[dt.date, dt.date]) -> Iterator[dt.date]:
    for year in range(period[0].year, period[1].year + 1):
        if day <= dt.date(year, 12, 31).timetuple().tm_yday:
            yield dt.date(year, 1, 1) + dt.timedelta(day - 1)


def _told(cube: Dated, period: tuple[dt.date, dt.date]) -> str:
    year = year_of_provenance(cube.provenance)
    whole = year is not None and period == (dt.date(year, 1, 1), dt.date(year, 12, 31))
    return f"the cube's year {year}" if whole else f"the cube's period from {period[0]} to {period[1]}"
