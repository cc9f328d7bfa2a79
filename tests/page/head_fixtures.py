"""Heads of every kind and what Python predicts with them, for the page's tests: web/tests/fixtures/heads/.

Write them anew with `python tests/page/head_fixtures.py`.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.embeddings import CodedVectors, ModelIdentity, StackedVectors
from tessera.heads import Head, HeadInput
from tessera.learners import learn
from tessera.validation import NUMBER_TOTALS, TOTALS, Calibration, Trust

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER = Path(__file__).resolve().parents[2] / "web" / "tests" / "fixtures" / "heads"
CASES: dict[str, tuple[str, int, tuple[int, ...], dict[str, Any]]] = {
    "linear": ("linear", 8, (128,), {}),
    "linear-two": ("linear", 3, (16, 20), {}),
    "linear-numbers": ("linear", 0, (16,), {}),
    "prototype": ("prototype", 4, (16,), {}),
    "knn": ("knn", 3, (20,), {}),
    "knn-distance": ("knn", 10, (16, 20), {"vote": "distance", "neighbours": 7}),
    "knn-numbers": ("knn", 0, (16,), {"vote": "distance"}),
    "forest": ("forest", 3, (16,), {"trees": 12}),
    "forest-two": ("forest", 5, (16, 20), {"trees": 12}),
    "forest-numbers": ("forest", 0, (16,), {"trees": 4}),
    "boosting": ("boosting", 3, (16,), {"rounds": 6}),
    "boosting-two": ("boosting", 2, (16,), {"rounds": 10}),
    "mlp": ("mlp", 4, (16,), {"layers": "64", "epochs": 5}),
    "mlp-numbers": ("mlp", 0, (16,), {"layers": "64", "epochs": 5}),
}
"""Learner, classes, dims of each input, settings."""
COUNT = 400
_COUNTS = ("labels", "groups", "missing", "no_data", "outside", "folds", "units")
_NOTHING = (
    *("unit", "block_km", "buffer_km", "range_km", "random", "confusion", "gap", "curve", "scatter", "points"),
    *("calibration", "conformal", "abstention", "applicability", "tuning", "sample"),
    *("intervals", "per_unit", "per_group"),
)


def vectors_of(widths: Sequence[int], count: int = COUNT, seed: int = 0) -> StackedVectors:
    """Random vectors, some of them no data and some at the ends of what codes hold."""
    rng = np.random.default_rng([seed, *widths])
    parts = []
    for width in widths:
        codes = rng.integers(-128, 128, (count, width)).astype(np.int8)
        codes[1 : 2 + count // 50] = rng.choice([-128, 127], (1 + count // 50, width))
        codes[0] = 0
        scales = rng.uniform(1e-4, 0.05, count).astype(np.float32)
        odd = rng.choice(count, count // 20, replace=False)
        scales[odd] = rng.choice(np.array([np.nan, np.inf, 0.0, -1.0], np.float32), len(odd))
        parts.append(CodedVectors(codes, scales))
    return StackedVectors(tuple(parts))


def labels_of(head: str, classes: int, widths: Sequence[int], count: int) -> tuple[StackedVectors, Any]:
    """Labels whose vectors hang together with what they are."""
    rng = np.random.default_rng([7, classes, *widths])
    truth = np.arange(count) % (classes or 5)
    parts = []
    for width in widths:
        centre = rng.integers(-70, 70, (classes or 5, width))
        codes = np.clip(centre[truth] + rng.normal(0, 35, (count, width)), -128, 127).astype(np.int8)
        parts.append(CodedVectors(codes, rng.uniform(0.01, 0.02, count).astype(np.float32)))
    return StackedVectors(tuple(parts)), truth.astype(np.int64) if classes else truth * 3.0 + rng.normal(size=count)


def metrics_of(classes: Sequence[str]) -> dict[str, Any]:
    """What a head says that was not tested."""
    names = TOTALS if classes else NUMBER_TOTALS
    row = {**dict.fromkeys(("precision", "recall", "f1", "iou")), "labels": 1, "tested": 0}
    return {
        **dict.fromkeys((*names, *_NOTHING)),
        **dict.fromkeys(_COUNTS, 0),
        "schema": 2,
        "split": "none",
        "unit": "group",
        "split_why": "",
        "notes": [],
        "per_fold": [],
        "worst": [],
        "per_class": dict.fromkeys(classes, row),
    }


def make_head(name: str, count: int = 60) -> Head:
    """The head of a case, fitted now."""
    head, classes, widths, settings = CASES[name]
    x, y = labels_of(head, classes, widths, count)
    names = tuple(str(3 * k) if k % 2 else f"class {k} <b>" for k in range(classes))
    isotonic = Calibration("isotonic", 1.0, (((0.1, 0.5, 0.9), (0.0, 0.6, 0.95)),) * max(classes, 1))
    calibration = {"knn": isotonic, "linear-two": Calibration("temperature", 2.5)}.get(name)
    return Head(
        head,
        learn(head, x, y, classes, settings=settings),
        names,
        None if classes else (0.0, 12.0),
        "crop",
        tuple(HeadInput(2020 + k, width, ModelIdentity("m", "cd" * 32, width), "s") for k, width in enumerate(widths)),
        tuple(f"#{40 * k % 256:02x}80ff" for k in range(classes)) or ("#000000",) * 6,
        metrics_of(names),
        None if calibration is None else Trust(calibration, 0.9, 0.5, None, 0.4),
        provenance={"seed": 3, "share": 1.0},
    )


def packed(array: Any) -> str:
    """Little-endian bytes as base64."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def predicted(head: Head, vectors: StackedVectors) -> dict[str, str]:
    """What Python says of vectors: values of a map, probabilities as a map has them; or numbers."""
    found = {"map": packed(head.predict_codes(vectors))}
    if head.classes:
        raw = head.probabilities_codes(vectors)
        found["probabilities"] = packed(raw if head.trust is None else head.trust.probabilities(raw))
    return found


def vectors_json(widths: Sequence[int]) -> dict[str, Any]:
    """Vectors for the page."""
    parts = vectors_of(widths).parts
    return {"parts": [{"dims": p.dims, "codes": packed(p.codes), "scales": packed(p.scales)} for p in parts]}


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    told: dict[str, dict[str, Any]] = {}
    for case, about in CASES.items():
        made = make_head(case)
        made.save(FOLDER / f"{case}.json", overwrite=True)
        told[case] = vectors_json(about[2]) | predicted(made, vectors_of(about[2]))
    for name, content in told.items():
        (FOLDER / f"{name}.predicted.json").write_text(json.dumps(content) + "\n")
