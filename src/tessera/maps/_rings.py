"""Borders of patches as rings of pixel corners, traced strip by strip and joined where strips meet.

A half-edge is a side of a pixel beyond which another patch, nodata or the end of the raster lies. It runs with the
pixel on its left: below a pixel to the east, right of it to the north, above it to the west, left of it to the south.
At a corner the next half-edge turns right if the pixel ahead on the right is of the same patch, else goes straight on
if the one ahead on the left is, else turns left. So the rings of a patch cross neither each other nor themselves, also
where it meets itself at a corner. A corner at which three or more half-edges meet is a vertex of all rings there, so
that neighbours share every vertex of their border.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._patches import Patches

MOST_VERTICES = 30_000_000
"""Of all rings, which are in memory while they are simplified."""
_AHEAD_LEFT = ((0, 1), (-1, 0), (0, -1), (1, 0))
_AHEAD_RIGHT = ((1, 1), (-1, 1), (-1, -1), (1, -1))
_BESIDE = ((1, 0), (0, 1), (-1, 0), (0, -1))
_HEAD = ((1, 1), (0, 1), (0, 0), (1, 0))
"""Of each side: steps to the pixels ahead on the left and on the right, to the pixel beyond, and to its last corner."""


@dataclass(frozen=True)
class Rings:
    """Closed rings, those of a patch together.

    Attributes
    ----------
    vertices : (N, 2) int32, row and column of pixel corners; a ring's first vertex is its northernmost, of these the
        westernmost, and does not come again at its end
    starts : (R + 1,) int64, where each ring begins in `vertices`
    keys : (R,) int64, the patch of each ring
    areas : (R,) float64, pixels that it encloses, below 0 for holes
    """

    vertices: NDArray[np.int32]
    starts: NDArray[np.int64]
    keys: NDArray[np.int64]
    areas: NDArray[np.float64]


@dataclass(frozen=True)
class _Chains:
    """Stretches of borders within a strip, whose vertices lie one after the other.

    Attributes
    ----------
    entries, exits : (C,) int64, numbers of the first half-edge and of the one behind the last; equal for closed ones
    keys : (C,) int64, the patch on the left
    counts : (C,) int64, vertices of each
    vertices : (N, 2) int32
    """

    entries: NDArray[np.int64]
    exits: NDArray[np.int64]
    keys: NDArray[np.int64]
    counts: NDArray[np.int64]
    vertices: NDArray[np.int32]


def trace(patches: Patches, width: int) -> Rings:
    """The rings of all patches of a raster.

    Raises
    ------
    InputError
        More vertices than fit into memory.
    """
    parts: list[_Chains] = []
    total = 0
    count = len(patches.strips)
    outside = np.full((1, width), -1, dtype=np.int64)
    above, here = outside, _keys(patches, 0)
    for number in range(count):
        below = _keys(patches, number + 1) if number + 1 < count else None
        rows = np.concatenate([above, here, outside if below is None else below[:1]])
        parts.append(_chains(rows, patches.strips[number].start, width))
        total += len(parts[-1].vertices)
        if total > MOST_VERTICES:
            raise InputError(
                f"the borders of the map have more than {MOST_VERTICES:,} corners; expected a larger minimum area "
                "(--min-area-ha), or a smaller area"
            )
        above = here[-1:]
        if below is not None:
            here = below
    return _joined(parts, width)


def _keys(patches: Patches, number: int) -> NDArray[np.int64]:
    """The patch of each pixel of a strip, -1 = nodata."""
    found = patches.strip(number)
    return np.append(found.keys, -1)[found.labels]


def _chains(rows: NDArray[np.int64], top: int, width: int) -> _Chains:
    """Trace a strip.

    Parameters
    ----------
    rows : (h + 2, w) patch of each pixel of the strip and of the rows above and below it; -1 = none
    top : row of the raster at which the strip begins
    """
    wide = np.full((rows.shape[0], width + 2), -1, dtype=np.int64)
    wide[:, 1:-1] = rows
    inner = wide[1:-1, 1:-1]
    sides = [
        (inner >= 0) & (inner != wide[1 + down : wide.shape[0] - 1 + down, 1 + right : width + 1 + right])
        for down, right in _BESIDE
    ]
    places = np.flatnonzero(np.stack(sides, axis=-1))
    pixel, side = places // 4, places % 4
    row, col = pixel // width, pixel % width

    def at(steps: tuple[tuple[int, int], ...]) -> NDArray[np.int64]:
        moves = np.array(steps)[side]
        found: NDArray[np.int64] = wide[row + 1 + moves[:, 0], col + 1 + moves[:, 1]]
        return found

    key, left, right, beside = inner[row, col], at(_AHEAD_LEFT), at(_AHEAD_RIGHT), at(_BESIDE)
    turns_right = right == key
    straight = ~turns_right & (left == key)
    # pixel and side of the next half-edge
    moves = np.where(turns_right[:, None], np.array(_AHEAD_RIGHT)[side], 0)
    moves = np.where(straight[:, None], np.array(_AHEAD_LEFT)[side], moves)
    turn = np.where(turns_right, 3, np.where(straight, 0, 1))
    following = ((top + row + moves[:, 0]) * width + col + moves[:, 1]) * 4 + (side + turn) % 4
    number = (top * width * 4) + places
    is_vertex = ~straight | (beside != right)
    corner = np.array(_HEAD)[side] + np.stack([top + row, col], axis=1)
    return _ordered(number, following, key, is_vertex, corner.astype(np.int32))


def _ordered(
    number: NDArray[np.int64],
    following: NDArray[np.int64],
    key: NDArray[np.int64],
    is_vertex: NDArray[np.bool_],
    corner: NDArray[np.int32],
) -> _Chains:
    """Put half-edges into the order of their chains."""
    count = len(number)
    place = np.minimum(np.searchsorted(number, following), max(0, count - 1))
    inside = number[place] == following if count else np.zeros(0, dtype=np.bool_)
    first, order, lengths = chains_of(np.where(inside, place, -1))
    keep = is_vertex[order]
    groups = np.repeat(np.arange(len(first)), lengths)
    counts = np.bincount(groups[keep], minlength=len(first))
    last = order[np.cumsum(lengths) - 1] if len(first) else order
    return _Chains(number[first], following[last], key[first], counts, corner[order[keep]])


def chains_of(after: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Cut a list of successors into chains; a circle begins at its least number.

    Parameters
    ----------
    after : (n,) number that follows each, -1 = none; none follows two

    Returns
    -------
    (C,) first of each chain, rising; (n,) all numbers, chain by chain in their order; (C,) lengths of the chains
    """
    count = len(after)
    if not count:
        empty = np.zeros(0, dtype=np.int64)
        return empty, empty, empty
    before = np.full(count + 1, -1, dtype=np.int64)
    before[after] = np.arange(count)
    before = before[:count]
    # the least number of each circle, by doubling the reach; the end of a chain is its own successor
    least, jump = np.arange(count), np.where(after < 0, np.arange(count), after)
    ended = after < 0
    for _ in range(int(count).bit_length()):
        least, ended, jump = np.minimum(least, least[jump]), ended | ended[jump], jump[jump]
    heads = (before < 0) | (~ended & (least == np.arange(count)))
    # the number of steps back to the head, and which it is
    back = np.where(heads, np.arange(count), before)
    steps = (~heads).astype(np.int64)
    for _ in range(int(count).bit_length()):
        steps, back = steps + steps[back], back[back]
    order = np.lexsort((steps, back))
    first = np.flatnonzero(heads)
    return first, order, np.bincount(back, minlength=count)[first]


