"""Splits and subsets of labels."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
from evaluate_made import groups_of, told_apart
from hypothesis import given
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.evaluation import make_plan, parse_amounts
from tessera.labels import Labels, parse_labels, spatial_blocks


def everything(labelled: Labels) -> np.ndarray:
    return np.ones(len(labelled), dtype=np.bool_)


@given(st.integers(0, 10_000), st.integers(6, 40), st.integers(1, 6), st.integers(2, 4))
def test_no_group_is_on_both_sides_and_larger_amounts_hold_smaller(
    seed: int, groups: int, each: int, classes: int
) -> None:
    labelled, _ = told_apart(seed, groups, each, classes)
    amounts = parse_amounts("1/class,3/class,50%,100%", "classification")
    try:
        plan = make_plan(labelled, everything(labelled), amounts, draws=4, seed=seed)
    except InputError as error:
        assert "classes" in str(error)  # noqa: PT017 - a draw may be too small
        return
    assert plan.split == "group"
    for draw in range(4):
        one, three, half, whole = (plan.folds[amount][draw] for amount in amounts)
        assert not set(plan.group[whole.train]) & set(plan.group[whole.test])
        np.testing.assert_array_equal(one.test, whole.test)
        assert set(one.train) <= set(three.train) <= set(whole.train)
        assert set(half.train) <= set(whole.train)
        present, counts = np.unique(plan.target[three.train], return_counts=True)
        held = [int((plan.target[whole.train] == k).sum()) for k in present]
        assert counts.tolist() == [min(3, n) for n in held]
        assert set(plan.target[half.train]) == set(plan.target[whole.train])
    again = make_plan(labelled, everything(labelled), amounts, draws=4, seed=seed)
    for amount in amounts:
        for a, b in zip(plan.folds[amount], again.folds[amount], strict=True):
            np.testing.assert_array_equal(a.train, b.train)
            np.testing.assert_array_equal(a.test, b.test)


def test_draws_differ() -> None:
    labelled, _ = told_apart()
    plan = make_plan(labelled, everything(labelled), parse_amounts("5/class", "classification"), draws=6)
    (folds,) = plan.folds.values()
    assert len({tuple(fold.train) for fold in folds}) == 6
    assert len({tuple(fold.test) for fold in folds}) > 1


@given(st.integers(0, 1000))
def test_a_large_group_is_tested_in_some_draws_only(seed: int) -> None:
    sizes = np.arange(4, 34)
    group = np.repeat(np.arange(30), sizes).astype(np.int64)
    label = np.array(["a", "b"], dtype=object)[group % 2]
    labelled = Labels(label, "classification", group)
    plan = make_plan(labelled, everything(labelled), parse_amounts("2/class", "classification"), draws=20, seed=seed)
    (folds,) = plan.folds.values()
    tested = np.array([np.isin(np.arange(30), group[fold.test]) for fold in folds])
    assert len(np.unique(tested, axis=0)) > 10
    assert tested.sum(axis=0).max() < 20
    assert (tested.sum(axis=0) > 0).sum() > 25
    shares = [len(fold.test) / len(group) for fold in folds]
    assert 0.2 < min(shares) <= max(shares) < 0.5


def test_the_larger_number_holds_the_smaller_also_below_two_a_class() -> None:
    labelled, _ = told_apart(seed=3, groups=30, each=3, classes=3)
    amounts = parse_amounts(",".join(map(str, range(3, 12))), "classification")
    plan = make_plan(labelled, everything(labelled), amounts, draws=20)
    for draw in range(20):
        drawn = [set(plan.folds[amount][draw].train) for amount in amounts]
        assert all(few < more for few, more in itertools.pairwise(drawn))


def test_a_given_split_that_divides_says_so() -> None:
    labelled, _ = told_apart(groups=30, each=4)
    group = groups_of(labelled)
    lonlat = np.column_stack([5 + group * 0.5, np.full(len(group), 50.0)])
    test = np.arange(len(group)) % 4 == 0
    given_split = Labels(labelled.values, "classification", group, lonlat, test)
    notes = make_plan(given_split, everything(labelled), parse_amounts("5/class", "classification"), draws=2).notes
    assert "the given split divides 30 groups: their labels are learnt from and tested" in notes
    assert "30 of 30 tested labels lie in blocks of 10 km that are learnt from too" in notes
    whole = Labels(labelled.values, "classification", group, lonlat, group >= 9)
    assert not make_plan(whole, everything(labelled), parse_amounts("5/class", "classification"), draws=2).notes


def test_few_groups_and_missing_labels_are_told_and_default_amounts_fit() -> None:
    labelled = Labels(np.arange(60.0), "regression", np.arange(60, dtype=np.int64) // 10)
    plan = make_plan(labelled, everything(labelled), parse_amounts("500", "regression"), draws=2)
    assert "as few as 2 groups are tested in a draw: intervals are too narrow" in plan.notes
    assert "500 labels are asked for and 40 are there to learn from" in plan.notes
    with pytest.raises(InputError, match="1% labels of 40 to learn from; expected at least 2"):
        make_plan(labelled, everything(labelled), parse_amounts("1%", "regression"), draws=2)
    plan = make_plan(labelled, everything(labelled), parse_amounts(None, "regression"), draws=2, drop=True)
    assert [str(amount) for amount in plan.folds] == ["5%", "10%", "30%", "100%"]
    assert "1% of about 40 labels: too few to learn from, left out" in plan.notes


def test_default_amounts_fit_every_draw_or_are_told_in_one_line() -> None:
    amounts = parse_amounts(None, "regression")
    numbers = np.arange(22, dtype=np.float64)
    for seed in range(4):
        made = Labels(numbers, "regression", source="made", groups=np.arange(22) // 3 % 5)
        folds = make_plan(made, everything(made), amounts, seed=seed, drop=True).folds
        assert min(len(fold.train) for parts in folds.values() for fold in parts) >= 2
    few = Labels(numbers[:5], "regression", source="made", groups=np.array([0, 0, 0, 0, 1]))
    with pytest.raises(InputError, match=r"1 labels of made to learn from in a draw; expected at least 2"):
        make_plan(few, everything(few), amounts, drop=True)


def test_amounts_that_come_to_the_same_labels_are_told() -> None:
    labelled, _ = told_apart(0, 30, 2, 2)
    amounts = parse_amounts("3/class,30/class,50/class,100%", "classification")
    plan = make_plan(labelled, everything(labelled), amounts, draws=4)
    thirty, fifty = (plan.folds[amount] for amount in amounts[1:3])
    assert all(np.array_equal(a.train, b.train) for a, b in zip(thirty, fifty, strict=True))
    assert [note for note in plan.notes if "the same" in note] == [
        "30/class, 50/class, 100% come to the same 40 labels: their scores are equal"
    ]


def test_blocks_that_are_too_large_are_told_with_a_side_that_is_not() -> None:
    labelled, _ = told_apart(0, 60, 1, 2)
    # 8 x 7 km of land, well inside one block of 20 km
    places = np.column_stack([5.01 + np.arange(60) % 8 * 0.014, 50.88 + np.arange(60) // 8 * 0.009])
    near = replace(labelled, groups=None, lonlat=places)
    amounts = parse_amounts("5/class", "classification")
    advice = r"; try --block-km ([\d.]+) \(block_km in Python\): (\d+) held apart, where 20 makes 1$"
    with pytest.raises(InputError, match="expected at least two" + advice) as caught:
        make_plan(near, everything(near), amounts, block_km=20.0)
    found = re.search(advice, str(caught.value))
    assert found is not None
    assert len(np.unique(spatial_blocks(places, float(found[1])))) == int(found[2]) >= 60
    few = make_plan(near, everything(near), amounts, block_km=2.5, draws=2)
    assert any(re.search("intervals are too narrow; try --block-km", note) for note in few.notes)


FURTHER = "; label places further apart (blocks below 0.5 km may divide a field and are not advised)"


def _advised(group: object, step: float, count: int = 60, block_km: float | None = 10.0) -> str:
    """Notes, or the refusal, of places in a row, `step` degrees of longitude apart."""
    label = np.array([f"class {k % 2}" for k in range(count)], dtype=object)
    lonlat = np.column_stack([5 + np.arange(count) * step, np.full(count, 50.0)])
    labelled = Labels(label, "classification", None if group is None else np.asarray(group, np.int64), lonlat)
    try:
        return " ".join(
            make_plan(
                labelled,
                everything(labelled),
                parse_amounts("5/class", "classification"),
                draws=2,
                block_km=block_km,
            ).notes
        )
    except InputError as error:
        return str(error)


def test_smaller_blocks_are_advised_only_where_they_help() -> None:
    # one place is one block of any size, and so is one group
    assert _advised(None, 0.0).endswith(f"expected at least two{FURTHER}")
    assert _advised(np.zeros(60), 0.02).endswith(f"expected at least two{FURTHER}")
    # three groups stay three, however small the blocks; the largest side that holds them apart is advised
    assert _advised(np.arange(60) // 20, 0.002).endswith(
        "try --block-km 2 (block_km in Python): 3 held apart, where 10 makes 2"
    )
    # thirty places are never more than thirty
    assert "; try --block-km 5 (block_km in Python): 30 held apart, where 10 makes 22" in _advised(None, 0.1, 30)
    assert "--block-km" not in _advised(None, 0.5, 90)
    # where no side is asked for, the one that would be advised is taken
    assert "--block-km" not in _advised(None, 0.1, 30, None)
    # two labels a class are too few in blocks of any size
    assert _advised(None, 0.02, 4).endswith("expected at least two")


def test_blocks_smaller_than_a_field_are_never_advised_and_told_where_they_are_asked_for() -> None:
    # 60 places 40 m apart: blocks of 40 m would hold them all apart, blocks of 0.5 km hold six
    notes = _advised(None, 0.0005612)
    assert "try --block-km 0.5 (block_km in Python): " in notes
    label = np.array([f"class {k % 2}" for k in range(60)], dtype=object)
    lonlat = np.column_stack([5 + np.arange(60) * 0.0005612, np.full(60, 50.0)])
    labelled = Labels(label, "classification", None, lonlat)
    amounts = parse_amounts("5/class", "classification")
    plan = make_plan(labelled, everything(labelled), amounts, draws=2, block_km=0.04)
    assert any(note.startswith("blocks of 40 m are smaller than a field may be (16 ha: 400 m") for note in plan.notes)
    fine = make_plan(labelled, everything(labelled), amounts, draws=2, block_km=0.4)
    assert not any("smaller than a field" in note for note in fine.notes)
    assert any(note.endswith(FURTHER) for note in fine.notes)


def test_labels_where_no_feature_has_data_are_told() -> None:
    labelled, _ = told_apart()
    some = parse_amounts("5/class", "classification")
    with pytest.raises(InputError, match=r"none of 120 labels of labels has data in every feature set; .*--year"):
        make_plan(labelled, ~everything(labelled), some)
    few = np.arange(len(labelled)) < 2
    with pytest.raises(
        InputError, match=r"\(3 labels in 2 groups at least\) among the 2 of 120 labels that have data; expect"
    ):
        make_plan(labelled, few, some)
    for side in (np.inf, np.nan, 0.0):
        with pytest.raises(InputError, match="finite above 0"):
            make_plan(labelled, everything(labelled), some, block_km=side)


def test_a_split_that_comes_with_the_data_is_kept_and_its_whole_is_drawn_three_times() -> None:
    labelled, _ = told_apart()
    test = groups_of(labelled) < 10
    given_split = Labels(labelled.values, "classification", labelled.groups, None, test)
    plan = make_plan(given_split, everything(labelled), parse_amounts("12,100%", "classification"), draws=5)
    few, whole = plan.folds.values()
    assert plan.split == "given"
    assert (len(few), len(whole)) == (5, 3)
    assert all(set(fold.test) == set(np.flatnonzero(test)) for fold in (*few, *whole))
    assert all(len(fold.train) == 12 for fold in few)


def test_groups_and_blocks_hold_out_together() -> None:
    labelled, _ = told_apart(groups=12, each=3)
    # groups 2k and 2k + 1 share a block, so that pairs of groups must stay together
    lonlat = np.column_stack([groups_of(labelled) // 2, np.full(len(labelled), 45.0)]).astype(np.float64)
    labelled = Labels(labelled.values, "classification", labelled.groups, lonlat)
    plan = make_plan(labelled, everything(labelled), parse_amounts("1/class", "classification"), draws=8)
    assert plan.split == "spatial"
    pair = groups_of(labelled) // 2
    for fold in next(iter(plan.folds.values())):
        assert set(fold.test) == set(np.flatnonzero(np.isin(pair, pair[fold.test])))


def test_blocks_are_as_wide_as_they_are_high() -> None:
    at = np.array([[0.0, 60.0], [0.19, 60.0], [0.0, 0.0], [0.099, 0.001]])
    # 0.19 degrees at 60 north are 10.6 km, 0.099 at the equator 11 km: each crosses a border of 10 km blocks
    blocks = spatial_blocks(at, 10)
    assert blocks[0] != blocks[1]
    assert blocks[2] != blocks[3]
    wide = spatial_blocks(np.array([[0.01, 60.01], [0.15, 60.01]]), 10)
    assert wide[0] == wide[1]


def test_a_random_split_says_that_it_inflates() -> None:
    labelled, _ = told_apart()
    plan = make_plan(labelled, everything(labelled), parse_amounts("10%", "classification"), split="random", draws=1)
    assert any("inflates" in note for note in plan.notes)
    (fold,) = next(iter(plan.folds.values()))
    assert set(plan.group[fold.test]) == set(fold.test)


def test_rare_classes_are_left_out_and_said() -> None:
    labelled, _ = told_apart()
    label = labelled.values.copy()
    label[:3] = "rare"
    plan = make_plan(
        Labels(label, "classification", labelled.groups),
        everything(labelled),
        parse_amounts("2/class", "classification"),
        draws=2,
    )
    assert "rare" not in plan.classes
    assert any("rare" in note for note in plan.notes)
    taken = np.concatenate([np.concatenate([fold.train, fold.test]) for fold in next(iter(plan.folds.values()))])
    assert not set(taken) & {0, 1, 2}


def test_labels_without_data_are_left_out() -> None:
    labelled, _ = told_apart()
    usable = np.arange(len(labelled)) % 5 != 0
    plan = make_plan(labelled, usable, parse_amounts("100%", "classification"), draws=1)
    (fold,) = next(iter(plan.folds.values()))
    assert set(fold.train) | set(fold.test) == set(np.flatnonzero(usable))
    assert any("24 of 120" in note for note in plan.notes)


def test_numbers_are_dealt_by_group() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(20), 5).astype(np.int64)
    labelled = Labels(rng.normal(size=100), "regression", group)
    plan = make_plan(labelled, everything(labelled), parse_amounts("7,50%", "regression"), draws=3)
    for fold in plan.folds[parse_amounts("7", "regression")[0]]:
        assert len(fold.train) == 7
        assert not set(group[fold.train]) & set(group[fold.test])


@pytest.mark.parametrize(
    ("given_amounts", "kind", "message"),
    [
        ("0", "classification", "'0' labels"),
        ("ten", "classification", "'ten' labels"),
        ("101%", "regression", "'101%' labels"),
        ("5/class", "regression", "to regress"),
        ("2.5", "regression", "'2.5' labels"),
        ([], "regression", "no amounts"),
    ],
)
def test_amounts_refused(given_amounts: str, kind: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_amounts(given_amounts, kind)


def test_plans_refused() -> None:
    labelled, _ = told_apart()
    bare = Labels(labelled.values, "classification")
    some = parse_amounts("5/class", "classification")
    with pytest.raises(InputError, match="no split, group or place"):
        make_plan(bare, everything(bare), some)
    with pytest.raises(InputError, match="no places"):
        make_plan(labelled, everything(labelled), some, split="spatial")
    with pytest.raises(InputError, match="no split"):
        make_plan(labelled, everything(labelled), some, split="given")
    with pytest.raises(InputError, match="expected one of auto"):
        make_plan(labelled, everything(labelled), some, split="best")
    with pytest.raises(InputError, match="at least one each"):
        make_plan(labelled, everything(labelled), parse_amounts("2", "classification"))
    one = Labels(labelled.values, "classification", np.zeros(len(labelled), dtype=np.int64))
    with pytest.raises(InputError, match="expected at least two"):
        make_plan(one, everything(one), some)


def test_kinds_of_labels() -> None:
    label, kind = parse_labels(np.array([1.5, 2.0, 3.25]), None, "x")
    assert kind == "regression"
    assert label.dtype == np.float64
    label, kind = parse_labels(np.array([1, 2, 1]), None, "x")
    assert (kind, label.tolist()) == ("classification", ["1", "2", "1"])
    assert parse_labels(np.array([1.0, 2.0, 1.0]), "classification", "x")[0].tolist() == ["1", "2", "1"]
    assert parse_labels(np.array([1, 2, 1]), "regression", "x")[1] == "regression"
    with pytest.raises(InputError, match="fraction"):
        parse_labels(np.array([1.5, 2.0]), "classification", "x")
    with pytest.raises(InputError, match="distinct"):
        parse_labels(np.arange(20), None, "x")
    with pytest.raises(InputError, match="not finite"):
        parse_labels(np.array([1.5, np.nan]), None, "x")
    with pytest.raises(InputError, match="expected numbers"):
        parse_labels(np.array(["a", "b"]), "regression", "x")


@pytest.mark.parametrize("again", [True, False])
def test_draws_of_a_split_by_year_take_the_years_in_turn(again: bool) -> None:
    amounts = parse_amounts("100%", "classification")
    count = 90
    places = np.arange(count) // 3 if again else np.arange(count)
    years = 2020 + np.arange(count) % 3
    labelled = Labels(
        np.array(["a", "b"], dtype=object)[places % 2],
        "classification",
        groups=places.astype(np.int64),
        lonlat=np.column_stack([5 + places * 0.01, np.full(count, 50.0)]),
        years=years,
    )
    plan = make_plan(labelled, everything(labelled), amounts, split="year", draws=9, block_km=0.5)
    (folds,) = plan.folds.values()
    assert [set(years[fold.test]) for fold in folds] == [{2020}, {2021}, {2022}] * 3
    for fold in folds:
        assert not set(years[fold.train]) & set(years[fold.test])
        assert not set(places[fold.train]) & set(places[fold.test])
        assert len(fold.train) > 0
    tested = np.unique(np.concatenate([fold.test for fold in folds]))
    assert tested.tolist() == list(range(count))
    one = replace(labelled, years=np.full(count, 2020))
    with pytest.raises(InputError, match="are all of 2020; expected two years"):
        make_plan(one, everything(one), amounts, split="year")
