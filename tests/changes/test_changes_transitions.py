"""Hectares from class to class: by a sample as published, by the confusion without false change, by pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.changes import correct_transitions, count_transitions, measure_drift, sample_transitions
from tessera.changes._errors import Errors
from tessera.validation import counted_rows

YEARS = (2021, 2022)
NAMES = ("a", "b", "c")


def test_pixels_are_counted_with_a_warning() -> None:
    found = count_transitions(YEARS, NAMES, np.array([[100, 5, 0], [0, 200, 0], [0, 0, 50]]))
    assert found.changed == (0.05, 0.05)
    assert np.isnan(found.low).all()
    assert "no probability sample" in found.notes[0]
    assert found.rows()[1] == {
        "from_year": 2021,
        "to_year": 2022,
        "from": "a",
        "to": "b",
        "mapped_ha": 0.05,
        "area_ha": 0.05,
        "low_ha": None,
        "high_ha": None,
    }


def test_the_stratified_estimate_is_the_published_one() -> None:
    """Table 8 of Olofsson et al. 2014: deforestation, forest gain, stable forest, stable non-forest; 30 m pixels."""
    pixels = np.array([[0, 0], [0, 0]])
    pixels[1, 0], pixels[0, 1], pixels[1, 1], pixels[0, 0] = 200_000, 150_000, 3_200_000, 6_450_000
    order = [(1, 0), (0, 1), (1, 1), (0, 0)]
    counts = [[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]]
    mapped = [order[row] for row in range(4) for col in range(4) for _ in range(counts[row][col])]
    truth = [order[col] for row in range(4) for col in range(4) for _ in range(counts[row][col])]
    found = sample_transitions(
        YEARS, ("other", "forest"), pixels, np.array(mapped), np.array(truth), design="stratified"
    )
    # the paper's 21,158 +- 6,158 ha and 11,686 +- 3,756 ha of pixels of 0.09 ha
    assert found.area[1, 0] * 9 == pytest.approx(21_158, abs=1)
    assert (found.high - found.area)[1, 0] * 9 == pytest.approx(6_158, abs=1)
    assert found.area[0, 1] * 9 == pytest.approx(11_686, abs=1)
    assert (found.high - found.area)[0, 1] * 9 == pytest.approx(3_756, abs=1)
    assert found.source == "sample"


def simulated(seed: int, right: float = 0.85) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """True transitions, what is seen of unmoved and moved pixels with independent errors, and a confusion of labels."""
    rng = np.random.default_rng(seed)
    seen = np.full((3, 3), (1 - right) / 2)
    np.fill_diagonal(seen, right)
    true = np.diag([40_000, 30_000, 20_000])
    true[0, 1], true[2, 1] = 3000, 1500
    unmoved, moved = np.zeros((3, 3), dtype=np.int64), np.zeros((3, 3), dtype=np.int64)
    for one in range(3):
        for other in range(3):
            pairs = rng.multinomial(true[one, other], np.outer(seen[one], seen[other]).reshape(-1)).reshape(3, 3)
            (unmoved if one == other else moved)[:] += pairs
    confusion = np.stack([rng.multinomial(400, seen[one]) for one in range(3)])
    return true, unmoved, moved, confusion


@settings(max_examples=8)
@given(st.integers(0, 10_000))
def test_false_change_goes_and_true_change_lies_within_the_interval(seed: int) -> None:
    true, unmoved, moved, confusion = simulated(seed)
    found = correct_transitions(YEARS, NAMES, unmoved, moved, confusion, seed=1)
    off = ~np.eye(3, dtype=bool)
    # maps show several times the change that there was
    assert found.changed[1] > 3 * true[off].sum() / 100
    assert found.changed[0] == pytest.approx(true[off].sum() / 100, rel=0.15)
    assert found.area.sum() == pytest.approx(true.sum() / 100, rel=1e-6)
    assert (found.low <= found.area).all()
    assert (found.area <= found.high).all()
    inside = (found.low <= true / 100 + 2) & (true / 100 - 2 <= found.high)
    assert inside.mean() > 0.6


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    inside = []
    for seed in range(15):
        true, unmoved, moved, confusion = simulated(seed)
        found = correct_transitions(YEARS, NAMES, unmoved, moved, confusion)
        cells = ((0, 0), (1, 1), (0, 1), (2, 1))
        inside.append([found.low[cell] <= true[cell] / 100 <= found.high[cell] for cell in cells])
    assert 0.85 <= np.mean(inside) <= 1.0


def clustered(seed: int, together: float, units: int = 40, each: int = 12) -> Any:
    """As `simulated`, of a head whose rate of errors differs from unit to unit, and whose errors of two years coincide.

    Returns true transitions, unmoved and moved pixels, and the labels: unit, truth and two predictions.
    """
    rng = np.random.default_rng([seed, int(together * 100)])
    true = np.diag([40_000, 30_000, 20_000])
    true[0, 1], true[2, 1] = 3000, 1500
    # error rates of all land: the labels are of few units of it
    rate = rng.beta(1.0, 5.0, 2000)

    def predict(first: np.ndarray, second: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        once, twice = rng.random((2, len(first)))
        shared = rng.random(len(first)) < together
        wrong = [once < error, np.where(shared, once, twice) < error]
        shift = rng.integers(1, 3, (2, len(first)))
        shift[1] = np.where(shared, shift[0], shift[1])
        return tuple((t + w * s) % 3 for t, w, s in zip((first, second), wrong, shift, strict=True))

    unmoved, moved = np.zeros((3, 3), dtype=np.int64), np.zeros((3, 3), dtype=np.int64)
    for one in range(3):
        for other in range(3):
            count = int(true[one, other])
            said = predict(np.full(count, one), np.full(count, other), rng.choice(rate, count))
            np.add.at(unmoved if one == other else moved, said, 1)
    unit = np.repeat(np.arange(units), each)
    truth = rng.integers(0, 3, units)[unit]
    said = predict(truth, truth, rng.choice(rate, units)[unit])
    return true, unmoved, moved, unit, truth, said


def covered(together: float, how: str) -> float:
    """The share of intervals that hold the true transition, of 12 data sets."""
    inside = []
    for seed in range(12):
        true, unmoved, moved, unit, truth, said = clustered(seed, together)
        confusion = np.zeros((3, 3), dtype=np.int64)
        np.add.at(confusion, (truth, said[0]), 1)
        parts = np.array(counted_rows(unit, truth, said[0]))
        pairs = np.array(counted_rows(unit, truth, truth, said[0], said[1]))
        found = correct_transitions(
            YEARS,
            NAMES,
            unmoved,
            moved,
            confusion,
            parts=None if how == "labels" else parts,
            pairs=pairs if how == "pairs" else None,
        )
        inside += [found.low[cell] <= true[cell] / 100 <= found.high[cell] for cell in ((0, 1), (2, 1))]
    return float(np.mean(inside))


@pytest.mark.parametrize("together", [0.0, 0.7])
@pytest.mark.parametrize("how", ["units", "pairs"])
def test_intervals_hold_with_clustered_labels_and_errors_that_coincide(together: float, how: str) -> None:
    # of 40 data sets 0.96 to 1.0; draws of single labels, as if independent, held 0.65 to 0.71
    assert covered(together, how) >= 0.9


def test_intervals_of_single_labels_are_too_narrow_where_labels_lie_in_clusters() -> None:
    _, unmoved, moved, unit, truth, said = clustered(0, 0.0)
    confusion = np.zeros((3, 3), dtype=np.int64)
    np.add.at(confusion, (truth, said[0]), 1)
    widths = []
    for parts in (None, np.array(counted_rows(unit, truth, said[0]))):
        found = correct_transitions(YEARS, NAMES, unmoved, moved, confusion, parts=parts)
        widths.append((found.high - found.low)[0, 1])
    assert widths[1] > 1.3 * widths[0]
    alone = correct_transitions(YEARS, NAMES, unmoved, moved, confusion)
    assert "labels count as independent" in alone.notes[1]


@pytest.mark.parametrize("together", [0.0, 0.4, 0.8])
def test_how_far_errors_coincide_is_measured(together: float) -> None:
    found: list[float] = []
    for seed in range(20):
        _, _, _, unit, truth, said = clustered(seed, together, units=200, each=4)
        pairs = np.array(counted_rows(unit, truth, truth, said[0], said[1]))
        found.append(Errors(np.eye(3, dtype=np.int64), None, pairs).together(None) or 0.0)
    # units differ in their rates, so errors of one place go together somewhat even if they are drawn one by one
    assert together - 0.05 < np.mean(found) < together + 0.2
    few = Errors(np.eye(3, dtype=np.int64), None, pairs[:2])
    assert few.together(None) is None
    assert few.extremes(None) == (0.0, 0.99)
    assert "span both extremes" in few.note


def test_a_perfect_head_leaves_the_pixels_as_they_are() -> None:
    unmoved, moved = np.diag([100, 200, 300]), np.array([[0, 7, 0], [0, 0, 0], [3, 0, 0]])
    found = correct_transitions(YEARS, NAMES, unmoved, moved, np.diag([10**9] * 3))
    assert np.allclose(found.area, found.mapped, atol=1e-3)
    assert np.allclose(found.low, found.high, atol=1e-3)


def test_a_class_that_was_never_tested_is_only_counted() -> None:
    confusion = np.array([[5, 1, 0], [0, 6, 0], [0, 0, 0]])
    found = correct_transitions(YEARS, NAMES, np.diag([9, 9, 9]), np.zeros((3, 3), dtype=np.int64), confusion)
    assert found.source == "pixels"
    assert found.notes[0].startswith(f"no class is corrected by the head's confusion: {NAMES[2]} was never tested")
    with pytest.raises(InputError, match="expected 3 classes"):
        correct_transitions(YEARS, NAMES, np.diag([9, 9, 9]), np.diag([9, 9, 9]), np.eye(2, dtype=np.int64))


@given(st.floats(0, 2), st.integers(0, 1000))
def test_drift_is_the_shift_in_units_of_the_spread(shift: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.normal(0, 1, (2, 4000, 4)).astype(np.float32)
    other[:, 0] += shift * 2  # the spread of four dims of variance 1 is 2
    found = measure_drift(YEARS, one, other, np.zeros(4000, dtype=np.int64), ("a",), "same class")
    assert found is not None
    assert found.shift == pytest.approx(shift, abs=0.06)
    assert bool(found.warning) == (found.shift > 0.5)


def test_drift_needs_thirty_places_of_a_class() -> None:
    values = np.random.default_rng(0).normal(0, 1, (60, 4)).astype(np.float32)
    classes = np.array([0] * 29 + [1] * 31)
    found = measure_drift(YEARS, values, values + 5, classes, ("a", "b"), "stable")
    assert found is not None
    assert list(found.per_class) == ["b"]
    assert measure_drift(YEARS, values, values, np.full(60, -1), ("a", "b"), "stable") is None
