"""What commands share: progress on standard error, JSON and tables on standard output, areas from options."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tessera.base import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tessera.base import Progress


OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that are no earlier output of this command. Inputs are kept.")
]

TELL_EVERY = 60.0
"""Seconds between two lines of progress where there is no terminal."""


@contextmanager
def step(title: str, unit: str = "") -> Iterator[Progress]:
    """Show a step's progress: a bar with time left on a terminal, a line a minute and one at its end elsewhere.

    Parameters
    ----------
    unit : of what is counted; its rate is shown where given
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    start = time.monotonic()
    counted: list[int] = []

    def rate() -> str:
        made = counted[-1] - counted[0] if counted else 0
        return f", {made / max(1e-9, time.monotonic() - start):,.0f} {unit}/s" if unit and made else ""

    if not console.is_terminal:
        told = start

        def count(done: int, total: int) -> None:
            nonlocal told
            counted[1:] = [done]
            if time.monotonic() - told >= TELL_EVERY:
                told = time.monotonic()
                print(f"{title}: {done:,} of {total:,}{rate()}", file=sys.stderr)

        yield count
        print(f"{title}: done in {time.monotonic() - start:.1f} s{rate()}", file=sys.stderr)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console) as bars:
        task = bars.add_task(title, total=None)

        def show(done: int, total: int) -> None:
            counted[1:] = [done]
            bars.update(task, completed=done, total=total, description=f"{title}{rate()}")

        yield show
        bars.update(task, description=f"{title}, {time.monotonic() - start:.1f} s{rate()}")


def print_json(value: Any) -> None:
    """Print plain values as JSON."""
    print(json.dumps(value, indent=2))


def print_table(rows: list[tuple[str, ...]]) -> None:
    """Print rows with aligned columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def one_of(**given: object) -> tuple[str, Any]:
    """The one option that was given.

    Raises
    ------
    InputError
        None was, or several were.
    """
    found = [(name, value) for name, value in given.items() if value is not None]
    options = ", ".join(f"--{name}" for name in given)
    if len(found) != 1:
        received = "none" if not found else ", ".join(f"--{name}" for name, _ in found)
        raise InputError(f"{received} given; expected exactly one of {options}")
    return found[0]


def year_of(given: int | None, held: tuple[int, ...], what: str) -> int:
    """The year that was asked for, or the only one there is.

    Raises
    ------
    InputError
        None was given and there is not exactly one.
    """
    if given is not None:
        return given
    if len(held) != 1:
        raise InputError(f"{what} holds the years {', '.join(map(str, held)) or 'none'}; choose one with --year")
    return held[0]
