"""The picture of labels: where they lie, in the colours of their classes, on the false colours of the land."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import check_picture
from tessera.figures import (
    MAX_SIDE,
    choose_colours,
    degrees,
    draw_plainly,
    draw_scale_bar,
    false_colour,
    font_note,
    new_figure,
    save_figure,
)
from tessera.geo import EAST, NORTH, PIXEL_SIZE, SOUTH, WEST, Window, from_lonlat, to_lonlat, zone_crs, zones_of

from .backdrop import read_backdrop
from .codes import class_labels
from .labels import CLASSES

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.base import Progress

    from .labels import Labels
    from .source import EmbeddingSource

KIND = "labels"
_LONG_SIDE = 7.0
"""Inches of the longer side of the map."""
_MARGIN = 0.06
"""Land around the outermost labels, a share of their extent."""
_BAR_SHARE, _BAR_POINTS = 0.04, 24.0
"""The scale bar ends so high above the lower edge: a share of the height, and the points of its letters and a dot."""
_ARROW_SHARE, _ARROW_POINTS = 0.04, 14.0
"""The arrow to north begins so far from the right edge."""
_GROWN = 1.2
"""How much larger a frame may get by room for both."""
_LEAST_PX = 64
"""Pixels of a side of the map, at least."""
_WIDEST = 3.0
"""Degrees from the middle of a UTM zone to which it is drawn; wider spreads are drawn in degrees."""
_GRID = 160
"""Places sampled along the longer side where the land is too wide to be read whole."""
_RAMP = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")
"""Colours of low to high numbers: five steps of viridis."""
_MOST_DOTS = 100_000
_TURN = 360.0


@dataclass(frozen=True)
class _Frame:
    """A piece of land in the units of the axes, kilometres of a zone or degrees."""

    left: float
    bottom: float
    right: float
    top: float
    zone: int | None

    @property
    def kilometre(self) -> float:
        """Its length along the horizontal axis."""
        if self.zone is not None:
            return 1.0
        return 1 / (111.32 * max(math.cos(math.radians((self.bottom + self.top) / 2)), 0.05))

    @property
    def aspect(self) -> float:
        """Height of a unit over its width."""
        return 1.0 if self.zone is not None else 111.32 * self.kilometre


def draw_labels(
    labels: Labels,
    usable: NDArray[np.bool_],
    path: str | Path,
    *,
    store: EmbeddingSource | None,
    year: int | None,
    overwrite: bool,
    progress: Progress,
) -> Path:
    """See `LabelReport.draw`."""
    target = check_picture(path, KIND, overwrite=overwrite)
    assert labels.lonlat is not None  # noqa: S101 - asked before
    shown_ = usable if usable.any() else np.ones(len(labels), dtype=np.bool_)
    frame, x, y = _frame(labels.lonlat, shown_)
    frame = _with_room(frame)
    wide, tall = frame.right - frame.left, (frame.top - frame.bottom) * frame.aspect
    scale = _LONG_SIDE / max(wide, tall)
    figure = new_figure(max(wide * scale, 2.5), max(tall * scale, 1.6), dpi=160)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_facecolor("#f4f4f2")
    if store is not None and year is not None:
        image, extent = _land(store, year, frame, progress)
        axes.imshow(image, extent=extent, interpolation="nearest", aspect=frame.aspect)
    axes.set_aspect(frame.aspect)
    lost = _dots(axes, labels, usable, x, y, store is not None)
    what = f"labels: {labels.column}" + (f", on false colours of {year}" if store is not None else "")
    lost += draw_plainly(axes.set_title(what, fontsize=13, pad=10, loc="left"))
    _axes_text(axes, frame)
    draw_scale_bar(axes, (frame.left, frame.bottom, frame.right, frame.top), kilometre=frame.kilometre)
    axes.annotate(
        "N",
        (0.96, 0.97),
        (0.96, 0.89),
        xycoords="axes fraction",
        ha="center",
        va="center",
        fontsize=11,
        arrowprops={"arrowstyle": "-|>", "color": "black", "shrinkA": 0, "shrinkB": 6},
        bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "alpha": 0.8, "edgecolor": "none"},
    )
    note = font_note(lost)
    if note:
        axes.annotate(
            note, (0, 0), (0, -46), xycoords="axes fraction", textcoords="offset points", fontsize=8, va="top"
        )
    return save_figure(figure, target, KIND, margin=0.15)


def _frame(
    lonlat: NDArray[np.float64], used: NDArray[np.bool_]
) -> tuple[_Frame, NDArray[np.float64], NDArray[np.float64]]:
    """The land to draw, and where all labels lie on it."""
    lon, lat = lonlat[:, 0], lonlat[:, 1]
    zone = int(np.bincount(zones_of(lon[used])).argmax())
    middle = 6 * zone - 183
    apart = (lon - middle + 180) % _TURN - 180
    if np.abs(apart[used]).max() <= _WIDEST + 1:
        x, y = (part / 1000 for part in from_lonlat(lon, lat, zone))
        least = _LEAST_PX * PIXEL_SIZE / 1000
        edges = _edges(x[used], y[used], least)
        return _Frame(*edges, zone), x, y
    x = apart + middle
    return _Frame(*_edges(x[used], lat[used], 0.1), None), x, lat


def _with_room(frame: _Frame) -> _Frame:
    """The same land and more of it below and to the right, where scale bar and arrow then hide no label."""
    wide, tall = frame.right - frame.left, (frame.top - frame.bottom) * frame.aspect
    # a picture that grows is drawn smaller, and so are these
    point = max(wide, tall) * _GROWN / (72 * _LONG_SIDE)
    share = _MARGIN / (1 + 2 * _MARGIN)
    right = max(0.0, _ARROW_SHARE * wide * _GROWN + _ARROW_POINTS * point - share * wide)
    below = max(0.0, _BAR_SHARE * tall * _GROWN + _BAR_POINTS * point - share * tall)
    return replace(frame, right=frame.right + right, bottom=frame.bottom - below / frame.aspect)


def _edges(x: NDArray[np.float64], y: NDArray[np.float64], least: float) -> tuple[float, float, float, float]:
    wide, tall = max(np.ptp(x), least), max(np.ptp(y), least)
    # a strip of land gets enough of its surroundings to be read
    wide, tall = max(wide, tall / 4), max(tall, wide / 4)
    middle = (x.min() + x.max()) / 2, (y.min() + y.max()) / 2
    half = wide * (0.5 + _MARGIN), tall * (0.5 + _MARGIN)
    return middle[0] - half[0], middle[1] - half[1], middle[0] + half[0], middle[1] + half[1]


def _land(
    store: EmbeddingSource, year: int, frame: _Frame, progress: Progress
) -> tuple[NDArray[np.uint8], tuple[float, float, float, float]]:
    """The false colours of a frame, and their extent: every pixel of a small one, a grid of places of a large one."""
    if frame.zone is not None:
        window = _window(frame)
        if max(window.shape) <= 2 * MAX_SIDE:
            left, bottom, right, top = (edge / 1000 for edge in window.bounds)
            return read_backdrop(store, window, year), (left, right, bottom, top)
    rows, columns = _shape(frame)
    x = frame.left + (np.arange(columns) + 0.5) * (frame.right - frame.left) / columns
    y = frame.top - (np.arange(rows) + 0.5) * (frame.top - frame.bottom) / rows
    xx, yy = (part.ravel() for part in np.meshgrid(x, y))
    if frame.zone is not None:
        xx, yy = to_lonlat(xx * 1000, yy * 1000, frame.zone)
    inside = (yy > -80) & (yy < 84)
    lonlat = np.column_stack([(xx + 180) % _TURN - 180, np.clip(yy, -79.9, 83.9)])
    values = np.concatenate(
        [store.sample_codes(part, year).values() for part in np.array_split(lonlat, max(1, len(lonlat) // 20_000))]
    )
    values[~inside] = np.nan
    progress(len(lonlat), len(lonlat))
    extent = (frame.left, frame.right, frame.bottom, frame.top)
    return false_colour(values.reshape(rows, columns, -1)), extent


def _shape(frame: _Frame) -> tuple[int, int]:
    wide, tall = frame.right - frame.left, (frame.top - frame.bottom) * frame.aspect
    scale = _GRID / max(wide, tall)
    return max(1, round(tall * scale)), max(1, round(wide * scale))


def _window(frame: _Frame) -> Window:
    """The lattice window that a frame in kilometres shows."""
    per = 1000 / PIXEL_SIZE
    west, east = math.floor(frame.left * per), math.ceil(frame.right * per)
    south, north = math.floor(frame.bottom * per), math.ceil(frame.top * per)
    west, east = max(west, WEST), min(east, EAST)
    south, north = max(south, SOUTH), min(north, NORTH)
    assert frame.zone is not None  # noqa: S101 - asked before
    return Window(frame.zone, west, north, max(east - west, 1), max(north - south, 1))


def _dots(
    axes: Any,
    labels: Labels,
    usable: NDArray[np.bool_],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    stored: bool,
) -> str:
    """Draw the labels with their legend; returns letters that no font has."""
    some = np.arange(len(labels))
    if len(some) > _MOST_DOTS:
        some = np.sort(np.random.default_rng(0).choice(len(labels), _MOST_DOTS, replace=False))
    x, y, used, values = x[some], y[some], usable[some], labels.values[some]
    size = 7.0 if len(some) <= 300 else 4.5 if len(some) <= 5000 else 2.5
    style = {"linestyle": "none", "marker": "o", "markersize": size, "markeredgecolor": "black"}
    style["markeredgewidth"] = 0.6 if size > 3 else 0.25
    if labels.kind == CLASSES:
        names = labels.classes
        parts = [
            (text, colour, values == name)
            for name, text, colour in zip(names, class_labels(names, 40), choose_colours(names), strict=True)
        ]
    else:
        edges = np.quantile(labels.values, np.linspace(0, 1, len(_RAMP) + 1))
        number = np.clip(np.searchsorted(edges, values, "right") - 1, 0, len(_RAMP) - 1)
        parts = [(f"{edges[at]:.4g} to {edges[at + 1]:.4g}", colour, number == at) for at, colour in enumerate(_RAMP)]
    for text, colour, here in parts:
        here = here & used
        if here.any():
            axes.plot(x[here], y[here], color=colour, label=f"{text} ({int(here.sum()):,})", **style)
    if stored and not used.all():
        gone = ~used
        axes.plot(
            x[gone],
            y[gone],
            linestyle="none",
            marker="x",
            markersize=size,
            color="#d00000",
            label=f"no data, or outside ({int(gone.sum()):,})",
        )
    handles, texts = axes.get_legend_handles_labels()
    box = axes.legend(
        handles,
        [f"\u200b{text}" if text.startswith("_") else text for text in texts],
        loc="upper left",
        bbox_to_anchor=(1.02, 1.0),
        borderaxespad=0.0,
        fontsize=10,
        frameon=False,
        ncols=math.ceil(len(handles) / 26),
        markerscale=max(1.0, 6.0 / size),
    )
    return "".join(draw_plainly(text) for text in box.get_texts())


def _axes_text(axes: Any, frame: _Frame) -> None:
    axes.locator_params(axis="both", nbins=6)
    axes.tick_params(labelsize=9)
    if frame.zone is not None:
        axes.ticklabel_format(style="plain", useOffset=False)
        axes.set_xlabel(f"easting, km ({zone_crs(frame.zone)})", fontsize=10)
        axes.set_ylabel("northing, km", fontsize=10)
        return
    axes.xaxis.set_major_formatter(lambda value, _: degrees(value, "EW"))
    axes.yaxis.set_major_formatter(lambda value, _: degrees(value, "NS"))
