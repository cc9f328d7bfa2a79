"""Reports of `check` and `repair`: one line a problem, by cell and year."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
Kind = Literal["metadata", "record", "object", "shard", "values", "orphan", "stray", "pending", "busy", "seam"]


@dataclass(frozen=True, order=True)
class Problem:
    """One problem.

    Attributes
    ----------
    year, cell : where; None where it is no cell's
    kind : metadata (a document), record (a commit record), object (its length, its SHA-256, or it is missing), shard
        (its index or a checksum), values (scales, codes, prefixes, counts of pixels), orphan (objects without a
        record), stray (what belongs to no cell of this store), pending (a writer was killed), busy (a writer is at
        work), seam (two neighbours do not fit)
    severity : "error" is broken; "warning" is for a person to judge; "note" is in order
    text : one line
    """

    year: int | None
    cell: str | None
    kind: Kind
    severity: Severity
    text: str

    @property
    def line(self) -> str:
        """Its year, its cell, and what is wrong."""
        where = " ".join(str(part) for part in (self.year, self.cell) if part is not None)
        mark = "" if self.severity == "error" else f"{self.severity}: "
        return f"{where}: {mark}{self.text}" if where else f"{mark}{self.text}"


@dataclass(frozen=True)
class Tally:
    """Pixels by what their scale says, and the bytes that were read to know it.

    Attributes
    ----------
    valid : finite, above 0 and below 1
    no_data : NaN
    not_written : +inf
    bad : 0 or less, 1 or more, -inf
    bytes : of objects whose SHA-256 was compared
    """

    valid: int = 0
    no_data: int = 0
    not_written: int = 0
    bad: int = 0
    bytes: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.valid + other.valid,
            self.no_data + other.no_data,
            self.not_written + other.not_written,
            self.bad + other.bad,
            self.bytes + other.bytes,
        )


@dataclass(frozen=True)
class Report:
    """The result of a check.

    Attributes
    ----------
    store : its path
    years : those that were checked
    area : its name, None for everything
    cells : cells and years that were looked at
    pixels : of those that could be read
    seams : borders between neighbours that could be tested
    seconds : time that it took
    problems : by year and cell
    """

    store: str
    years: tuple[int, ...]
    area: str | None
    cells: int
    pixels: Tally
    seams: int
    seconds: float
    problems: tuple[Problem, ...]

    @property
    def sound(self) -> bool:
        """Whether there is no error; there may be warnings and notes."""
        return not any(problem.severity == "error" for problem in self.problems)

    @property
    def broken(self) -> tuple[tuple[int, str], ...]:
        """Year and name of each cell with an error."""
        return self._cells({"error"})

    @property
    def touched(self) -> tuple[tuple[int, str], ...]:
        """Year and name of each cell with an error, or with what a killed writer left."""
        return self._cells({"error"}, {"pending"})

    def _cells(self, severities: set[str], kinds: set[str] | None = None) -> tuple[tuple[int, str], ...]:
        return tuple(
            sorted(
                {
                    (problem.year, problem.cell)
                    for problem in self.problems
                    if problem.year is not None and problem.cell is not None
                    if problem.severity in severities or problem.kind in (kinds or ())
                }
            )
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "store": self.store,
            "sound": self.sound,
            "years": list(self.years),
            "area": self.area,
            "cells": self.cells,
            "pixels": asdict(self.pixels),
            "seams": self.seams,
            "seconds": round(self.seconds, 3),
            "broken": [{"year": year, "cell": cell} for year, cell in self.broken],
            "problems": [{**asdict(problem), "line": problem.line} for problem in self.problems],
        }


@dataclass(frozen=True)
class Repair:
    """The result of a repair, or with `dry_run` what it would do.

    Attributes
    ----------
    store : its path
    dropped : year and name of cells that were dropped: they read as never written
    finished : of cells whose pending commit was rolled forward
    swept : of cells where what a killed writer left was removed; what was committed stayed
    restored : keys of metadata documents that were written again
    left : one line for each thing that was not repaired
    dry_run : whether nothing was changed
    """

    store: str
    dropped: tuple[tuple[int, str], ...]
    finished: tuple[tuple[int, str], ...]
    swept: tuple[tuple[int, str], ...]
    restored: tuple[str, ...]
    left: tuple[str, ...]
    dry_run: bool

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        cells = {
            name: [{"year": year, "cell": cell} for year, cell in getattr(self, name)]
            for name in ("dropped", "finished", "swept")
        }
        return {
            "store": self.store,
            "dry_run": self.dry_run,
            **cells,
            "restored": list(self.restored),
            "left": list(self.left),
        }
