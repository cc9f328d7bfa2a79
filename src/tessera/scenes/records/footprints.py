"""Footprints of scenes, and whether other scenes cover them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .scene import Scene

_SAME = 0.8
"""Share of an outline that others must cover to have the same footprint: reprocessing moves an outline of 100 km by
some kilometres; two pieces of one granule do not overlap this much."""


def unwrapped(corners: tuple[tuple[float, float], ...]) -> NDArray[np.float64]:
    """(N, 2) longitudes and latitudes without a jump: longitudes are above 180 beyond the date line."""
    points = np.array(corners, dtype=np.float64).reshape(-1, 2)
    lon = points[:, 0]
    lon = np.where(np.abs(lon) <= 180.0, lon, (lon + 180.0) % 360.0 - 180.0)
    if lon.max() - lon.min() > 180.0:
        lon = np.where(lon < 0.0, lon + 360.0, lon)
    return np.column_stack([lon, points[:, 1]])


@lru_cache(maxsize=4096)
def outline_of(footprint: tuple[tuple[float, float], ...]) -> Any:
    """The polygon through the corners, else their convex hull or bounding box; longitudes may exceed 180."""
    import shapely

    points = unwrapped(footprint)
    shape = shapely.MultiPoint(points).convex_hull
    if shape.area == 0 and shapely.box(*shape.bounds).area > 0:
        shape = shapely.box(*shape.bounds)
    if len(points) > 3 and footprint[0] == footprint[-1]:
        drawn = shapely.Polygon(points)
        if drawn.is_valid and drawn.area > 0:
            shape = drawn
    return shape


def cover_footprint(others: Sequence[Scene], scene: Scene) -> bool:
    """Whether other scenes together cover most of a scene's outline; any scene covers an outline without area."""
    import shapely

    if not others:
        return False
    own = _outline(scene)
    if own.area == 0:
        return True
    return bool(shapely.union_all([_beside(other, own) for other in others]).intersection(own).area >= _SAME * own.area)


def nearest_copy(others: Sequence[Scene], scene: Scene) -> Scene:
    """The scene of `others` that covers most of a scene's outline, the first of equals."""
    own = _outline(scene)
    return max(others, key=lambda other: float(_beside(other, own).intersection(own).area))


def _beside(scene: Scene, own: Any) -> Any:
    """The outline of a scene, moved to the same side of the date line as `own`."""
    from shapely.affinity import translate

    outline = _outline(scene)
    turns = round((own.centroid.x - outline.centroid.x) / 360.0)
    return translate(outline, 360.0 * turns) if turns else outline


def _outline(scene: Scene) -> Any:
    return outline_of(scene.footprint)
