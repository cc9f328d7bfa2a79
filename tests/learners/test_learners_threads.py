"""What is learnt does not depend on how many processors there are, nor on how many trees are held at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tessera.learners import boosting, forest, learn

if TYPE_CHECKING:
    from numpy.typing import NDArray


def drawn(count: int, classes: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(count) % classes)
    return rng.normal(size=(count, 12)) + y[:, None], y


def grown(head: str, count: int, classes: int, seed: int = 0) -> dict[str, bytes]:
    x, y = drawn(count, classes or 3, seed)
    settings = {"trees": 9} if head == "forest" else {"rounds": 4}
    model = learn(head, x, y if classes else y * 1.5, classes, seed, settings=settings)
    return {name: array.tobytes() for name, array in model.arrays().items()}


@pytest.mark.parametrize("classes", [0, 4])
@pytest.mark.parametrize("head", ["forest", "boosting"])
def test_any_number_of_threads_grows_the_same_trees(head: str, classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    module = {"forest": forest, "boosting": boosting}[head]
    if head == "boosting":
        pytest.importorskip("lightgbm")
    monkeypatch.setattr(module, "_LABELS_OF_THREADS", 1)
    found = []
    for count in (1, 2, 5):
        monkeypatch.setattr(module, "processors", lambda count=count: count)
        found.append(grown(head, 1100, classes))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("classes", [0, 2])
@pytest.mark.parametrize("together", [1, 4, 9])
def test_a_forest_that_grows_some_trees_at_a_time_is_the_same(
    classes: int, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = grown("forest", 60, classes, 1)
    monkeypatch.setattr(forest, "processors", lambda: 1)
    monkeypatch.setattr(forest, "_LABELS_TOGETHER", 60 * together)
    assert grown("forest", 60, classes, 1) == whole
