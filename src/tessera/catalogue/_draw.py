"""Colours, names and outlines of cells that all pictures of coverage share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tessera.base import shortened

from ._outline import outlines

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.geo import Window
    from tessera.store import Store

INK, FAINT, SEA, MARK = "#3a4450", "#c4ccd4", "#f6f8fa", "#c8322d"


def outline_rings(windows: set[Window], side: int, middle: float) -> list[NDArray[np.float64]]:
    """Outlines of cells, (V, 2) degrees each, with longitudes nearest to the middle of a map."""
    import shapely

    rings: list[NDArray[np.float64]] = []
    for zone in sorted({window.zone for window in windows}):
        mine = sorted((window.west, window.north) for window in windows if window.zone == zone)
        west, north = np.array(mine, dtype=np.int64).T
        for shape in outlines(zone, west, north, side)[0]:
            moved = [
                shapely.transform(part, lambda points: shifted(points, middle)) for part in shapely.get_parts(shape)
            ]
            # they are cut at the date line: joined again where the map crosses it
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
    """A name short enough for a title, without the `$` that starts a formula."""
    return shortened(text, 48).replace("$", r"\$")
