"""Learners: what they learn, and that their arrays predict as the library that fitted them does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsClassifier

from tessera.base import InputError
from tessera.embeddings import CodedVectors, StackedVectors, quantise
from tessera.learners import HEADS, KnnModel, LinearModel, forest_of, learn, learn_and_score, parse_heads

NUMBER_HEADS = [name for name in HEADS if HEADS[name].numbers]


@pytest.mark.parametrize("head", sorted(HEADS))
@pytest.mark.parametrize("each", [2, 12, 120])
def test_classes_are_learnt_from_few_and_many(head: str, each: int) -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([0, 2, 3], each)
    x = np.eye(4)[y] * 4 + rng.normal(0, 0.5, (len(y), 4))
    said = learn_and_score(head, x, y, 4, 1, x)
    assert said.shape == (len(y), 4)
    np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-5)
    assert (said.argmax(axis=1) == y).mean() > 0.9
    # class 1 was never met
    assert (said[:, 1] == 0).all()
    if each == 12:
        np.testing.assert_array_equal(learn_and_score(head, x, y, 4, 1, x), said)


@pytest.mark.parametrize("head", NUMBER_HEADS)
@pytest.mark.parametrize("count", [4, 40, 400])
def test_numbers_are_learnt_in_their_own_units(head: str, count: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (count, 3))
    y = 1000 + 50 * x[:, 0] + rng.normal(0, 5, count)
    said = learn_and_score(head, x, y, 0, 1, x)
    assert said.shape == (count,)
    assert abs(said.mean() - y.mean()) < 40
    if count == 400:
        assert np.corrcoef(said, y)[0, 1] > 0.9


def test_one_class_alone_is_what_is_predicted() -> None:
    said = learn_and_score("linear", np.zeros((3, 2)), np.array([1, 1, 1]), 3, 0, np.zeros((2, 2)))
    assert said.tolist() == [[0, 1, 0], [0, 1, 0]]


@pytest.mark.parametrize("head", sorted(HEADS))
def test_predictions_are_classes_or_numbers_and_no_data_stays(head: str) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 6))
    values = rng.normal(size=(5, 7, 6)).astype(np.float32)
    values[1, 2, 3] = np.nan
    values[4, 0, 0] = np.inf
    gone = ~np.isfinite(values).all(axis=2)
    classes = learn(head, x, np.arange(60) % 3, 3)
    said = classes.predict(values)
    assert (said.dtype, said.shape) == (np.dtype(np.uint8), (5, 7))
    assert ((said == 255) == gone).all()
    chances = classes.probabilities(values)
    assert np.isnan(chances[gone]).all()
    np.testing.assert_allclose(chances[~gone].sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(chances[~gone].argmax(axis=1), said[~gone])
    with pytest.raises(InputError, match=r"values of shape \(5, 7, 4\); expected \(..., 6\)"):
        classes.predict(values[..., :4])
    if head not in NUMBER_HEADS:
        return
    numbers = learn(head, x, x[:, 0] * 3, 0)
    said = numbers.predict(values)
    assert (said.dtype, said.shape) == (np.dtype(np.float32), (5, 7))
    assert (np.isnan(said) == gone).all()
    with pytest.raises(InputError, match="probabilities of a head of numbers"):
        numbers.probabilities(values)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 80), st.integers(1, 12), st.integers(0, 5), st.integers(1, 8))
def test_a_forest_as_arrays_is_the_forest(seed: int, count: int, dims: int, classes: int, trees: int) -> None:
    rng = np.random.default_rng(seed)
    # few distinct values, so that vectors meet thresholds and leaves stay mixed
    x = rng.integers(-3, 4, (count, dims)) / np.float32(3)
    same: dict[str, Any] = {"n_estimators": trees, "random_state": seed}
    if classes >= 2:
        y = np.concatenate([np.arange(classes), rng.integers(0, classes, count)])[:count]
        classes = len(np.unique(y))
        fitted = RandomForestClassifier(class_weight="balanced", **same).fit(x, y)
    else:
        classes, y = 0, rng.normal(size=count) * 1e3
        fitted = RandomForestRegressor(**same).fit(x, y)
    if classes == 1:
        return
    found = forest_of(fitted, classes)
    new = np.concatenate([x, rng.integers(-8, 9, (200, dims)) / np.float32(6)]).astype(np.float32)
    if classes:
        np.testing.assert_array_equal(found.predict(new), fitted.predict(new))
        np.testing.assert_allclose(found.probabilities(new), fitted.predict_proba(new), atol=1e-6)
    else:
        np.testing.assert_array_equal(found.scores(new), fitted.predict(new))


def test_a_threshold_falls_between_the_same_float32_values() -> None:
    """A threshold in float64 half way between neighbours: the vectors on either side go where they went."""
    x = np.array([[5000.0], [np.nextafter(np.float32(5000), np.float32(6000))]], dtype=np.float32)
    fitted = RandomForestClassifier(1, bootstrap=False, random_state=0).fit(x, [0, 1])
    assert fitted.predict(x).tolist() == forest_of(fitted, 2).predict(x).tolist() == [0, 1]


@given(st.integers(0, 1000), st.integers(3, 40), st.integers(1, 30))
def test_the_ridge_is_a_ridge_under_the_likeliest_penalty(seed: int, count: int, dims: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(count, dims)), rng.normal(size=count)
    model = learn("linear", x, y, 0)
    assert isinstance(model, LinearModel)
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    centred = y - y.mean()
    alphas = np.logspace(-4, 4, 33) * dims

    def likelihood(alpha: float) -> float:
        covariance = np.eye(count) + scaled @ scaled.T / alpha
        noise = centred @ np.linalg.solve(covariance, centred) / count
        return float(-count * np.log(noise) - np.linalg.slogdet(covariance)[1])

    values = np.array([likelihood(alpha) for alpha in alphas])
    near = alphas[values >= values.max() - 1e-6]
    fits = [Ridge(alpha=alpha, fit_intercept=False).fit(scaled, centred).coef_ for alpha in near]
    assert any(np.allclose(model.weights[0], fit, atol=1e-5) for fit in fits)


def test_ridge_on_noise_predicts_the_mean() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(40, 128)), rng.normal(5, 1, 40)
    assert np.std(learn_and_score("linear", x, y, 0, 0, rng.normal(size=(200, 128)))) < 0.7


def test_neighbours_are_those_of_another_implementation() -> None:
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(60, 5)) * [1, 10, 100, 1, 1]).astype(np.float32), rng.integers(0, 3, 60)
    new = (rng.normal(size=(30, 5)) * [1, 10, 100, 1, 1]).astype(np.float32)
    mean, std = x.mean(axis=0), x.std(axis=0)
    other = KNeighborsClassifier(5).fit((x - mean) / std, y).predict_proba((new - mean) / std)
    np.testing.assert_allclose(learn("knn", x, y, 3).probabilities(new), other)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 5), st.booleans())
def test_neighbours_are_found_by_whole_numbers_alone(seed: int, count: int, dims: int, numbers: bool) -> None:
    """A second reader in Python integers: the same neighbours, the first of those at one distance, the same votes."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, (count, dims)).astype(np.float32)
    classes = 0 if numbers else 3
    y = rng.normal(size=count) if numbers else rng.integers(0, 3, count)
    mean, std = np.zeros(dims, np.float32), np.ones(dims, np.float32)
    rows = (x * 4096).astype(np.int16)
    near = min(count, 1 if count < 9 else 3 if count < 25 else 5)
    model = KnnModel(classes, rows, y, np.array([near], np.int32), mean, std)
    new = rng.integers(-2, 3, (20, dims)).astype(np.float32)
    for vector, said in zip(new, model.predict(new), strict=True):
        own = [round(4096 * float(value)) for value in vector]
        distances = [sum((a - int(b)) ** 2 for a, b in zip(own, row, strict=True)) for row in rows]
        order = sorted(range(count), key=lambda index: (distances[index], index))[:near]
        if numbers:
            total = float(y[order[0]])
            for index in order[1:]:
                total += float(y[index])
            assert said == np.float32(total / near)
        else:
            votes = [sum(int(y[index]) == k for index in order) for k in range(3)]
            assert said == votes.index(max(votes))


