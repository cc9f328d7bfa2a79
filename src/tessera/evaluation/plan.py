"""Which labels a head learns from and which test it: whole groups are held out, and every feature set gets the same."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError
from tessera.labels import CLASSES, FEW, LEAST_LABELS, LEAST_UNITS, Fold, HeldOut, bins_of, hold_out, judged, make_folds
from tessera.validation import draw_subset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tessera.labels import Labels
    from tessera.validation import Amount

_FOLDS = 3
"""One in so many groups is tested in each draw."""
FULL_DRAWS = 3
"""Draws where all labels of a fixed training part are taken: they differ by the head's seed alone."""


@dataclass(frozen=True)
class Plan:
    """All draws of an evaluation.

    Attributes
    ----------
    kind : "classification" or "regression"
    classes : names of the classes that are kept, in order; () of a regression
    target : (N,) float64, the number; or int64, the index into `classes`, -1 where the class is left out
    group : (N,) int64, what is held out together, also what the bootstrap draws
    split : "given", "group", "spatial", "region", "year" or "random"
    block_km, buffer_km : side of the blocks and width of the buffer, kilometres; None where there are none
    told : the split in words
    folds : amount -> its draws
    notes : what the reader has to know
    held : the split, of all N labels
    """

    kind: str
    classes: tuple[str, ...]
    target: NDArray[np.float64] | NDArray[np.int64]
    group: NDArray[np.int64]
    split: str
    block_km: float | None
    buffer_km: float | None
    told: str
    folds: dict[Amount, list[Fold]]
    notes: tuple[str, ...]
    held: HeldOut


def make_plan(
    labels: Labels,
    usable: NDArray[np.bool_],
    amounts: Sequence[Amount],
    *,
    split: str = "auto",
    draws: int = 20,
    seed: int = 0,
    block_km: float | str | None = None,
    buffer_km: float | str | None = None,
    drop: bool = False,
) -> Plan:
    """Deal labels to training and test, and draw subsets of the training labels; a larger one holds the smaller.

    What is held out together is what `tessera.labels.hold_out` says. One group in three is tested, each draw another;
    of a split by year one year after another, in a third of the groups where a group is labelled in several years;
    classes are spread over both sides as evenly as groups allow. A class with fewer than 3 labels, or in one group
    alone, is left out, and said. A number a class takes all of a class that has fewer; of other amounts each class gets
    2 labels first (1 where they do not suffice), the rest are drawn evenly from all.

    Parameters
    ----------
    usable : (N,) bool, labels with finite features in every feature set
    split, block_km, buffer_km : as `hold_out` takes them
    draws : random subsets of each amount
    drop : leave out, with a note, amounts that come to fewer than 2 labels, in place of refusing them

    Raises
    ------
    InputError
        A split that the data cannot give, no label with data, too few labels or groups, or fewer labels than classes.
    """
    if draws < 1:
        raise InputError(f"{draws} draws; expected at least 1")
    if not usable.any():
        raise InputError(
            f"none of {len(usable)} labels of {labels.source} has data in every feature set; expected observations, "
            "or for a store places inside its cells and a year (--year) written there"
        )
    held = hold_out(labels, usable, split, block_km, buffer_km)
    group = held.groups
    notes = list(labels.notes)
    if labels.missing:
        notes.insert(0, f"{labels.missing} features without a value or place are left out")
    lost = int((~usable).sum())
    if lost:
        notes.append(f"{lost} of {len(usable)} labels have no data and are left out")
    target, classes, left_out = _target(labels, usable, held.split, group, held.advice)
    if left_out:
        notes.append(
            f"classes left out, too few labels or groups to be tested (tessera fit learns them): {', '.join(left_out)}"
        )
    kept = np.flatnonzero(usable & ((target >= 0) if labels.kind == CLASSES else True))
    if held.split != "random" and len(np.unique(group[kept])) < 2:
        raise InputError(
            f"{len(kept)} labels of {labels.source} lie in one group or block; expected at least two{held.advice}"
        )
    notes += held.notes
    if held.why:
        notes.append(held.why)
    tests = [_tested(labels, held, target, kept, seed, draw) for draw in range(draws)]
    if drop:
        learnt = min(len(_learnt(held, kept, test)) for test in tests)
        least = max(2, len(classes))
        small = [str(amount) for amount in amounts if amount.unit == "%" and amount.total(learnt) < least]
        if small:
            notes.append(f"{', '.join(small)} of about {learnt} labels: too few to learn from, left out")
            amounts = [amount for amount in amounts if str(amount) not in small]
        if not amounts:
            raise InputError(f"{learnt} labels of {labels.source} to learn from in a draw; expected at least {least}")
    folds: dict[Amount, list[Fold]] = {amount: [] for amount in amounts}
    for draw, test in enumerate(tests):
        generator = np.random.default_rng([seed, draw])
        train = _learnt(held, kept, test)
        if len(train) < 2:
            raise InputError(
                f"{len(train)} of {len(kept)} labels of {labels.source} are left to learn from in a draw: "
                f"{held.told(usable)}; expected a narrower buffer (--buffer-km) or smaller blocks"
            )
        mixed = generator.permutation(train)
        for amount in amounts:
            taken = draw_subset(mixed, target, len(classes), amount)
            whole = held.split == "given" and len(taken) == len(train)
            if not (whole and draw >= FULL_DRAWS):
                folds[amount].append(Fold(np.sort(taken), test))
    notes += _draw_notes(folds, group, held.advice)
    in_use = np.isin(np.arange(len(usable)), kept)
    return Plan(
        labels.kind,
        classes,
        target,
        group,
        held.split,
        held.block_km,
        held.buffer_km,
        held.told(in_use),
        folds,
        tuple(notes),
        held,
    )


