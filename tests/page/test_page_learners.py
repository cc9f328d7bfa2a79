"""Heads that the page fitted open in Python and predict the same; Python's own scores are those of the fixture."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from learner_fixtures import CLASSES, DIMS, FILE, HEADS, found, labels

from tessera.heads import load_head

WEB = Path(__file__).resolve().parents[2] / "web"


@pytest.mark.skipif(
    shutil.which("node") is None or not (WEB / "node_modules" / "vite").is_dir(),
    reason="Node and `npm ci` in web/ are needed to run the page's code",
)
def test_a_head_of_the_page_predicts_the_same_in_python(tmp_path: Path) -> None:
    subprocess.run(["node", "tools/fit.mjs", str(FILE), str(tmp_path)], cwd=WEB, check=True, timeout=300)
    vectors, truth, _, _ = labels()
    for name in HEADS:
        head = load_head(tmp_path / f"{name}.json")
        assert (head.head, len(head.classes), head.dims) == (name, CLASSES, DIMS)
        of_page = np.fromfile(tmp_path / f"{name}.map", np.uint8)
        same = head.learnt.predict_codes(vectors) == of_page
        assert same.mean() >= 0.998 if name == "mlp" else same.all()
        assert (of_page == truth).mean() > 0.6
        assert (head.metrics["folds"] == 0) == (name == "mlp")
        head.report()
        page = head.write_report(tmp_path / f"{name}.html").read_text()
        assert name == "mlp" or f"{head.metrics['macro_f1']:.2f}" in page


@pytest.mark.parametrize("name", ["prototype", "linear", "knn"])
def test_scores_of_the_fixture_are_what_python_reaches(name: str) -> None:
    kept = json.loads(FILE.read_text())
    assert found(name) == pytest.approx(kept["macro_f1"][name], abs=0.01)


def test_labels_of_the_fixture_are_those_of_python() -> None:
    kept, (_, truth, fields, blocks) = json.loads(FILE.read_text()), labels()
    assert kept["target"] == truth.tolist()
    assert (kept["field"], kept["block"]) == (fields.tolist(), blocks.tolist())
