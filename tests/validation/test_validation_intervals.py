"""Intervals by the jackknife: what is undefined without a part has none."""

from __future__ import annotations

import numpy as np
import pytest

from tessera.labels import HeldOut
from tessera.validation import Task, cross_validate, intervals, left_out, parts_of


def test_a_score_that_one_part_alone_defines_has_no_interval() -> None:
    values = np.full((11, 1), 0.7) + 0.01 * np.arange(11)[:, None]
    held = intervals(values, ("auc",), 10)[0]
    assert held[1] is not None
    values[4] = np.nan
    assert intervals(values, ("auc",), 10)[0] == [pytest.approx(0.7), None, None]
    assert intervals(values, ("kappa",), 10)[0][1:] == [None, None]


def test_an_auc_that_rests_on_one_block_says_so() -> None:
    # class 1 lies in two blocks, of which the fold of one learns from the other
    generator = np.random.default_rng(0)
    y = np.array([0] * 40 + [1] * 10)
    groups = np.r_[np.arange(40) // 5, [8] * 5, [9] * 5]
    x = generator.normal(size=(50, 3)) + y[:, None]
    both, _ = cross_validate(
        Task("prototype", x, y, 2), ("a", "b"), HeldOut("group", groups), units=groups, curve=False
    )
    assert both["intervals"]["auc"][0] is not None
    assert not [note for note in both["notes"] if "no interval" in note]
    units = np.where(groups == 9, 8, groups)
    one, _ = cross_validate(Task("prototype", x, y, 2), ("a", "b"), HeldOut("group", groups), units=units, curve=False)
    assert one["auc"] == both["auc"]
    assert one["intervals"]["auc"] == [None, None]
    assert [note for note in one["notes"] if note.startswith("no interval of AUC")]


def test_parts_are_those_that_are_left_out() -> None:
    units = np.random.default_rng(1).integers(0, 450, 3000)
    unit = np.unique(units, return_inverse=True)[1].reshape(-1)
    rows, part = left_out(unit.astype(np.int64), 3), parts_of(units, 3)
    assert part.max() == 199
    assert (rows[part + 1, unit] == 0).all()
    assert rows[1:].sum() == 200 * rows.shape[1] - rows.shape[1]
