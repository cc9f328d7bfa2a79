"""What a search found on an area, and what it left out; and boxes that were given with latitudes first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from tessera.base import InputError
from tessera.geo import parse_area

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tessera.geo import Area, Period

    from .records import Scene, SceneTable

LEAST_SEEN = 0.01
"""Share of an area that may be without scenes before a line says so."""
_CORNERS, _WIDE = 3, 180.0


@dataclass(frozen=True)
class AreaScenes:
    """The scenes of a table that lie on an area in a period.

    `str()` counts them by sensor: "84 Sentinel-2 and 60 Sentinel-1 scenes of 2023".
    """

    table: SceneTable
    area: Area
    period: Period

    def __str__(self) -> str:
        optical = sum(scene.optical for scene in self.scenes)
        return f"{optical} Sentinel-2 and {len(self.scenes) - optical} Sentinel-1 scenes of {self.period}"

    @cached_property
    def scenes(self) -> list[Scene]:
        """Scenes whose footprint's box meets the area; over the date line, those that lie near it."""
        import shapely

        near = {scene.key: scene for part in self.area.parts() for scene in self.table.near(part.window)}
        found = [scene for scene in near.values() if scene.moment.date() in self.period]
        corners = [([x for x, _ in scene.footprint], [y for _, y in scene.footprint]) for scene in found]
        boxes = [shapely.box(min(x), min(y), max(x), max(y)) for x, y in corners]
        meets = shapely.intersects(boxes, self.area.geometry)
        return [
            scene for scene, (x, _), meet in zip(found, corners, meets, strict=True) if meet or max(x) - min(x) > _WIDE
        ]

    @property
    def notes(self) -> list[str]:
        """Lines that a user should read: items that the search left out, and a part of the area without scenes."""
        return [line for line in (left_out_line(self.table.left_out), self._uncovered()) if line]

    def _uncovered(self) -> str:
        """A line where footprints leave a part of the area out; "" where they do not, and over the date line."""
        import shapely

        wanted = [scene for scene in self.scenes if scene.optical] or self.scenes
        outlines = {scene.footprint for scene in wanted if len(scene.footprint) >= _CORNERS}
        west, _, east, _ = self.area.bounds
        wraps = any(max(x for x, _ in ring) - min(x for x, _ in ring) > _WIDE for ring in outlines)
        if len(outlines) != len({scene.footprint for scene in wanted}) or not outlines or wraps or east - west > _WIDE:
            return ""
        together = shapely.union_all([shapely.make_valid(shapely.Polygon(ring)) for ring in outlines])
        share = shapely.intersection(self.area.geometry, together).area / self.area.geometry.area
        if not 0.0 < share < 1.0 - LEAST_SEEN:
            return ""
        return f"the scenes cover {share:.0%} of the area; the rest will have no data"


def left_out_line(left_out: Mapping[str, int]) -> str:
    """How many items a search left out and for which reason most of them; "" where there are none.

    Parameters
    ----------
    left_out : reason -> items
    """
    total = sum(left_out.values())
    if not total:
        return ""
    reason = max(left_out, key=lambda name: (left_out[name], name))
    most = f", {left_out[reason]} of them" if left_out[reason] != total else ""
    return f"{total} item{'s' * (total != 1)} left out by the search{most}: {reason}"


def area_of(value: object) -> Area:
    """Read an area like `tessera.geo.parse_area`; the error of a box with latitudes first shows it the right way.

    Raises
    ------
    InputError
        It is no area.
    """
    try:
        return parse_area(value)
    except InputError as error:
        swapped = _swapped(value)
        try:
            parse_area(swapped or "")
        except InputError:
            raise error from None
        raise InputError(f"{error}; latitude seems to come first: {swapped}") from None


def swapped_hint(value: object, said: str) -> str:
    """What to add to the error of a search without a scene, where the catalogue covers the box with latitudes first.

    Parameters
    ----------
    value : the area as it was given
    said : the error, which names what the catalogue covers
    """
    covered = re.search(r" covers (-?[\d.]+),(-?[\d.]+),(-?[\d.]+),(-?[\d.]+) from ", said)
    swapped = _swapped(value)
    if covered is None or swapped is None:
        return ""
    west, south, east, north = map(float, covered.groups())
    left, lower, right, upper = map(float, swapped.split(","))
    inside = left <= east and right >= west and lower <= north and upper >= south
    return f"; latitude seems to come first in the bbox: {swapped}" if inside else ""


def _swapped(value: object) -> str | None:
    """A box of four numbers with longitudes and latitudes exchanged; None for what is no such box."""
    parts = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)) or len(parts) != 4:
        return None
    try:
        for part in parts:
            float(part)
    except (TypeError, ValueError):
        return None
    west, south, east, north = map(str, parts)
    return f"{south},{west},{north},{east}"
