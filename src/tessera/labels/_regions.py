"""Regions of labels that name none: places that lie together, by k-means on the sphere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

REGIONS = 5
"""As many as folds: each then learns from about four fifths of the labels."""
_ROUNDS = 50
_SAMPLE = 20_000


def near_regions(
    places: NDArray[np.float64], count: int = REGIONS
) -> tuple[NDArray[np.int64], list[tuple[float, float]]]:
    """(N, 3) kilometres on the sphere -> (N,) int64, which of at most `count` regions; longitude and latitude of each.

    The first centre is the place nearest to the mean, each further one the place that is farthest from all centres, so
    that no draw decides; means then move until nothing changes.
    """
    distinct = np.unique(places, axis=0)
    seen = distinct[:: max(1, len(distinct) // _SAMPLE)]
    chosen = [int(((seen - seen.mean(axis=0)) ** 2).sum(axis=1).argmin())]
    nearest = ((seen - seen[chosen[0]]) ** 2).sum(axis=1)
    # the first was only there to be far from
    chosen = [int(nearest.argmax())]
    nearest = ((seen - seen[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < min(count, len(seen)):
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, ((seen - seen[chosen[-1]]) ** 2).sum(axis=1))
    centres = seen[chosen]
    for _ in range(_ROUNDS):
        member = _closest(seen, centres)
        means = [seen[member == k].mean(axis=0) if (member == k).any() else old for k, old in enumerate(centres)]
        moved = np.stack(means)
        if np.allclose(moved, centres, atol=1e-6):
            break
        centres = moved
    found: NDArray[np.int64] = np.unique(_closest(places, centres), return_inverse=True)[1].reshape(-1).astype(np.int64)
    middle = [places[found == number].mean(axis=0) for number in range(int(found.max()) + 1)]
    return found, [
        (float(np.degrees(np.arctan2(y, x))), float(np.degrees(np.arctan2(z, np.hypot(x, y))))) for x, y, z in middle
    ]


def _closest(places: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.int64]:
    # a centre at a time: N x 3 in memory, not N x 3 x K
    distance = np.stack([((places - centre) ** 2).sum(axis=1) for centre in centres])
    return np.asarray(distance.argmin(axis=0), dtype=np.int64)
