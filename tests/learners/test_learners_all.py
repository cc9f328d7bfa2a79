"""What holds for every learner: few features and thousands, features that do not vary, seeds, and weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from tessera.base import InputError
from tessera.learners import HEADS, LEARNERS, SPATIAL, MlpModel, learn, learn_and_score, parse_heads

KINDS = [(head, kind) for head in HEADS for kind in (3, 0) if kind or HEADS[head].numbers]
FAST = {"mlp": {"epochs": 20}, "boosting": {"rounds": 20}, "forest": {"trees": 20}}


@pytest.mark.parametrize(("head", "classes"), KINDS)
def test_one_feature_is_enough(head: str, classes: int) -> None:
    x = np.linspace(0, 1, 60)[:, None]
    y = np.arange(60) // 20 if classes else x[:, 0] * 5 + 100
    said = learn(head, x, y, classes).predict(x.astype(np.float32))
    if classes:
        assert (said == y).mean() > 0.6
    else:
        assert np.corrcoef(said, y)[0, 1] > 0.9


@pytest.mark.parametrize(("head", "classes"), KINDS)
def test_thousands_of_features(head: str, classes: int) -> None:
    rng = np.random.default_rng(0)
    y = np.arange(30) % 3
    x = rng.normal(size=(30, 3000)) + 2 * rng.normal(size=(3, 3000))[y]
    model = learn(head, x, y if classes else y * 10.0, classes, settings=FAST.get(head))
    assert model.dims == 3000
    said = model.predict(x.astype(np.float32))
    if classes:
        assert (said == y).mean() > 0.9
    else:
        assert np.corrcoef(said, y)[0, 1] > 0.6


@pytest.mark.parametrize(("head", "classes"), KINDS)
def test_features_that_say_nothing_give_the_mean_or_even_chances(head: str, classes: int) -> None:
    x = np.full((60, 4), 3.0)
    if classes:
        chances = learn(head, x, np.arange(60) % 3, 3, settings=FAST.get(head)).probabilities(x.astype(np.float32))
        # neighbours at one distance are the first labels
        np.testing.assert_allclose(chances, 1 / 3, atol=0.5 if head == "knn" else 0.12)
    else:
        said = learn(head, x, np.arange(60.0) % 3 + 1000, 0, settings=FAST.get(head)).predict(x.astype(np.float32))
        np.testing.assert_allclose(said, 1001, atol=0.5)


@pytest.mark.parametrize(("head", "classes"), KINDS)
def test_the_same_arguments_give_the_same_arrays(head: str, classes: int) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 5)), rng.integers(0, 3, 40) if classes else rng.normal(size=40)
    groups = np.arange(40) // 4
    models = [learn(head, x, y, classes, 5, settings=FAST.get(head), groups=groups) for _ in range(2)]
    first, second = (model.arrays() for model in models)
    assert first.keys() == second.keys()
    for name, array in first.items():
        assert array.tobytes() == second[name].tobytes()


@pytest.mark.parametrize("head", HEADS)
def test_a_class_that_was_never_met_has_no_chance(head: str) -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([1, 4], 10)
    x = rng.normal(size=(20, 3)) + y[:, None]
    said = learn_and_score(head, x, y, 6, 0, x, settings=FAST.get(head))
    assert said.shape == (20, 6)
    assert (said[:, [0, 2, 3, 5]] == 0).all()
    np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("head", sorted(set(HEADS) - {"knn"}))
def test_even_weights_find_the_rare_class_where_classes_overlap(head: str) -> None:
    """Neighbours weigh every label alike."""
    rng = np.random.default_rng(3)
    y = (np.arange(600) % 10 == 0).astype(np.int64)
    x = rng.normal(size=(600, 2)) + 1.0 * y[:, None]
    own = {**FAST.get(head, {}), **({"least": 20} if head in {"forest", "boosting"} else {})}
    even, occur = (
        learn(head, x, y, 2, weights=w, settings=own).predict(x.astype(np.float32)) for w in ("even", "occur")
    )
    assert (even[y == 1] == 1).mean() > (occur[y == 1] == 1).mean() + 0.2


def test_an_mlp_never_stops_by_a_label_of_a_group_that_it_learns_from() -> None:
    pytest.importorskip("torch")
    from tessera.learners._mlp_training import _parts
    from tessera.learners.training import Training

    rng = np.random.default_rng(0)
    groups = rng.integers(0, 30, 300)
    y = rng.integers(0, 3, 300)
    own = LEARNERS["mlp"].defaults
    learnt, held = _parts(Training(rng.normal(size=(300, 2)), y, 3, 0, settings=own, groups=groups))
    assert 30 < len(held) < 100
    assert not set(groups[learnt]) & set(groups[held])
    assert set(y[learnt]) == {0, 1, 2}
    assert sorted([*learnt, *held]) == list(range(300))
    for few in (
        Training(rng.normal(size=(300, 2)), y, 3, 0, settings=own, groups=groups % 4),
        Training(rng.normal(size=(300, 2)), y, 3, 0, settings={**own, "epochs": 9}, groups=groups),
        Training(rng.normal(size=(150, 2)), y[:150], 3, 0, settings=own, groups=groups[:150]),
        Training(rng.normal(size=(300, 2)), y * 1.0, 0, 0, settings=own, groups=groups),
    ):
        assert len(_parts(few)[1]) == 0
    # a class in one group is learnt from, and not held out
    rare = np.where(groups == groups[held[0]], 3, y)
    learnt, held = _parts(Training(rng.normal(size=(300, 2)), rare, 4, 0, settings=own, groups=groups))
    assert set(rare[learnt]) == {0, 1, 2, 3}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(2, 60))
def test_the_f1_that_an_mlp_stops_by_is_the_weighted_f1(seed: int, classes: int, count: int) -> None:
    pytest.importorskip("torch")
    from tessera.learners._mlp_training import f1

    rng = np.random.default_rng(seed)
    truth, said = rng.integers(0, classes, (2, count))
    weight = rng.uniform(0.1, 1, classes)
    want = f1_score(truth, said, average="weighted", sample_weight=weight[truth], zero_division=0)
    np.testing.assert_allclose(f1(truth, said, weight), want, atol=1e-12)


def test_layers_of_an_mlp_are_a_setting_and_the_loss_or_f1_chooses_the_epoch() -> None:
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 220)
    x = rng.normal(size=(220, 3)) + y[:, None]
    small, other = (learn("mlp", x, y, 2, settings={"layers": "64", "keep": keep}) for keep in ("loss", "f1"))
    assert isinstance(small, MlpModel)
    assert [part.shape for part in small.weights] == [(3, 64), (64, 2)]
    assert not np.array_equal(small.scores(x.astype(np.float32)), other.scores(x.astype(np.float32)))


def test_heads_of_single_pixels_and_others_are_told_apart() -> None:
    assert not set(HEADS) & set(SPATIAL)
    with pytest.raises(InputError, match="head 'unet' looks at the pixels around a label; expected heads of"):
        parse_heads("linear,unet")
    with pytest.raises(InputError, match="head 'prototype' learns classes, and the labels are numbers"):
        parse_heads("linear,prototype", "regression")
    assert parse_heads("prototype", "classification") == ("prototype",)
