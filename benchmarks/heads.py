"""Pixels that each head predicts a CPU-second, beside scikit-learn on the same labels where it has the same head.

python benchmarks/heads.py [--labels 300 3000] [--pixels 65536] [--rounds 3]

Vectors are random clusters of 10 classes in 128 dims. One thread, rounds interleaved, the best one counts. Heads
predict with the arrays of their file, as a map does. scikit-learn has no MLP of this form. Its nearest neighbours get
standardised vectors, as ours standardise theirs.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tessera.base import require
from tessera.learners import HEADS, learn

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

DIMS, CLASSES = 128, 10


def vectors(count: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(count, 128) vectors and their classes, each of which occurs."""
    centres = np.random.default_rng(1).normal(size=(CLASSES, DIMS))
    label = np.arange(count) % CLASSES
    return (centres[label] + rng.normal(scale=2.0, size=(count, DIMS))).astype(np.float32), label


def peers() -> dict[str, Any]:
    """scikit-learn's own, by the name of our head."""
    return {
        "linear": make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)),
        "knn": make_pipeline(StandardScaler(), KNeighborsClassifier(5, algorithm="brute", n_jobs=1)),
        "forest": RandomForestClassifier(100, class_weight="balanced", random_state=0, n_jobs=1),
    }


def best(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The fewest CPU-seconds of each call."""
    spent = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.process_time()
            call()
            spent[name] = min(spent[name], time.process_time() - start)
    return spent


def main() -> None:
    """Fit, predict and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, nargs="+", default=[300, 3000])
    parser.add_argument("--pixels", type=int, default=65536)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    new, _ = vectors(given.pixels, rng)
    print("| head | labels | pixels per CPU-second | scikit-learn | ratio | arrays, kB |\n|---|---|---|---|---|---|")
    pools: Any = require("threadpoolctl", extra="heads", purpose="measuring one thread")
    with pools.threadpool_limits(limits=1):
        for labels in given.labels:
            x, y = vectors(labels, rng)
            for name in HEADS:
                model = learn(name, x, y, CLASSES)
                calls: dict[str, Callable[[], object]] = {"ours": partial(model.predict, new)}
                peer = peers().get(name)
                if peer is not None:
                    peer.fit(x, y)
                    calls["theirs"] = partial(peer.predict, new)
                spent = best(calls, given.rounds)
                rate = {key: given.pixels / seconds for key, seconds in spent.items()}
                theirs = (
                    f"{rate['theirs']:,.0f} | {rate['ours'] / rate['theirs']:.2f}x" if peer is not None else "- | -"
                )
                size = sum(array.nbytes for array in model.arrays().values()) / 1000
                print(f"| {name} | {labels:,} | {rate['ours']:,.0f} | {theirs} | {size:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