def _target(
    labels: Labels, usable: NDArray[np.bool_], split: str, group: NDArray[np.int64], advice: str
) -> tuple[NDArray[np.float64] | NDArray[np.int64], tuple[str, ...], list[str]]:
    if labels.kind != CLASSES:
        if int(usable.sum()) < 4:
            raise InputError(f"{int(usable.sum())} labels of {labels.source} with data; expected at least 4")
        return labels.values, (), []
    names = sorted(set(labels.values.tolist()))
    index = {name: number for number, name in enumerate(names)}
    every = np.array([index[name] for name in labels.values.tolist()], dtype=np.int64)
    every[~usable] = -1
    if split == "given" and labels.test is not None:
        learnt, tested = (
            np.bincount(every[usable & part], minlength=len(names)) for part in (~labels.test, labels.test)
        )
        enough, in_one = (learnt >= 2) & (tested >= 1), False
    else:
        enough = judged(every, group, len(names))
        many = np.bincount(every[usable], minlength=len(names)) >= LEAST_LABELS
        in_one = bool((many & ~enough).any())
    classes = [name for name, good in zip(names, enough, strict=True) if good]
    left_out = [name for name, good in zip(names, enough, strict=True) if not good]
    if len(classes) < 2:
        given = split == "given" and labels.test is not None
        least = "2 to learn from and 1 to test" if given else f"{LEAST_LABELS} labels in {LEAST_UNITS} groups"
        lost = "" if usable.all() else f" among the {int(usable.sum())} of {len(usable)} labels that have data"
        raise InputError(
            f"{labels.source} has {len(classes)} classes with enough labels and groups ({least} at least){lost}; "
            f"expected at least two{advice if in_one else ''}"
        )
    place = {name: index for index, name in enumerate(classes)}
    target = np.array([place.get(name, -1) for name in labels.values.tolist()], dtype=np.int64)
    return target, tuple(classes), left_out


def _learnt(held: HeldOut, kept: NDArray[np.int64], test: NDArray[np.int64]) -> NDArray[np.int64]:
    """The labels that may be learnt from while `test` are tested."""
    tested = np.zeros(len(held.groups), dtype=np.bool_)
    tested[test] = True
    return kept[held.learnt(tested)[kept]]


def _tested(
    labels: Labels,
    held: HeldOut,
    target: NDArray[np.float64] | NDArray[np.int64],
    kept: NDArray[np.int64],
    seed: int,
    draw: int,
) -> NDArray[np.int64]:
    if held.split == "given" and labels.test is not None:
        test = kept[labels.test[kept]]
        if len(test) == 0 or len(test) == len(kept):
            raise InputError(f"{labels.source}: {len(test)} of {len(kept)} labels are test; expected some of each")
        return test
    strata = target[kept].astype(np.int64) if labels.kind == CLASSES else bins_of(labels.values[kept])
    if held.years is not None:
        return kept[_year_round(held.only(kept), strata, seed, draw).test]
    deal = seed * 1009 + draw
    tested: NDArray[np.int64] = kept[make_folds(strata, held.groups[kept], folds=_FOLDS, seed=deal, mixed=True) == 0]
    return tested


def _year_round(held: HeldOut, strata: NDArray[np.int64], seed: int, draw: int) -> Fold:
    """What a draw tests of a split by year: draws take the years in turn, then what is tested of each."""
    rounds = held.folds(strata, seed=seed)
    years = list(dict.fromkeys(fold.name for fold in rounds))
    if len(years) < 2:
        raise InputError(
            f"{len(years)} years can be tested by labels of other years; expected two, or a narrower buffer "
            "(--buffer-km)"
        )
    turn, place = divmod(draw, len(years))
    own = [fold for fold in rounds if fold.name == years[place]]
    return own[turn % len(own)]


def _draw_notes(folds: dict[Amount, list[Fold]], group: NDArray[np.int64], advice: str) -> list[str]:
    """Notes on what makes intervals too narrow, on amounts that are not there, and on those that are the same."""
    notes = []
    tested = min(len(np.unique(group[fold.test])) for parts in folds.values() for fold in parts)
    if tested < FEW:
        notes.append(f"as few as {tested} groups are tested in a draw: intervals are too narrow{advice}")
    for amount, parts in folds.items():
        taken = max(len(fold.train) for fold in parts)
        if amount.unit == "" and taken < amount.number:
            notes.append(f"{amount} labels are asked for and {taken} are there to learn from")
    alike: dict[tuple[bytes, ...], list[Amount]] = {}
    for amount, parts in folds.items():
        alike.setdefault(tuple(hashlib.sha256(fold.train.tobytes()).digest() for fold in parts), []).append(amount)
    for amounts in alike.values():
        if len(amounts) > 1:
            counts = [len(fold.train) for fold in folds[amounts[0]]]
            low, high = min(counts), max(counts)
            count = f"{low}" if low == high else f"{low} to {high}"
            notes.append(f"{', '.join(map(str, amounts))} come to the same {count} labels: their scores are equal")
    return notes
