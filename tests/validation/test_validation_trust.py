"""`Trust` and `Calibration`: what they make of probabilities and numbers, and their plain values."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.validation import Calibration, Trust

RAW = np.array([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25], [np.nan, 0.5, 0.5]])
CURVES = (((0.0, 0.5, 1.0), (0.1, 0.3, 0.9)),) * 3
CLASSES = Trust(Calibration("temperature", 2.0), 0.9, 0.72, threshold=0.5)
NUMBERS = Trust(None, 0.8, 1.5, spread=((0.0, 10.0), (1.0, 3.0)))


def test_a_temperature_of_two_takes_square_roots_and_scales_them_to_a_sum_of_one() -> None:
    found = Calibration("temperature", 2.0).apply(RAW[:1])
    roots = np.sqrt(RAW[:1])
    np.testing.assert_allclose(found, roots / roots.sum(), rtol=1e-6)
    assert found.dtype == np.float32


def test_an_isotonic_curve_is_straight_between_its_points() -> None:
    found = Calibration("isotonic", curves=CURVES).apply(RAW[:1])
    # 0.7 lies two fifths of the way from (0.5, 0.3) to (1, 0.9); 0.2 two fifths from (0, 0.1) to (0.5, 0.3)
    by_hand = np.array([0.3 + 0.4 * 0.6, 0.1 + 0.4 * 0.2, 0.1 + 0.2 * 0.2])
    np.testing.assert_allclose(found[0], by_hand / by_hand.sum(), rtol=1e-6)


@pytest.mark.parametrize("calibration", [Calibration(), CLASSES.calibration, Calibration("isotonic", curves=CURVES)])
def test_a_row_that_is_not_finite_has_no_probability_no_set_and_does_not_abstain(calibration: Calibration) -> None:
    trust = Trust(calibration, 0.9, 0.72, threshold=0.5)
    found = trust.probabilities(RAW)
    assert np.isnan(found[2]).any()
    np.testing.assert_allclose(found[:2].sum(axis=1), 1, rtol=1e-6)
    assert not trust.sets(found)[2].any()
    assert not trust.abstains(found)[2]


def test_a_set_holds_what_is_probable_enough_and_always_the_most_probable_class() -> None:
    made = np.array([[0.6, 0.28, 0.12], [0.25, 0.25, 0.5]], dtype=np.float32)
    np.testing.assert_array_equal(CLASSES.sets(made), [[True, True, False], [False, False, True]])
    narrow = Trust(Calibration(), 0.9, 0.1, threshold=0.5)
    np.testing.assert_array_equal(narrow.sets(made), [[True, False, False], [False, False, True]])
    np.testing.assert_array_equal(narrow.abstains(made), [False, False])
    assert Trust(Calibration(), 0.9, math.inf, threshold=0.0).sets(made).all()


def test_an_interval_is_as_wide_as_errors_are_at_the_prediction() -> None:
    low, high = NUMBERS.interval(np.array([0.0, 5.0, 20.0, np.nan], dtype=np.float32))
    np.testing.assert_allclose(low[:3], [-1.5, 2.0, 15.5])
    np.testing.assert_allclose(high[:3], [1.5, 8.0, 24.5])
    assert np.isnan(low[3])
    assert np.isnan(high[3])
    low, high = Trust(None, 0.9, math.inf).interval(np.array([1.0]))
    assert (low[0], high[0]) == (-math.inf, math.inf)


def test_classes_have_no_interval_and_numbers_no_sets() -> None:
    with pytest.raises(InputError, match="expected a head of numbers"):
        CLASSES.interval(np.zeros(2))
    with pytest.raises(InputError, match="expected a head of classes"):
        NUMBERS.sets(np.full((1, 2), 0.5, dtype=np.float32))
    with pytest.raises(InputError, match="of 2 classes; expected 3"):
        Calibration("isotonic", curves=CURVES).apply(np.full((1, 2), 0.5))


shares = st.floats(0, 1)
rising = st.lists(shares, min_size=1, max_size=6, unique=True).map(sorted)


@st.composite
def trusts(draw: st.DrawFn) -> Trust:
    level, accuracy = draw(st.floats(0.01, 0.99)), draw(st.floats(0.01, 0.99))
    quantile = draw(st.floats(0, 1e6) | st.just(math.inf))
    if draw(st.booleans()):
        at = draw(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=4, unique=True).map(sorted))
        size = draw(st.lists(st.floats(1e-6, 1e6), min_size=len(at), max_size=len(at)))
        spread = draw(st.sampled_from([None, (tuple(at), tuple(size))]))
        return Trust(None, level, quantile, spread, accuracy=accuracy)
    method = draw(st.sampled_from(["none", "temperature", "isotonic"]))
    curves = []
    for _ in range(3 if method == "isotonic" else 0):
        at = draw(rising)
        curves.append((tuple(at), tuple(sorted(draw(st.lists(shares, min_size=len(at), max_size=len(at)))))))
    calibration = Calibration(method, draw(st.floats(0.1, 10)) if method == "temperature" else 1.0, tuple(curves))
    return Trust(calibration, level, quantile, threshold=draw(shares), accuracy=accuracy)


@given(trusts())
def test_plain_values_give_the_same_trust_back(trust: Trust) -> None:
    assert Trust.from_json(json.loads(json.dumps(trust.to_json(), allow_nan=False))) == trust


@given(trusts(), st.lists(st.lists(shares, min_size=3, max_size=3), min_size=1, max_size=5))
def test_calibrated_probabilities_are_shares_with_a_sum_of_one(trust: Trust, rows: list[list[float]]) -> None:
    if trust.calibration is None:
        return
    raw = np.array(rows) + 1e-3
    found = trust.probabilities(raw / raw.sum(axis=1, keepdims=True))
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert trust.sets(found).any(axis=1).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"level": 1.0}, "level 1.0; expected between 0 and 1"),
        ({"accuracy": "high"}, "'high'; expected finite numbers"),
        ({"quantile": -0.1}, "quantile -0.1; expected 0 or above"),
        ({"quantile": 10**400}, "expected finite numbers"),
        ({"threshold": None}, "a calibration without a threshold"),
        ({"threshold": 2}, "threshold 2.0; expected 0 to 1"),
        ({"spread": [[0, 1], [1, 1]]}, "a spread of errors"),
        ({"spread": 3}, "spread '3'; expected two lists"),
        ({"calibration": {"method": "none"}}, "calibration is .*; expected an object of method, temperature, curves"),
        ({"calibration": {"method": "magic", "temperature": 1, "curves": []}}, "calibration 'magic'; expected one of"),
        ({"calibration": {"method": "none", "temperature": 0, "curves": []}}, "temperature 0.0; expected 0.001"),
        ({"calibration": {"method": "isotonic", "temperature": 1, "curves": []}}, "0 curves of calibration isotonic"),
        ({"calibration": {"method": "isotonic", "temperature": 1, "curves": [[[0, 0], [0, 1]]]}}, "does not rise"),
        ({"calibration": {"method": "isotonic", "temperature": 1, "curves": [[[0, 1], [0, 2]]]}}, "does not rise"),
        ({"calibration": {"method": "isotonic", "temperature": 1, "curves": [7]}}, "no pair of lists"),
        ({"calibration": {"method": 7, "temperature": 1, "curves": 7}}, "expected a method and a list"),
        ({"more": 1}, "expected an object of calibration, level"),
    ],
)
def test_values_that_no_trust_has_are_refused_in_a_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Trust.from_json({**CLASSES.to_json(), **change})
