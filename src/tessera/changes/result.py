"""What `tessera.change` found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tessera.base import printable

if TYPE_CHECKING:
    from pathlib import Path

    from .distance import Threshold
    from .drift import Drift
    from .timeline import TimeLine
    from .transitions import Transitions

_LEAST = 0.005
"""Hectares, half a pixel, below which a transition is not listed."""
_LARGEST = 12
"""Transitions that a report lists."""


@dataclass(frozen=True)
class Moved:
    """Pixels whose vectors moved beyond the threshold from one year to the next.

    Attributes
    ----------
    years : first and second
    pixels : with data in both years
    changed : of them beyond the threshold
    threshold : the distance, and how it was found
    """

    years: tuple[int, int]
    pixels: int
    changed: int
    threshold: Threshold

    @property
    def by_chance(self) -> float | None:
        """Hectares beyond the threshold if nothing had changed; None of a given threshold."""
        return None if self.threshold.source == "given" else self.pixels * self.threshold.false_alarms / 100

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "years": list(self.years),
            "hectares": self.pixels / 100,
            "changed_hectares": self.changed / 100,
            "expected_by_chance_hectares": self.by_chance,
            "threshold": self.threshold.to_json(),
        }


@dataclass(frozen=True, repr=False)
class Change:
    """What changed in an area: `tessera.change` returns one.

    Attributes
    ----------
    path : the GeoTIFF of distances
    files : all files that were written
    moved : of each year and the next, how many pixels moved beyond which threshold
    transitions : of each year and the next, hectares from class to class; () without a head of classes
    drift : of each year and the next, how far stable places moved; () where no stable place is known
    timeline : polygons year by year, or None
    notes : what to know

    Examples
    --------
    >>> import tessera
    >>> store, head = tessera.open_store("years.zarr"), tessera.load_head("head.json")
    >>> found = tessera.change(store, "5.246,50.691,5.252,50.694", (2023, 2024), "change.tif", head=head)
    >>> found.moved[0].years, found.transitions[0].classes
    ((2023, 2024), ('crop', 'forest', 'other'))
    """

    path: Path
    files: tuple[Path, ...]
    moved: tuple[Moved, ...]
    transitions: tuple[Transitions, ...]
    drift: tuple[Drift, ...]
    timeline: TimeLine | None
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        told = ", ".join(f"{one.years[0]} to {one.years[1]}: {one.changed / 100:,.1f} ha" for one in self.moved)
        return f"Change({told})"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What speaks against reading the maps as change."""
        return tuple(one.warning for one in self.drift if one.warning)

    def to_json(self) -> dict[str, Any]:
        """What `tessera change --json` prints."""
        return {
            "files": [str(path) for path in self.files],
            "moved": [one.to_json() for one in self.moved],
            "transitions": [
                {
                    "years": list(one.years),
                    "source": one.source,
                    "changed_hectares": one.changed[0],
                    "rows": one.rows(),
                    "notes": list(one.notes),
                }
                for one in self.transitions
            ],
            "drift": [one.to_json() for one in self.drift],
            "polygons": None if self.timeline is None else len(self.timeline),
            "warnings": list(self.warnings),
            "notes": list(self.notes),
        }

    def report(self) -> str:
        """What changed, as text."""
        lines = []
        for one in self.moved:
            share = one.changed / max(1, one.pixels)
            lines.append(
                f"{one.years[0]} to {one.years[1]}: {one.changed / 100:,.2f} of {one.pixels / 100:,.2f} ha changed "
                f"({share:.1%}); {one.threshold.text}"
            )
            if one.by_chance is not None:
                lines.append(
                    f"  by chance alone {one.by_chance:,.2f} ha ({one.threshold.false_alarms:.1%}) would lie beyond "
                    "that distance, had nothing changed: only what exceeds this is evidence of change"
                )
        for found in self.transitions:
            lines.append(f"hectares by class, {found.years[0]} to {found.years[1]} ({_HOW[found.source]}):")
            rows = [row for row in found.rows() if row["from"] != row["to"] and row["area_ha"] >= _LEAST]
            rows.sort(key=lambda row: -row["area_ha"])
            for row in rows[:_LARGEST]:
                between = "" if row["low_ha"] is None else f" ({row['low_ha']:,.2f} to {row['high_ha']:,.2f})"
                lines.append(
                    f"  {printable(row['from'])} to {printable(row['to'])}: {row['area_ha']:,.2f}{between}; on the "
                    f"maps {row['mapped_ha']:,.2f}"
                )
            if len(rows) > _LARGEST:
                lines.append(f"  and {len(rows) - _LARGEST} more")
        if self.transitions:
            lines.append(
                "the two totals differ: distance counts any change of the vectors, also within a class; hectares by "
                "class count places of another class, on the maps also where the head erred in one year"
            )
        lines += [
            f"stable places moved by {shift.shift:.2f} of the spread within their class, {shift.years[0]} to "
            f"{shift.years[1]}, {shift.pixels:,} pixels"
            for shift in self.drift
        ]
        lines += [f"warning: {line}" for line in self.warnings]
        lines += [f"note: {line}" for line in self.notes]
        return "\n".join(lines)


_HOW = {
    "sample": "stratified estimate with 95 % intervals",
    "confusion": "corrected by the head's confusion, 95 % intervals",
    "pixels": "pixels of the maps",
}
