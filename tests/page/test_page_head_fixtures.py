"""The page's fixtures of heads are what Python reads, and what it predicts with them."""

from __future__ import annotations

import json

import pytest
from head_fixtures import CASES, FOLDER, predicted, vectors_json, vectors_of

from tessera.heads import load_head


def test_each_case_has_its_files() -> None:
    kept = {path.name for path in FOLDER.iterdir()}
    assert kept == {f"{name}{end}" for name in CASES for end in (".json", ".predicted.json")}


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[0] != "mlp"])
def test_predictions_are_what_python_computes(name: str) -> None:
    widths = CASES[name][2]
    kept = json.loads((FOLDER / f"{name}.predicted.json").read_text())
    now = vectors_json(widths) | predicted(load_head(FOLDER / f"{name}.json"), vectors_of(widths))
    assert kept["parts"] == now["parts"]
    assert kept["map"] == now["map"]
