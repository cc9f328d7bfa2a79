"""The pictures of a report, as bytes of PNG."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.figures import draw_plainly, figure_png, new_figure
from tessera.labels import one_line

from .values import cell, number, rows

if TYPE_CHECKING:
    from collections.abc import Sequence

_KIND = "report"
_BEFORE, _AFTER, _GREY = "#9a5b00", "#08519c", "#6b7278"
_FOLDS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#332288", "#999933")
"""Paul Tol's "bright" scheme and two of "muted" (technical note SRON/EPS/TN/09-002)."""
_LEGEND = 16
"""Classes in the legend of a picture of labels."""


def draw_reliability(bins: Any, calibrated: Any) -> bytes:
    """How often predictions are right by how probable they were called, before and after calibration."""
    figure = new_figure(5.2, 4.4, layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=_GREY, linewidth=1, linestyle="--", label="as often right as it says")
    raw = "raw" if calibrated else "as they are"
    for found, colour, mark, label in ((bins, _BEFORE, "o", raw), (calibrated, _AFTER, "s", "calibrated")):
        points = [
            (x, y, max(0.0, y - low), max(0.0, high - y))
            for row in rows(found)
            for x, y, low, high in [
                tuple(number(row.get(key)) for key in ("confidence", "accuracy", "accuracy_low", "accuracy_high"))
            ]
            if x is not None and y is not None and low is not None and high is not None
        ]
        if points:
            x, y, below, above = zip(*points, strict=True)
            bars = {"capsize": 2, "linewidth": 1.4, "markersize": 5}
            axes.errorbar(x, y, yerr=(below, above), color=colour, marker=mark, label=label, **bars)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="highest probability, mean of the bin", ylabel="share right")
    axes.set_aspect("equal")
    axes.grid(color="#e3e6e8", linewidth=0.6)
    axes.legend(frameon=False, fontsize=9, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return figure_png(figure, _KIND)


def draw_curve(points: Any, metric: str) -> bytes:
    """The learning curve: a score by the number of labels learnt from."""
    found = [
        (number(row.get("learnt")), cell([row.get(key) for key in ("value", "low", "high")])) for row in rows(points)
    ]
    kept = [(x, value, low, high) for x, (value, low, high) in found if x is not None and x > 0 and value is not None]
    figure = new_figure(6.4, 3.6, layout="constrained")
    axes = figure.subplots()
    if kept:
        kept.sort(key=lambda one: one[0])
        x, y = [one[0] for one in kept], [one[1] for one in kept]
        axes.plot(x, y, color=_AFTER, marker="o", linewidth=1.6)
        sure = [(at, low, high) for at, _, low, high in kept if low is not None and high is not None]
        if sure:
            at, low, high = zip(*sure, strict=True)
            axes.fill_between(at, low, high, color=_AFTER, alpha=0.18, linewidth=0)
        axes.set_xscale("log")
        axes.set_xticks(x, [f"{one:,.0f}" for one in x])
        axes.minorticks_off()
    axes.set(xlabel="labels learnt from", ylabel=metric)
    axes.grid(color="#e3e6e8", linewidth=0.6)
    return figure_png(figure, _KIND)


def draw_scatter(truth: Sequence[float], predicted: Sequence[float]) -> bytes:
    """Predicted against measured numbers."""
    figure = new_figure(5.2, 4.8, layout="constrained")
    axes = figure.subplots()
    low, high = min(*truth, *predicted), max(*truth, *predicted)
    axes.plot([low, high], [low, high], color=_GREY, linewidth=1, linestyle="--")
    axes.scatter(truth, predicted, s=12, color=_AFTER, alpha=0.45, linewidths=0)
    axes.set(xlabel="measured", ylabel="predicted, on folds not learnt from")
    axes.grid(color="#e3e6e8", linewidth=0.6)
    return figure_png(figure, _KIND)


def draw_places(
    lon: Sequence[float],
    lat: Sequence[float],
    values: Sequence[Any],
    folds: Sequence[int],
    colours: dict[str, str],
) -> bytes:
    """Where labels lie: on the left by class or number, on the right by the fold that tested them."""
    figure = new_figure(9.6, 4.6, layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    x, y, fold = np.asarray(lon), np.asarray(lat), np.asarray(folds)
    size = 24 if len(x) <= 300 else 9
    edge = {"linewidths": 0.3, "edgecolors": "#333"}
    if colours:
        names = np.asarray([str(value) for value in values])
        for index, (name, colour) in enumerate(colours.items()):
            own = names == name
            if own.any():
                label = one_line(name, 24) if index < _LEGEND else None
                left.scatter(x[own], y[own], s=size, color=colour, label=label and f"\u200b{label}", **edge)
        for entry in left.legend(
            fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(0, -0.12), ncols=3
        ).get_texts():
            draw_plainly(entry)
    else:
        shade = left.scatter(x, y, s=size, c=[number(value) or 0.0 for value in values], cmap="viridis", **edge)
        figure.colorbar(shade, ax=left, shrink=0.8)
    for number_of in np.unique(fold):
        own = fold == number_of
        colour = "#c9ced3" if number_of < 0 else _FOLDS[int(number_of) % len(_FOLDS)]
        label = "not tested" if number_of < 0 else f"fold {int(number_of) + 1}"
        right.scatter(x[own], y[own], s=size, color=colour, label=label, **edge)
    if len(np.unique(fold)) <= _LEGEND:
        right.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(0, -0.12), ncols=3)
    for axes, title in ((left, "by class" if colours else "by number"), (right, "by fold")):
        axes.set_title(title, fontsize=10, loc="left")
        axes.set_xlabel("longitude, degrees", fontsize=9)
        axes.tick_params(labelsize=8)
        axes.ticklabel_format(useOffset=False)
        axes.locator_params(nbins=5)
        axes.set_aspect(1 / max(0.05, math.cos(math.radians(float(np.mean(y))))), adjustable="box")
    left.set_ylabel("latitude, degrees", fontsize=9)
    return figure_png(figure, _KIND)


def draw_bands(bands: Sequence[tuple[str, Any]]) -> bytes:
    """Numbers over an area, a map each, light where it is sure: its title and (H, W) float32, NaN = no data."""
    tall = max(image.shape[0] / image.shape[1] for _, image in bands)
    figure = new_figure(4.6 * len(bands), 4.2 * min(2.0, max(0.4, tall)) + 0.5, layout="constrained")
    for axes, (title, image) in zip(np.atleast_1d(figure.subplots(1, len(bands))), bands, strict=True):
        sure = title.startswith("probability")
        low, high = (0.0, 1.0) if sure else np.nanpercentile(image, [2, 98])
        colours = "viridis" if sure else "viridis_r"
        shown = axes.imshow(image, cmap=colours, vmin=low, vmax=high, interpolation="nearest")
        axes.set_axis_off()
        axes.set_title(title, fontsize=9, loc="left")
        figure.colorbar(shown, ax=axes, shrink=0.7)
    return figure_png(figure, _KIND)
