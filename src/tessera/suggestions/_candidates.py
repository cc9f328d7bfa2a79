"""A sample of the pixels of an area in bounded memory, the same however the area is cut into strips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from tessera.base import Progress
    from tessera.embeddings import CodedVectors
    from tessera.geo import Window

    from ._reach import Reach

_MIXED = 0.3
"""Share of the sampled pixels that are left out as mixed: those least like their neighbours."""
_LOOKED = 20
"""Pixels whose weight is computed for each that the draw by weight keeps."""


@dataclass(frozen=True)
class Candidates:
    """Pixels that may be suggested.

    Attributes
    ----------
    rows, cols : (M,) int64, in the window
    values : (M, D) float32
    weights : (M,) float64, how unsure the map is there, 0 to 1
    alike : (M,) float32, mean cosine similarity to the neighbours
    reached : how many pixels with data could be reached in all
    """

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    values: NDArray[np.float32]
    weights: NDArray[np.float64]
    alike: NDArray[np.float32]
    reached: int

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: NDArray[np.int64]) -> Candidates:
        """Some of them, in the order of `index`."""
        return Candidates(
            self.rows[index],
            self.cols[index],
            self.values[index],
            self.weights[index],
            self.alike[index],
            self.reached,
        )


def draw_candidates(
    strips: Iterable[CodedVectors],
    window: Window,
    reach: Reach,
    unsure: Callable[[NDArray[np.float32]], NDArray[np.float64]],
    count: int,
    seed: int,
    progress: Progress,
) -> Candidates:
    """Draw pixels with data within reach: half of them evenly, half by how unsure the map is.

    A pixel's place in the draw is a hash of its place on the lattice, so it does not matter how the area is cut.

    Parameters
    ----------
    strips : of the window, from north to south
    unsure : (n, D) float32 -> (n,) 0 to 1
    count : at most

    Raises
    ------
    InputError
        No pixel with data can be reached.
    """
    # more than asked for, since mixed pixels are left out
    most = round(count / 2 / (1 - _MIXED)) + 1
    even, skewed = _Draw(most), _Draw(most)
    # of a large area the draw by weight looks at a part of the pixels, which their hash chooses
    share = min(1.0, _LOOKED * most / (window.width * window.height))
    reached = row = 0
    progress(0, window.height)
    for strip, above in _with_neighbours(strips):
        height = len(strip) - above
        good = strip.valid[above : above + height].copy()
        rows, cols = np.nonzero(good)
        inside = reach.contains(rows + row, cols)
        rows, cols = rows[inside], cols[inside]
        reached += len(rows)
        chance = _hash(window, rows + row, cols, seed)
        looked = _hash(window, rows + row, cols, seed + 1) < share
        first = np.flatnonzero((chance < even.border) | looked)
        rows, cols, chance, looked = rows[first], cols[first], chance[first], looked[first]
        if len(rows):
            values = strip[above + rows, cols].values()
            weights = np.clip(unsure(values), 0.0, 1.0)
            alike = _alike(strip, above + rows, cols)
            found = Candidates(rows + row, cols, values, weights, alike, 0)
            even.add(chance, found)
            with np.errstate(divide="ignore"):
                # Efraimidis and Spirakis 2006: the smallest -log(u) / w are a draw by weight
                key = -np.log(_hash(window, rows + row, cols, seed + 2)) / np.maximum(weights, 1e-6)
            skewed.add(key[looked], found.take(np.flatnonzero(looked)))
        row += height
        progress(row, window.height)
    if not reached:
        raise InputError("no pixel with data can be reached; expected an area, and roads, where the store has data")
    both = _joined(even.held, skewed.held)
    if len(both) > count:
        limit = np.quantile(both.alike, _MIXED)
        both = both.take(np.flatnonzero(both.alike >= limit))
    return Candidates(both.rows, both.cols, both.values, both.weights, both.alike, reached)


class _Draw:
    """The pixels with the smallest keys so far."""

    def __init__(self, most: int) -> None:
        self.most, self.border = most, np.inf
        self.keys = np.zeros(0)
        self.held: Candidates | None = None

    def add(self, keys: NDArray[np.float64], found: Candidates) -> None:
        held = found if self.held is None else _stacked(self.held, found)
        self.keys = np.concatenate([self.keys, keys])
        order = np.lexsort((held.cols, held.rows, self.keys))[: self.most]
        self.keys, self.held = self.keys[order], held.take(order)
        if len(order) == self.most:
            self.border = float(self.keys[-1])


def _stacked(first: Candidates, second: Candidates) -> Candidates:
    return Candidates(
        np.concatenate([first.rows, second.rows]),
        np.concatenate([first.cols, second.cols]),
        np.concatenate([first.values, second.values]),
        np.concatenate([first.weights, second.weights]),
        np.concatenate([first.alike, second.alike]),
        0,
    )


def _joined(even: Candidates | None, skewed: Candidates | None) -> Candidates:
    """Both draws, each pixel once, in the order of the land."""
    assert even is not None and skewed is not None  # noqa: S101, PT018 - some pixel was reached
    both = _stacked(even, skewed)
    _, first = np.unique(np.column_stack([both.rows, both.cols]), axis=0, return_index=True)
    return both.take(first)


def _with_neighbours(strips: Iterable[CodedVectors]) -> Iterable[tuple[CodedVectors, int]]:
    """Each strip with the last row of the one before, and how many rows that are."""
    from tessera.embeddings import CodedVectors

    last: CodedVectors | None = None
    for strip in strips:
        if last is None:
            yield strip, 0
        else:
            codes = np.concatenate([last.codes, strip.codes])
            yield CodedVectors(codes, np.concatenate([last.scales, strip.scales])), 1
        last = CodedVectors(strip.codes[-1:].copy(), strip.scales[-1:].copy())


def _alike(strip: CodedVectors, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.float32]:
    """Mean cosine similarity to the neighbours in the west, east and north that have data; 1 where none has.

    The neighbour in the south may lie in a strip that is not read yet.
    """
    own = strip.codes[rows, cols].astype(np.float32)
    size = np.sqrt((own**2).sum(axis=1))
    total, count = np.zeros(len(rows), np.float32), np.zeros(len(rows), np.float32)
    valid = strip.valid
    for down, right in ((0, -1), (0, 1), (-1, 0)):
        y, x = rows + down, cols + right
        there = (y >= 0) & (x >= 0) & (x < valid.shape[1])
        there[there] = valid[y[there], x[there]]
        other = strip.codes[y[there], x[there]].astype(np.float32)
        norm = size[there] * np.sqrt((other**2).sum(axis=1))
        cosine = np.divide((own[there] * other).sum(axis=1), norm, out=np.ones_like(norm), where=norm > 0)
        total[there] += cosine
        count[there] += 1
    return np.where(count > 0, total / np.maximum(count, 1), np.float32(1)).astype(np.float32)


def _hash(window: Window, rows: NDArray[np.int64], cols: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """(N,) above 0 and below 1, from the place of a pixel on the lattice alone: the mixer of splitmix64."""
    with np.errstate(over="ignore"):
        x = (window.west + cols).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        y = (window.north - rows).astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
        mixed = x ^ y ^ np.uint64((window.zone * 0x165667B19E3779F9 + seed * 0x27D4EB2F165667C5) % 2**64)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        mixed ^= mixed >> np.uint64(31)
    return ((mixed >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53
