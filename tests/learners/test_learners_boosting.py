"""Boosting: the arrays predict as LightGBM does, to the last bit of a score."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.learners import BoostingModel, boosting_of, learn

lightgbm: Any = pytest.importorskip("lightgbm")

QUIET = {"verbosity": -1, "num_threads": 1, "use_missing": False, "min_data_in_bin": 1}


def grown(x: Any, y: Any, classes: int, rounds: int, seed: int, least: int = 1) -> Any:
    told: dict[str, Any] = {"objective": "regression"}
    if classes:
        told = {"objective": "binary"} if classes == 2 else {"objective": "multiclass", "num_class": classes}
    parameters = {**QUIET, **told, "min_data_in_leaf": least, "seed": seed}
    return lightgbm.train(parameters, lightgbm.Dataset(x, y, params=QUIET), rounds)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(6, 90), st.integers(1, 9), st.integers(0, 4), st.integers(1, 12))
def test_the_arrays_are_the_booster(seed: int, count: int, dims: int, classes: int, rounds: int) -> None:
    rng = np.random.default_rng(seed)
    # few distinct values, so that vectors meet thresholds; zero is among them
    x = (rng.integers(-3, 4, (count, dims)) / np.float32(3)).astype(np.float32)
    classes = 0 if classes < 2 else classes
    y = (
        np.concatenate([np.arange(classes), rng.integers(0, classes, count)])[:count]
        if classes
        else rng.normal(size=count)
    )
    booster = grown(x, y, classes, rounds, seed)
    model = boosting_of(booster, classes)
    new = np.concatenate([x, (rng.integers(-8, 9, (100, dims)) / np.float32(6)).astype(np.float32)])
    theirs = booster.predict(new, raw_score=True)
    ours = model.scores(new)
    if classes == 2:
        np.testing.assert_array_equal(ours[:, 0], 0)
        ours = ours[:, 1]
    np.testing.assert_array_equal(ours, theirs)
    if classes:
        chances = booster.predict(new)
        chances = np.column_stack([1 - chances, chances]) if classes == 2 else chances
        np.testing.assert_allclose(model.probabilities(new), chances, atol=1e-6)


def test_learnt_numbers_and_classes_are_lightgbms_own() -> None:
    """Through `learn`: real-valued vectors, weights, float32 neighbours of every threshold."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 12)).astype(np.float32)
    kept: list[Any] = []
    train = lightgbm.train

    def watched(*args: Any, **named: Any) -> Any:
        kept.append(train(*args, **named))
        return kept[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lightgbm, "train", watched)
        models = [learn("boosting", x, np.arange(300) % 3, 3), learn("boosting", x, x[:, 0] * 7 + 1000, 0)]
    for model, booster in zip(models, kept, strict=True):
        assert isinstance(model, BoostingModel)
        inner = model.feature >= 0
        near = np.repeat(x[:1], 3 * int(inner.sum()), axis=0)
        for step, towards in enumerate((0, np.inf, -np.inf)):
            at = model.threshold[inner]
            moved = at if not towards else np.nextafter(at, np.float32(towards))
            near[np.arange(len(at)) * 3 + step, model.feature[inner]] = moved
        new = np.concatenate([x, near])
        np.testing.assert_array_equal(model.scores(new), booster.predict(new, raw_score=True))


def test_a_model_comes_back_from_its_arrays() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 5)).astype(np.float32)
    model = learn("boosting", x, np.arange(60) % 3, 3)
    same = BoostingModel.from_arrays(model.arrays(), 3)
    np.testing.assert_array_equal(same.scores(x), model.scores(x))


@pytest.mark.parametrize(
    ("name", "broken", "told"),
    [
        ("adds", lambda a: a + 3, "a tree that adds to a class outside 0 to 2"),
        ("values", lambda a: a[:-1], "values float64"),
        ("values", lambda a: a * 0 + 1e35, "a leaf that adds more than 1e\\+30"),
        ("feature", lambda a: a + 40, "a feature outside 0 to 4"),
        ("threshold", lambda a: a * np.float32(np.nan), "expected finite float32"),
        ("sizes", lambda a: a + 1, "trees of other sizes"),
        ("features", lambda a: a.astype(np.int64), "features int64"),
    ],
)
def test_damaged_arrays_are_refused(name: str, broken: Any, told: str) -> None:
    rng = np.random.default_rng(1)
    arrays = learn("boosting", rng.normal(size=(60, 5)), np.arange(60) % 3, 3).arrays()
    with pytest.raises(InputError, match=told):
        BoostingModel.from_arrays({**arrays, name: broken(arrays[name])}, 3)


@pytest.mark.parametrize(
    ("told", "data", "said"),
    [
        ({}, {"categorical_feature": [0]}, "a tree that splits by '==', missing"),
        ({"use_missing": True}, {}, "missing 'NaN'; expected '<=' on numbers"),
        ({"linear_tree": True}, {"params": {"linear_tree": True}}, "a tree with linear leaves"),
        ({"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, {}, "trees whose mean is taken"),
    ],
)
def test_trees_of_another_kind_are_refused(told: dict[str, Any], data: dict[str, Any], said: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 2))
    x[:, 0] = rng.integers(0, 4, 80)
    if told.get("use_missing"):
        x[::7, 1] = np.nan
    y = (x[:, 0] == 2) * 9.0 + np.nan_to_num(x[:, 1], nan=4.0)
    parameters = {**QUIET, "objective": "regression", "min_data_in_leaf": 1, "min_data_per_group": 1, **told}
    booster = lightgbm.train(parameters, lightgbm.Dataset(x, y, **data), 3)
    with pytest.raises(InputError, match=said):
        boosting_of(booster, 0)


def test_one_label_a_class_is_enough() -> None:
    model = learn("boosting", np.eye(3), np.arange(3), 3)
    assert np.isfinite(model.probabilities(np.eye(3, dtype=np.float32))).all()
