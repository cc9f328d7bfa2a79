"""Cross-validation: what a search of settings may see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.labels import Labels, hold_out
from tessera.validation import Task, Tuned, cross_validate
from tessera.validation import cross_validation as module
from tessera.validation import tune as own_tune

if TYPE_CHECKING:
    import pytest


def test_a_search_divides_no_block_and_a_fold_uses_what_it_chose_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    # 12 places 60 km apart with 50 single labels each
    place = np.repeat(np.arange(12), 50)
    lonlat = np.column_stack([5 + place, np.full(600, 50.0)]) + generator.uniform(0, 0.01, (600, 2))
    y = generator.integers(0, 2, 600)
    x = generator.normal(size=(600, 3)) + y[:, None]
    labels = Labels(np.array(["a", "b"], dtype=object)[y], lonlat=lonlat)
    held = hold_out(labels, np.ones(600, dtype=np.bool_), "spatial", 10.0, 0)
    whole = own_tune
    searched: list[np.ndarray] = []

    def tune(*args: Any, **more: Any) -> Tuned:
        searched.append(args[4])
        found = whole(*args, **more, candidates=())
        return Tuned({"neighbours": 2 * len(searched) + 1}, found.tried, found.metric)

    used: dict[bytes, set[int | None]] = {}
    predict = Task.predict

    def watched(self: Task, train: Any, test: Any, settings: Any = None) -> Any:
        used.setdefault(np.sort(test).tobytes(), set()).add(None if settings is None else settings["neighbours"])
        return predict(self, train, test, settings)

    monkeypatch.setattr(module, "tune", tune)
    monkeypatch.setattr(Task, "predict", watched)
    result, found = cross_validate(Task("knn", x, y, 2), ("a", "b"), held, units=held.groups, tuning=True, curve=True)
    assert len(searched) == result["folds"] == 5
    count = len(np.unique(held.groups))
    assert all(1 < len(np.unique(units)) < count < 50 < len(units) for units in searched)
    assert found is not None
    for fold in range(5):
        assert used[found.rows[found.fold == fold].tobytes()] == {2 * fold + 3}
    assert len(result["curve"]["points"]) > 2
