"""Which scenes to read: those on the window in the period, grouped by day and acquisition, first choice first."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from tessera.base import InputError
from tessera.geo import to_lonlat

from .records import copy_rank, item_order, solar_date, utc_date

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tessera.geo import Period, Window

    from .recipe import Recipe
    from .records import Scene

Copies = tuple["Scene", ...]
"""The products of one acquisition, best first: copies with the same footprint, of which one is used, or pieces, which
are all used."""
_ORBITS = ("ascending", "descending")
Item = TypeVar("Item")
Made = TypeVar("Made")


class NoScenesError(InputError):
    """No scene lies on the area in that time."""


@dataclass(frozen=True)
class Day:
    """The acquisitions of one day, and for Sentinel-1 of one orbit, first choice first.

    Attributes
    ----------
    choices : one list of acquisitions; or a list for each source of the same passes, a later one for use where an
        earlier one cannot be read completely
    """

    day: dt.date
    choices: tuple[tuple[Copies, ...], ...]

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """Every scene that may be read."""
        return tuple(scene for acquisitions in self.choices for copies in acquisitions for scene in copies)

    def to_bytes(self, stack: str) -> bytes:
        """All that the day's images in a stack depend on, including every copy: a line an acquisition."""
        return b"".join(
            json.dumps(
                [stack, self.day.isoformat(), choice, *(_scene_json(scene) for scene in copies)], sort_keys=True
            ).encode()
            + b"\n"
            for choice, acquisitions in enumerate(self.choices)
            for copies in acquisitions
        )

    def sha256(self, stack: str) -> str:
        """SHA-256 of `to_bytes`."""
        return hashlib.sha256(self.to_bytes(stack)).hexdigest()


@dataclass(frozen=True)
class ReadPlan:
    """What to read onto a window, in chronological order."""

    window: Window
    period: Period
    recipe: Recipe
    optical: tuple[Day, ...]
    ascending: tuple[Day, ...]
    descending: tuple[Day, ...]

    def days(self) -> Iterable[tuple[str, Day]]:
        """Each day with the name of its stack in a cube."""
        for stack, days in (("s2", self.optical), ("s1_asc", self.ascending), ("s1_desc", self.descending)):
            for day in days:
                yield stack, day

    @property
    def sha256(self) -> str:
        """Digest of all planned scenes, including every copy: plans with equal digests give the same cube."""
        total = hashlib.sha256()
        for stack, day in self.days():
            total.update(day.to_bytes(stack))
        return total.hexdigest()


def where_scenes_are(
    places: Iterable[Item], make: Callable[[Item], Made], tell: Callable[[str], None]
) -> Iterator[Made]:
    """Call `make` for each place and yield the results; skip places without scenes, such as sea beside land.

    Parameters
    ----------
    tell : called with the message of each skipped place, as soon as one place has scenes

    Raises
    ------
    NoScenesError
        No place has scenes; the error is that of the first.
    """
    empty: list[NoScenesError] = []
    found = False
    for place in places:
        try:
            made = make(place)
        except NoScenesError as error:
            if found:
                tell(str(error))
            else:
                empty.append(error)
            continue
        if not found:
            found = True
            for before in empty:
                tell(str(before))
        yield made
    if empty and not found:
        raise empty[0]


def _scene_json(scene: Scene) -> list[object]:
    return [*scene.key, scene.moment.isoformat(), {band: asdict(asset) for band, asset in scene.assets.items()}]


def plan_reads(
    scenes: Sequence[Scene], window: Window, period: Period, recipe: Recipe, sources: Sequence[str]
) -> ReadPlan:
    """Choose the scenes on a window in a period, and group them by day and acquisition.

    Parameters
    ----------
    sources : names, the preferred one first

    Raises
    ------
    NoScenesError
        There is none; the message says what the scenes cover.
    """
    left, bottom, right, top = window.bounds
    centre, _ = to_lonlat((left + right) / 2, (bottom + top) / 2, window.zone)
    longitude = float(centre)
    day_of: Callable[[dt.datetime], dt.date] = (
        (lambda moment: solar_date(moment, longitude)) if recipe.day == "solar" else utc_date
    )
    near = [(day_of(scene.moment), scene) for scene in scenes if _touches(scene, window, longitude)]
    dated = [(day, scene) for day, scene in near if day in period]
    if not dated:
        raise NoScenesError(_nothing(scenes, window, period, [day for day, _ in near], sources))
    preference = {name: place for place, name in enumerate(sources)}

    def days(orbit: str) -> tuple[Day, ...]:
        wanted = [(day, scene) for day, scene in dated if scene.orbit == orbit and scene.optical == (not orbit)]
        wanted.sort(key=lambda pair: (pair[0], pair[1].key))
        grouped = groupby(wanted, key=lambda pair: pair[0])
        made = [(day, [scene for _, scene in pairs]) for day, pairs in grouped]
        put = _optical if not orbit else _radar
        return tuple(Day(day, put(found, recipe, preference)) for day, found in made if _any_left(found, recipe))

    orbits = [days(orbit) if orbit in recipe.orbits else () for orbit in _ORBITS]
    return ReadPlan(window, period, recipe, days(""), *orbits)


