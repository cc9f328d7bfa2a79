"""What `tessera embed` shows while it works: a search, cells and cubes as they are done, and a forecast's steps."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .terminal import now_and_then, step, tell_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tessera.scale import CellOutcome, CubeOutcome, Reporter


class Outcomes:
    """Lines of what became of cells: one each, and one of all cells without scenes that come one after another."""

    def __init__(self) -> None:
        self._empty: list[CellOutcome] = []

    def lines(self, outcome: CellOutcome, done: int, total: int) -> list[str]:
        """What there is to say after a cell.

        Parameters
        ----------
        done, total : cells, this one included
        """
        said = []
        if outcome.what == "empty":
            self._empty.append(outcome)
        if self._empty and (outcome.what != "empty" or done == total):
            before = done if outcome.what == "empty" else done - 1
            first, count = self._empty[0], len(self._empty)
            name = (
                f"{first.cell} empty" if count == 1 else f"{count} cells empty, {first.cell} to {self._empty[-1].cell}"
            )
            # of one cell that fails the last line says it
            said += [f"{name}, {before} of {total} cells: {first.reason}"] * (total > 1)
            self._empty = []
        if outcome.what == "written" or (outcome.what == "refused" and total > 1):
            reason = f": {outcome.reason}" if outcome.reason else ""
            said.append(f"{outcome.cell} {outcome.what}, {done} of {total} cells{reason}")
        return said


@contextmanager
def reporting(out: str, *, found_to_stderr: bool = False) -> Iterator[Reporter]:
    """A reporter with bars of pixels and of the cell whose scenes are read; off a terminal, with a line for each cell.

    Parameters
    ----------
    out : the store, in the lines on cubes
    found_to_stderr : where standard output is for something else
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    from tessera.scale import Reporter

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bars = Bars(*columns, console=console, disable=not console.is_terminal)
    pixels, scenes = bars.add_task("Embedding", total=None), bars.add_task("Reading scenes", total=None)
    told = Outcomes()

    def found(scenes: str, known: bool) -> None:
        more = ", as found before (--refresh searches again)" if known else ""
        print(f"{scenes}{more}", file=sys.stderr if found_to_stderr else sys.stdout)

    def embedding(done: int, total: int) -> None:
        # not before the search, whose bar is another
        bars.start()
        bars.update(pixels, completed=done, total=total)

    def reading(done: int, total: int) -> None:
        bars.start()
        bars.update(scenes, completed=done, total=total)

    def cell(outcome: CellOutcome, done: int, total: int) -> None:
        bars.update(pixels, description=f"Embedding, {done} of {total} cells")
        for line in told.lines(outcome, done, total):
            print(line, file=sys.stderr, flush=True)

    def cube(outcome: CubeOutcome) -> None:
        cells = f"{outcome.written} cell{'s' * (outcome.written != 1)} written, {outcome.skipped} already there"
        print(f"{outcome.path}: {cells}; {outcome.valid:.0%} of its pixels have data; {out}")

    try:
        yield Reporter(
            step,
            found,
            now_and_then(reading, "Reading scenes", "days"),
            now_and_then(embedding, "Embedding", "px"),
            cell,
            cube,
            tell_line,
        )
    finally:
        if console.is_terminal:
            bars.stop()
