"""Calibration: reliability by hand, isotonic curves as scikit-learn has them, and the choice of a method."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.validation import Calibration, fit_calibration, log_losses, reliability
from tessera.validation.calibration import rising


def made(
    count: int, temperature: float, seed: int = 0, *, classes: int = 3, units: int = 60
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth drawn from known probabilities, those probabilities raised to a power, and the unit of each label."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(scale=1.5, size=(count, classes))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (true.cumsum(axis=1) > generator.random((count, 1))).argmax(axis=1).astype(np.int64)
    sharp = true**temperature
    return truth, sharp / sharp.sum(axis=1, keepdims=True), generator.integers(0, units, count)


def test_reliability_by_hand() -> None:
    truth = np.array([0, 0, 1, 1, 0], dtype=np.int64)
    probabilities = np.array([[0.9, 0.1], [0.85, 0.15], [0.7, 0.3], [0.35, 0.65], [0.5, 0.5]])
    found = reliability(truth, probabilities, np.arange(5), bins=5)
    # bins end at 0.2, 0.4, 0.6, 0.8 and 1, each with its upper border
    np.testing.assert_array_equal(found.labels, [0, 0, 1, 2, 2])
    np.testing.assert_allclose(found.confidence[2:], [0.5, 0.675, 0.875])
    np.testing.assert_allclose(found.accuracy[2:], [1, 0.5, 1])
    assert found.error == pytest.approx((0.5 + 2 * 0.175 + 2 * 0.125) / 5)
    assert np.isnan(found.accuracy[:2]).all()
    assert [row["labels"] for row in found.to_json()] == [1, 2, 2]
    # one unit in the bin, and it is right: the exact binomial bound
    assert (found.low[2], found.high[2]) == (pytest.approx(0.025), 1)


@given(st.integers(1, 80), st.integers(2, 12), st.integers(0, 5))
def test_the_calibration_error_is_the_sum_over_bins(count: int, bins: int, seed: int) -> None:
    truth, raw, units = made(count, 2.0, seed)
    found = reliability(truth, raw, units, bins=bins, seed=seed)
    top, right = raw.max(axis=1), raw.argmax(axis=1) == truth
    by_hand = 0.0
    for lower, upper in zip(found.edges[:-1], found.edges[1:], strict=True):
        inside = (top > lower) & (top <= upper)
        if inside.any():
            by_hand += abs(float(top[inside].mean()) - float(right[inside].mean())) * inside.mean()
    assert found.error == pytest.approx(by_hand)
    assert found.labels.sum() == count


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0.1, 5)), min_size=1, max_size=40))
def test_a_rising_curve_is_that_of_scikit_learn(pairs: list[tuple[float, float]]) -> None:
    isotonic = pytest.importorskip("sklearn.isotonic")
    values, weights = map(np.array, zip(*pairs, strict=True))
    theirs = isotonic.isotonic_regression(values, sample_weight=weights)
    np.testing.assert_allclose(rising(values, weights), theirs, atol=1e-9)


@pytest.mark.parametrize("sharpened", [0.5, 2.0, 3.0])
def test_a_temperature_undoes_the_power_that_probabilities_were_raised_to(sharpened: float) -> None:
    truth, raw, units = made(3000, sharpened)
    found, held, why = fit_calibration(truth, raw, units)
    assert why == ""
    assert found.method == "temperature"
    assert found.temperature == pytest.approx(sharpened, rel=0.1)
    assert reliability(truth, held, units).error < 0.03 < reliability(truth, raw, units).error


def test_a_distortion_that_no_temperature_undoes_gets_isotonic_curves() -> None:
    truth, raw, units = made(4000, 1.0, classes=2)
    # overconfident for class 0, underconfident for class 1
    bent = np.column_stack([raw[:, 0] ** 0.3, 1 - raw[:, 0] ** 0.3])
    found, held, _ = fit_calibration(truth, bent, units)
    assert found.method == "isotonic"
    assert log_losses(truth, held).mean() < log_losses(truth, bent).mean() - 0.05
    new, raw, units = made(4000, 1.0, seed=9, classes=2)
    bent = np.column_stack([raw[:, 0] ** 0.3, 1 - raw[:, 0] ** 0.3])
    np.testing.assert_allclose(found.apply(bent), raw, atol=0.12)
    assert reliability(new, found.apply(bent), units).error < 0.04


@pytest.mark.parametrize(("labels", "units"), [(25, 20), (4000, 3)])
def test_few_labels_or_few_units_leave_probabilities_as_they_are(labels: int, units: int) -> None:
    truth, raw, unit = made(labels, 3.0, units=units)
    found, held, why = fit_calibration(truth, raw, unit)
    assert why.endswith("calibration needs 30" if labels < 30 else "calibration needs 5")
    assert found == Calibration()
    np.testing.assert_array_equal(held, raw.astype(np.float32))


def test_places_count_and_not_their_pixels() -> None:
    truth, raw, _ = made(29, 3.0)
    place = np.repeat(np.arange(29), 20)
    found, held, why = fit_calibration(truth[place], raw[place], place, places=place)
    assert found == Calibration()
    assert why == "there are 29 tested places, and calibration needs 30"
    np.testing.assert_array_equal(held, raw[place].astype(np.float32))
    # 999 places of four pixels get no curves, though single labels would
    truth, raw, _ = made(999, 1.0, classes=2)
    place = np.repeat(np.arange(999), 4)
    bent = np.column_stack([raw[:, 0] ** 0.3, 1 - raw[:, 0] ** 0.3])[place]
    assert fit_calibration(truth[place], bent, place, places=place)[0].method != "isotonic"
    assert fit_calibration(truth[place], bent, place)[0].method == "isotonic"


@pytest.mark.parametrize("wrong", [0, 1])
def test_a_temperature_at_an_end_of_the_search_is_refused(wrong: int) -> None:
    # cautious probabilities that are right at each of 61 places, but for a place that some folds do not learn from
    truth = np.arange(61, dtype=np.int64) % 3
    raw = np.full((61, 3), 0.3)
    raw[np.arange(61), truth] = 0.4
    truth[:wrong] = (truth[:wrong] + 1) % 3
    place = np.repeat(np.arange(61), 5)
    found, held, why = fit_calibration(truth[place], raw[place], place, places=place)
    assert found == Calibration()
    assert why.startswith("the temperature would lie at an end of its search (0.05 to 20), so 61 places")
    assert held.max() == np.float32(0.4)


@pytest.mark.parametrize("labels", [30, 300, 1500])
def test_probabilities_that_hold_already_are_made_no_worse_on_new_labels(labels: int) -> None:
    new, given_raw, _ = made(5000, 1.0, seed=500)
    raw_loss = log_losses(new, given_raw).mean()
    worse = []
    for seed in range(20):
        found, _, _ = fit_calibration(*made(labels, 1.0, seed), seed=seed)
        worse.append(log_losses(new, found.apply(given_raw)).mean() - raw_loss)
    assert np.mean(worse) < 0.005
    assert max(worse) < 0.05


def test_a_class_of_few_labels_keeps_its_raw_probabilities_in_isotonic_curves() -> None:
    truth, raw, units = made(4000, 1.0, classes=2)
    bent = np.column_stack([raw[:, 0] ** 0.3, 1 - raw[:, 0] ** 0.3]) * 0.99
    rare = truth.copy()
    rare[:5] = 2
    found, _, _ = fit_calibration(rare, np.column_stack([bent, np.full(len(bent), 0.01)]), units)
    assert found.method == "isotonic"
    assert found.curves[2] == ((0.0, 1.0), (0.0, 1.0))


def test_log_losses_by_hand_with_a_floor() -> None:
    found = log_losses(np.array([0, 1]), np.array([[0.25, 0.75], [1.0, 0.0]]))
    np.testing.assert_allclose(found, [np.log(4), np.log(1e6)])
