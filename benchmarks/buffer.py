"""How far the accuracy that a validation shows lies above that on new land, by what is held out.

    python benchmarks/buffer.py

Simulated land of 40 x 40 km: fields (cells around random centres) of one of four classes, and vectors of 8 numbers that
tell the classes apart but for noise, most of which is correlated over some distance. Labels lie at random or in 30
clusters. A kNN head learns from all of them, and its accuracy is measured on other land of the same kind. Prints the
accuracy that each split of the same labels shows, less that accuracy: the mean and the largest over 15 kinds of land.
Takes two to four minutes on one core.
"""

from __future__ import annotations

import importlib
import time
from typing import Any

import numpy as np

from tessera.labels import Labels, hold_out
from tessera.learners import learn_and_score
from tessera.validation import Task, cross_validate

SIDE_KM = 40.0
CLASSES, DIMS, NEW = 4, 8, 1500
TIMES = 8
CORNER = 20.0, 48.0
KINDS = [
    (field, reach, count, clustered)
    for field, reach, count, clustered in (
        (0.3, 0.1, 300, False),
        (0.3, 0.1, 300, True),
        (0.3, 0.3, 300, True),
        (0.3, 0.3, 2000, False),
        (0.3, 1.0, 2000, True),
        (1.0, 0.1, 300, False),
        (1.0, 0.3, 300, True),
        (1.0, 0.3, 2000, False),
        (1.0, 1.0, 300, True),
        (1.0, 1.0, 2000, True),
        (3.0, 0.1, 300, True),
        (3.0, 0.3, 2000, False),
        (3.0, 0.3, 2000, True),
        (3.0, 1.0, 300, False),
        (3.0, 1.0, 2000, False),
    )
]
"""Width of a field and reach of the noise, kilometres; labels; whether they lie in clusters."""
SPLITS: dict[str, dict[str, Any]] = {
    "random": {"split": "random"},
    "blocks": {"split": "spatial", "buffer_km": 0},
    "blocks and buffer": {"split": "spatial"},
    "regions": {"split": "region"},
}


def places(generator: np.random.Generator, count: int, *, clustered: bool) -> Any:
    """(N, 2) kilometres."""
    if not clustered:
        return generator.uniform(0, SIDE_KM, (count, 2))
    centres = generator.uniform(0, SIDE_KM, (30, 2))
    return (centres[generator.integers(0, 30, count)] + generator.normal(0, 1.0, (count, 2))) % SIDE_KM


def land(generator: np.random.Generator, where: Any, field: float, reach: float, centres: Any) -> tuple[Any, Any]:
    """The class and the vector of each place, on land that is drawn anew."""
    spatial: Any = importlib.import_module("scipy.spatial")
    seeds = generator.uniform(0, SIDE_KM, (int((SIDE_KM / field) ** 2), 2))
    y = generator.integers(0, CLASSES, len(seeds))[spatial.cKDTree(seeds).query(where)[1]]
    apart = np.sqrt(((where[:, None] - where[None]) ** 2).sum(axis=2))
    root = np.linalg.cholesky(np.exp(-apart / reach) + 1e-6 * np.eye(len(where)))
    noise = 0.9 * root @ generator.normal(size=(len(where), DIMS)) + 0.45 * generator.normal(size=(len(where), DIMS))
    # what sets one field of a class apart from another
    own = generator.normal(size=(len(seeds), DIMS))[spatial.cKDTree(seeds).query(where)[1]]
    return y.astype(np.int64), (centres[y] + noise + 0.8 * own).astype(np.float32)


def errors(kind: tuple[float, float, int, bool], seed: int) -> dict[str, float]:
    """The accuracy that each split shows less that on new land, and the latter."""
    field, reach, count, clustered = kind
    generator = np.random.default_rng([seed, int(field * 10), int(reach * 10), count, clustered])
    centres = generator.normal(size=(CLASSES, DIMS)) * 0.8
    where = places(generator, count, clustered=clustered)
    y, x = land(generator, where, field, reach, centres)
    other, new = land(generator, generator.uniform(0, SIDE_KM, (NEW, 2)), field, reach, centres)
    said = learn_and_score("knn", x, y, CLASSES, seed, new)
    true = float((said.argmax(axis=1) == other).mean())
    names = tuple("abcd")
    shrunk = np.cos(np.radians(CORNER[1]))
    lonlat = np.column_stack([CORNER[0] + where[:, 0] / 111.32 / shrunk, CORNER[1] + where[:, 1] / 111.32])
    labels = Labels(np.array([names[one] for one in y], dtype=object), lonlat=lonlat)
    out = {"new land": true}
    for name, options in SPLITS.items():
        held = hold_out(labels, np.ones(count, dtype=np.bool_), **options)
        found, _ = cross_validate(Task("knn", x, y, CLASSES, seed), names, held, units=held.groups, curve=False)
        out[name] = float(found["accuracy"]) - true
    return out


def main() -> None:
    """Print a row for each kind of land and the summary."""
    start = time.perf_counter()
    print("field  noise  labels  clusters  new land  " + "  ".join(f"{name:>17}" for name in SPLITS))
    every: dict[str, list[float]] = {name: [] for name in SPLITS}
    for kind in KINDS:
        rows = [errors(kind, seed) for seed in range(TIMES)]
        mean = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        for name in SPLITS:
            every[name].append(mean[name])
        field, reach, count, clustered = kind
        told = f"{field:>5}  {reach:>5}  {count:>6}  {'yes' if clustered else 'no':>8}  {mean['new land']:>8.3f}"
        print(told + "  " + "  ".join(f"{mean[name]:>+17.3f}" for name in SPLITS), flush=True)
    for name, values in every.items():
        print(f"{name:<17}  mean {np.mean(values):+.3f}  largest {max(values, key=abs):+.3f}")
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
