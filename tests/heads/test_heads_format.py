"""The file of a head: its schema, and that all of it comes back."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from heads_fakes import MODEL, FakeStore, draw_labels, make_store, make_truth

from tessera.embeddings import CodedVectors, StackedVectors
from tessera.heads import Head, HeadInput, fit, load_head
from tessera.learners import HEADS, CodedKnnModel, learn
from tessera.validation import Calibration, Trust, fit_applicability

TRUTH = make_truth()
STORE: FakeStore = make_store(TRUTH, noise=1.0)
LABELS = draw_labels(TRUTH, ("a", "b", "c"), 12)
KEPT = Path(__file__).parent / "kept"
SCHEMA = json.loads(resources.files("tessera.heads").joinpath("head.schema.json").read_text(encoding="utf-8"))


def numbers(labels: dict[str, Any]) -> dict[str, Any]:
    places = [{**one, "properties": {"crop": 1.5 * k}} for k, one in enumerate(labels["features"])]
    return {**labels, "features": places}


def fits_the_schema(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(SCHEMA).validate(value)
    return value


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    ("head", "kind"),
    [(head, kind) for head in HEADS for kind in ("classes", "numbers") if HEADS[head].numbers or kind == "classes"],
)
def test_files_of_every_head_fit_the_schema(head: str, kind: str, tmp_path: Path) -> None:
    value = fits_the_schema(
        fit(STORE, LABELS if kind == "classes" else numbers(LABELS), "crop", head).save(tmp_path / "h")
    )
    changes: tuple[dict[str, Any], ...] = (
        {"version": 4},
        {"kind": "both"},
        {"classes": ["a", "a"]},
        {"inputs": []},
        {"arrays": {}},
        {"more": 1},
        {"arrays": {**value["arrays"], "more": next(iter(value["arrays"].values()))}},
        {"head": "unet"},
    )
    for change in changes:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(SCHEMA).validate({**value, **change})


def test_neighbours_that_vote_by_distance_fit_the_schema_and_come_back(tmp_path: Path) -> None:
    head = fit(STORE, LABELS, "crop", "knn")
    assert isinstance(head.learnt, CodedKnnModel)
    by_distance = replace(head, learnt=replace(head.learnt, by_distance=True))
    path = by_distance.save(tmp_path / "h.json")
    assert "vote" in fits_the_schema(path)["arrays"]
    back = load_head(path).probabilities(STORE.values)
    np.testing.assert_array_equal(back, by_distance.probabilities(STORE.values))
    assert not np.array_equal(back, head.probabilities(STORE.values), equal_nan=True)


@pytest.mark.parametrize("old", sorted(path.name for path in KEPT.glob("*_v?.json") if "expected" not in path.name))
def test_heads_of_earlier_versions_are_saved_in_this_form(old: str, tmp_path: Path) -> None:
    before = load_head(KEPT / old)
    path = before.save(tmp_path / "h.json")
    assert fits_the_schema(path)["version"] == 3
    after = load_head(path)
    x = np.random.default_rng(0).normal(size=(50, before.dims)).astype(np.float32)
    np.testing.assert_array_equal(after.predict(x), before.predict(x))
    assert (after.inputs, after.report()) == (before.inputs, before.report())


def test_all_that_a_head_knows_comes_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    codes = [rng.integers(-127, 128, (60, dims)).astype(np.int8) for dims in (8, 4)]
    both = StackedVectors(tuple(CodedVectors(part, np.full(60, 0.05, np.float32)) for part in codes))
    one = fit(STORE, LABELS, "crop")
    head = Head(
        "linear",
        learn("linear", both, np.arange(60) % 3, 3),
        one.classes,
        None,
        "crop",
        (HeadInput(2021, 8, MODEL, "north"), HeadInput(2022, 4, MODEL, "south")),
        one.colours,
        one.metrics,
        Trust(Calibration("temperature", 1.5), 0.9, 0.75, None, 0.6),
        fit_applicability(both.values(), np.arange(60) % 5),
        {"labels": {"sha256": "ab" * 32}, "seed": 0},
    )
    path = head.save(tmp_path / "h.json")
    fits_the_schema(path)
    back = load_head(path)
    for name in ("inputs", "trust", "provenance", "classes", "metrics", "year", "model", "dims"):
        assert getattr(back, name) == getattr(head, name), name
    assert back.applicability is not None
    assert head.applicability is not None
    np.testing.assert_array_equal(
        back.applicability.distance(both.values()), head.applicability.distance(both.values())
    )
    np.testing.assert_array_equal(back.predict_codes(both), head.predict_codes(both))
    assert replace(back, trust=None).save(path) == path
