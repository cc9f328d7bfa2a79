"""Blocks of land: where they lie, and the one rule for their side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .labels import Labels

BLOCK_KM = 10.0
"""Side of a block where the land allows it, kilometres: most fields, woods and lakes, and the weather and orbit that
their pixels share, then fall into one block."""
FIELD_KM = 0.4
"""Side of a square field of 16 ha, kilometres. It is the upper bound of the medium class of the global map of field
sizes (Lesiv et al. 2019, doi:10.1111/gcb.14492): most fields are smaller, so most lie in few blocks of this side."""
ENOUGH = 60
"""Groups that are enough: of one in three that is tested 20 remain, below which intervals are too narrow."""
FEW = 20
"""Tested groups below which intervals are too narrow: of made regressions with 12 groups they held 0.72, not 0.95."""
_SIDES = (50.0, 20.0, 10.0, 5.0, 2.0, 1.0, 0.5)
"""Sides that are chosen or advised, kilometres, none below `FIELD_KM`: smaller ones divide fields."""
_PART = 0.75
"""Where there cannot be `ENOUGH` groups: this share of the most that there can be."""


def spatial_blocks(lonlat: NDArray[np.float64], side_km: float = BLOCK_KM) -> NDArray[np.int64]:
    """(N, 2) degrees -> (N,) int64: the block of about side x side kilometres that holds each place."""
    row = np.floor(lonlat[:, 1] * 111.32 / side_km)
    shrunk = np.cos(np.radians(np.clip((row + 0.5) * side_km / 111.32, -89.9, 89.9)))
    col = np.floor(lonlat[:, 0] * 111.32 * shrunk / side_km)
    found = np.unique(np.column_stack([row, col]), axis=0, return_inverse=True)[1]
    return found.reshape(-1).astype(np.int64)


def group_centres(labels: Labels) -> NDArray[np.float64]:
    """(N, 2) degrees: the centre of each label's group, or its own place."""
    assert labels.lonlat is not None  # noqa: S101 - asked before
    if labels.groups is None:
        return labels.lonlat
    _, first, member = np.unique(labels.groups, return_index=True, return_inverse=True)
    member, start = member.reshape(-1), labels.lonlat[first]
    # from the first place of each group, so that the date line divides none
    apart = (labels.lonlat - start[member] + 180) % 360 - 180
    mean = [np.bincount(member, weights=one) / np.bincount(member) for one in apart.T]
    centre = start + np.column_stack(mean)
    centre[:, 0] = (centre[:, 0] + 180) % 360 - 180
    return centre[member]


def blocks_of(labels: Labels, side: float) -> NDArray[np.int64]:
    """The block of each label: that of its group's centre, since groups that join the blocks they reach chain them."""
    return spatial_blocks(group_centres(labels), side)


def block_side(labels: Labels, usable: NDArray[np.bool_], most: float = BLOCK_KM) -> tuple[float, int]:
    """The largest side, `most` at most, that leaves enough groups, and how many."""
    counts: dict[float, int] = {}
    for side in _SIDES:
        if side <= most:
            counts[side] = len(np.unique(blocks_of(labels, side)[usable]))
            if counts[side] >= ENOUGH:
                return side, counts[side]
    enough = _PART * max(counts.values())
    return next((side, count) for side, count in counts.items() if count >= enough)


def block_advice(labels: Labels, usable: NDArray[np.bool_], groups: NDArray[np.int64], side: float) -> str:
    """What to do where blocks of this side are too few, to stand behind the line that says so."""
    now = len(np.unique(groups[usable]))
    smaller = [one for one in _SIDES if one < side]
    if smaller and now < ENOUGH:
        better, count = block_side(labels, usable, smaller[0])
        if _PART * count > now:
            return f"; try --block-km {better:g} (block_km in Python): {count} held apart, where {side:g} makes {now}"
    return f"; label places further apart (blocks below {_SIDES[-1]:g} km may divide a field and are not advised)"
