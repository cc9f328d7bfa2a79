"""The fixtures of the page's validation are what Python computes now."""

from __future__ import annotations

import json
from typing import Any

import pytest
from validation_fixtures import FILE, blocks, chosen, folds, validated


def kept() -> dict[str, Any]:
    value: dict[str, Any] = json.loads(FILE.read_text())
    return value


def test_folds_and_blocks_are_those_of_python() -> None:
    now = {"folds": folds(), "blocks": blocks()}
    assert {name: kept()[name] for name in now} == json.loads(json.dumps(now))


def test_scores_are_those_of_python() -> None:
    before, now = kept()["validated"], validated()
    assert before["lonlat"] == now["lonlat"]
    for head, value in now["heads"].items():
        for name, scores in value.items():
            if name in ("counts", "folds", "units", "block_km"):
                assert before["heads"][head][name] == scores
            else:
                assert before["heads"][head][name] == pytest.approx(scores, abs=1e-9)


def test_suggestions_are_those_of_python() -> None:
    before, now = kept()["chosen"], chosen()
    for known in ("0", "3"):
        assert before[known]["order"] == now[known]["order"]
