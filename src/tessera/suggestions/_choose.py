"""The choice: points that cover, as well as so few can, the vectors of which the map is unsure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def choose_points(
    values: NDArray[np.float32],
    weights: NDArray[np.float64],
    labelled: NDArray[np.float32],
    places: NDArray[np.float64],
    count: int,
    spacing: float,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Choose points one by one; each takes what is left of weight x distance to the nearest label the furthest down.

    The sum over pixels of weight x (distance to the nearest labelled or chosen vector) is what a choice lowers: a
    facility location problem, whose greedy solution is within 1 - 1/e of the best (Nemhauser et al. 1978,
    doi:10.1007/BF01588971). Unsure pixels weigh more, pixels like a label or like a chosen one little, and a pixel that
    many others resemble counts for them too.

    Parameters
    ----------
    values : (M, D) float32, candidates
    weights : (M,) 0 to 1, how unsure the map is
    labelled : (L, D) float32, vectors with labels; L may be 0
    places : (M, 2) metres
    count : how many, at most
    spacing : metres between two of them, at least

    Returns
    -------
    (n,) int64, the chosen in order; (n,) the share of the sum that each takes away
    """
    mean, spread = values.mean(axis=0), values.std(axis=0)
    spread[spread <= 0] = 1
    scaled = ((values - mean) / spread).astype(np.float32)
    distance = _distances(scaled, scaled)
    if len(labelled):
        nearest = _distances(scaled, ((labelled - mean) / spread).astype(np.float32)).min(axis=1)
    else:
        # without labels everything is as far away as two pixels are on average
        nearest = np.full(len(values), float(distance.mean()), np.float32)
    weight = (_FLOOR + (1 - _FLOOR) * weights).astype(np.float32)
    whole = float(weight @ nearest)
    allowed = np.ones(len(values), dtype=np.bool_)
    chosen: list[int] = []
    gains: list[float] = []
    while len(chosen) < count and allowed.any():
        gain = np.zeros(len(values), np.float64)
        for start in range(0, len(values), _PART):
            part = slice(start, start + _PART)
            gain += np.maximum(nearest[part, None] - distance[part], 0).T @ weight[part]
        gain[~allowed] = -1
        best = int(gain.argmax())
        if gain[best] <= 0:
            break
        chosen.append(best)
        gains.append(float(gain[best]) / whole)
        nearest = np.minimum(nearest, distance[:, best])
        allowed &= ((places - places[best]) ** 2).sum(axis=1) >= spacing**2
        allowed[best] = False
    return np.array(chosen, dtype=np.int64), np.array(gains)


_FLOOR = 0.1
"""What a pixel weighs of which the map is sure: it may be sure and wrong where nothing is labelled."""
_PART = 512


def _distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * (a @ b.T)
    out: NDArray[np.float32] = np.sqrt(np.maximum(squares, 0))
    return out
