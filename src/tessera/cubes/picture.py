"""A picture of a cube: a calendar of its observations, and a map of how often each pixel is clear."""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, check_picture, require, shortened
from tessera.figures import draw_plainly, new_figure, save_figure

from .counts import clear_counts
from .dates import dates_of, period_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from .cube import PixelCube

_WIDTH = 10.2
"""Inches."""
_MAP = 4.2
"""Longer side of the map, inches."""
_ROW, _CALENDAR = 0.25, 10.0
"""Height of a month, and most of a calendar, inches."""
_MAX_PIXELS = 1200
"""Longer side of the map's image; of more pixels every n-th is drawn."""
_COLOURS = "viridis"
_ASCENDING, _DESCENDING = "#e8590c", "#3b8eea"
_INK, _FAINT, _EMPTY = "#2b3440", "#7b8794", "#eef1f4"
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_MOST_LOST = 6
"""Lost scenes that are named; the rest is counted."""
_ANY_YEAR, _ANY_LEAP_YEAR = 2001, 2004
"""For the days of a cube that does not say its year."""


def draw_cube(cube: PixelCube, path: str | Path, *, title: str = "", overwrite: bool = False) -> Path:
    """Draw a cube's observations to a PNG, whole or not at all.

    The calendar has a row a month and a column a day: the upper part of a day is Sentinel-2, coloured by the share of
    pixels that are clear, the lower part the ascending and the descending pass of Sentinel-1. Below it lie a map of
    clear observations a pixel and the cube's figures, with the scenes that were lost.

    Parameters
    ----------
    cube : in memory or on disk; its masks are read
    path : where to, .png; an earlier picture of a cube is replaced
    title : a name, above and before the period; the cube's CRS where ""
    overwrite : whether any other file is replaced too

    Raises
    ------
    InputError
        matplotlib is not installed, or the path cannot be written or holds something else.
    """
    check_picture(path, "cube", overwrite=overwrite)
    counts, fractions = clear_counts(cube)
    days, year_known = _days(cube)
    listed = [day for dates in days.values() for day in dates]
    first, last = _period(cube, listed, year_known=year_known)
    months = _months(first, last)
    calendar = min(_CALENDAR, _ROW * len(months))
    height, width = counts.shape
    scale = _MAP / max(height, width)
    tall, wide = max(1.2, height * scale), max(1.2, width * scale)
    total = 0.75 + calendar + 0.85 + max(tall, 3.0) + 0.6
    figure = new_figure(_WIDTH, total)

    def box(left: float, top: float, across: float, down: float) -> tuple[float, float, float, float]:
        return left / _WIDTH, 1 - (top + down) / total, across / _WIDTH, down / total

    head = f"{_short(title or _place(cube), 60)} · {f'{first} to {last}' if year_known else 'year unknown'}"
    _text(figure, box(0.25, 0.12, 0, 0), head, size=13, weight="bold")
    axes = figure.add_axes(box(0.95, 0.75, 8.0, calendar))
    _draw_calendar(axes, months, (first, last), days, fractions, year_known=year_known)
    bar = figure.add_axes(box(9.15, 0.75, 0.16, min(calendar, 2.2)))
    _draw_bar(figure, bar, (0.0, 1.0), "clear share of a Sentinel-2 date")
    top = 0.75 + calendar + 0.85
    _legend(axes, calendar)
    mapped = figure.add_axes(box(0.95, top, wide, tall))
    _draw_map(mapped, counts, cube, wide, tall)
    bar = figure.add_axes(box(0.95 + wide + 0.15, top, 0.16, tall))
    _draw_bar(figure, bar, _range(counts), "clear observations of a pixel", whole=True)
    lines = _facts(cube, counts, fractions)
    _text(figure, box(0.95 + wide + 1.1, top - 0.05, 0, 0), "\n".join(lines), size=9, linespacing=1.5)
    return save_figure(figure, path, "cube", margin=0.15)


def _days(cube: PixelCube) -> tuple[dict[str, list[dt.date]], bool]:
    """Dates of each stack, and whether their year is known."""
    stacks = ("s2", "s1_asc", "s1_desc")
    try:
        return {stack: dates_of(cube, stack) for stack in stacks}, True
    except InputError:
        doys = {stack: [int(day) for day in getattr(cube, f"{stack}_doy")] for stack in stacks}
        leap = any(366 in listed for listed in doys.values())
        start = dt.date(_ANY_LEAP_YEAR if leap else _ANY_YEAR, 1, 1)
        return {stack: [start + dt.timedelta(day - 1) for day in listed] for stack, listed in doys.items()}, False


