"""Areas of classes: published worked examples to their printed digits, and intervals that hold the true area."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.validation import areas_of_confusion, count_areas, estimate_areas

CLASSES = ("deforestation", "forest gain", "stable forest", "stable non-forest")
COUNTS = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
"""Olofsson et al. 2014, table 8: rows the map, columns the reference."""
PIXELS = (200_000, 150_000, 3_200_000, 6_450_000)
"""Pixels of 30 m, 0.09 ha."""


def test_olofsson_2014_to_its_printed_digits() -> None:
    """Table 8 and section 5.2 of doi:10.1016/j.rse.2014.02.015; errors of producer's accuracy by equation 7."""
    found = areas_of_confusion(COUNTS.T, PIXELS, CLASSES, pixel_ha=0.09)
    z = 1.96
    assert [round(one) for one in found.area] == [21_158, 11_686, 285_770, 581_386]
    assert [round(z * one) for one in found.area_error] == [6_158, 3_756, 15_510, 16_282]
    assert [round(one, 2) for one in found.users] == [0.88, 0.73, 0.93, 0.96]
    assert [round(z * one, 2) for one in found.users_error] == [0.07, 0.10, 0.04, 0.02]
    assert [round(one, 2) for one in found.producers] == [0.75, 0.85, 0.93, 0.96]
    assert (round(found.overall, 2), round(z * found.overall_error, 2)) == (0.95, 0.02)
    assert [round(one, 4) for one in found.matrix[0]] == [0.0176, 0, 0.0013, 0.0011]
    np.testing.assert_allclose(found.mapped, [18_000, 13_500, 288_000, 580_500])
    by_hand = []
    size, often = np.array(PIXELS, dtype=float), COUNTS.sum(axis=1)
    for j in range(4):
        whole = (size / often * COUNTS[:, j]).sum()
        user, producer = COUNTS[j, j] / often[j], size[j] * COUNTS[j, j] / often[j] / whole
        own = size[j] ** 2 * (1 - producer) ** 2 * user * (1 - user) / (often[j] - 1)
        share = np.delete(COUNTS[:, j] / often, j)
        others = np.delete(size, j) ** 2 * share * (1 - share) / (np.delete(often, j) - 1)
        by_hand.append(math.sqrt((own + producer**2 * others.sum()) / whole**2))
    np.testing.assert_allclose(found.producers_error, by_hand)
    assert found.notes == ()


def test_olofsson_2013_to_its_printed_digits() -> None:
    """Table 1 and equations 9 to 16 of doi:10.1016/j.rse.2012.10.031: areas in pixels."""
    counts = np.array([[97, 0, 3], [3, 279, 18], [2, 1, 97]])
    found = areas_of_confusion(counts.T, (22_353, 1_122_543, 610_228), ("a", "b", "c"), pixel_ha=1)
    assert round(found.area[0] / found.mapped.sum(), 3) == 0.026
    assert round(found.area[0]) == 45_112
    assert round(found.users[0], 2) == 0.97
    assert round(found.producers[0], 2) == 0.48
    assert round(found.overall, 2) == 0.94


def test_strata_that_are_not_the_classes_of_the_map_as_in_stehman_2014() -> None:
    """The numerical example of doi:10.1080/01431161.2014.930207, pages 4932 to 4936, classes A to D as 0 to 3."""
    strata = np.repeat(np.arange(4), 10)
    mapped = np.array([0] * 7 + [1] * 3 + [0] + [1] * 11 + [2] * 6 + [1, 1] + [3] * 10)
    truth = np.array(
        [0] * 5 + [2, 1, 0, 1, 2, 0] + [1] * 5 + [0, 0, 1, 1] + [2] * 5 + [3, 3, 1, 1, 0] + [3] * 7 + [2, 2, 1]
    )
    sizes = (40_000, 30_000, 20_000, 10_000)
    on_map = (31_000, 47_000, 12_000, 10_000)
    found = estimate_areas(mapped, truth, on_map, tuple("ABCD"), strata=strata, strata_pixels=sizes, pixel_ha=1)
    shares, errors = found.area / 100_000, found.area_error / 100_000
    assert (round(shares[0], 2), round(shares[2], 2)) == (0.35, 0.20)
    assert (round(errors[0], 3), round(errors[2], 3)) == (0.082, 0.064)
    assert (round(found.overall, 2), round(found.overall_error, 3)) == (0.63, 0.085)
    assert (round(found.users[1], 3), round(found.users_error[1], 3)) == (0.574, 0.125)
    assert (round(found.producers[1], 3), round(found.producers_error[1], 3)) == (0.794, 0.117)
    assert round(found.matrix[1, 2], 2) == 0.08
    # what another program of the same estimator prints of the other classes
    np.testing.assert_allclose(found.users[[0, 2]], [0.7419355, 0.5], atol=1e-7)
    np.testing.assert_allclose(found.users_error[[0, 2]], [0.1645627, 0.2151657], atol=1e-7)
    np.testing.assert_allclose([found.producers[0], found.producers_error[0]], [0.6571429, 0.1477318], atol=1e-7)


