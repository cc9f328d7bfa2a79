"""Which labels a head learns from and which test it: whole groups are held out, and every feature set gets the same."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError
from tessera.heads import make_folds

from ._notes import FEW_GROUPS, RANDOM_NOTE, across_notes, draw_notes
from .blocks import BLOCK_KM, FIELD_KM, groups_of, smaller_blocks
from .labelled import CLASSES, Labelled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .amounts import Amount

SPLITS = ("auto", "given", "group", "spatial", "random")
_FOLDS = 3
"""One in so many groups is tested in each draw."""
_BINS = 5
"""Quantiles of a number that its groups are dealt by, so that high and low values are on both sides."""
FULL_DRAWS = 3
"""Draws where all labels of a fixed training part are taken: they differ by the head's seed alone."""


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
        A split that the data cannot give, no label with data, too few labels or groups, or fewer labels than classes.
    """
    if split not in SPLITS:
        raise InputError(f"split {split!r}; expected one of {', '.join(SPLITS)}")
    if draws < 1 or not 0 < block_km < math.inf:
        raise InputError(f"{draws} draws, blocks of {block_km} km; expected at least 1, and finite above 0")
    if not usable.any():
        raise InputError(
            f"none of {len(usable)} labels of {labelled.source} has data in every feature set; expected observations, "
            "or for a store places inside its cells and a year (--year) written there"
        )
    chosen, group = groups_of(labelled, split, block_km)
    notes = list(labelled.notes)
    lost = int((~usable).sum())
    if lost:
        notes.append(f"{lost} of {len(usable)} labels have no data and are left out")
    advice = ""
    if chosen == "spatial":
        advice = smaller_blocks(labelled, usable, group, block_km, _FOLDS * FEW_GROUPS)
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
    if chosen == "spatial" and block_km < FIELD_KM:
        notes.append(
            f"blocks of {block_km * 1000:g} m are smaller than a field may be (16 ha: {FIELD_KM * 1000:g} m a side): "
            "labels of one field lie in training and test, which inflates scores"
        )
    if chosen == "given":
        notes += across_notes(labelled, group, kept, block_km)
    tests = [_tested(labelled, chosen, target, group, kept, seed * 1009 + draw) for draw in range(draws)]
    if drop:
        learnt = len(kept) - max(map(len, tests))
        least = max(2, len(classes))
        small = [str(amount) for amount in amounts if amount.unit == "%" and amount.total(learnt) < least]
        if small:
            notes.append(f"{', '.join(small)} of about {learnt} labels: too few to learn from, left out")
            amounts = [amount for amount in amounts if str(amount) not in small]
        if not amounts:
            raise InputError(f"{learnt} labels of {labelled.source} to learn from in a draw; expected at least {least}")
    folds: dict[Amount, list[Fold]] = {amount: [] for amount in amounts}
    for draw, test in enumerate(tests):
        generator = np.random.default_rng([seed, draw])
        train = kept[~np.isin(kept, test)]
        mixed = generator.permutation(train)
        for amount in amounts:
            taken = _subset(mixed, target, len(classes), amount)
            whole = chosen == "given" and len(taken) == len(train)
            if not (whole and draw >= FULL_DRAWS):
                folds[amount].append(Fold(np.sort(taken), test))
    notes += draw_notes(folds, group, advice)
    return Plan(labelled.kind, classes, target, group, chosen, folds, tuple(notes))


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
    in_one = False
    for name in names:
        members = usable & (labelled.label == name)
        if split == "given" and labelled.test is not None:
            enough = (members & ~labelled.test).sum() >= 2 and (members & labelled.test).sum() >= 1
        else:
            many, spread = members.sum() >= 4, len(np.unique(group[members])) >= 2
            enough, in_one = many and spread, in_one or bool(many and not spread)
        (classes if enough else left_out).append(name)
    if len(classes) < 2:
        given = split == "given" and labelled.test is not None
        least = "2 to learn from and 1 to test" if given else "4 labels in 2 groups"
        lost = "" if usable.all() else f" among the {int(usable.sum())} of {len(usable)} labels that have data"
        raise InputError(
            f"{labelled.source} has {len(classes)} classes with enough labels and groups ({least} at least){lost}; "
            f"expected at least two{advice if in_one else ''}"
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
