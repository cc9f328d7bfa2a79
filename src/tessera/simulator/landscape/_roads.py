"""Roads as lines of some width, and the share of each pixel that they cover."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ._noise import stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._noise import Field

_STEP = 6.0
"""Pixels between the vertices of a road."""
_WIDTHS = {"primary": 1.4, "secondary": 0.9, "track": 0.5}
"""Pixels of 10 m."""
_BENDS = {"primary": 0.05, "secondary": 0.1, "track": 0.16}
"""Deviation of the change of direction at a vertex, radians."""
ROAD_SHARE = 1 / 3
"""Share of a pixel from which the truth calls it road."""


@dataclass(frozen=True)
class Road:
    """A line: `points` (N, 2) float64, column and row in pixels; `width` in pixels."""

    kind: str
    width: float
    points: NDArray[np.float64]


def make_roads(seed: int, shape: tuple[int, int]) -> tuple[Road, ...]:
    """Two primary roads from edge to edge of each 256 x 256 pixels, secondary roads and tracks that leave them."""
    rng = stream(seed, "roads")
    height, width = shape
    scale = max(1.0, height * width / 256**2)
    roads: list[Road] = []
    for _ in range(round(2 * scale)):
        angle = rng.uniform(0, 2 * np.pi)
        middle = np.array([width, height]) * rng.uniform(0.25, 0.75, 2)
        there, back = (_walk(rng, "primary", middle, turned, shape) for turned in (angle, angle + np.pi))
        roads.append(Road("primary", _WIDTHS["primary"], np.concatenate([back[:0:-1], there])))
    for kind, count in (("secondary", round(6 * scale)), ("track", round(5 * scale))):
        for _ in range(count):
            parent = roads[int(rng.integers(len(roads)))].points
            at = int(rng.integers(len(parent) - 1))
            along = parent[at + 1] - parent[at]
            angle = np.arctan2(along[1], along[0]) + rng.choice([-1, 1]) * rng.uniform(0.9, 1.9)
            line = _walk(rng, kind, parent[at], angle, shape)
            if len(line) > 3:
                roads.append(Road(kind, _WIDTHS[kind], line))
    return tuple(roads)


def cover_of(roads: tuple[Road, ...], shape: tuple[int, int]) -> Field:
    """Share of each pixel that is road, (H, W) float32."""
    height, width = shape
    out = np.zeros(shape, dtype=np.float32)
    for road in roads:
        reach = road.width / 2 + 1
        for start, end in zip(road.points[:-1], road.points[1:], strict=True):
            low, high = np.minimum(start, end) - reach, np.maximum(start, end) + reach
            left, top = (max(0, int(np.floor(value))) for value in low)
            right, bottom = min(width, int(np.ceil(high[0]))), min(height, int(np.ceil(high[1])))
            if left >= right or top >= bottom:
                continue
            rows, cols = np.mgrid[top:bottom, left:right] + 0.5
            along = end - start
            place = ((cols - start[0]) * along[0] + (rows - start[1]) * along[1]) / (along @ along)
            place = np.clip(place, 0, 1)
            distance = np.hypot(cols - start[0] - place * along[0], rows - start[1] - place * along[1])
            # of a pixel's width, as if the road ran along its side
            covered = np.clip(road.width / 2 + 0.5 - distance, 0, min(1.0, road.width))
            np.maximum(out[top:bottom, left:right], covered, out=out[top:bottom, left:right], casting="same_kind")
    return out


def _walk(
    rng: np.random.Generator, kind: str, start: NDArray[np.float64], angle: float, shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Vertices from `start` until the line leaves the frame, bending a little at each."""
    height, width = shape
    most = 4 * (height + width) if kind == "primary" else rng.uniform(40, 200)
    points = [np.asarray(start, dtype=np.float64)]
    while len(points) * _STEP < most:
        angle += rng.normal(0, _BENDS[kind])
        points.append(points[-1] + _STEP * np.array([np.cos(angle), np.sin(angle)]))
        if not (0 <= points[-1][0] <= width and 0 <= points[-1][1] <= height):
            break
    return np.stack(points)
