"""The calendar dates of a cube's observations."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from tessera.base import InputError

if TYPE_CHECKING:
    from .cube import PixelCube


def dates_of(cube: PixelCube, stack: str) -> list[dt.date]:
    """The dates of a cube's stack: as its provenance lists them, else by its year.

    Parameters
    ----------
    stack : "s2", "s1_asc" or "s1_desc"

    Raises
    ------
    InputError
        Neither fits the days that the cube holds.
    """
    doy = [int(day) for day in getattr(cube, f"{stack}_doy")]
    listed = cube.provenance.get(f"{stack}_dates")
    try:
        days = [dt.date.fromisoformat(day) for day in listed] if isinstance(listed, list) else []
    except (TypeError, ValueError):
        days = []
    if [day.timetuple().tm_yday for day in days] == doy:
        return days
    if cube.year is None:
        raise InputError(f"the cube says neither the year nor the dates of its {len(doy)} {stack} observations")
    days = [dt.date(cube.year, 1, 1) + dt.timedelta(day - 1) for day in doy]
    if any(day.year != cube.year for day in days):
        raise InputError(f"{stack} has the day of year {max(doy)}, which {cube.year} does not have")
    return days


def period_of(cube: PixelCube) -> tuple[dt.date, dt.date] | None:
    """First and last day that a cube covers: its provenance's period, else its year; None where it says neither."""
    told = cube.provenance.get("period")
    if isinstance(told, list) and len(told) == 2:
        try:
            first, last = (dt.date.fromisoformat(day) for day in told)
        except (TypeError, ValueError):
            pass
        else:
            if first <= last:
                return first, last
    if cube.year is None or not dt.MINYEAR <= cube.year <= dt.MAXYEAR:
        return None
    return dt.date(cube.year, 1, 1), dt.date(cube.year, 12, 31)
