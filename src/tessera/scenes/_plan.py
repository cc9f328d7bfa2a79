"""Which scenes to read: those on the area in the year, grouped by solar day, first choice first."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError
from tessera.geo import to_lonlat

from .rules import item_order, solar_date

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from tessera.geo import Window

    from ._catalogue import Catalogue, Scene


@dataclass(frozen=True)
class Day:
    """The scenes of one solar day, and for Sentinel-1 of one orbit, first choice first."""

    day: dt.date
    scenes: tuple[Scene, ...]


@dataclass(frozen=True)
class Plan:
    """What to read onto a window, in order of time."""

    window: Window
    year: int
    source: str
    optical: tuple[Day, ...]
    ascending: tuple[Day, ...]
    descending: tuple[Day, ...]


def plan_reads(catalogue: Catalogue, window: Window, year: int) -> Plan:
    """Choose the scenes that lie on a window in a year by solar date, and group them.

    Raises
    ------
    InputError
        There is none; the line says what the catalogue covers.
    """
    left, bottom, right, top = window.bounds
    centre, _ = to_lonlat((left + right) / 2, (bottom + top) / 2, window.zone)
    longitude = float(centre)
    near = [scene for scene in catalogue.scenes if _touches(scene, window, longitude)]
    dated = [(solar_date(scene.moment, longitude), scene) for scene in near]
    chosen = [(day, scene) for day, scene in dated if day.year == year]
    if not chosen:
        raise InputError(_nothing(catalogue, window, year, [day for day, _ in dated]))
    chosen.sort(key=lambda pair: item_order(pair[0], pair[1].cloud_cover, pair[1].id))

    def days(optical: bool, orbit: str) -> tuple[Day, ...]:
        wanted = [pair for pair in chosen if pair[1].optical == optical and pair[1].orbit == orbit]
        grouped = groupby(wanted, key=lambda pair: pair[0])
        return tuple(Day(day, tuple(scene for _, scene in pairs)) for day, pairs in grouped)

    return Plan(window, year, catalogue.id, days(True, ""), days(False, "ascending"), days(False, "descending"))


def _touches(scene: Scene, window: Window, longitude: float) -> bool:
    """Whether the boxes around footprint and window meet; longitudes count from the window, over the date line."""
    left, bottom, right, top = window.bounds
    x = np.linspace(left, right, 5)
    y = np.linspace(bottom, top, 5)
    edge_x = np.concatenate([x, x, np.full(5, left), np.full(5, right)])
    edge_y = np.concatenate([np.full(5, bottom), np.full(5, top), y, y])
    lon, lat = to_lonlat(edge_x, edge_y, window.zone)
    here = (lon - longitude + 180.0) % 360.0
    there = (np.array(scene.longitudes) - longitude + 180.0) % 360.0
    return bool(
        there.min() <= here.max()
        and there.max() >= here.min()
        and min(scene.latitudes) <= lat.max()
        and max(scene.latitudes) >= lat.min()
    )


def _nothing(catalogue: Catalogue, window: Window, year: int, days: Sequence[dt.date]) -> str:
    left, bottom, right, top = window.bounds
    lon, lat = to_lonlat([left, right], [bottom, top], window.zone)
    wanted = f"no Sentinel-1 or Sentinel-2 item on {lon[0]:.3f},{lat[0]:.3f},{lon[1]:.3f},{lat[1]:.3f} in {year}"
    if days:
        return f"{wanted}; catalogue {catalogue.id} covers the area from {min(days)} to {max(days)}"
    if not catalogue.scenes:
        return f"{wanted}; catalogue {catalogue.id} has no item of sentinel-2-l2a or sentinel-1-rtc at all"
    lons = [value for scene in catalogue.scenes for value in scene.longitudes]
    lats = [value for scene in catalogue.scenes for value in scene.latitudes]
    box = f"{min(lons):.3f},{min(lats):.3f},{max(lons):.3f},{max(lats):.3f}"
    moments = [scene.moment.date() for scene in catalogue.scenes]
    return f"{wanted}; catalogue {catalogue.id} covers {box} from {min(moments)} to {max(moments)}"
