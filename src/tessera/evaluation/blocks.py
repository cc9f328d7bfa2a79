"""What is held out together: groups, blocks of land, and the blocks that would be enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError
from tessera.heads import join_groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .labelled import Labelled

BLOCK_KM = 10.0
"""Side of a spatial block: beyond the range of most fields' and forests' likeness, and small enough for several."""
FIELD_KM = 0.4
"""Side of a square field of 16 ha, kilometres. It is the upper bound of the medium class of the global map of field
sizes (Lesiv et al. 2019, doi:10.1111/gcb.14492): most fields are smaller, so most lie in few blocks of this side."""
_SIDES = (50.0, 20.0, 10.0, 5.0, 2.0, 1.0, 0.5)
"""Sides that are advised, kilometres, none below `FIELD_KM`: smaller ones put one field into training and test."""


def spatial_blocks(lonlat: NDArray[np.float64], side_km: float = BLOCK_KM) -> NDArray[np.int64]:
    """(N, 2) degrees -> (N,) int64: the block of about side x side kilometres that holds each place."""
    row = np.floor(lonlat[:, 1] * 111.32 / side_km)
    shrunk = np.cos(np.radians(np.clip((row + 0.5) * side_km / 111.32, -89.9, 89.9)))
    col = np.floor(lonlat[:, 0] * 111.32 * shrunk / side_km)
    found = np.unique(np.column_stack([row, col]), axis=0, return_inverse=True)[1]
    return found.reshape(-1).astype(np.int64)


def groups_of(labelled: Labelled, split: str, block_km: float) -> tuple[str, NDArray[np.int64]]:
    """The split that is made, and what is held out together."""
    alone = np.arange(len(labelled), dtype=np.int64)
    own = labelled.group
    if split == "auto":
        split = "given" if labelled.test is not None else "group" if own is not None else "spatial"
        if split == "spatial" and labelled.lonlat is None:
            raise InputError(f"{labelled.source} has no split, group or place; expected one of them, or split random")
        if split == "group" and labelled.lonlat is not None and own is not None:
            return "spatial", join_groups(own, spatial_blocks(labelled.lonlat, block_km))
    if split == "given":
        if labelled.test is None:
            raise InputError(f"{labelled.source} comes with no split; expected a column test")
        return split, alone if own is None else own
    if split == "group":
        if own is None:
            raise InputError(f"{labelled.source} has no groups; expected a column group")
        return split, own
    if split == "spatial":
        if labelled.lonlat is None:
            raise InputError(f"{labelled.source} has no places; expected lon and lat")
        blocks = spatial_blocks(labelled.lonlat, block_km)
        return split, blocks if own is None else join_groups(own, blocks)
    return split, alone


def smaller_blocks(
    labelled: Labelled, usable: NDArray[np.bool_], group: NDArray[np.int64], block_km: float, enough: int
) -> str:
    """What to say of the largest side that holds `enough` groups apart, or else the most, none below a field's."""
    now = most = len(np.unique(group[usable]))
    advised = 0.0
    for side in _SIDES:
        if most >= enough:
            break
        if side < block_km:
            found = len(np.unique(groups_of(labelled, "spatial", side)[1][usable]))
            if found > most:
                most, advised = found, side
    if not advised:
        return f"; label places further apart (blocks below {_SIDES[-1]:g} km may divide a field and are not advised)"
    return f"; try --block-km {advised:g} (block_km in Python): {most} held apart, where {block_km:g} makes {now}"