def test_an_mlp_predicts_as_its_network() -> None:
    torch = pytest.importorskip("torch")
    from tessera.learners import MlpModel

    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    x = (rng.normal(size=(80, 4)) + y[:, None]).astype(np.float32)
    model = learn("mlp", x, y, 2)
    assert isinstance(model, MlpModel)
    assert [part.shape for part in model.weights] == [(4, 512), (512, 256), (256, 2)]
    values = torch.from_numpy((x - model.mean) / model.std)
    for index, (weights, bias) in enumerate(zip(model.weights, model.bias, strict=True)):
        values = values @ torch.from_numpy(weights) + torch.from_numpy(bias)
        values = values.relu() if index < 2 else values
    np.testing.assert_allclose(model.probabilities(x), values.softmax(dim=1).numpy(), atol=1e-5)


def test_a_folded_batch_norm_is_the_batch_norm() -> None:
    torch = pytest.importorskip("torch")
    from tessera.learners._mlp_training import _folded

    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Linear(3, 5), torch.nn.BatchNorm1d(5), torch.nn.ReLU(), torch.nn.Dropout(0.5), torch.nn.Linear(5, 2)
    )
    for _ in range(20):
        network(torch.randn(30, 3) * 3 + 1)
    network.eval()
    x = torch.randn(10, 3)
    (first, bias), (second, last) = _folded(network)
    folded = (x.double() @ first + bias).relu() @ second + last
    np.testing.assert_allclose(folded.numpy(), network(x).detach().numpy(), atol=1e-5)


