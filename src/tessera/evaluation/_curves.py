"""The picture of an evaluation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tessera.base import require
from tessera.figures import draw_plainly, new_figure, save_figure
from tessera.validation import LOWER_IS_BETTER, METRIC_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MARKS = "osD^vPX*"
_TOGETHER = 3
"""Feature sets whose intervals can be told apart in one panel."""
_COLUMNS = 5
"""Panels a row, where each feature set has its own."""


def draw_curves(table: Sequence[dict[str, Any]], about: dict[str, Any], path: Path, metric: str) -> None:
    """A panel a head with up to three feature sets; of more each has a panel of its own, over those of all others.

    Parameters
    ----------
    table, about : as of an `Evaluation`
    """
    rows = [row for row in table if row["metric"] == metric and row["mean"] is not None]
    title = f"{about['source']}, {about['column']}: split {about['split']}, {about['draws']} draws"
    heads, features = (tuple(dict.fromkeys(row[key] for row in table)) for key in ("head", "features"))
    if len(features) <= _TOGETHER:
        figure = _by_head(rows, heads, features, metric)
        draw_plainly(figure.suptitle(title, fontsize=9))
    else:
        figure = draw_sets(rows, metric, title)
    save_figure(figure, path, "curves")


def draw_sets(rows: Sequence[dict[str, Any]], metric: str, title: str) -> Any:
    """A panel a feature set: its heads with their 95 % intervals, the first set dashed, all others grey.

    The rows have "features", "head", "labels", "mean", "low" and "high", and come in the order in which they are shown.
    """
    sets, heads, amounts = (list(dict.fromkeys(row[key] for row in rows)) for key in ("features", "head", "labels"))
    columns = min(_COLUMNS, len(sets))
    lines = math.ceil(len(sets) / columns)
    figure = new_figure(2.3 * columns + 0.4, 2.1 * lines + 1.0, layout="constrained")
    grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    low_is_good = metric in LOWER_IS_BETTER
    best = {name: _best([row for row in rows if row["features"] == name], amounts, low=low_is_good) for name in sets}
    for panel in grid.flat[len(sets) :]:
        panel.set_axis_off()
    for panel, name in zip(grid.flat, sets, strict=False):
        for other in sets:
            if other != name:
                panel.plot(*best[other], color="#c9c9c9", linewidth=0.8, zorder=1)
        if name != sets[0]:
            panel.plot(*best[sets[0]], color="black", linewidth=1.2, linestyle=(0, (4, 2)), zorder=3)
        for index, head in enumerate(heads):
            own = [row for row in rows if row["features"] == name and row["head"] == head]
            _curve(panel, own, [amounts.index(row["labels"]) for row in own], index, head)
        draw_plainly(panel.set_title(name, fontsize=10))
        panel.set_xticks(range(len(amounts)), amounts, fontsize=7)
        panel.tick_params(axis="y", labelsize=8)
        panel.tick_params(labelbottom=True)
        _calm(panel)
    for panel in grid[-1]:
        panel.set_xlabel("labels learnt from", fontsize=8)
    figure.supylabel(METRIC_NAMES[metric] + (" (lower is better)" if low_is_good else ""), fontsize=9)
    handles, names = grid[0, 0].get_legend_handles_labels()
    lined = require("matplotlib.lines", extra="heads", purpose="curves").Line2D
    handles += [lined([], [], color="black", linewidth=1.2, linestyle=(0, (4, 2))), lined([], [], color="#c9c9c9")]
    # a legend of its own line below all panels hides nothing
    names = [*(f"{head}, 95 % interval" for head in names), f"{sets[0]}, best head", "all others, best head"]
    box = figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False, fontsize=8)
    for text in box.get_texts():
        draw_plainly(text)
    draw_plainly(figure.suptitle(title, fontsize=9))
    return figure


def _best(rows: list[dict[str, Any]], amounts: list[str], *, low: bool) -> tuple[list[int], list[float]]:
    """The better head's mean at each amount."""
    pick = min if low else max
    means = {name: [row["mean"] for row in rows if row["labels"] == name] for name in amounts}
    found = [(place, pick(means[name])) for place, name in enumerate(amounts) if means[name]]
    return [place for place, _ in found], [mean for _, mean in found]


def _curve(panel: Any, rows: list[dict[str, Any]], places: Sequence[float], index: int, label: str) -> None:
    means = [row["mean"] for row in rows]
    lows = [row["mean"] if row["low"] is None else row["low"] for row in rows]
    highs = [row["mean"] if row["high"] is None else row["high"] for row in rows]
    colour, mark = f"C{index % 10}", _MARKS[index % len(_MARKS)]
    panel.plot(places, means, color=colour, marker=mark, markersize=4, linewidth=1.4, label=label, zorder=4)
    panel.fill_between(places, lows, highs, color=colour, alpha=0.15, linewidth=0, zorder=2)


def _calm(panel: Any) -> None:
    panel.grid(alpha=0.3, linewidth=0.5)
    panel.spines[["top", "right"]].set_visible(False)


def _by_head(rows: list[dict[str, Any]], heads: Sequence[str], features: Sequence[str], metric: str) -> Any:
    """Panels of one height side by side, one a head, with a legend beside them."""
    ticker: Any = require("matplotlib.ticker", extra="heads", purpose="curves")
    figure = new_figure(3.3 * len(heads) + 2.2, 3.4, layout="constrained")
    panels = figure.subplots(1, len(heads), sharey=True, squeeze=False)[0]
    for panel, head in zip(panels, heads, strict=True):
        for index, name in enumerate(features):
            own = sorted(
                (row for row in rows if row["head"] == head and row["features"] == name),
                key=lambda row: row["labels_taken"],
            )
            _curve(panel, own, [row["labels_taken"] for row in own], index, name)
        panel.set(title=head, xscale="log", xlabel="labels learnt from")
        ticks = sorted({row["labels_taken"] for row in rows if row["head"] == head})
        panel.xaxis.set_major_locator(ticker.FixedLocator(ticks))
        panel.xaxis.set_major_formatter(ticker.FormatStrFormatter("%.0f"))
        panel.xaxis.set_minor_locator(ticker.NullLocator())
        _calm(panel)
    panels[0].set_ylabel(METRIC_NAMES[metric] + (" (lower is better)" if metric in LOWER_IS_BETTER else ""))
    handles, names = panels[0].get_legend_handles_labels()
    box = figure.legend(handles, names, loc="outside right center", frameon=False, fontsize=8)
    for text in box.get_texts():
        draw_plainly(text)
    return figure
