"""Pictures of a change: where it is, from which class to which, and polygons year by year."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.figures import MAX_SIDE, choose_colours, draw_map, draw_plainly, font_note, new_figure, save_figure
from tessera.labels import class_labels, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ._blocks import Blocks
    from .distance import Threshold
    from .timeline import TimeLine
    from .transitions import Transitions

_STILL, _NONE = "#e4e4e0", 255
_RAMP = ("#fdc086", "#f28e2b", "#d4441c", "#7f0d0d")
"""Colours of distances beyond 1, 2, 4 and 8 thresholds."""
_LETTERS = 24
_CELLS = 14
"""Classes of a matrix whose cells have numbers in them."""
_LEAST = 0.005
"""Hectares, half a pixel, below which a transition is left blank."""
_PANELS = 24
"""Polygons that a picture shows."""


def draw_change(path: Path, blocks: Blocks, thresholds: Sequence[Threshold]) -> None:
    """Draw where the last pair of years differs: by the new class, or by the distance where classes are not known."""
    plan, threshold = blocks.plan, thresholds[-1].distance
    first, second = plan.pairs[-1]
    height, width = plan.window.shape
    step = max(1, math.ceil(max(height, width) / MAX_SIDE))
    lines, found_lines = [], []
    for start in range(0, height, 512):
        rows = range(start, min(start + 512, height))
        offset = -start % step
        lines.append(blocks.rows(rows, "distance")[-1][offset::step, ::step])
        if plan.classes:
            found_lines.append(blocks.rows(rows, "found")[-1][offset::step, ::step])
    distance = np.concatenate(lines)
    there = np.isfinite(distance)
    picture = np.full(distance.shape, _NONE, dtype=np.uint8)
    picture[there] = 0
    moved = there & (distance > threshold)
    legend = [(f"no change   {100 * (1 - moved.sum() / max(1, there.sum())):.1f} %", _STILL)]
    if plan.classes and plan.head is not None:
        found = np.concatenate(found_lines)
        picture[moved] = found[moved] + 1
        for index, (name, colour) in enumerate(
            zip(class_labels(plan.head.classes, _LETTERS), plan.head.colours, strict=True), start=1
        ):
            share = 100 * (picture == index).sum() / max(1, there.sum())
            legend.append((f"now {name}   {share:.1f} %", colour))
    else:
        for number, colour in enumerate(_RAMP):
            picture[moved & (distance > threshold * 2**number)] = number + 1
            legend.append((f"distance above {threshold * 2**number:.3g}", colour))
    draw_map(
        path,
        picture,
        legend,
        title=f"change, {first} to {second}",
        bounds=plan.window.bounds,
        crs=plan.window.grid.crs,
        heading="changed pixels" if plan.classes else "cosine distance",
    )


def draw_transitions(path: Path, found: Sequence[Transitions]) -> None:
    """Draw a matrix for each pair of years: hectares from class (rows) to class (columns), darker = more."""
    count = len(found[0].classes)
    side = max(3.2, 0.62 * count + 1.8)
    columns = min(len(found), 3)
    rows = math.ceil(len(found) / columns)
    figure = new_figure(side * columns, side * rows, dpi=140, layout="constrained")
    lost = ""
    for number, one in enumerate(found):
        axes = figure.add_subplot(rows, columns, number + 1)
        off = one.area.copy()
        np.fill_diagonal(off, np.nan)
        most = np.nanmax(off) if count > 1 else 0.0
        axes.imshow(np.ma.masked_invalid(off), cmap="Oranges", vmin=0, vmax=most if most > 0 else 1)
        names = class_labels(one.classes, _LETTERS)
        axes.set_xticks(range(count), names, rotation=45, ha="right", fontsize=8)
        axes.set_yticks(range(count), names, fontsize=8)
        lost += "".join(draw_plainly(text) for text in (*axes.get_xticklabels(), *axes.get_yticklabels()))
        axes.set_xlabel(f"{one.years[1]}", fontsize=9)
        axes.set_ylabel(f"{one.years[0]}", fontsize=9)
        axes.set_title(
            "hectares" if one.source == "pixels" else "hectares, with 95 % intervals", fontsize=9, loc="left"
        )
        if count > _CELLS:
            continue
        for row in range(count):
            for col in range(count):
                value, high = one.area[row, col], one.high[row, col]
                if row != col and max(value, np.nan_to_num(high)) < _LEAST:
                    continue
                text = _short(value)
                if np.isfinite(one.low[row, col]) and row != col and value > 0:
                    text += f"\n{_short(one.low[row, col])}-{_short(one.high[row, col])}"
                dark = row != col and most > 0 and value > 0.6 * most
                axes.text(col, row, text, ha="center", va="center", fontsize=6.5, color="white" if dark else "#222222")
    note = font_note(lost)
    if note:
        figure.text(0.01, -0.02, note, fontsize=7, va="top")
    save_figure(figure, path, "transitions", margin=0.1)


def draw_timeline(path: Path, line: TimeLine, colours: Sequence[str], column: str) -> None:
    """Draw small multiples: of each polygon the share of each class, the mean number or the distance, year by year.

    The polygons that changed most come first, at most 24.
    """
    order = _by_change(line)[:_PANELS]
    columns = min(6, len(order))
    rows = math.ceil(len(order) / columns)
    figure = new_figure(1.75 * columns + 1.6, 1.45 * rows + 0.7, dpi=140, layout="constrained")
    years = np.arange(len(line.years))
    lost = ""
    handles: list[Any] = []
    chosen = list(colours) or list(choose_colours(line.classes))
    shares = line.shares
    first: Any = None
    for place, polygon in enumerate(order):
        axes = figure.add_subplot(rows, columns, place + 1, sharey=first)
        first = first or axes
        if line.classes:
            below = np.zeros(len(years))
            handles = []
            for index, colour in enumerate(chosen):
                value = np.nan_to_num(shares[polygon, :, index])
                handles.append(axes.bar(years, value, bottom=below, color=colour, width=0.85))
                below += value
            axes.set_ylim(0, 1)
        else:
            value = line.means[polygon] if np.isfinite(line.means).any() else line.distance[polygon]
            axes.plot(years, value, marker="o", markersize=3, color="#d4441c")
        axes.set_xticks(years, [str(year) for year in line.years], fontsize=6.5, rotation=45 if len(years) > 3 else 0)
        axes.tick_params(axis="y", labelsize=6.5)
        axes.set_xlim(-0.6, len(years) - 0.4)
        title = axes.set_title(one_line(line.names[polygon], _LETTERS), fontsize=7.5, loc="left", pad=3)
        lost += draw_plainly(title)
        axes.spines[["top", "right"]].set_visible(False)
    if line.classes:
        legend = figure.legend(
            handles, class_labels(line.classes, _LETTERS), loc="outside right upper", frameon=False, fontsize=7.5
        )
        lost += "".join(draw_plainly(text) for text in legend.get_texts())
    what = (
        "share of each class"
        if line.classes
        else f"mean {one_line(column, _LETTERS)}"
        if np.isfinite(line.means).any()
        else "distance to the year before"
    )
    more = f"; {len(order)} of {len(line)} polygons, those that changed most first" if len(order) < len(line) else ""
    figure.suptitle(f"{what}{more}", fontsize=9, x=0.01, ha="left")
    note = font_note(lost)
    if note:
        figure.text(0.01, -0.02, note, fontsize=7, va="top")
    save_figure(figure, path, "time line", margin=0.1)


def _by_change(line: TimeLine) -> NDArray[np.int64]:
    """Polygons in order of how much they changed, the most first."""
    if line.classes:
        steps = np.abs(np.diff(np.nan_to_num(line.shares), axis=1)).sum(axis=(1, 2))
    elif np.isfinite(line.means).any():
        steps = np.nan_to_num(np.abs(np.diff(line.means, axis=1))).sum(axis=1)
    else:
        steps = np.nan_to_num(line.distance).sum(axis=1)
    return np.asarray(np.lexsort((np.arange(len(line)), -steps)))


def _short(value: float) -> str:
    if value >= 1e5:
        return f"{value / 1000:,.0f}k"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}" if value > 0 else "0"