@given(st.lists(st.integers(0, 40), min_size=9, max_size=9), st.lists(st.integers(1, 10**6), min_size=3, max_size=3))
def test_areas_add_up_to_the_map_and_strata_of_map_classes_change_nothing(counts: list[int], pixels: list[int]) -> None:
    table = np.array(counts).reshape(3, 3) + 2 * np.eye(3, dtype=np.int64)
    found = areas_of_confusion(table, pixels, ("a", "b", "c"))
    assert found.area.sum() == pytest.approx(sum(pixels) / 100)
    assert found.matrix.sum() == pytest.approx(1)
    np.testing.assert_allclose(found.matrix.sum(axis=1) * sum(pixels), pixels)
    truth, mapped = np.divmod(np.repeat(np.arange(9), table.reshape(-1)), 3)
    given_strata = estimate_areas(mapped, truth, pixels, ("a", "b", "c"), strata=mapped, strata_pixels=pixels)
    for name in ("area", "area_error", "users", "users_error", "producers", "producers_error"):
        np.testing.assert_allclose(getattr(given_strata, name), getattr(found, name))
    json.dumps(found.to_json(), allow_nan=False)


@pytest.mark.parametrize("design", ["random", "stratified"])
def test_intervals_hold_the_true_area_where_pixel_counts_do_not(design: str) -> None:
    generator = np.random.default_rng(0)
    truth = generator.choice(3, 200_000, p=[0.7, 0.25, 0.05])
    # the map takes a fifth of the common class for the rare one
    wrong = np.where(truth == 0, 2, generator.integers(0, 3, len(truth)))
    mapped = np.where(generator.random(len(truth)) < 0.2, wrong, truth)
    pixels, true = np.bincount(mapped).tolist(), np.bincount(truth) * 0.01
    held, times = np.zeros(3), 400
    for _ in range(times):
        if design == "random":
            chosen = generator.choice(len(truth), 900, replace=False)
        else:
            chosen = np.concatenate(
                [generator.choice(np.flatnonzero(mapped == k), 300, replace=False) for k in range(3)]
            )
        found = estimate_areas(mapped[chosen], truth[chosen], pixels, ("a", "b", "c"), design=design)
        cells = np.array([row["area"] for row in found.to_json()["classes"]])
        held += (cells[:, 1] <= true) & (true <= cells[:, 2])
    assert (held / times > 0.95 - 3.1 * math.sqrt(0.95 * 0.05 / times)).all()
    assert (held / times < 0.99).all()
    assert found.mapped[2] > 2 * true[2]


def test_a_map_class_without_a_label_is_taken_as_mapped_and_a_class_of_one_label_is_not_certain() -> None:
    truth, mapped = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 0, 0, 1])
    found = estimate_areas(mapped, truth, (100, 50, 25), ("a", "b", "c"))
    np.testing.assert_allclose(found.area, [0.75, 0.75, 0.25])
    assert found.area_error[2] == 0
    # 0.25 of 50 pixels, and 3/16 over three of 100
    assert found.area_error[1] == pytest.approx(math.sqrt(0.25 * 0.5**2 + 0.1875 / 3))
    assert found.notes[0] == "no label where the map shows c: the map is taken to be right there"
    assert found.notes[1].startswith("fewer than 10 labels of a, b")


def test_labels_that_are_no_sample_give_pixel_counts_and_a_warning() -> None:
    found = count_areas((100, 50), ("a", "b"))
    told = found.to_json()
    assert told["design"] is None
    assert [row["area"] for row in told["classes"]] == [[1.0, None, None], [0.5, None, None]]
    assert "no probability sample" in told["notes"][0]
    assert told["overall"] == [None, None, None]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"design": "convenient"}, "design 'convenient'; expected one of random, stratified"),
        ({"strata": np.zeros(3, dtype=np.int64)}, "strata without their pixels"),
        ({"pixels": (1, -1)}, "expected 2 counts"),
        ({"pixels": (0, 0)}, "some above 0"),
        ({"mapped": np.array([0, 1, 2])}, "map with values outside 0 to 1"),
        ({"reference": np.array([0, 1])}, "reference int64"),
        ({"reference": np.array([0.0, 1.0, 1.0])}, "expected whole numbers"),
        ({"strata": np.array([0, 0, 0]), "strata_pixels": (5, 5)}, "no label in stratum 1"),
    ],
)
def test_bad_samples_are_refused_in_a_line(changes: dict[str, object], message: str) -> None:
    sample: dict[str, object] = {"mapped": np.array([0, 1, 1]), "reference": np.array([0, 1, 0]), "pixels": (10, 20)}
    with pytest.raises(InputError, match=message):
        estimate_areas(**{**sample, **changes}, classes=("a", "b"))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="expected 2 classes"):
        areas_of_confusion(np.zeros((3, 3), dtype=np.int64), (1, 2), ("a", "b"))


def test_a_class_without_an_error_says_what_its_labels_cannot_exclude() -> None:
    mapped, truth = np.repeat([0, 1], 60), np.repeat([0, 1, 0], [60, 59, 1])
    (note,) = estimate_areas(mapped, truth, [10, 90], ["a", "b"]).notes
    assert note.startswith("none of 60 labels of a is wrong: no interval can be estimated")
    assert "up to 5% of it may be wrong" in note


def test_labels_of_which_none_is_wrong_give_no_interval() -> None:
    mapped = np.repeat([0, 1], 12)
    found = estimate_areas(mapped, mapped, [6500, 3500], ("a", "b")).to_json()
    for row, area in zip(found["classes"], (65.0, 35.0), strict=True):
        assert row["area"] == [pytest.approx(area), None, None]
        assert row["standard_error"] is None
        assert row["users"] == row["producers"] == [1.0, None, None]
    assert found["overall"] == [1.0, None, None]
    assert any("no interval can be estimated" in note for note in found["notes"])