def _any_left(scenes: Sequence[Scene], recipe: Recipe) -> bool:
    return any(_clear_enough(scene, recipe) for scene in scenes)


def _clear_enough(scene: Scene, recipe: Recipe) -> bool:
    return scene.cloud_cover is None or scene.cloud_cover <= recipe.max_cloud


def _optical(scenes: Sequence[Scene], recipe: Recipe, preference: dict[str, int]) -> tuple[tuple[Copies, ...], ...]:
    """One list of acquisitions, in order of cloud cover or of the catalogue."""
    scenes = [scene for scene in scenes if _clear_enough(scene, recipe)]
    acquisitions = _acquisitions(scenes, recipe, preference)
    if recipe.order == "clearest":
        acquisitions.sort(key=lambda copies: item_order(dt.date.min, copies[0].cloud_cover, copies[0].id))
    else:
        acquisitions.sort(key=lambda copies: (preference.get(copies[0].source, 0), copies[0].position, copies[0].id))
    return (tuple(acquisitions),)


def _radar(scenes: Sequence[Scene], recipe: Recipe, preference: dict[str, int]) -> tuple[tuple[Copies, ...], ...]:
    """A list of acquisitions for each source, not mixed: one source's scene is a frame, another's a burst."""
    choices = []
    for _, found in groupby(
        sorted(scenes, key=lambda scene: preference.get(scene.source, 0)),
        key=lambda scene: preference.get(scene.source, 0),
    ):
        acquisitions = _acquisitions(list(found), recipe, preference)
        acquisitions.sort(key=lambda copies: (copies[0].moment, copies[0].id))
        if recipe.order == "catalogue":
            acquisitions.sort(key=lambda copies: copies[0].position)
        choices.append(tuple(acquisitions))
    return tuple(choices)


def _acquisitions(scenes: Sequence[Scene], recipe: Recipe, preference: dict[str, int]) -> list[Copies]:
    if not recipe.duplicates:
        return [(scene,) for scene in scenes]
    together: dict[tuple[str, ...], list[Scene]] = {}
    for scene in scenes:
        together.setdefault(scene.acquisition, []).append(scene)
    return [
        tuple(sorted(copies, key=lambda scene: (preference.get(scene.source, 0), copy_rank(scene), scene.key)))
        for copies in together.values()
    ]


def _touches(scene: Scene, window: Window, longitude: float) -> bool:
    """Whether the bounding boxes of footprint and window intersect; longitudes are relative to the window's."""
    left, bottom, right, top = window.bounds
    x = np.linspace(left, right, 5)
    y = np.linspace(bottom, top, 5)
    edge_x = np.concatenate([x, x, np.full(5, left), np.full(5, right)])
    edge_y = np.concatenate([np.full(5, bottom), np.full(5, top), y, y])
    lon, lat = to_lonlat(edge_x, edge_y, window.zone)
    here = (lon - longitude + 180.0) % 360.0
    there = (np.array([corner[0] for corner in scene.footprint]) - longitude + 180.0) % 360.0
    latitudes = [corner[1] for corner in scene.footprint]
    return bool(
        there.min() <= here.max()
        and there.max() >= here.min()
        and min(latitudes) <= lat.max()
        and max(latitudes) >= lat.min()
    )


def _nothing(
    scenes: Sequence[Scene], window: Window, period: Period, days: Sequence[dt.date], sources: Sequence[str]
) -> str:
    left, bottom, right, top = window.bounds
    lon, lat = to_lonlat([left, right], [bottom, top], window.zone)
    wanted = f"no Sentinel-1 or Sentinel-2 item on {lon[0]:.3f},{lat[0]:.3f},{lon[1]:.3f},{lat[1]:.3f} in {period}"
    name = ", ".join(sources)
    if days:
        return f"{wanted}; catalogue {name} covers the area from {min(days)} to {max(days)}"
    if not scenes:
        return f"{wanted}; catalogue {name} has no item of sentinel-2-l2a or sentinel-1-rtc there"
    lons = [corner[0] for scene in scenes for corner in scene.footprint]
    lats = [corner[1] for scene in scenes for corner in scene.footprint]
    box = f"{min(lons):.3f},{min(lats):.3f},{max(lons):.3f},{max(lats):.3f}"
    moments = [scene.moment.date() for scene in scenes]
    return f"{wanted}; catalogue {name} covers {box} from {min(moments)} to {max(moments)}"
