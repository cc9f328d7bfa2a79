"""Some of many labels: no class and no group vanishes, and scores that weigh them back are those of all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.heads._drawing import EACH, draw_labels
from tessera.validation import Task, unit_scores


def task(counts: list[int], seed: int, each: int = 7) -> Task:
    generator = np.random.default_rng(seed)
    y = generator.permutation(np.repeat(np.arange(len(counts)), counts))
    return Task("knn", y[:, None].astype(np.float32), y, len(counts), seed, groups=np.arange(len(y)) // each)


@given(st.lists(st.integers(2, 3000), min_size=2, max_size=6), st.integers(40, 2000), st.integers(0, 99))
def test_every_class_keeps_its_share_and_a_rare_one_all(counts: list[int], most: int, seed: int) -> None:
    every = task(counts, seed)
    small, rows = draw_labels(every, most, "share")
    assert len(rows) == len(small.y) == min(most, sum(counts))
    assert len(np.unique(rows)) == len(rows)
    kept = np.bincount(small.y, minlength=len(counts))
    assert (kept >= np.minimum(counts, min(EACH, most // (2 * len(counts))))).all()
    if small.amount is not None:
        assert np.allclose(np.bincount(small.y, weights=small.amount), counts)
    again = draw_labels(every, most, "share")[1]
    assert (again == rows).all()


def test_each_group_keeps_its_share_of_a_class() -> None:
    y = np.zeros(6000, dtype=np.int64)
    groups = np.repeat(np.arange(60), 100)
    _, rows = draw_labels(Task("knn", y, y, 1, groups=groups), 300, "share")
    kept = np.bincount(groups[rows], minlength=60)
    assert kept.min() == kept.max() == 5


def test_a_plain_draw_loses_a_rare_class_and_this_one_does_not() -> None:
    lost = [len(np.unique(draw_labels(task([40_000, 20], seed), 1000, "random")[0].y)) < 2 for seed in range(10)]
    assert sum(lost) > 3
    for seed in range(10):
        small, _ = draw_labels(task([40_000, 20], seed), 1000, "share")
        assert (small.y == 1).sum() == 20


def test_scores_of_a_part_are_those_of_all_without_bias() -> None:
    """40,000 labels of a common class (0.9 right) and 400 of a rare one (0.4 right), 2,000 of them tested."""
    found, plain = [], []
    for seed in range(12):
        every = task([20_000, 400], seed, each=40)
        said = np.where(
            np.random.default_rng(seed).random(20_400) < np.array([0.9, 0.4])[every.y], every.y, 1 - every.y
        )
        small, rows = draw_labels(every, 2000, "share")
        options: dict[str, Any] = {"classes": 2, "seed": 0}
        arrays = small.y, np.eye(2)[said[rows]], rows // 40, rows // 40
        true = unit_scores(every.y, np.eye(2)[said], every.groups, every.groups, **options)  # type: ignore[arg-type]
        one = unit_scores(*arrays, **options, amount=small.amount)
        two = unit_scores(*arrays, **options)
        found.append([one[key] - true[key] for key in ("accuracy", "macro_f1")])
        plain.append([two[key] - true[key] for key in ("accuracy", "macro_f1")])
    assert np.abs(np.mean(found, axis=0)).max() < 0.01
    # without weights the rare class counts ten times
    assert np.abs(np.mean(plain, axis=0)).min() > 0.03


@pytest.mark.parametrize("classes", [3, 0])
def test_a_label_that_stands_for_three_counts_as_three_do(classes: int) -> None:
    generator = np.random.default_rng(classes)
    truth = generator.integers(0, 3, 90) if classes else generator.normal(size=90)
    raw = generator.dirichlet(np.ones(3), 90) if classes else truth + generator.normal(size=90)
    units, amount = np.arange(90) // 6, generator.integers(1, 4, 90)
    often = np.repeat(np.arange(90), amount)
    one = unit_scores(truth, raw, units, np.arange(90), classes=classes, seed=0, amount=amount.astype(np.float64))
    other = unit_scores(truth[often], raw[often], units[often], np.arange(len(often)), classes=classes, seed=0)
    for key, value in other["intervals"].items():
        assert one[key] == pytest.approx(other[key])
        assert one["intervals"][key] == pytest.approx(value)
    for key, value in other["per_unit"].items():
        assert one["per_unit"][key] == pytest.approx(value)