def _period(cube: PixelCube, listed: list[dt.date], *, year_known: bool) -> tuple[dt.date, dt.date]:
    """What the calendar shows: the cube's period, and any date outside it."""
    told = period_of(cube) if year_known else None
    days = [*listed, *(told or ())] or [dt.date(_ANY_YEAR, 1, 1)]
    if not year_known or told is None:
        days += [min(days).replace(month=1, day=1), max(days).replace(month=12, day=31)]
    return min(days), max(days)


def _months(first: dt.date, last: dt.date) -> list[tuple[int, int]]:
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    return [divmod(first.year * 12 + first.month - 1 + step, 12) for step in range(count)]


def _draw_calendar(
    axes: Any,
    months: list[tuple[int, int]],
    period: tuple[dt.date, dt.date],
    days: dict[str, list[dt.date]],
    fractions: NDArray[np.float64],
    *,
    year_known: bool,
) -> None:
    patches = require("matplotlib.patches", extra="heads", purpose="a picture")
    collections = require("matplotlib.collections", extra="heads", purpose="a picture")
    colours = require("matplotlib", extra="heads", purpose="a picture").colormaps[_COLOURS]
    rows = {month: row for row, month in enumerate(months)}
    shapes: list[Any] = []
    tints: list[Any] = []

    def mark(day: dt.date, left: float, top: float, across: float, down: float, tint: Any) -> None:
        shapes.append(patches.Rectangle((day.day - 1 + left, rows[day.year, day.month - 1] + top), across, down))
        tints.append(tint)

    day = period[0]
    while day <= period[1]:
        mark(day, 0.06, 0.08, 0.88, 0.84, _EMPTY)
        day += dt.timedelta(1)
    for day, share in zip(days["s2"], fractions, strict=True):
        mark(day, 0.06, 0.08, 0.88, 0.5, colours(float(share)))
    for stack, left, tint in (("s1_asc", 0.06, _ASCENDING), ("s1_desc", 0.52, _DESCENDING)):
        for day in days[stack]:
            mark(day, left, 0.64, 0.42, 0.28, tint)
    axes.add_collection(collections.PatchCollection(shapes, facecolors=tints, edgecolors="none"))
    axes.set_xlim(0, 31)
    axes.set_ylim(len(months), 0)
    axes.set_xticks([number + 0.5 for number in range(31)], [str(number + 1) for number in range(31)], fontsize=8)
    labels = [
        f"{_MONTHS[month]} {year}" if year_known and (month == 0 or not row) else _MONTHS[month]
        for row, (year, month) in enumerate(months)
    ]
    size = 9 if _ROW * len(months) <= _CALENDAR else max(3.0, 9 * _CALENDAR / (_ROW * len(months)))
    axes.set_yticks([row + 0.5 for row in range(len(months))], labels, fontsize=size)
    axes.xaxis.tick_top()
    _plain(axes)


def _legend(axes: Any, calendar: float) -> None:
    patches = require("matplotlib.patches", extra="heads", purpose="a picture")
    entries = (
        ("Sentinel-2 (above, by clear share)", "#5ec962"),
        ("Sentinel-1 ascending", _ASCENDING),
        ("Sentinel-1 descending", _DESCENDING),
        ("no observation", _EMPTY),
    )
    axes.legend(
        handles=[patches.Patch(facecolor=colour, label=label) for label, colour in entries],
        loc="upper left",
        bbox_to_anchor=(0.0, -0.08 / calendar),
        ncols=4,
        fontsize=8.5,
        frameon=False,
        borderaxespad=0.0,
        handlelength=1.2,
        labelcolor=_INK,
    )


def _range(counts: NDArray[np.uint16]) -> tuple[float, float]:
    low, high = int(counts.min()), int(counts.max())
    return (low, high) if high > low else (max(0, low - 1), high + 1)


def _draw_map(axes: Any, counts: NDArray[np.uint16], cube: PixelCube, wide: float, tall: float) -> None:
    step = math.ceil(max(counts.shape) / _MAX_PIXELS)
    extent, x_label, y_label = _axes_of(cube)
    low, high = _range(counts)
    axes.imshow(
        counts[::step, ::step],
        cmap=_COLOURS,
        vmin=low,
        vmax=high,
        extent=extent,
        interpolation="nearest",
        aspect="auto",
    )
    axes.set_xlabel(x_label, fontsize=9, color=_INK)
    axes.set_ylabel(y_label, fontsize=9, color=_INK)
    axes.ticklabel_format(style="plain", useOffset=False)
    axes.locator_params(axis="x", nbins=max(2, min(5, round(wide / 0.9))))
    axes.locator_params(axis="y", nbins=max(2, min(6, round(tall / 0.7))))
    _plain(axes)
    # the labels of the corner stay apart
    axes.tick_params(labelsize=8, length=3, pad=4, color=_FAINT)