def _joined(parts: list[_Chains], width: int) -> Rings:
    """Join the chains of all strips to rings."""
    entries, exits, keys, counts = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("entries", "exits", "keys", "counts")
    )
    vertices = np.concatenate([part.vertices for part in parts])
    order = np.argsort(entries, kind="stable")
    after = order[np.searchsorted(entries[order], exits)] if len(entries) else entries
    first, chain_order, lengths = chains_of(after)
    # vertices in the order of the chains
    offsets = np.cumsum(counts) - counts
    vertices = vertices[_ranges(offsets[chain_order], counts[chain_order])]
    groups = np.repeat(np.arange(len(first)), lengths)
    sizes = np.bincount(groups, weights=counts[chain_order], minlength=len(first)).astype(np.int64)
    starts = np.append(0, np.cumsum(sizes))
    # each ring from its northernmost, westernmost vertex on
    spot = vertices[:, 0].astype(np.int64) * (width + 1) + vertices[:, 1]
    least = np.minimum.reduceat(spot, starts[:-1]) if len(first) else spot
    ring = np.repeat(np.arange(len(first)), sizes)
    hits = np.flatnonzero(spot == least[ring])
    begin = hits[np.unique(ring[hits], return_index=True)[1]] - starts[:-1]
    inner = np.arange(len(vertices)) - starts[ring]
    vertices = vertices[starts[ring] + (inner + begin[ring]) % sizes[ring]]
    areas = _areas(vertices, starts, ring)
    keys = keys[first]
    # the outer ring of each patch first, then its holes
    order = np.lexsort((least, areas < 0, keys))
    vertices = vertices[_ranges(starts[:-1][order], sizes[order])]
    return Rings(vertices, np.append(0, np.cumsum(sizes[order])), keys[order], areas[order])


def _ranges(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """start, start + 1, ... of each range, one behind the other."""
    ends = np.cumsum(counts)
    found: NDArray[np.int64] = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - counts), counts)
    return found


def _areas(vertices: NDArray[np.int32], starts: NDArray[np.int64], ring: NDArray[np.int64]) -> NDArray[np.float64]:
    """Pixels that each ring encloses; positive where it runs against the clock, north up."""
    if not len(vertices):
        return np.zeros(0)
    following = np.arange(1, len(vertices) + 1)
    following[starts[1:] - 1] = starts[:-1]
    y, x = -vertices[:, 0].astype(np.float64), vertices[:, 1].astype(np.float64)
    cross = x * y[following] - x[following] * y
    return np.bincount(ring, weights=cross, minlength=len(starts) - 1) / 2
