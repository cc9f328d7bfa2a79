"""How far labels resemble their neighbours: the distance from which they agree no more than labels far apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import require

if TYPE_CHECKING:
    from numpy.typing import NDArray

RADIUS_KM = 6371.0
ALIKE = 0.1
"""Agreement beyond chance that counts as none: a tenth of what a label shares with itself."""
_SEEN, _NEAREST = 1500, 16
"""Labels whose pairs are all looked at, and neighbours of each beside: 1.1 million pairs take 0.2 s."""
_MOST = 200_000
"""Labels among which neighbours are sought."""
_FIRST_KM, _STEP = 0.02, 1.5
"""Lower edge of the second class of distance, and the ratio of two edges."""
_PAIRS = 30
"""Pairs that a class of distance needs."""


@dataclass(frozen=True)
class Agreement:
    """How labels of different groups agree by their distance.

    Attributes
    ----------
    range_km : from here on they agree by less than `ALIKE` beyond chance
    near : agreement beyond chance of the closest pairs, 1 = always
    closest_km : mean distance of the closest pairs
    beyond : True where they still agree at half the extent of the labels, the largest distance that is looked at
    """

    range_km: float
    near: float
    closest_km: float
    beyond: bool


def earth_km(lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) degrees -> (N, 3) kilometres on a sphere, whose chords are distances up to some hundred kilometres."""
    lon, lat = np.radians(lonlat.T)
    return RADIUS_KM * np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def near_tree(places: NDArray[np.float64]) -> Any:
    """A tree that finds the nearest of (N, 3) places."""
    spatial: Any = require("scipy.spatial", extra="heads", purpose="distances between labels")
    return spatial.cKDTree(places, balanced_tree=False, compact_nodes=False)


def agreement(
    values: NDArray[Any], places: NDArray[np.float64], groups: NDArray[np.int64], *, classes: bool
) -> Agreement | None:
    """Measure agreement by distance; None where labels are too few or all in one place.

    Of classes agreement is the share of pairs of one class, of numbers the product of their normal scores (ranks, so
    that outliers count no more than others). Both are 0 by chance and 1 of a label with itself. One label a group is
    looked at: a split never divides groups. Agreement is made to fall with distance (isotonic regression).

    Parameters
    ----------
    values : (N,) int64 classes or float64 numbers
    places : (N, 3) as `earth_km` returns them
    groups : (N,) int64
    """
    generator = np.random.default_rng(0)
    order = generator.permutation(len(values))
    order = order[np.unique(groups[order], return_index=True)[1]]
    order = generator.permutation(order)[:_MOST]
    values, places = values[order], places[order]
    if len(values) < _PAIRS:
        return None
    if classes:
        _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
        share = counts / counts.sum()
        marks: NDArray[Any] = index.reshape(-1)
        chance = float((share**2).sum())
        if chance > 1 - 1e-9:
            return None
    else:
        marks, chance = _normal_scores(values), 0.0
    first, second = _pairs(places)
    distance = np.sqrt(((places[first] - places[second]) ** 2).sum(axis=1))
    extent = float(np.sqrt(((places - places.mean(axis=0)) ** 2).sum(axis=1)).max())
    if not extent > 0:
        return None
    alike = (marks[first] == marks[second]).astype(np.float64) if classes else marks[first] * marks[second]
    alike = (alike - chance) / (1 - chance)
    edges = _FIRST_KM * _STEP ** np.arange(64)
    edges = np.concatenate([[0.0], edges[edges < extent], [max(extent, _FIRST_KM)]])
    inside = (distance <= extent) & (distance > 0)
    bins = np.clip(np.searchsorted(edges, distance[inside], side="right") - 1, 0, len(edges) - 2)
    pairs = np.bincount(bins, minlength=len(edges) - 1)
    totals = np.bincount(bins, weights=alike[inside], minlength=len(pairs))
    apart = np.bincount(bins, weights=distance[inside], minlength=len(pairs))
    # pairs of one label are not independent: a class counts for as many as labels that it holds
    weight = np.minimum(pairs, len(values)).astype(np.float64)
    if not pairs.any():
        return None
    held = np.flatnonzero(pairs >= min(_PAIRS, pairs.max()))
    fitted = _falling(totals[held] / pairs[held], weight[held])
    low = np.flatnonzero(fitted <= ALIKE)
    near, closest = float(fitted[0]), float(apart[held[0]] / pairs[held[0]])
    if not len(low):
        return Agreement(extent, near, closest, beyond=True)
    return Agreement(float(edges[held[low[0]]]) if low[0] else 0.0, near, closest, beyond=False)


def _pairs(places: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of some labels with one another and with their nearest neighbours among all."""
    seen = min(_SEEN, len(places))
    first, second = np.triu_indices(seen, 1)
    if len(places) <= _NEAREST:
        return first, second
    found = near_tree(places).query(places[:seen], k=_NEAREST + 1)[1][:, 1:]
    # a neighbour that was seen itself is a pair already
    near = np.repeat(np.arange(seen), _NEAREST), found.reshape(-1)
    fresh = near[1] >= seen
    return np.concatenate([first, near[0][fresh]]), np.concatenate([second, near[1][fresh]])


def _normal_scores(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks as numbers of mean 0 and standard deviation 1; equal numbers have one rank."""
    names, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - counts / 2)[index.reshape(-1)] / len(values)
    scored = np.sqrt(12) * (rank - 0.5) if len(names) > 1 else np.zeros(len(values))
    out: NDArray[np.float64] = scored / max(float(scored.std()), 1e-12)
    return out


def _falling(values: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nearest values that never rise (pool adjacent violators)."""
    level: list[list[float]] = []
    for value, mass in zip(values.tolist(), weight.tolist(), strict=True):
        level.append([value, mass, 1])
        while len(level) > 1 and level[-2][0] < level[-1][0]:
            above, below = level[-2], level.pop()
            mass = above[1] + below[1]
            level[-1] = [(above[0] * above[1] + below[0] * below[1]) / mass, mass, above[2] + below[2]]
    return np.concatenate([np.full(int(count), value) for value, _, count in level])
