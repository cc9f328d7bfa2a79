"""Features found in a source, before they become labels: chosen by area, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.geo import Area

MOST_FEATURES = 2_000_000
MOST_VERTICES = 100_000_000
_LISTED = 3
_BATCH = 4096
"""Features that are compared with the area at a time."""


@dataclass
class Found:
    """Features whose geometry meets an area.

    Attributes
    ----------
    area : in degrees
    source : what to call the source in messages
    notes : sentences on what was left out, and why
    """

    area: Area
    source: str
    classes: list[int] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    ids: list[Any] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)
    geometries: list[Any] = field(default_factory=list)
    datasets: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    seen: int = 0
    vertices: int = 0
    both: int = 0
    _waiting: list[tuple[int, str, str, Any, float, Any, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        import shapely

        shapely.prepare(self.area.geometry)

    def add(self, number: int, tag: str, kind: str, name: Any, width: float, wkb: Any, *, also: bool) -> None:
        """Take one feature: class, matched tag, type, id, width of a line (NaN for others), well-known binary.

        Parameters
        ----------
        also : whether it is of another class too
        """
        self._waiting.append((number, tag, kind, name, width, wkb, also))
        self.seen += 1
        if len(self._waiting) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Compare the features that wait with the area.

        Raises
        ------
        InputError
            More features or vertices than are held.
        """
        import shapely

        if not self._waiting:
            return
        geometries = shapely.from_wkb([row[5] for row in self._waiting], on_invalid="ignore")
        rows = np.flatnonzero(shapely.intersects(self.area.geometry, geometries))
        for row in rows.tolist():
            number, tag, kind, name, width, _, also = self._waiting[row]
            self.classes.append(number)
            self.tags.append(tag)
            self.kinds.append(kind)
            self.ids.append(name)
            self.widths.append(width)
            self.both += also
            self.geometries.append(geometries[row])
        self.vertices += int(shapely.get_num_coordinates(geometries[rows]).sum())
        self._waiting.clear()
        if len(self.classes) > MOST_FEATURES or self.vertices > MOST_VERTICES:
            raise InputError(
                f"{self.source} has more than {len(self.classes) - 1:,} features of these classes in {self.area.name}; "
                f"at most {MOST_FEATURES:,} with {MOST_VERTICES:,} vertices are held; expected a smaller area"
            )

    def arrays(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.object_]]:
        """Classes, widths and geometries."""
        geometries = np.empty(len(self.geometries), dtype=object)
        geometries[:] = self.geometries
        return np.asarray(self.classes, dtype=np.int64), np.asarray(self.widths, dtype=np.float64), geometries


def counted(count: int, noun: str) -> str:
    """Such as "1 way" or "12 ways"."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def lines_left_out(under: int, without: dict[str, int]) -> list[str]:
    """What to say of lines under ground, and of lines whose width is not known, by their tag."""
    notes = []
    if under:
        notes.append(f"{counted(under, 'line')} left out: in a tunnel or under ground")
    if without:
        named = ", ".join(sorted(without, key=lambda tag: (-without[tag], tag))[:_LISTED])
        count = counted(sum(without.values()), "line")
        notes.append(f"{count} left out: no width is known ({named}); --width METRES gives them one")
    return notes
