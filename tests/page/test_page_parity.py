"""The page predicts what Python predicts, pixel by pixel: a million of them, in WebAssembly and in JavaScript.

`TESSERA_TEST_PIXELS` sets another number.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import head_fixtures
import numpy as np
import pytest

from tessera.embeddings import CodedVectors, ModelIdentity, StackedVectors
from tessera.heads import Head, HeadInput, load_head
from tessera.learners import learn

if TYPE_CHECKING:
    from numpy.typing import NDArray

WEB = Path(__file__).resolve().parents[2] / "web"
PIXELS = int(os.environ.get("TESSERA_TEST_PIXELS", "1000000"))
CASES: dict[str, tuple[str, int, tuple[int, ...], dict[str, Any]]] = {
    "linear-3": ("linear", 3, (128,), {}),
    "linear-10": ("linear", 10, (32,), {}),
    "prototype-3": ("prototype", 3, (32,), {}),
    "prototype-10": ("prototype", 10, (16, 16), {}),
    "knn-3": ("knn", 3, (32,), {}),
    "knn-10": ("knn", 10, (32,), {"vote": "distance"}),
    "forest-3": ("forest", 3, (32,), {"trees": 10}),
    "forest-10": ("forest", 10, (16, 16), {"trees": 10}),
    "mlp-10": ("mlp", 10, (32,), {"layers": "64", "epochs": 20}),
}
KERNELS = ("wasm", "js")

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (WEB / "node_modules" / "vite").is_dir(),
    reason="Node and `npm ci` in web/ are needed to run the page's code",
)


def vectors(widths: tuple[int, ...], truth: NDArray[np.int64]) -> StackedVectors:
    """Codes of ten classes that overlap, scales of which some are no data."""
    parts = []
    for part, width in enumerate(widths):
        rng = np.random.default_rng([width, part])
        centre = rng.integers(-60, 60, (10, width)).astype(np.int8)
        codes = centre[truth] + rng.integers(-64, 64, (len(truth), width), dtype=np.int8)
        scales = rng.uniform(0.005, 0.03, len(truth)).astype(np.float32)
        odd = rng.choice(len(truth), len(truth) // 50, replace=False)
        scales[odd] = rng.choice(np.array([np.nan, np.inf, 0.0], np.float32), len(odd))
        parts.append(CodedVectors(codes, scales))
    return StackedVectors(tuple(parts))


def head_of(name: str, stacked: StackedVectors, truth: NDArray[np.int64]) -> Head:
    """A head of forty of these vectors, those that are data."""
    head, classes, widths, settings = CASES[name]
    chosen = np.flatnonzero(stacked.valid[:200])[:40]
    y = truth[chosen] % classes
    base = head_fixtures.make_head("prototype")
    names = tuple(f"class {k}" for k in range(classes))
    return replace(
        base,
        head=head,
        learnt=learn(head, stacked[chosen], y, classes, settings=settings),
        classes=names,
        colours=("#123456",) * classes,
        inputs=tuple(HeadInput(2020 + k, w, ModelIdentity("m", "cd" * 32, w)) for k, w in enumerate(widths)),
        metrics=head_fixtures.metrics_of(names),
    )


def test_each_pixel_is_predicted_alike(tmp_path: Path) -> None:
    truth = np.random.default_rng(1).integers(0, 10, PIXELS)
    truth[:200] = np.arange(200) % 10
    drawn = {widths: vectors(widths, truth) for widths in {case[2] for case in CASES.values()}}
    listed = []
    for name, (learner, _, widths, _) in CASES.items():
        stem = "-".join(map(str, widths))
        parts = []
        for index, part in enumerate(drawn[widths].parts):
            files = {"codes": f"{stem}.{index}.codes", "scales": f"{stem}.{index}.scales"}
            part.codes.tofile(tmp_path / files["codes"])
            part.scales.tofile(tmp_path / files["scales"])
            parts.append({"dims": widths[index], **files})
        head_of(name, drawn[widths], truth).save(tmp_path / f"{name}.json")
        listed.append({"name": name, "parts": parts, "probabilities": learner == "mlp"})
    (tmp_path / "cases.json").write_text(json.dumps(listed))
    subprocess.run(["node", "tools/parity.mjs", str(tmp_path)], cwd=WEB, check=True, timeout=600)
    for name, (learner, _, widths, _) in CASES.items():
        head = load_head(tmp_path / f"{name}.json")
        want = head.learnt.predict_codes(drawn[widths])
        assert len(np.unique(want)) > 3
        again = load_head(tmp_path / f"{name}.again.json")
        np.testing.assert_array_equal(again.learnt.predict_codes(drawn[widths][:1000]), want[:1000])
        assert again.metrics == head.metrics
        for kernels in KERNELS:
            found = np.fromfile(tmp_path / f"{name}.{kernels}.map", np.uint8)
            if learner != "mlp":
                np.testing.assert_array_equal(found, want, err_msg=f"{name} {kernels}")
                continue
            assert (found == want).mean() >= 0.9999
            chances = np.fromfile(tmp_path / f"{name}.{kernels}.probabilities", np.float32).reshape(len(want), -1)
            np.testing.assert_allclose(chances, head.probabilities_codes(drawn[widths]), rtol=0, atol=1e-5)
    print((tmp_path / "seconds.json").read_text())
