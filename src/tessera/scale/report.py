"""What became of cells and cubes, and the functions that are told of it while the work goes on."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from tessera.base import check_fields, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tessera.base import Progress
    from tessera.store import Store

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class CellOutcome:
    """What became of a cell.

    Attributes
    ----------
    cell : its name, such as "utm31_e64_n548"
    what : "skipped" where the store held it already
    reason : one line: why a cell is empty or refused, or how many scenes a written one lacks
    """

    cell: str
    what: Literal["written", "skipped", "empty", "refused"]
    reason: str = ""


@dataclass(frozen=True)
class CubeOutcome:
    """What became of a cube.

    Attributes
    ----------
    path, year : of the cube, and under which the store keeps it
    written, skipped : cells that were written, and that the store held already
    valid : share of the cube's pixels that have a vector in the store, 0 to 1
    """

    path: Path
    year: int
    written: int
    skipped: int
    valid: float


@dataclass(frozen=True)
class EmbedReport:
    """What became of an area.

    Attributes
    ----------
    store : that holds the embeddings, open
    outcomes : one for each cell, in the order in which they were done

    Examples
    --------
    >>> import tessera
    >>> report = tessera.embed((5.245, 50.690, 5.253, 50.695), 2023, source="scenes", out="embedded.zarr")
    >>> [outcome.what for outcome in report.outcomes]
    ['written']
    """

    store: Store
    outcomes: tuple[CellOutcome, ...]

    @property
    def written(self) -> int:
        """Number of cells that were written."""
        return len(self._of("written"))

    @property
    def skipped(self) -> int:
        """Number of cells that were finished before and left alone."""
        return len(self._of("skipped"))

    @property
    def empty(self) -> list[tuple[str, str]]:
        """Name and reason of each cell without a scene."""
        return self._of("empty")

    @property
    def refused(self) -> list[tuple[str, str]]:
        """Name and reason of each cell that lost too many scenes; run the same again to try it anew."""
        return self._of("refused")

    def _of(self, what: str) -> list[tuple[str, str]]:
        return [(outcome.cell, outcome.reason) for outcome in self.outcomes if outcome.what == what]


@contextmanager
def _quiet_step(_title: str, _unit: str = "") -> Iterator[Progress]:
    yield silent


def _log_found(scenes: str, known: bool) -> None:
    _LOG.info("%s%s", scenes, ", as found before" if known else "")


def _log_cell(outcome: CellOutcome, done: int, total: int) -> None:
    level = logging.WARNING if outcome.what == "refused" else logging.INFO
    _LOG.log(level, "%s %s, %d of %d cells %s", outcome.cell, outcome.what, done, total, outcome.reason)


def _log_cube(outcome: CubeOutcome) -> None:
    _LOG.info("%s: %d cells written, %d already there", outcome.path, outcome.written, outcome.skipped)


@dataclass(frozen=True)
class Reporter:
    """Functions that are told of the work while it goes on. By default they write to the log and show no progress.

    Example: `Reporter(cell=lambda outcome, done, total: print(outcome.cell, outcome.what, f"{done}/{total}"))`

    Attributes
    ----------
    step : opens a part of the work by its title and the unit that it counts, such as ("Searching scenes", ""); the
        context gives what is called with units done and their total
    found : called with the scenes of the area in words, and whether an earlier search had found them
    reading : called, from another thread, with days of the cube that is being built and their total
    embedding : called with pixels done and their total
    cell : called with each cell's outcome, the cells done and their total
    cube : called with each cube's outcome
    note : called with a line that the user should read
    """

    step: Callable[[str, str], AbstractContextManager[Progress]] = _quiet_step
    found: Callable[[str, bool], None] = _log_found
    reading: Progress = silent
    embedding: Progress = silent
    cell: Callable[[CellOutcome, int, int], None] = _log_cell
    cube: Callable[[CubeOutcome], None] = _log_cube
    note: Callable[[str], None] = _LOG.warning

    def __post_init__(self) -> None:
        check_fields(self)

    def also(self, progress: Progress) -> Reporter:
        """The same, with pixels done told to `progress` too."""

        def embedding(done: int, total: int) -> None:
            self.embedding(done, total)
            progress(done, total)

        return replace(self, embedding=embedding)
