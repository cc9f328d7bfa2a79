"""Labels of simulated fields, and how well Python's learners do on held-out blocks: web/tests/fixtures/learners.json.

Write them anew with `python tests/page/learner_fixtures.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from head_fixtures import packed

from tessera.embeddings import CodedVectors, StackedVectors
from tessera.learners import learn
from tessera.validation import confusion, scores

FILE = Path(__file__).resolve().parents[2] / "web" / "tests" / "fixtures" / "learners.json"
HEADS = ("prototype", "linear", "knn", "forest", "mlp")
CLASSES, DIMS, BLOCKS, FIELDS = 6, 32, 24, 10


def labels() -> tuple[StackedVectors, Any, Any, Any]:
    """Vectors, classes, fields and blocks: a field differs from its class, a block from the others."""
    rng = np.random.default_rng(3)
    count = BLOCKS * FIELDS * 3
    field = np.arange(count) // 3
    block = field // FIELDS
    of_field = rng.choice(CLASSES, BLOCKS * FIELDS, p=[0.35, 0.25, 0.15, 0.1, 0.1, 0.05])
    # each class has two forms, so that no straight border tells it apart
    centre = rng.normal(0, 1, (CLASSES, 2, DIMS))
    form = rng.integers(0, 2, BLOCKS * FIELDS)
    mixing = rng.normal(0, 1, (8, DIMS))
    values = centre[of_field[field], form[field]]
    values = values + (rng.normal(0, 0.9, (BLOCKS * FIELDS, 8)) @ mixing)[field] * 0.35
    values = values + (rng.normal(0, 0.25, (BLOCKS, 8)) @ mixing)[block] + rng.normal(0, 1.2, (count, DIMS))
    scale = (np.abs(values).max(axis=1) / 127).astype(np.float32)
    codes = np.clip(np.rint(values / scale[:, None]), -127, 127).astype(np.int8)
    return StackedVectors((CodedVectors(codes, scale),)), of_field[field].astype(np.int64), field, block


def found(name: str) -> float:
    """Macro-F1 on a third of the blocks, learnt from the others."""
    x, y, field, block = labels()
    tested = block % 3 == 0
    model = learn(name, x[~tested], y[~tested], CLASSES, groups=field[~tested])
    return scores(confusion(y[tested], model.predict_codes(x[tested]).astype(np.int64), CLASSES)).macro_f1


if __name__ == "__main__":
    vectors, truth, fields, blocks = labels()
    (part,) = vectors.parts
    value = {
        "dims": DIMS,
        "classes": CLASSES,
        "codes": packed(part.codes),
        "scales": packed(part.scales),
        "target": truth.tolist(),
        "field": fields.tolist(),
        "block": blocks.tolist(),
        "macro_f1": {name: round(found(name), 4) for name in HEADS},
    }
    FILE.write_text(json.dumps(value) + "\n")
    print(value["macro_f1"])
