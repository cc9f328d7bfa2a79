"""What is held out together, and what may be learnt from while it is tested."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, shown

from ._agreement import agreement, earth_km, near_tree
from ._regions import near_regions
from .blocks import BLOCK_KM, FIELD_KM, block_advice, block_side, blocks_of, group_centres, spatial_blocks
from .folds import MAX_FOLDS, Fold, bins_of, make_folds
from .labels import CLASSES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .labels import Labels

SPLITS = ("spatial", "group", "region", "year", "given", "random")
AUTO = "auto"
_BEYOND = 1e6
"""No block is as large, kilometres: the Earth measures 40,000 around."""
_LEAST_KM = 0.05
"""The narrowest buffer that is chosen, kilometres: neighbours within it share the 20 m pixels of some bands."""
_LEFT = 0.5
"""Share of the training labels that a chosen buffer leaves, at least: with fewer the test is one of another, poorer
head."""
_MOST_REGIONS = 10
"""Regions that are tested one by one; more are dealt to so many folds."""
_YEAR_FOLDS = 3
"""Folds of places within a year, where the same places are labelled in several years."""
RANDOM_NOTE = (
    "random split: neighbours of the same field lie in training and test, which inflates scores (by 0.11 to 0.14 "
    "macro-F1 on fields of crops); use groups or spatial blocks for a figure to report"
)


@dataclass(frozen=True)
class HeldOut:
    """What a split holds out together, and what it keeps out of training around it.

    Attributes
    ----------
    split : one of `SPLITS`
    groups : (N,) int64, the unit of each label; labels of one unit are never in training and test at once
    block_km : side of the blocks, kilometres; None where there are none
    notes : what the reader of a score has to know
    advice : what to do where units are too few; "" where no block plays a part
    unit : what a unit is: "block", "group", "region" or "label"
    buffer_km : labels nearer than this to a tested one are not learnt from, kilometres; None without a buffer
    range_km : the distance from which labels of different groups agree no more than far ones, kilometres; None where it
        is not known
    why : how the sizes were chosen, in a sentence
    names : of the units, by number; () where they have none
    own : (N,) int64, the labels' own groups, never divided either; None where every label stands alone
    places : (N, 3) float64, kilometres on a sphere; None where they are unknown
    test : (N,) bool, which labels a given split tests; None of other splits
    years : (N,) int64, the year of each label, of a split by year; None of other splits
    """

    split: str
    groups: NDArray[np.int64]
    block_km: float | None = None
    notes: tuple[str, ...] = ()
    advice: str = ""
    unit: str = "group"
    buffer_km: float | None = None
    range_km: float | None = None
    why: str = ""
    names: tuple[str, ...] = ()
    own: NDArray[np.int64] | None = None
    places: NDArray[np.float64] | None = None
    test: NDArray[np.bool_] | None = None
    years: NDArray[np.int64] | None = None

    def told(self, usable: NDArray[np.bool_]) -> str:
        """The split in words: "spatial, 62 blocks of 2 km apart, buffer 0.3 km"."""
        count = len(np.unique(self.groups[usable]))
        units = f"{count} {self.unit}{'' if count == 1 else 's'}"
        side = "" if self.block_km is None else f" of {self.block_km:g} km"
        buffer = "" if self.buffer_km is None else f", buffer {self.buffer_km:.2g} km"
        return f"{self.split}, {units}{side} apart{buffer}"

    def only(self, rows: NDArray[Any]) -> HeldOut:
        """The same of some labels, given as (N,) bool or as indices."""

        def part(values: Any) -> Any:
            return None if values is None else values[rows]

        return replace(
            self,
            groups=self.groups[rows],
            own=part(self.own),
            places=part(self.places),
            test=part(self.test),
            years=part(self.years),
        )

    def inner(self, units: NDArray[np.int64]) -> HeldOut:
        """What a search within the training labels of a round holds out, with the same buffer.

        Regions and years stay what is held out, where labels are of three or more of them: one is tested, and two are
        left to choose by. Else, and where the split was given or is random, whole (N,) units are.
        """
        if self.split == "region" and len(np.unique(self.groups)) > 2:
            return replace(self, names=())
        years = self.years if self.years is not None and len(np.unique(self.years)) > 2 else None
        return replace(self, groups=units, names=(), test=None, years=years)

    def learnt(self, tested: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(N,) bool: the labels that may be learnt from while others are tested.

        None is of a unit or group that is tested, nor nearer to a tested label than the buffer.
        """
        out = self.without_buffer(tested)
        if self.buffer_km and self.places is not None and tested.any() and out.any():
            rows = np.flatnonzero(out)
            out[rows] = self._distance(tested, rows) >= self.buffer_km
        return out

    def without_buffer(self, tested: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """As `learnt`, if there were no buffer."""
        out = np.ones(len(tested), dtype=np.bool_) & ~tested
        if self.test is None:
            out &= ~np.isin(self.groups, self.groups[tested])
            if self.own is not None:
                out &= ~np.isin(self.own, self.own[tested])
        if self.years is not None:
            out &= ~np.isin(self.years, self.years[tested])
        return out

    def _distance(self, tested: NDArray[np.bool_], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Kilometres from each of some labels to the nearest tested one."""
        assert self.places is not None  # noqa: S101 - asked before
        where = np.unique(self.places[tested], axis=0)
        out: NDArray[np.float64] = near_tree(where).query(self.places[rows])[0]
        return out

    def folds(self, strata: NDArray[np.int64], *, seed: int = 0, folds: int = MAX_FOLDS) -> list[Fold]:
        """The rounds of a cross-validation.

        Parameters
        ----------
        strata : (N,) int64 from 0, classes or `bins_of` numbers, which each round gets in like parts
        folds : at most this many, of blocks, groups or single labels

        Returns
        -------
        Rounds in which something is tested; those of one region or year have its name, others their number. Fewer than
        two, or none, where units are too few.
        """
        if self.test is not None:
            return self._kept([("1", self.test)])
        if self.years is not None:
            return self._kept(self._year_rounds(strata, seed))
        if self.names:
            numbers = np.unique(self.groups)
            if len(numbers) <= _MOST_REGIONS:
                return self._kept([(self.names[number], self.groups == number) for number in numbers])
            folds = _MOST_REGIONS
        fold = make_folds(strata, self.groups, seed=seed, folds=folds)
        return self._kept([(str(number + 1), fold == number) for number in range(int(fold.max(initial=0)) + 1)])

    def _year_rounds(self, strata: NDArray[np.int64], seed: int) -> list[tuple[str, NDArray[np.bool_]]]:
        assert self.years is not None  # noqa: S101 - asked before
        pairs = np.unique(np.column_stack([self.groups, self.years]), axis=0)
        again = len(pairs) > len(np.unique(self.groups))
        fold = make_folds(strata, self.groups, seed=seed, folds=_YEAR_FOLDS if again else 1)
        years = np.unique(self.years)
        if len(years) < 2:
            return []
        return [
            (str(year), (self.years == year) & (fold == number)) for year in years for number in range(fold.max() + 1)
        ]

    def _kept(self, rounds: list[tuple[str, NDArray[np.bool_]]]) -> list[Fold]:
        out = []
        for name, tested in rounds:
            learnt = self.learnt(tested)
            if tested.any() and learnt.any():
                out.append(Fold(np.flatnonzero(learnt), np.flatnonzero(tested), name))
        return out


def hold_out(
    labels: Labels,
    usable: NDArray[np.bool_],
    split: str = AUTO,
    block_km: float | str | None = None,
    buffer_km: float | str | None = None,
) -> HeldOut:
    """What is held out together, and how far around it nothing is learnt from.

    The side of a block is 10 km where that leaves at least 60 blocks. Else it is the largest of 5, 2, 1 and 0.5 km that
    does; where none does, the largest that leaves three quarters of the most that there can be. The buffer is the
    distance from which labels of different groups agree no more than far ones, at least 50 m, and no wider than leaves
    half of the training labels.

    Parameters
    ----------
    labels : N labels
    usable : (N,) bool, those with data, by which sizes are chosen
    split : "spatial", blocks of land, each of the labels' own groups whole in the block of its centre; "group", the
        labels' own groups; "region", `Labels.regions`, or five regions of places that lie together; "year", one of
        `Labels.years` from the others; "given", the split that comes with the labels; "random", every label alone;
        "auto", "given" where there is one, else "spatial" where places are known, else "group"
    block_km : side of a block, kilometres; None or "auto": by the rule above
    buffer_km : width of the buffer of "spatial", "region" and "year", kilometres, 0 for none; None or "auto": by the
        rule above. Other splits have one only where it is a number

    Raises
    ------
    InputError
        A split that the labels do not allow, or a side or buffer that is no finite number.
    """
    if split not in (*SPLITS, AUTO):
        raise InputError(f"split {split!r}; expected one of {AUTO}, {', '.join(SPLITS)}")
    side, buffer = _km(block_km, "blocks", above=True), _km(buffer_km, "a buffer", above=False)
    if split == AUTO:
        if labels.test is None and labels.groups is None and labels.lonlat is None:
            raise InputError(f"{labels.source} has no split, group or place; expected one of them, or split random")
        split = "given" if labels.test is not None else "spatial" if labels.lonlat is not None else "group"
    if split in ("spatial",) and labels.lonlat is None:
        raise InputError(f"{labels.source} has no places; expected lon and lat")
    places = None if labels.lonlat is None else earth_km(labels.lonlat)
    held = _units(labels, usable, split, side, places)
    if buffer is not None and buffer > 0 and places is None:
        raise InputError(f"a buffer of {buffer:g} km for {labels.source}, which has no places; leave it out")
    if buffer is not None:
        why = f"buffer of {buffer:g} km as given" if buffer else "no buffer, as given"
        return replace(held, buffer_km=buffer or None, why=_joined(held.why, why))
    if split not in ("spatial", "region", "year") or places is None:
        return held
    return _with_buffer(held, labels, usable)


def _km(value: float | str | None, what: str, *, above: bool) -> float | None:
    if value is None or value == AUTO:
        return None
    try:
        number = float(value)
    except OverflowError:
        number = np.inf
    except (TypeError, ValueError):
        raise InputError(f"{what} of {shown(value)}; expected kilometres, or {AUTO}") from None
    if not (number > 0 or (number == 0 and not above)) or not number < _BEYOND:
        raise InputError(f"{what} of {number} km; expected finite {'above 0' if above else 'and not below 0'}")
    return number


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _units(
    labels: Labels, usable: NDArray[np.bool_], split: str, side: float | None, places: NDArray[np.float64] | None
) -> HeldOut:
    """The units of a split, without a buffer."""
    alone = np.arange(len(labels), dtype=np.int64)
    own = alone if labels.groups is None else labels.groups
    common: dict[str, Any] = {"own": labels.groups, "places": places}
    if split == "random":
        return HeldOut(split, alone, notes=(RANDOM_NOTE,), unit="label", places=places)
    if split == "given":
        if labels.test is None:
            raise InputError(f"{labels.source} comes with no split; expected a column test")
        notes = tuple(_divided(labels, own, usable, side or BLOCK_KM))
        return HeldOut(split, own, notes=notes, test=labels.test, **common)
    if split == "group":
        if labels.groups is None:
            raise InputError(f"{labels.source} has no groups; expected a column group")
        alike = len(np.unique(own[usable])) == int(usable.sum())
        notes = ("every group is one label: the split is a random one",) if alike else ()
        return HeldOut(split, own, notes=notes, **common)
    if split == "region":
        return _regions(labels, usable, common)
    if split == "year":
        if labels.years is None:
            raise InputError(f"{labels.source} has no years; expected a column that names the year of each label")
        if len(np.unique(labels.years[usable])) < 2:
            only = ", ".join(map(str, np.unique(labels.years[usable])))
            raise InputError(f"labels of {labels.source} are all of {only or 'no year'}; expected two years")
        if places is None:
            return HeldOut(split, own, years=labels.years, why="each year is tested by a head of the others", **common)
    chosen, count = (side, 0) if side is not None else block_side(labels, usable)
    groups = blocks_of(labels, chosen)
    rule = f"the largest side up to {BLOCK_KM:g} km that keeps {count} blocks apart" if side is None else "as given"
    notes = ()
    if chosen < FIELD_KM:
        notes = (
            f"blocks of {chosen * 1000:g} m are smaller than a field may be (16 ha: {FIELD_KM * 1000:g} m a side): "
            "labels of one field lie in training and test, which inflates scores",
        )
    advice = block_advice(labels, usable, groups, chosen)
    years = labels.years if split == "year" else None
    return HeldOut(
        split, groups, chosen, notes, advice, "block", why=f"blocks of {chosen:g} km: {rule}", years=years, **common
    )


def _regions(labels: Labels, usable: NDArray[np.bool_], common: dict[str, Any]) -> HeldOut:
    if labels.regions is not None:
        found, member = np.unique(labels.regions.astype(str), return_inverse=True)
        groups = member.reshape(-1).astype(np.int64)
        count = len(np.unique(groups[usable]))
        if count < 2:
            raise InputError(f"labels of {labels.source} with data lie in {count} region; expected at least two")
        why = f"{count} regions as named by the labels"
        if count > _MOST_REGIONS:
            why += f", dealt to {_MOST_REGIONS} folds"
        return HeldOut("region", groups, unit="region", names=tuple(found.tolist()), why=why, **common)
    if labels.lonlat is None:
        raise InputError(f"{labels.source} has no regions and no places; expected a column that names regions")
    groups, centres = near_regions(earth_km(group_centres(labels)))
    count = len(centres)
    named = [f"near {lon:.5g},{lat:.5g}" for lon, lat in centres]
    names = [name if named.count(name) == 1 else f"{name} ({number + 1})" for number, name in enumerate(named)]
    why = f"{count} regions of places that lie together (k-means), as the labels name none"
    return HeldOut("region", groups, unit="region", names=tuple(names), why=why, **common)


def _with_buffer(held: HeldOut, labels: Labels, usable: NDArray[np.bool_]) -> HeldOut:
    """The same with the buffer that the labels call for, as far as it leaves enough of them."""
    rows = np.flatnonzero(usable)
    small, classes = held.only(rows), labels.kind == CLASSES
    values: NDArray[Any] = labels.values[rows]
    if classes:
        values = np.unique(values.astype(str), return_inverse=True)[1].reshape(-1).astype(np.int64)
    assert small.places is not None  # noqa: S101 - asked before
    own = np.arange(len(rows)) if small.own is None else small.own
    found = agreement(values, small.places, own, classes=classes)
    if found is None:
        return replace(held, why=_joined(held.why, "no buffer: too few labels to see how far they agree"))
    reach = max(found.range_km, _LEAST_KM)
    away = _away(small, values if classes else bins_of(values))
    most = float(np.quantile(away, 1 - _LEFT)) if len(away) else reach
    width = min(reach, most)
    how = f"{found.near:.2f} beyond chance at {_in_km(found.closest_km)}"
    if found.range_km:
        far = "over all distances seen, up to" if found.beyond else "up to"
        why = f"labels of different groups agree {far} {_in_km(found.range_km)} ({how})"
    else:
        why = f"labels of different groups agree no more than far ones ({how})"
    notes = held.notes
    if width < reach:
        why += f"; buffer of {_in_km(width)}, the widest that leaves half of the training labels"
        if width < 0.5 * reach:
            notes = (
                *notes,
                f"labels agree up to {_in_km(reach)} and the buffer is {_in_km(width)}: scores may still be flattered "
                "by neighbours; label more places apart, or see split region",
            )
    else:
        why += f"; buffer of {_in_km(width)}"
    return replace(held, buffer_km=width or None, range_km=found.range_km, why=_joined(held.why, why), notes=notes)


def _away(held: HeldOut, strata: NDArray[np.int64]) -> NDArray[np.float64]:
    """The distance of each training label of each round to the nearest that is tested, kilometres."""
    parts = [np.zeros(0)]
    for fold in replace(held, buffer_km=None).folds(strata):
        tested = np.zeros(len(strata), dtype=np.bool_)
        tested[fold.test] = True
        parts.append(held._distance(tested, fold.train))
    return np.concatenate(parts)


def _in_km(distance: float) -> str:
    return f"{distance * 1000:.0f} m" if distance < 1 else f"{distance:.3g} km"


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
