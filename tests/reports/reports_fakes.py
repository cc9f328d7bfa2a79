"""Heads with everything that a report can show, made from simulated predictions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tessera.embeddings import ModelIdentity
from tessera.labels import map_values
from tessera.validation import confusion, fit_trust, scores, unit_scores

MODEL = ModelIdentity("fake-nano", "ab" * 32, 8, (4,))
NASTY = '<script>alert("x")</script> & "wood" \'s\' \u202eevil\u202c \x1b[31m'
CLASSES = ("crop", "forest", NASTY, "עברית")
COLOURS = ("#f0b65e", "#1c6b39", "#2f6fd0", "#c4625e")


@dataclass
class FakeHead:
    """What a report asks of a head."""

    metrics: dict[str, Any]
    classes: tuple[str, ...] = CLASSES
    colours: tuple[str, ...] = COLOURS
    edges: tuple[float, ...] = ()
    head: str = "forest"
    column: str = "land cover"
    year: int = 2023
    dims: int = 8
    model: ModelIdentity = MODEL
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> tuple[int, ...]:
        return map_values(self.classes)


def rich_head(seed: int = 0, **changes: Any) -> FakeHead:
    """A head of classes with every part of the metrics."""
    generator = np.random.default_rng(seed)
    units = np.repeat(np.arange(40), 20)
    logits = generator.normal(scale=1.5, size=(len(units), 4))
    true = np.exp(logits + generator.normal(scale=0.5, size=(40, 4))[units])
    true /= true.sum(axis=1, keepdims=True)
    truth = (true.cumsum(axis=1) > generator.random((len(units), 1))).argmax(axis=1).astype(np.int64)
    raw = np.exp(2 * logits)
    raw /= raw.sum(axis=1, keepdims=True)
    predicted = raw.argmax(axis=1)
    matrix = confusion(truth, predicted, 4)
    each = scores(matrix)
    _, told = fit_trust(truth, raw, units, CLASSES, seed=seed)
    by_unit = unit_scores(truth, raw, units, units, classes=4, seed=seed)
    lon, lat = generator.uniform(5.2, 5.3, 300), generator.uniform(50.6, 50.7, 300)
    metrics: dict[str, Any] = {
        "schema": 2,
        "kind": "classification",
        "labels": len(truth),
        "groups": 40,
        "missing": 3,
        "no_data": 1,
        "outside": 0,
        "split": "spatial",
        "block_km": 2.0,
        "buffer_km": 0.4,
        "split_why": "blocks of 2 km and a buffer of 400 m: labels nearer than that agree more often than others",
        "folds": 5,
        "units": 40,
        "unit": "block",
        "macro_f1": each.macro_f1,
        "balanced_accuracy": each.balanced_accuracy,
        "accuracy": each.accuracy,
        "mean_iou": each.mean_iou,
        "kappa": each.kappa,
        "intervals": by_unit["intervals"],
        "per_unit": by_unit["per_unit"],
        "per_class": {
            name: {
                "labels": int(each.support[index]),
                "tested": int(each.support[index]),
                **{key: float(getattr(each, key)[index]) for key in ("precision", "recall", "f1", "iou")},
            }
            for index, name in enumerate(CLASSES)
        },
        "per_fold": [
            {"name": str(k), "learnt": 640, "tested": 160, "units": 8, "accuracy": 0.5 + k / 50} for k in range(5)
        ],
        "confusion": {"classes": list(CLASSES), "counts": matrix.tolist()},
        "random": {"macro_f1": 0.71, "accuracy": 0.72, "balanced_accuracy": 0.7},
        "curve": {
            "metric": "macro_f1",
            "points": [
                {
                    "labels": f"{n}/class",
                    "learnt": 4.0 * n,
                    "draws": 3,
                    "value": 0.3 + 0.05 * k,
                    "low": 0.25,
                    "high": 0.6,
                }
                for k, n in enumerate((2, 5, 10, 50))
            ],
        },
        "worst": [
            {
                "lon": 5.25,
                "lat": 50.65 + k / 1000,
                "group": k,
                "fold": "1",
                "truth": CLASSES[k % 4],
                "predicted": CLASSES[(k + 1) % 4],
                "probability": 0.9,
                "truth_probability": 0.01,
            }
            for k in range(6)
        ],
        "points": {
            "lon": lon.tolist(),
            "lat": lat.tolist(),
            "value": [CLASSES[k] for k in truth[:300]],
            "fold": [int(one) for one in np.floor((lon - 5.2) / 0.025)],
        },
        "tuning": {
            "tried": [{"settings": {"trees": 100}, "score": 0.5}, {"settings": {"trees": 500}, "score": 0.52}],
            "chosen": {"trees": 500},
            "metric": "macro_f1",
        },
        "weights": "even",
        "sample": {"design": "random", "strata": None},
        "applicability": {"threshold": 1.0, "inside": 0.93},
        "years": [2023],
        "notes": ["a note of the labels: <b>3</b> features have no class", *told.pop("notes")],
        **told,
    }
    made = {
        "labels": {"source": "plots.gpkg", "column": "land cover", "sha256": "cd" * 32, "count": 803},
        "stores": [{"name": "store.zarr", "model": "fake-nano", "years": [2023]}],
        "split": "spatial",
        "seed": 0,
        "software": "tessera 1.2.3",
        "settings": {"trees": 500},
    }
    return FakeHead({**metrics, **changes}, provenance=made)


def numbers_head() -> FakeHead:
    """A head of numbers."""
    generator = np.random.default_rng(1)
    units = np.repeat(np.arange(40), 10)
    predicted = generator.uniform(0, 30, 400)
    truth = predicted + generator.normal(scale=1 + predicted / 10)
    _, told = fit_trust(truth, predicted, units)
    metrics: dict[str, Any] = {
        "kind": "regression",
        "labels": 400,
        "groups": 40,
        "folds": 5,
        "unit": "group",
        "split": "group",
        "r2": 0.8,
        "rmse": 3.1,
        "mae": 2.2,
        "bias": -0.1,
        "intervals": {"r2": [0.7, 0.85], "rmse": [2.5, 3.5], "mae": [2.0, 2.5], "bias": [-0.5, 0.4]},
        "random": {"r2": 0.9, "rmse": 2.0, "mae": 1.5, "bias": 0.0},
        "scatter": {"truth": truth.tolist(), "predicted": predicted.tolist()},
        "worst": [{"lon": 5.0, "lat": 50.0, "group": 1, "fold": "2", "truth": 30.1, "predicted": 12.0, "error": -18.1}],
        "points": {"lon": [5.0, 5.1], "lat": [50.0, 50.1], "value": [3.0, 20.0], "fold": [0, -1]},
        "notes": told.pop("notes"),
        **told,
    }
    return FakeHead(metrics, classes=(), colours=("#111111", "#555555", "#999999"), edges=(10.0, 20.0), head="linear")
