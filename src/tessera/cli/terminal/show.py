"""Progress on standard error; JSON, tables and numbers in words on standard output."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tessera.base import shortened, silent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tessera.base import Progress

_CELL = 600
"""Most letters in a cell of a table."""

TELL_EVERY = 30.0
"""Seconds between two lines of progress where standard error is no terminal."""
_LONG = {"px": "pixels"}
"""Unit in a rate -> unit in a count."""


class Meter:
    """Speed of a step and the time that is left, from its counts.

    Parameters
    ----------
    unit : what is counted, such as "px"; with "" no rate is shown
    """

    def __init__(self, unit: str = "") -> None:
        self._unit, self._start = unit, time.monotonic()
        self._first: tuple[float, int, int] | None = None
        self._last: tuple[float, int, int] | None = None

    @property
    def seconds(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self._start

    def count(self, done: int, total: int) -> None:
        """Take a count. The first one is where a run resumes; a smaller count than the last starts again."""
        now = time.monotonic(), done, total
        if self._first is None or self._last is None or done < self._last[1]:
            self._first = now
        self._last = now

    @property
    def per_second(self) -> float:
        """Units per second, 0 until it is known."""
        if self._first is None or self._last is None:
            return 0.0
        made, seconds = self._last[1] - self._first[1], self._last[0] - self._first[0]
        return made / seconds if made > 0 and seconds > 0 else 0.0

    def rate(self) -> str:
        """Such as ", 0.3 px/s"; "" until it is known."""
        each = self.per_second
        return f", {rate_in_words(each)} {self._unit}/s" if self._unit and each else ""

    def left(self) -> str:
        """Such as ", about 5 minutes left"; "" until it is known."""
        if self._last is None or not self.per_second:
            return ""
        _, done, total = self._last
        return f", {time_in_words((total - done) / self.per_second)} left" if done < total else ""

    def line(self) -> str:
        """How much is done, such as "0.3 of 1.2 million pixels, 70 px/s, about 4 hours left"."""
        _, done, total = self._last or (0.0, 0, 0)
        unit = _LONG.get(self._unit, self._unit)
        said = f"{done:,} of {total:,}{f' {unit}' if unit else ''}"
        if self._unit == "px" and total >= 10**6:
            size, name = (10**9, "billion") if total >= 10**9 else (10**6, "million")
            said = f"{done / size:.2f} of {total / size:.2f} {name} {unit}"
        return f"{said}{self.rate()}{self.left()}"


@contextmanager
def step(title: str, unit: str = "") -> Iterator[Progress]:
    """Show a step's progress: a bar on a terminal; elsewhere a line every 30 s, and one when the step succeeds.

    Parameters
    ----------
    unit : what is counted; with "" no rate is shown
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    meter = Meter(unit)
    if not console.is_terminal:
        yield _lines(title, meter)
        print(f"{title}: done in {seconds_in_words(meter.seconds)}{meter.rate()}", file=sys.stderr, flush=True)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console) as bars:
        task = bars.add_task(title, total=None)

        def show(done: int, total: int) -> None:
            meter.count(done, total)
            bars.update(task, completed=done, total=total, description=f"{title}{meter.rate()}")

        yield show
        bars.update(task, description=f"{title}: done in {seconds_in_words(meter.seconds)}{meter.rate()}")


def now_and_then(progress: Progress, title: str, unit: str) -> Progress:
    """The same progress. If standard error is no terminal, it also prints a line every 30 s.

    Parameters
    ----------
    unit : what is counted, such as "px" or "days"
    """
    return progress if sys.stderr.isatty() else _lines(title, Meter(unit), progress)


def _lines(title: str, meter: Meter, progress: Progress = silent) -> Progress:
    """Progress that counts with a meter, passes the counts on, and prints a line every 30 s."""
    told = time.monotonic()

    def count(done: int, total: int) -> None:
        nonlocal told
        progress(done, total)
        meter.count(done, total)
        if time.monotonic() - told >= TELL_EVERY:
            told = time.monotonic()
            print(f"{title}: {meter.line()}", file=sys.stderr, flush=True)

    return count


def tell_line(line: str) -> None:
    """Print a line, if it is not empty, to standard error."""
    if line:
        print(line, file=sys.stderr)


def rate_in_words(each: float) -> str:
    """A rate per second to two digits or more: 1,234, 12, 1.2, 0.03."""
    return f"{each:,.0f}" if each >= 10 else f"{each:.2g}" if each >= 1e-4 else f"{each:.1g}"


def seconds_in_words(seconds: float) -> str:
    """How long something took: 4.2 s, 3 min 20 s, 5 h 12 min."""
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds) // 60} min {int(seconds) % 60} s"
    return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60} min"


def time_in_words(seconds: float) -> str:
    """About how long something will take: about 40 seconds, about 3 days."""
    for size, name, most in (
        (1.0, "second", 90.0),
        (60.0, "minute", 90.0 * 60),
        (3600.0, "hour", 48.0 * 3600),
        (86400.0, "day", 60.0 * 86400),
        (86400.0 * 365.25 / 12, "month", 24 * 86400.0 * 365.25 / 12),
        (86400.0 * 365.25, "year", float("inf")),
    ):
        if seconds < most:
            count = seconds / size
            shown = f"{count:.1f}" if 1.0 < count < 9.95 and size >= 60.0 else f"{max(1, round(count)):,}"
            shown = shown.removesuffix(".0")
            return f"about {shown} {name}{'s' * (shown != '1')}"
    raise AssertionError(seconds)


def pixels_in_words(count: int) -> str:
    """Such as 65,536 pixels, 1.2 million pixels, 3.4 billion pixels."""
    for size, name in ((10**9, "billion"), (10**6, "million")):
        if count >= size:
            return f"{count / size:.3g} {name} pixels" if count < 999.5 * size else f"{count / size:,.0f} {name} pixels"
    return f"{count:,} pixel{'s' * (count != 1)}"


def bytes_in_words(size: int) -> str:
    """Such as 512 bytes, 1.2 MB, 340 GB."""
    for least, name in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= least:
            return f"{size / least:,.0f} {name}" if size >= 99.5 * least else f"{size / least:.2g} {name}"
    return f"{size} bytes"


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    print(json.dumps(value, indent=2))


def print_table(rows: list[tuple[str, ...]]) -> None:
    """Print rows with aligned columns. Long text, which a damaged file may hold, is cut."""
    rows = [tuple(shortened(cell, _CELL) for cell in row) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
