"""Pictures: a map with its legend, and panels side by side."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, check_output, is_png, require

from .axes import draw_north_arrow, draw_scale_bar
from .colours import parse_colour, to_rgb
from .figure import new_figure, save_figure
from .letters import draw_plainly, font_note

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Legend = Sequence[tuple[str, str]]

_BLANK = 255
"""No data, both as a class index and as the grey value (white) that it gets."""
_DPI, _MARGIN = 160, 0.15
_LONG_SIDE = 7.0
"""Longer side of a map, inches: 1,120 dots."""
MAX_SIDE = 1400
"""Pixels of the longer side worth handing to `draw_map`."""
_NOTE_WIDTH = 100
"""Letters of a line of a note."""


def draw_map(
    path: str | Path,
    classes: NDArray[np.uint8],
    legend: Legend,
    *,
    title: str,
    bounds: tuple[float, float, float, float],
    crs: str,
    heading: str = "",
    north: float | None = None,
    overwrite: bool = False,
) -> Path:
    """Draw a class map with coordinates, a scale bar and a legend to a PNG, whole or not at all.

    Letters that no installed font has are named in brackets, and a line below the map says which font to install.

    Parameters
    ----------
    path : where to
    classes : (H, W) uint8, an index into `legend`; 255 = no data, white
    legend : a text and "#rrggbb" for each class
    title : one line above the map
    bounds : (left, bottom, right, top), metres of the CRS
    crs : its name, for the axes
    heading : one line above the legend
    north : degrees clockwise from the top of the map to true north, where an arrow points; no arrow if None
    overwrite : whether a file in its place that is no earlier map is replaced too

    Raises
    ------
    InputError
        An index without a legend, or a path that cannot be written.
    """
    check_output(path, "picture", ours=is_png("map"), overwrite=overwrite)
    height, width = bounds[3] - bounds[1], bounds[2] - bounds[0]
    scale = _LONG_SIDE / max(height, width)
    # a sliver of land still needs room for ticks
    figure = new_figure(max(width * scale, 2.5), max(height * scale, 1.6), dpi=_DPI)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    left, bottom, right, top = (edge / 1000 for edge in bounds)
    axes.imshow(_paint(classes, legend), extent=(left, right, bottom, top), interpolation="nearest", aspect="equal")
    lost = draw_plainly(axes.set_title(title, fontsize=13, pad=10, loc="left"))
    axes.set_xlabel(f"easting, km ({crs})", fontsize=10)
    axes.set_ylabel("northing, km", fontsize=10)
    axes.ticklabel_format(style="plain", useOffset=False)
    axes.locator_params(axis="x", nbins=max(2, min(6, round(width * scale / 1.1))))
    axes.locator_params(axis="y", nbins=max(2, min(6, round(height * scale / 0.8))))
    axes.tick_params(labelsize=9)
    draw_scale_bar(axes, (left, bottom, right, top))
    if north is not None:
        draw_north_arrow(axes, north)
    handles = _handles(legend, blank=bool((classes == _BLANK).any()))
    rows = max(8, int(max(height * scale, 1.6) / 0.24))
    box = axes.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(1.02, 1.0),
        borderaxespad=0.0,
        fontsize=10,
        frameon=False,
        ncols=math.ceil(len(handles) / rows),
        title=heading or None,
        title_fontsize=9,
        alignment="left",
    )
    lost += "".join(draw_plainly(text) for text in box.get_texts())
    _add_note(axes, font_note(lost), below=46)
    return save_figure(figure, path, "map", margin=_MARGIN)


def draw_panels(
    path: str | Path,
    panels: Sequence[tuple[str, NDArray[np.uint8]]],
    legend: Legend = (),
    *,
    overwrite: bool = False,
) -> Path:
    """Draw images side by side, at most four a row, with one legend below, to a PNG, whole or not at all.

    Parameters
    ----------
    path : where to
    panels : a title and an image each: (H, W, 3) uint8 colours, or (H, W) uint8 indices into `legend`, 255 = no data
    legend : a text and "#rrggbb" for each class of the class maps
    overwrite : whether a file in its place that is no earlier picture of panels is replaced too

    Raises
    ------
    InputError
        No panel, an image of another form, an index without a legend, or a path that cannot be written.
    """
    check_output(path, "picture", ours=is_png("panels"), overwrite=overwrite)
    if not panels:
        raise InputError("no panel to draw; expected at least one")
    images = []
    blank = False
    for title, image in panels:
        if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
            raise InputError(f"panel {title!r} is {image.dtype} {image.shape}; expected uint8 (H, W) or (H, W, 3)")
        images.append(image if image.ndim == 3 else _paint(image, legend))
        blank = blank or (image.ndim == 2 and bool((image == _BLANK).any()))
    columns = min(len(panels), 4)
    rows = math.ceil(len(panels) / columns)
    side = 3.6
    tall = side * min(2.5, max(0.3, max(image.shape[0] / image.shape[1] for image in images)))
    figure = new_figure(columns * (side + 0.25), rows * (tall + 0.45), dpi=_DPI)
    grid = figure.subplots(rows, columns, squeeze=False)
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=0.93, wspace=0.06, hspace=0.14)
    for axes in grid.flat:
        axes.set_axis_off()
    lost = ""
    for axes, (title, _), image in zip(grid.flat, panels, images, strict=False):
        axes.imshow(image, interpolation="nearest")
        lost += draw_plainly(axes.set_title(title, fontsize=12, pad=6))
    if legend:
        box = figure.legend(
            handles=_handles(legend, blank=blank),
            loc="upper center",
            bbox_to_anchor=(0.5, 0.0),
            ncols=min(len(legend) + blank, max(2, 2 * columns)),
            fontsize=11,
            frameon=False,
        )
        lost += "".join(draw_plainly(text) for text in box.get_texts())
    _add_note(grid[0, 0], font_note(lost), below=None)
    return save_figure(figure, path, "panels", margin=_MARGIN)


def _add_note(axes: Any, note: str, *, below: float | None) -> None:
    """A small line so many points below the axes, or above the whole figure."""
    if not note:
        return
    words = textwrap.fill(note, _NOTE_WIDTH, break_on_hyphens=False)
    if below is None:
        axes.figure.text(0.01, 1.02, words, fontsize=8, va="bottom", ha="left")
        return
    place = {"xy": (0, 0), "xycoords": "axes fraction", "xytext": (0, -below), "textcoords": "offset points"}
    axes.annotate(words, **place, fontsize=8, va="top", ha="left", annotation_clip=False)


def _paint(classes: NDArray[np.uint8], legend: Legend) -> NDArray[np.uint8]:
    if classes.dtype != np.uint8 or classes.ndim != 2:
        raise InputError(f"class map {classes.dtype} {classes.shape}; expected uint8 (H, W)")
    shown = classes[classes != _BLANK]
    if shown.size and int(shown.max()) >= len(legend):
        raise InputError(f"class index {int(shown.max())} with a legend of {len(legend)} classes")
    table = np.full((256, 3), _BLANK, dtype=np.uint8)
    for index, (_, colour) in enumerate(legend):
        table[index] = to_rgb(parse_colour(colour))
    return table[classes]


def _handles(legend: Legend, *, blank: bool) -> list[Any]:
    patches = require("matplotlib.patches", extra="heads", purpose="a picture")
    entries = [*legend, *([("no data", "#ffffff")] if blank else [])]
    # a leading underscore would hide an entry
    return [
        patches.Patch(facecolor=colour, edgecolor="#666666", linewidth=0.6, label=f"\u200b{text}")
        if text.startswith("_")
        else patches.Patch(facecolor=colour, edgecolor="#666666", linewidth=0.6, label=text)
        for text, colour in entries
    ]
