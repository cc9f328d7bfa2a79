"""What the pictures share: figures, names, outlines of cells in a map's longitudes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, png_mark, require, write_atomic

from ._outline import outlines

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.geo import Window
    from tessera.store import Store

INK, FAINT, SEA, MARK = "#3a4450", "#c4ccd4", "#f6f8fa", "#c8322d"
_DPI = 150


def outline_rings(windows: set[Window], side: int, middle: float) -> list[NDArray[np.float64]]:
    """Outlines of cells in the longitudes of a map with that middle: (V, 2) degrees each."""
    import shapely

    rings: list[NDArray[np.float64]] = []
    for zone in sorted({window.zone for window in windows}):
        mine = sorted((window.west, window.north) for window in windows if window.zone == zone)
        west, north = np.array(mine, dtype=np.int64).T
        for shape in outlines(zone, west, north, side)[0]:
            moved = [
                shapely.transform(part, lambda points: shifted(points, middle)) for part in shapely.get_parts(shape)
            ]
            # cut at the date line, put together again where the map goes over it
            whole = shapely.union_all(moved) if len(moved) > 1 else moved[0]
            rings += [shapely.get_coordinates(part) for part in shapely.get_parts(whole)]
    return rings


def shifted(points: NDArray[np.float64], middle: float) -> NDArray[np.float64]:
    """A part's longitudes, turned to those nearest to the middle of a map."""
    own = (points[:, 0].min() + points[:, 0].max()) / 2
    return np.column_stack([points[:, 0] + 360 * np.round((middle - own) / 360), points[:, 1]])


def name_of(store: Store) -> str:
    """Last part of a store's path or URL."""
    return short(store.objects.root.rstrip("/").rsplit("/", 1)[-1])


def short(text: str) -> str:
    """A name that fits a title and is no formula."""
    return (text if len(text) <= 48 else f"{text[:45]}...").replace("$", r"\$")


def new_figure(width: float, height: float) -> Any:
    """A figure of so many inches that belongs to no window."""
    figures = require("matplotlib.figure", extra="heads", purpose="a picture")
    return figures.Figure(figsize=(width, height), layout="constrained", facecolor="white")


def save(figure: Any, path: Path) -> Path:
    """Write a PNG, whole or not at all; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata=png_mark("coverage"))
    try:
        write_atomic(path, buffer.getvalue())
    except OSError as error:
        raise InputError(f"cannot write the picture {path}: {error.strerror or error}") from None
    return path
