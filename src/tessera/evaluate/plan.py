"""Which labels a head learns from and which test it: whole groups are held out, and every feature set gets the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError
from tessera.heads import join_groups, make_folds

from .labelled import CLASSES, Labelled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .amounts import Amount

SPLITS = ("auto", "given", "group", "spatial", "random")
BLOCK_KM = 10.0
"""Side of a spatial block: beyond the range of most fields' and forests' likeness, and small enough for several."""
FEW_GROUPS = 20
"""Tested groups below which intervals are too narrow: of made regressions with 12 groups they held 0.72, not 0.95."""
_LEAST_KM = 0.1
"""Side of the smallest block that is advised: ten pixels, about a field."""
_FOLDS = 3
"""One in so many groups is tested in each draw."""
_BINS = 5
"""Quantiles of a number that its groups are dealt by, so that high and low values are on both sides."""
FULL_DRAWS = 3
"""Draws where all labels of a fixed training part are taken: they differ by the head's seed alone."""
RANDOM_NOTE = (
    "random split: neighbours of the same field lie in training and test, which inflates scores (by 0.11 to 0.14 "
    "macro-F1 on fields of crops); use groups or spatial blocks for a figure to report"
)


@dataclass(frozen=True)
class Fold:
    """A draw of training labels and the labels that test it, as indices of the labelled set, both ascending."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]


@dataclass(frozen=True)
class Plan:
    """All draws of an evaluation.

    Attributes
    ----------
    kind : "classification" or "regression"
    classes : names of the classes that are kept, in order; () of a regression
    target : (N,) float64, the number; or int64, the index into `classes`, -1 where the class is left out
    group : (N,) int64, what is held out together, also what the bootstrap draws
    split : "given", "group", "spatial" or "random"
    folds : amount -> its draws
    notes : what the reader has to know
    """

    kind: str
    classes: tuple[str, ...]
    target: NDArray[np.float64] | NDArray[np.int64]
    group: NDArray[np.int64]
    split: str
    folds: dict[Amount, list[Fold]]
    notes: tuple[str, ...]


def make_plan(
    labelled: Labelled,
    usable: NDArray[np.bool_],
    amounts: Sequence[Amount],
    *,
    split: str = "auto",
    draws: int = 20,
    seed: int = 0,
    block_km: float = BLOCK_KM,
    drop: bool = False,
) -> Plan:
    """Deal labels to training and test, and draw subsets of the training labels; a larger one holds the smaller.

    "auto" takes the split that comes with the data, else its groups joined with spatial blocks where places are known,
    else spatial blocks. One group in three is tested, each draw another; classes are spread over both sides as evenly
    as groups allow. A class that has fewer than 2 labels on either side's candidates, or lies in one group alone, is
    left out, and said. A number a class takes all of a class that has fewer; of other amounts each class gets 2 labels
    first (1 where they do not suffice), the rest are drawn evenly from all.

    Parameters
    ----------
    usable : (N,) bool, labels with finite features in every feature set
    draws : random subsets of each amount
    block_km : side of a spatial block, kilometres
    drop : leave out, with a note, amounts that come to fewer than 2 labels, in place of refusing them

    Raises
    ------
    InputError
        A split that the data cannot give, too few labels or groups, or fewer labels than classes.
    """
    if split not in SPLITS:
        raise InputError(f"split {split!r}; expected one of {', '.join(SPLITS)}")
    if draws < 1 or not block_km > 0:
        raise InputError(f"{draws} draws, blocks of {block_km} km; expected at least 1, and above 0 km")
    chosen, group = _groups(labelled, split, block_km)
    notes = list(labelled.notes)
    lost = int((~usable).sum())
    if lost:
        notes.append(f"{lost} of {len(usable)} labels have no data and are left out")
    advice = _smaller(labelled, usable, chosen, block_km)
    target, classes, left_out = _target(labelled, usable, chosen, group, advice)
    if left_out:
        notes.append(f"classes left out, too few labels or groups: {', '.join(left_out)}")
    kept = np.flatnonzero(usable & ((target >= 0) if labelled.kind == CLASSES else True))
    if chosen != "random" and len(np.unique(group[kept])) < 2:
        raise InputError(
            f"{len(kept)} labels of {labelled.source} lie in one group or block; expected at least two{advice}"
        )
    if chosen == "random":
        notes.append(RANDOM_NOTE)
    if chosen == "given":
        notes += _across(labelled, group, kept, block_km)
    if drop:
        learnt = len(kept) - len(_tested(labelled, chosen, target, group, kept, seed * 1009))
        least = max(2, len(classes))
        small = [str(amount) for amount in amounts if amount.unit == "%" and amount.total(learnt) < least]
        if small:
            notes.append(f"{', '.join(small)} of about {learnt} labels: too few to learn from, left out")
            amounts = [amount for amount in amounts if str(amount) not in small]
    folds: dict[Amount, list[Fold]] = {amount: [] for amount in amounts}
    for draw in range(draws):
        generator = np.random.default_rng([seed, draw])
        test = _tested(labelled, chosen, target, group, kept, seed * 1009 + draw)
        train = kept[~np.isin(kept, test)]
        mixed = generator.permutation(train)
        for amount in amounts:
            taken = _subset(mixed, target, len(classes), amount)
            whole = chosen == "given" and len(taken) == len(train)
            if not (whole and draw >= FULL_DRAWS):
                folds[amount].append(Fold(np.sort(taken), test))
    notes += _few(folds, group, advice)
    return Plan(labelled.kind, classes, target, group, chosen, folds, tuple(notes))


def _across(labelled: Labelled, group: NDArray[np.int64], kept: NDArray[np.int64], block_km: float) -> list[str]:
    """Notes on what a given split divides."""
    notes: list[str] = []
    if labelled.test is None:
        return notes
    test = labelled.test[kept]
    if labelled.group is not None:
        both = np.intersect1d(group[kept][test], group[kept][~test])
        if len(both):
            notes.append(f"the given split divides {len(both)} groups: their labels are learnt from and tested")
    if labelled.lonlat is not None:
        block = spatial_blocks(labelled.lonlat, block_km)[kept]
        near = int(np.isin(block[test], block[~test]).sum())
        if near:
            notes.append(
                f"{near} of {int(test.sum())} tested labels lie in blocks of {block_km:g} km that are learnt from too"
            )
    return notes


def _smaller(labelled: Labelled, usable: NDArray[np.bool_], split: str, block_km: float) -> str:
    """What to say of the side that would make blocks enough; nothing where there are enough, or none would."""
    if split != "spatial" or labelled.lonlat is None or not usable.any():
        return ""
    places, side = labelled.lonlat[usable], block_km
    enough = _FOLDS * FEW_GROUPS
    now = found = len(np.unique(spatial_blocks(places, side)))
    while found < enough and side / 2 >= _LEAST_KM:
        side /= 2
        found = len(np.unique(spatial_blocks(places, side)))
    if found <= now:
        return ""
    return f"; blocks of {block_km:g} km are {now}, of {side:.3g} km they would be {found} (--block-km, block_km)"


def _few(folds: dict[Amount, list[Fold]], group: NDArray[np.int64], advice: str) -> list[str]:
    """Notes on what makes intervals too narrow, and on amounts that are not there."""
    notes = []
    tested = min(len(np.unique(group[fold.test])) for parts in folds.values() for fold in parts)
    if tested < FEW_GROUPS:
        notes.append(f"as few as {tested} groups are tested in a draw: intervals are too narrow{advice}")
    for amount, parts in folds.items():
        taken = max(len(fold.train) for fold in parts)
        if amount.unit == "" and taken < amount.number:
            notes.append(f"{amount} labels are asked for and {taken} are there to learn from")
    alike: dict[tuple[bytes, ...], list[Amount]] = {}
    for amount, parts in folds.items():
        alike.setdefault(tuple(fold.train.tobytes() for fold in parts), []).append(amount)
    for amounts in alike.values():
        if len(amounts) > 1:
            taken = max(len(fold.train) for fold in folds[amounts[0]])
            notes.append(f"{', '.join(map(str, amounts))} come to the same labels, {taken}")
    return notes


def spatial_blocks(lonlat: NDArray[np.float64], side_km: float = BLOCK_KM) -> NDArray[np.int64]:
    """(N, 2) degrees -> (N,) int64: the block of about side x side kilometres that holds each place."""
    row = np.floor(lonlat[:, 1] * 111.32 / side_km)
    shrunk = np.cos(np.radians(np.clip((row + 0.5) * side_km / 111.32, -89.9, 89.9)))
    col = np.floor(lonlat[:, 0] * 111.32 * shrunk / side_km)
    found = np.unique(np.column_stack([row, col]), axis=0, return_inverse=True)[1]
    return found.reshape(-1).astype(np.int64)


def _groups(labelled: Labelled, split: str, block_km: float) -> tuple[str, NDArray[np.int64]]:
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


def _target(
    labelled: Labelled, usable: NDArray[np.bool_], split: str, group: NDArray[np.int64], advice: str
) -> tuple[NDArray[np.float64] | NDArray[np.int64], tuple[str, ...], list[str]]:
    if labelled.kind != CLASSES:
        if int(usable.sum()) < 4:
            raise InputError(f"{int(usable.sum())} labels of {labelled.source} with data; expected at least 4")
        return labelled.label, (), []
    names = sorted(set(labelled.label.tolist()))
    classes: list[str] = []
    left_out: list[str] = []
    for name in names:
        members = usable & (labelled.label == name)
        if split == "given" and labelled.test is not None:
            enough = (members & ~labelled.test).sum() >= 2 and (members & labelled.test).sum() >= 1
        else:
            enough = members.sum() >= 4 and len(np.unique(group[members])) >= 2
        (classes if enough else left_out).append(name)
    if len(classes) < 2:
        raise InputError(
            f"{labelled.source} has {len(classes)} classes with enough labels and groups; expected at least two{advice}"
        )
    place = {name: index for index, name in enumerate(classes)}
    target = np.array([place.get(name, -1) for name in labelled.label.tolist()], dtype=np.int64)
    return target, tuple(classes), left_out


def _tested(
    labelled: Labelled,
    split: str,
    target: NDArray[np.float64] | NDArray[np.int64],
    group: NDArray[np.int64],
    kept: NDArray[np.int64],
    seed: int,
) -> NDArray[np.int64]:
    if split == "given" and labelled.test is not None:
        test = kept[labelled.test[kept]]
        if len(test) == 0 or len(test) == len(kept):
            raise InputError(f"{labelled.source}: {len(test)} of {len(kept)} labels are test; expected some of each")
        return test
    strata = target[kept].astype(np.int64)
    if labelled.kind != CLASSES:
        edges = np.quantile(target[kept], np.linspace(0, 1, _BINS + 1)[1:-1])
        strata = np.searchsorted(edges, target[kept]).astype(np.int64)
    tested: NDArray[np.int64] = kept[make_folds(strata, group[kept], folds=_FOLDS, seed=seed, mixed=True) == 0]
    return tested


def _subset(
    mixed: NDArray[np.int64], target: NDArray[np.float64] | NDArray[np.int64], classes: int, amount: Amount
) -> NDArray[np.int64]:
    """A part of training labels in random order; of two amounts in one unit the larger holds the smaller."""
    total = amount.total(len(mixed))
    if not classes:
        if total < 2:
            raise InputError(f"{amount} labels of {len(mixed)} to learn from; expected at least 2")
        return mixed[:total]
    # how many of its class come before each
    rank = np.empty(len(mixed), dtype=np.int64)
    for index in range(classes):
        own = np.flatnonzero(target[mixed] == index)
        rank[own] = np.arange(len(own))
    if amount.unit == "/class":
        return mixed[rank < amount.number]
    present = len(np.unique(target[mixed]))
    if total < present:
        raise InputError(f"{amount} labels, {total} of {len(mixed)}, for {present} classes; expected at least one each")
    return mixed[np.argsort(np.minimum(rank, 2), kind="stable")][:total]
