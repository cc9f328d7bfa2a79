"""The picture of suggestions: where to go, on the false colours of the land."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tessera.base import check_picture, require
from tessera.figures import draw_plainly, draw_scale_bar, new_figure, save_figure
from tessera.geo import from_lonlat
from tessera.labels import read_backdrop

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from tessera.geo import Window
    from tessera.labels import EmbeddingSource

_LONG_SIDE = 7.0
"""Inches of the longer side of the map."""
_NUMBERED = 60
"""Points that get their rank beside them."""


class _Drawn(Protocol):
    @property
    def lonlat(self) -> NDArray[np.float64]: ...
    @property
    def known(self) -> NDArray[np.float64]: ...
    @property
    def window(self) -> Window: ...
    @property
    def year(self) -> int: ...
    def __len__(self) -> int: ...


def draw_suggestions(found: _Drawn, store: EmbeddingSource, path: str | Path, *, overwrite: bool) -> Path:
    """See `Suggestions.draw`."""
    effects: Any = require("matplotlib.patheffects", extra="heads", purpose="a picture of suggestions")
    target = check_picture(path, "suggestions", overwrite=overwrite)
    window = found.window
    left, bottom, right, top = (edge / 1000 for edge in window.bounds)
    scale = _LONG_SIDE / max(right - left, top - bottom)
    figure = new_figure(max((right - left) * scale, 2.5), max((top - bottom) * scale, 1.6))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.imshow(read_backdrop(store, window, found.year), extent=(left, right, bottom, top), aspect="equal")
    known = found.known / 1000
    if len(known):
        axes.plot(*known.T, "o", color="white", markeredgecolor="black", markersize=4, label=f"{len(known)} labels")
    lonlat = found.lonlat
    x, y = (part / 1000 for part in from_lonlat(lonlat[:, 0], lonlat[:, 1], window.zone))
    colour = "#ffd500"
    axes.plot(x, y, "D", color=colour, markeredgecolor="black", markersize=7, label=f"{len(found)} suggestions")
    halo = [effects.withStroke(linewidth=2.5, foreground="black")]
    for rank, place in enumerate(zip(x[:_NUMBERED], y[:_NUMBERED], strict=True), start=1):
        axes.annotate(
            str(rank), place, xytext=(6, 4), textcoords="offset points", fontsize=9, color=colour, path_effects=halo
        )
    draw_plainly(axes.set_title(f"Where to label next, {found.year}", fontsize=13, loc="left"))
    axes.set_xlabel(f"easting, km ({window.grid.crs})", fontsize=10)
    axes.set_ylabel("northing, km", fontsize=10)
    axes.ticklabel_format(style="plain", useOffset=False)
    axes.locator_params(nbins=5)
    draw_scale_bar(axes, (left, bottom, right, top))
    axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0.0, fontsize=10, frameon=False)
    return save_figure(figure, target, "suggestions", margin=0.15)
