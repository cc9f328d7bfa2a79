"""What is held out together: groups, blocks of land, and the one rule for the side of a block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .labels import Labels

SPLITS = ("spatial", "group", "given", "random")
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
_BEYOND = 1e6
"""No block is as large, kilometres: the Earth measures 40,000 around."""
_PART = 0.75
"""Where there cannot be `ENOUGH` groups: this share of the most that there can be."""
RANDOM_NOTE = (
    "random split: neighbours of the same field lie in training and test, which inflates scores (by 0.11 to 0.14 "
    "macro-F1 on fields of crops); use groups or spatial blocks for a figure to report"
)


@dataclass(frozen=True)
class HeldOut:
    """What a split holds out together.

    Attributes
    ----------
    split : "spatial", "group", "given" or "random"
    groups : (N,) int64; labels with the same number are never in training and test at once
    block_km : side of the blocks, kilometres; None where there are none
    notes : what the reader of a score has to know
    advice : what to do where the groups are too few; "" where no block plays a part
    """

    split: str
    groups: NDArray[np.int64]
    block_km: float | None = None
    notes: tuple[str, ...] = ()
    advice: str = ""

    def told(self, usable: NDArray[np.bool_]) -> str:
        """The split in words: "spatial, 62 groups apart in blocks of 2 km"."""
        count = len(np.unique(self.groups[usable]))
        if self.block_km is not None:
            return f"{self.split}, {count} groups in blocks of {self.block_km:g} km"
        return f"{self.split}, {count} {'labels' if self.split == 'random' else 'groups'} apart"


def spatial_blocks(lonlat: NDArray[np.float64], side_km: float = BLOCK_KM) -> NDArray[np.int64]:
    """(N, 2) degrees -> (N,) int64: the block of about side x side kilometres that holds each place."""
    row = np.floor(lonlat[:, 1] * 111.32 / side_km)
    shrunk = np.cos(np.radians(np.clip((row + 0.5) * side_km / 111.32, -89.9, 89.9)))
    col = np.floor(lonlat[:, 0] * 111.32 * shrunk / side_km)
    found = np.unique(np.column_stack([row, col]), axis=0, return_inverse=True)[1]
    return found.reshape(-1).astype(np.int64)


def hold_out(labels: Labels, usable: NDArray[np.bool_], split: str = "auto", block_km: float | None = None) -> HeldOut:
    """What is held out together.

    The side of a block is 10 km where that leaves at least 60 groups. Else it is the largest of 5, 2, 1 and 0.5 km that
    does; where none does, the largest that leaves three quarters of the most groups that there can be.

    Parameters
    ----------
    labels : N labels
    usable : (N,) bool, those with data, by which the side is chosen
    split : "spatial", blocks of land, each of the labels' own groups whole in the block of its centre; "group", the
        labels' own groups; "given", the split that comes with the labels; "random", every label alone; "auto", "given"
        where there is one, else "spatial" where places are known, else "group"
    block_km : side of a block, kilometres; None: by the rule above

    Raises
    ------
    InputError
        A split that the labels do not allow, or a side that is not finite and above 0.
    """
    if split not in (*SPLITS, "auto"):
        raise InputError(f"split {split!r}; expected one of auto, {', '.join(SPLITS)}")
    if block_km is not None and not 0 < block_km < _BEYOND:
        raise InputError(f"blocks of {block_km} km; expected finite above 0")
    if split == "auto":
        if labels.test is None and labels.groups is None and labels.lonlat is None:
            raise InputError(f"{labels.source} has no split, group or place; expected one of them, or split random")
        split = "given" if labels.test is not None else "spatial" if labels.lonlat is not None else "group"
    alone = np.arange(len(labels), dtype=np.int64)
    own = alone if labels.groups is None else labels.groups
    if split == "random":
        return HeldOut(split, alone, notes=(RANDOM_NOTE,))
    if split == "given":
        if labels.test is None:
            raise InputError(f"{labels.source} comes with no split; expected a column test")
        return HeldOut(split, own, notes=tuple(_divided(labels, own, usable, block_km or BLOCK_KM)))
    if split == "group":
        if labels.groups is None:
            raise InputError(f"{labels.source} has no groups; expected a column group")
        alike = len(np.unique(own[usable])) == int(usable.sum())
        return HeldOut(split, own, notes=("every group is one label: the split is a random one",) if alike else ())
    if labels.lonlat is None:
        raise InputError(f"{labels.source} has no places; expected lon and lat")
    side = float(block_km or _side(labels, usable, BLOCK_KM)[0])
    groups = _blocks(labels, side)
    notes: tuple[str, ...] = ()
    if side < FIELD_KM:
        notes = (
            f"blocks of {side * 1000:g} m are smaller than a field may be (16 ha: {FIELD_KM * 1000:g} m a side): "
            "labels of one field lie in training and test, which inflates scores",
        )
    return HeldOut(split, groups, side, notes, _advice(labels, usable, groups, side))


def _blocks(labels: Labels, side: float) -> NDArray[np.int64]:
    """The block of each label: that of its group's centre, since groups that join the blocks they reach chain them."""
    assert labels.lonlat is not None  # noqa: S101 - asked before
    if labels.groups is None:
        return spatial_blocks(labels.lonlat, side)
    _, first, member = np.unique(labels.groups, return_index=True, return_inverse=True)
    member, start = member.reshape(-1), labels.lonlat[first]
    # from the first place of each group, so that the date line divides none
    apart = (labels.lonlat - start[member] + 180) % 360 - 180
    mean = [np.bincount(member, weights=one) / np.bincount(member) for one in apart.T]
    centre = start + np.column_stack(mean)
    centre[:, 0] = (centre[:, 0] + 180) % 360 - 180
    return spatial_blocks(centre, side)[member]


def _side(labels: Labels, usable: NDArray[np.bool_], most: float) -> tuple[float, int]:
    """The largest side, `most` at most, that leaves enough groups, and how many."""
    counts: dict[float, int] = {}
    for side in _SIDES:
        if side <= most:
            counts[side] = len(np.unique(_blocks(labels, side)[usable]))
            if counts[side] >= ENOUGH:
                return side, counts[side]
    enough = _PART * max(counts.values())
    return next((side, count) for side, count in counts.items() if count >= enough)


def _advice(labels: Labels, usable: NDArray[np.bool_], groups: NDArray[np.int64], side: float) -> str:
    now = len(np.unique(groups[usable]))
    smaller = [one for one in _SIDES if one < side]
    if smaller and now < ENOUGH:
        better, count = _side(labels, usable, smaller[0])
        if _PART * count > now:
            return f"; try --block-km {better:g} (block_km in Python): {count} held apart, where {side:g} makes {now}"
    return f"; label places further apart (blocks below {_SIDES[-1]:g} km may divide a field and are not advised)"


def _divided(labels: Labels, group: NDArray[np.int64], usable: NDArray[np.bool_], block_km: float) -> list[str]:
    """Notes on what a given split divides."""
    notes: list[str] = []
    assert labels.test is not None  # noqa: S101 - asked before
    test = labels.test[usable]
    if labels.groups is not None:
        both = np.intersect1d(group[usable][test], group[usable][~test])
        if len(both):
            notes.append(f"the given split divides {len(both)} groups: their labels are learnt from and tested")
    if labels.lonlat is not None:
        block = spatial_blocks(labels.lonlat, block_km)[usable]
        near = int(np.isin(block[test], block[~test]).sum())
        if near:
            notes.append(
                f"{near} of {int(test.sum())} tested labels lie in blocks of {block_km:g} km that are learnt from too"
            )
    return notes