def test_a_feature_that_does_not_vary_does_no_harm() -> None:
    x = np.column_stack([np.full(20, 7.0), np.arange(20.0)])
    for head in NUMBER_HEADS:
        assert np.isfinite(learn_and_score(head, x, np.arange(20.0), 0, 0, x)).all()
    for head in HEADS:
        assert np.isfinite(learn_and_score(head, x, np.arange(20) // 10, 2, 0, x)).all()


def test_heads_refused() -> None:
    assert parse_heads("linear, forest,linear") == ("linear", "forest")
    with pytest.raises(InputError, match="head 'svm'; expected some of linear, prototype, knn, forest, boosting, mlp"):
        parse_heads("svm")
    with pytest.raises(InputError, match="no heads"):
        parse_heads(())


@pytest.mark.parametrize("head", HEADS)
def test_vectors_of_a_store_predict_as_their_values_do(head: str) -> None:
    rng = np.random.default_rng(4)
    codes = [CodedVectors(*quantise(rng.normal(size=(60, dims)).astype(np.float32))) for dims in (6, 3)]
    both = StackedVectors(tuple(codes))
    target = np.arange(60) % 3
    model = learn(head, both, target, 3, settings={}, weights="even", groups=np.arange(60))
    new = StackedVectors(tuple(CodedVectors(p.codes, p.scales.copy()) for p in both.parts)).reshape(6, 10)
    new.parts[1].scales[2, 3] = np.nan
    found, chances = model.predict_codes(new), model.probabilities_codes(new)
    assert (found.shape, found.dtype.name, chances.shape) == ((6, 10), "uint8", (6, 10, 3))
    assert found[2, 3] == 255
    assert np.isnan(chances[2, 3]).all()
    assert (found != 255).sum() == 59
    np.testing.assert_array_equal(found, model.predict(new.values()))
    np.testing.assert_allclose(chances, model.probabilities(new.values()), atol=1e-6)
    with pytest.raises(InputError, match="vectors of 6 dims; expected 9"):
        model.predict_codes(StackedVectors.of(codes[0]))
    if head not in NUMBER_HEADS:
        return
    numbers = learn(head, both[:59], rng.normal(size=59), 0)
    np.testing.assert_allclose(numbers.predict_codes(new), numbers.predict(new.values()), rtol=1e-5, atol=1e-6)
    with pytest.raises(InputError, match="probabilities of a head of numbers"):
        numbers.probabilities_codes(new)


@pytest.mark.parametrize("head", ["linear", "prototype", "forest", "boosting"])
def test_labels_that_weigh_as_they_occur_favour_the_frequent_class(head: str) -> None:
    rng = np.random.default_rng(3)
    y = (np.arange(400) % 10 == 0).astype(np.int64)
    # places of one vector and two classes, so that a leaf of a tree holds both
    x = rng.integers(0, 3, size=(400, 2)).astype(np.float64) + y[:, None] * rng.integers(0, 2, size=(400, 1))
    even, occur = (learn(head, x, y, 2, weights=weights).predict(x.astype(np.float32)) for weights in ("even", "occur"))
    assert (occur == 1).sum() < (even == 1).sum()


def test_weights_settings_and_groups_that_no_learner_has() -> None:
    x, y = np.zeros((4, 2)), np.array([0, 1, 0, 1])
    with pytest.raises(InputError, match="weights 'all'; expected even or occur"):
        learn("linear", x, y, 2, weights="all")
    with pytest.raises(InputError, match="setting 'sigma' of head linear; expected variance"):
        learn("linear", x, y, 2, settings={"sigma": 1})
    with pytest.raises(InputError, match=r"groups \(3,\) of labels \(4,\)"):
        learn("linear", x, y, 2, groups=np.arange(3))