def _axes_of(cube: PixelCube) -> tuple[tuple[float, float, float, float], str, str]:
    """(left, right, bottom, top) and labels: km or degrees where the grid is north-up, else pixels."""
    height, width = cube.shape
    grid = cube.grid
    if grid is None or grid.transform[1] != 0 or grid.transform[3] != 0:
        return (0.0, float(width), float(height), 0.0), "column", "row"
    import pyproj

    a, _, left, _, e, top = grid.transform
    extent = (left, left + a * width, top + e * height, top)
    name = _short(grid.crs, 24)
    try:
        unit = pyproj.CRS.from_user_input(grid.crs).axis_info[0].unit_name
    except (pyproj.exceptions.CRSError, IndexError):
        unit = ""
    if unit == "metre":
        left, right, bottom, top = (value / 1000 for value in extent)
        return (left, right, bottom, top), f"easting, km ({name})", "northing, km"
    return extent, f"x, {unit or 'units'} ({name})", f"y, {unit or 'units'}"


def _draw_bar(figure: Any, axes: Any, limits: tuple[float, float], label: str, *, whole: bool = False) -> None:
    mappable = require("matplotlib.cm", extra="heads", purpose="a picture").ScalarMappable(cmap=_COLOURS)
    mappable.set_clim(*limits)
    ticker = require("matplotlib.ticker", extra="heads", purpose="a picture")
    bar = figure.colorbar(mappable, cax=axes, ticks=ticker.MaxNLocator(nbins=6, integer=True) if whole else None)
    if not whole:
        axes.yaxis.set_major_formatter(ticker.PercentFormatter(1.0))
    bar.set_label(label, fontsize=8.5, color=_INK)
    bar.outline.set_visible(False)
    axes.tick_params(labelsize=8, colors=_INK, length=2)


def _facts(cube: PixelCube, counts: NDArray[np.uint16], fractions: NDArray[np.float64]) -> list[str]:
    height, width = cube.shape
    share = f"{fractions.mean():.0%} clear" if len(fractions) else "none"
    lines = [
        f"{height} x {width} pixels",
        f"Sentinel-2: {len(fractions)} date{'s' * (len(fractions) != 1)}, {share}",
        f"Sentinel-1: {cube.s1_asc.shape[0]} ascending, {cube.s1_desc.shape[0]} descending passes",
        f"clear observations of a pixel: {counts.min()} to {counts.max()}, median {np.median(counts):g}",
    ]
    source = cube.provenance.get("source")
    if source:
        lines.append(f"source: {_short(source if isinstance(source, str) else _join(source), 44)}")
    return lines + _lost(cube.provenance)


def _lost(provenance: dict[str, Any]) -> list[str]:
    """Lost scenes by name, as far as there is room."""
    count = provenance.get("scenes_lost")
    if not isinstance(count, int):
        return []
    if not count:
        return ["no scenes lost"]
    named = provenance.get("lost")
    entries = [entry for entry in named if isinstance(entry, dict)] if isinstance(named, list) else []
    lines = [f"{count} scene{'s' if count > 1 else ''} lost:"]
    for entry in entries[:_MOST_LOST]:
        lines.append(f"   {_short(entry.get('id', '?'), 50)}")
        lines.append(f"      {_short(entry.get('band', '?'), 12)}, {_short(entry.get('reason', 'unknown'), 30)}")
    if count > len(entries[:_MOST_LOST]):
        lines.append(f"   and {count - len(entries[:_MOST_LOST])} more")
    return lines


def _place(cube: PixelCube) -> str:
    return "no CRS" if cube.grid is None else _short(cube.grid.crs, 40)


def _join(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _short(text: object, most: int) -> str:
    """One line of printable characters that fits."""
    return shortened("".join(letter if letter.isprintable() else " " for letter in str(text)), most)


def _plain(axes: Any) -> None:
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0, colors=_INK)


def _text(figure: Any, place: Sequence[float], text: str, *, size: float, **more: Any) -> None:
    label = figure.text(place[0], place[1], text, fontsize=size, color=_INK, va="top", ha="left", **more)
    draw_plainly(label)
