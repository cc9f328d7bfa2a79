"""Cross-validation: what a search of settings may see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tessera.labels import Labels, hold_out
from tessera.validation import Task, Tuned, cross_validate, tuning
from tessera.validation import cross_validation as module
from tessera.validation import tune as own_tune


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


def test_a_class_that_no_fold_both_tests_and_learns_is_told_as_that() -> None:
    generator = np.random.default_rng(2)
    # 10 places 60 km apart, and two of a third class, 12 km from each other, so that the buffer of 30 km parts them
    lon = np.repeat([*np.arange(10.0), 15.0, 15.0 + 12 / 71], 20)
    lonlat = np.column_stack([lon, np.full(240, 50.0)]) + generator.uniform(0, 0.001, (240, 2))
    y = np.where(lon >= 15, 2, np.arange(240) % 2)
    labels = Labels(np.array(["a", "b", "rare"], dtype=object)[y], lonlat=lonlat)
    held = hold_out(labels, np.ones(240, dtype=np.bool_), "spatial", 5.0, 30.0)
    x = generator.normal(size=(240, 3)) + y[:, None]
    result, _ = cross_validate(Task("knn", x, y, 3), ("a", "b", "rare"), held, units=held.groups, curve=False)
    assert "learnt but not tested, as no fold that tests them learns them too: rare" in result["notes"]
    assert not any("fewer than 3 labels" in note for note in result["notes"])
    assert result["per_class"]["rare"]["f1"] is None


@pytest.mark.parametrize("split", ["spatial", "region", "year"])
def test_inner_folds_keep_the_buffer_and_the_units_of_the_outer_ones(
    monkeypatch: pytest.MonkeyPatch, split: str
) -> None:
    generator = np.random.default_rng(1)
    lonlat = np.column_stack([5 + generator.uniform(0, 0.6, 400), 50 + generator.uniform(0, 0.4, 400)])
    y = (np.floor(lonlat[:, 0] * 20) % 2).astype(np.int64)
    years = generator.integers(2020, 2024, 400)
    labels = Labels(np.array(["a", "b"], dtype=object)[y], lonlat=lonlat, years=years)
    held = hold_out(labels, np.ones(400, dtype=np.bool_), split, 5.0 if split != "region" else None, 1.5)
    x = np.column_stack([lonlat, years]).astype(np.float64)
    blocks = held.groups if split != "region" else hold_out(labels, np.ones(400, dtype=np.bool_), "spatial").groups
    unit = {tuple(place): (block, year) for place, block, year in zip(lonlat.tolist(), held.groups, years, strict=True)}
    pairs: list[tuple[Any, Any]] = []

    def watched(*args: Any, **_: Any) -> Any:
        pairs.append((args[1], args[5]))
        return np.full((len(args[5]), 2), 0.5)

    monkeypatch.setattr(tuning, "learn_and_score", watched)
    cross_validate(Task("knn", x, y, 2), ("a", "b"), held, units=blocks, tuning=True, curve=False)
    assert len(pairs) > 20
    for learnt, tested in pairs:
        places = [np.cos(np.radians(50)) * part[:, :1] * 111.19 for part in (learnt, tested)]
        apart = np.hypot(places[0] - places[1].T, 111.19 * (learnt[:, 1:2] - tested[:, 1:2].T))
        assert apart.min() > 1.48
        units = [{unit[tuple(row)] for row in part[:, :2].tolist()} for part in (learnt, tested)]
        assert not {block for block, _ in units[0]} & {block for block, _ in units[1]}
        if split == "year":
            assert not {year for _, year in units[0]} & {year for _, year in units[1]}
