"""Folds, blocks, scores and suggestions as Python computes them: web/tests/fixtures/validation.json.

Write them anew with `python tests/page/validation_fixtures.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import learner_fixtures
import numpy as np

from tessera.labels import Labels, hold_out, make_folds, spatial_blocks
from tessera.labels.blocks import block_side, blocks_of
from tessera.suggestions._choose import choose_points
from tessera.validation import Task, cross_validate

FILE = Path(__file__).resolve().parents[2] / "web" / "tests" / "fixtures" / "validation.json"
SCORES = ("accuracy", "balanced_accuracy", "macro_f1")


def folds() -> list[dict[str, Any]]:
    """Labels dealt to folds."""
    out = []
    for seed in range(12):
        rng = np.random.default_rng([seed, 4])
        count = int(rng.integers(1, 120))
        groups = rng.integers(0, rng.integers(1, 40), count) * 7 - 5
        classes = np.minimum(rng.geometric(0.4, count) - 1, 5) if seed % 2 else groups % 3
        fold = make_folds(classes.astype(np.int64), groups.astype(np.int64), folds=2 + seed % 4, seed=seed)
        out.append(
            {
                "classes": classes.tolist(),
                "groups": groups.tolist(),
                "seed": seed,
                "folds": 2 + seed % 4,
                "fold": fold.tolist(),
            }
        )
    return out


def places(seed: int, wide: float) -> tuple[Any, Any]:
    """(N, 2) degrees of groups of labels, some across the date line, and the groups."""
    rng = np.random.default_rng([seed, 9])
    count = 150
    groups = rng.integers(0, 60, count)
    centre = rng.uniform(-wide, wide, (60, 2)) + np.array([180 if seed % 2 else 5.2, 50.0 - 20 * seed])
    lonlat = centre[groups] + rng.normal(0, 0.001, (count, 2))
    lonlat[:, 0] = (lonlat[:, 0] + 180) % 360 - 180
    return lonlat, groups


def labels_at(lonlat: Any, groups: Any, values: Any) -> Labels:
    """Labels of classes."""
    return Labels(values.astype(object), lonlat=lonlat, groups=groups.astype(np.int64))


def blocks() -> list[dict[str, Any]]:
    """Blocks of land of several sides, and the side that is chosen."""
    out = []
    for seed, wide in enumerate((0.01, 0.05, 0.3, 2.0)):
        lonlat, groups = places(seed, wide)
        labels = labels_at(lonlat, groups, np.array(["a", "b"] * 75))
        side, count = block_side(labels, np.ones(150, dtype=np.bool_))
        out.append(
            {
                "lonlat": lonlat.reshape(-1).tolist(),
                "groups": groups.tolist(),
                "side": side,
                "count": count,
                "blocks": blocks_of(labels, side).tolist(),
                "places": {str(km): spatial_blocks(lonlat, km).tolist() for km in (10.0, 2.0, 0.5)},
            }
        )
    return out


def lonlat_of_blocks(block: Any, field: Any, truth: Any) -> Any:
    """Degrees for the labels of `learner_fixtures`: blocks 3 km apart, fields within 2 km by their class."""
    rng = np.random.default_rng(12)
    near = rng.uniform(0, 0.006, (int(field.max()) + 1, 2))
    near[:, 0] += 0.004 * np.array([truth[field == one][0] for one in range(len(near))])
    return np.column_stack([5 + 0.04 * (block % 6), 50 + 0.03 * (block // 6)]) + near[field]


def validated() -> dict[str, Any]:
    """Cross-validation of three learners whose fits are the same in both."""
    x, y, field, block = learner_fixtures.labels()
    lonlat = lonlat_of_blocks(block, field, y)
    names = tuple(f"class {k}" for k in range(learner_fixtures.CLASSES))
    labels = labels_at(lonlat, field, np.array(names)[y])
    held = hold_out(labels, np.ones(len(y), dtype=np.bool_), "spatial")
    out = {}
    for head in ("prototype", "linear", "knn"):
        task = Task(head, x, y, len(names), groups=field)
        metrics, _ = cross_validate(task, names, held, units=held.groups, curve=False)
        out[head] = {
            **{name: [metrics[name], *metrics["intervals"][name]] for name in SCORES},
            "random": [metrics["random"][name] for name in SCORES],
            "counts": metrics["confusion"]["counts"],
            "f1": [metrics["per_class"][name]["f1"] for name in names],
            "folds": metrics["folds"],
            "units": metrics["units"],
            "block_km": metrics["block_km"],
            "buffer_km": metrics["buffer_km"],
        }
    return {"lonlat": lonlat.reshape(-1).tolist(), "heads": out}


def chosen() -> dict[str, Any]:
    """Points that are suggested, from whole numbers."""
    rng = np.random.default_rng(2)
    codes = np.round(rng.normal(0, 40, (5, 8))[rng.integers(0, 5, 200)] + rng.normal(0, 12, (200, 8)))
    codes = np.clip(codes, -128, 127).astype(np.int8)
    spots = np.round(rng.uniform(0, 2000, (200, 2)), 1)
    unsure = np.round(rng.uniform(0, 1, 200), 3)
    out: dict[str, Any] = {"codes": codes.reshape(-1).tolist(), "places": spots.tolist(), "unsure": unsure.tolist()}
    for known in (0, 3):
        order, gains = choose_points(
            codes.astype(np.float32) * np.float32(0.01),
            unsure,
            codes[:known].astype(np.float32) * np.float32(0.01),
            spots,
            8,
            150.0,
        )
        out[str(known)] = {"order": order.tolist(), "gains": gains.tolist()}
    return out


def everything() -> dict[str, Any]:
    """What the file holds."""
    return {"folds": folds(), "blocks": blocks(), "validated": validated(), "chosen": chosen()}


if __name__ == "__main__":
    FILE.write_text(json.dumps(everything()) + "\n")
