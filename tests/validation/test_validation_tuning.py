"""Settings are chosen by inner folds of the labels that were given, and by nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tessera.base import InputError
from tessera.learners import HEADS, LEARNERS, learn, parse_settings
from tessera.validation import CLASS_METRICS, tune
from tessera.validation import tuning as module


def noisy(count: int = 120) -> tuple[Any, Any, Any]:
    """Two classes, of which one label in five is wrong, so that a single neighbour is a poor guide."""
    rng = np.random.default_rng(0)
    y = np.arange(count) % 2
    x = rng.normal(size=(count, 2)) + 3 * y[:, None]
    return x, np.where(rng.random(count) < 0.2, 1 - y, y), np.arange(count) // 4


def test_the_best_of_the_inner_folds_is_chosen() -> None:
    x, y, groups = noisy()
    found = tune("knn", x, y, 2, groups, candidates=[{"neighbours": 1}, {"neighbours": 25}])
    assert [one.settings for one in found.tried] == [{}, {"neighbours": 1}, {"neighbours": 25}]
    scores = [one.score for one in found.tried]
    assert None not in scores
    assert scores[2] > scores[1]  # type: ignore[operator]
    assert found.settings == found.tried[int(np.argmax(scores))].settings  # type: ignore[arg-type]
    assert found.metric == "macro_f1"
    assert found.to_json()["chosen"] == found.settings
    again = tune("knn", x, y, 2, groups, candidates=[{"neighbours": 1}, {"neighbours": 25}])
    assert again == found


def test_groups_are_never_split_and_every_label_is_tested_once(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, groups = noisy()
    tested: list[Any] = []

    def watched(head: str, x: Any, y: Any, classes: int, seed: int, new: Any, **named: Any) -> Any:
        assert not set(named["groups"].tolist()) & set(new[:, 2].astype(int).tolist())
        tested.append(new[:, 3])
        return np.full((len(new), classes), 0.5)

    monkeypatch.setattr(module, "learn_and_score", watched)
    marked = np.column_stack([x, groups, np.arange(len(y))])
    tune("linear", marked, y, 2, groups)
    assert len(tested) == 9
    assert sorted(np.concatenate(tested[:3]).tolist()) == list(range(len(y)))


def test_equal_scores_keep_the_learners_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "learn_and_score", lambda *args, **_: np.full((len(args[5]), 2), 0.5))
    x, y, groups = noisy()
    assert tune("linear", x, y, 2, groups).settings == {}


def test_the_score_counts_what_labels_stand_for(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics: Any = pytest.importorskip("sklearn.metrics")
    monkeypatch.setattr(module, "learn_and_score", lambda *args, **_: args[5])
    _, y, groups = noisy()
    rng = np.random.default_rng(1)
    said, amount = rng.random((len(y), 2)), np.where(y == 0, 7.0, 1.0)
    for weights in (None, amount):
        found = tune("linear", said, y, 2, groups, amount=weights)
        wanted = metrics.f1_score(y, said.argmax(axis=1), average="macro", sample_weight=weights)
        assert found.tried[0].score == pytest.approx(wanted)
    numbers = rng.normal(size=len(y))
    found = tune("knn", numbers, y.astype(np.float64), 0, groups, amount=amount)
    wanted = metrics.root_mean_squared_error(y, numbers, sample_weight=amount)
    assert found.tried[0].score == pytest.approx(wanted)


def test_of_numbers_the_least_error_is_chosen() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(90, 3))
    found = tune("knn", x, 9 * x[:, 0] + rng.normal(size=90), 0, candidates=[{"neighbours": 60}, {"neighbours": 4}])
    scores = [one.score for one in found.tried]
    assert found.metric == "rmse"
    assert found.settings == found.tried[int(np.argmin(scores))].settings  # type: ignore[arg-type]
    assert found.settings != {"neighbours": 60}


def test_what_the_user_fixed_is_not_searched() -> None:
    x, y, groups = noisy(60)
    found = tune("forest", x, y, 2, groups, settings={"least": 3, "trees": 5})
    assert found.settings == {"least": 3, "trees": 5}
    assert found.tried == ()


@pytest.mark.parametrize("head", HEADS)
def test_grids_are_small_and_hold_what_a_learner_takes(head: str) -> None:
    for classes in (3, 0):
        grid = LEARNERS[head].grid(classes)
        assert len(grid) <= 9
        for one in grid:
            assert parse_settings(head, one) == one


def test_too_little_to_choose_by() -> None:
    x, y, _ = noisy(20)
    assert tune("knn", x, y, 2, np.zeros(20)).tried == ()
    assert tune("prototype", x, y, 2).tried == ()
    # a class in one group alone is learnt from by no fold that tests it
    found = tune("knn", x, np.r_[np.zeros(18, int), [1, 2]], 3)
    assert all(one.score is not None for one in found.tried)


def test_what_is_refused() -> None:
    x, y, groups = noisy(20)
    with pytest.raises(InputError, match=f"metric 'rmse'; expected one of {CLASS_METRICS[0]}"):
        tune("knn", x, y, 2, groups, metric="rmse")
    with pytest.raises(InputError, match="setting 'sigma' of head knn; expected neighbours"):
        tune("knn", x, y, 2, groups, candidates=[{"sigma": 1}])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("neighbours", "setting 'neighbours'; expected name=value"),
        ("neighbours=3,neighbours=5", "setting neighbours is given twice"),
        ("neighbours=many", "setting neighbours 'many'; expected a whole number from 0 to 32,767"),
        ({"neighbours": float("inf")}, "setting neighbours 'inf'; expected"),
        ({"neighbours": None}, "setting neighbours 'None'; expected"),
        ({"neighbours": 10**400}, "setting neighbours '1000"),
        ("depth=3", "setting 'depth' of head knn; expected neighbours"),
    ],
)
def test_settings_that_are_none(given: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_settings("knn", given)


def test_settings_from_a_text_and_from_numbers_are_the_same() -> None:
    assert parse_settings("boosting", "rate=0.05, rounds=50,least=auto") == {
        "rate": 0.05,
        "rounds": 50,
        "least": "auto",
    }
    assert parse_settings("boosting", {"rounds": np.int64(50)}) == {"rounds": 50}
    assert parse_settings("prototype", None) == {}
    with pytest.raises(InputError, match="setting 'k' of head prototype; expected none: it has no settings"):
        parse_settings("prototype", "k=1")


def test_settings_change_what_is_learnt() -> None:
    x, y, _ = noisy(80)
    for head, given in (("linear", "variance=0.01"), ("forest", "least=10"), ("boosting", "rounds=3")):
        one, other = (learn(head, x, y, 2, settings=s).scores(x.astype(np.float32)) for s in (None, given))
        assert not np.array_equal(one, other)
