"""Heads, how well and how fast: every head on real labels; CPU-seconds to fit, and pixels predicted a CPU-second.

    python benchmarks/heads.py SHARED_DATA [--quick] [--draws 10] [--sets belgium slovenia corsica africa fuel]
        [--processes 2] [--docs] [--out benchmarks/output/heads]

The real labels are those of `heads_data.py`. Each head learns from the bundled encoder's embeddings and from the raw
bands of the same pixels, with the same labels and tests; whole groups or blocks of land are held out. It writes
heads.json, heads.md and heads.png, with 95 % intervals over groups, and what a random split would have shown. Finished
scores stay under OUT, so that a second run repeats none.

    python benchmarks/heads.py [--labels 300 3000] [--pixels 65536] [--rounds 3]

Without a folder of data it measures speed, beside scikit-learn on the same labels where it has the same head. Vectors
are random clusters of 10 classes in 128 dims. One thread, rounds interleaved, the best one counts. Heads predict with
the arrays of their file. scikit-learn has no MLP of this form. Its nearest neighbours get standardised vectors, as ours
standardise theirs.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import heads_data
import heads_real
from tessera.base import InputError, require
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


def measure_real(given: argparse.Namespace) -> None:
    """Every head on real labels."""
    choice = heads_real.QUICK if given.quick else heads_real.Choice(draws=given.draws)
    keep = None if given.quick else given.out / "scores"
    tasks = heads_real.measure(given.data, given.sets, replace(choice, keep=keep), given.processes)
    given.out.mkdir(parents=True, exist_ok=True)
    heads_real.write(tasks, given.out)
    if given.docs:
        heads_real.write_docs(tasks)
    print(heads_real.tables(tasks))
    print(f"{given.out}: heads.json, heads.md, heads.png")


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", help="the folder of labelled sets; speed is measured without it")
    parser.add_argument("--quick", action="store_true", help="one draw of the smallest amount")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--sets", nargs="+", default=list(heads_data.SETS))
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--docs", action="store_true", help="put the result into docs/heads.md, its JSON and picture")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "output" / "heads")
    parser.add_argument("--labels", type=int, nargs="+", default=[300, 3000])
    parser.add_argument("--pixels", type=int, default=65536)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if given.data is None:
        measure_speed(given)
        return
    started = time.perf_counter()
    try:
        measure_real(given)
    except InputError as error:
        sys.exit(f"heads: {error}")
    print(f"{time.perf_counter() - started:.0f} s")


def measure_speed(given: argparse.Namespace) -> None:
    """CPU-seconds that each head takes to fit, and the pixels that it predicts in one."""
    rng = np.random.default_rng(0)
    new, _ = vectors(given.pixels, rng)
    print(
        "| head | labels | fit, CPU-seconds per 1,000 labels | scikit-learn | pixels per CPU-second | scikit-learn "
        "| ratio | arrays, kB |\n|---|---|---|---|---|---|---|---|"
    )
    pools: Any = require("threadpoolctl", extra="heads", purpose="measuring one thread")
    with pools.threadpool_limits(limits=1):
        for labels in given.labels:
            x, y = vectors(labels, rng)
            for name in HEADS:
                model = learn(name, x, y, CLASSES)
                learnt = best({"ours": partial(learn, name, x, y, CLASSES)}, given.rounds)
                calls: dict[str, Callable[[], object]] = {"ours": partial(model.predict, new)}
                peer = peers().get(name)
                if peer is not None:
                    learnt |= best({"theirs": partial(peer.fit, x, y)}, given.rounds)
                    calls["theirs"] = partial(peer.predict, new)
                spent = best(calls, given.rounds)
                rate = {key: given.pixels / seconds for key, seconds in spent.items()}
                theirs = (
                    f"{rate['theirs']:,.0f} | {rate['ours'] / rate['theirs']:.2f}x" if peer is not None else "- | -"
                )
                fits = [f"{learnt[key] * 1000 / labels:.2f}" if key in learnt else "-" for key in ("ours", "theirs")]
                size = sum(array.nbytes for array in model.arrays().values()) / 1000
                told = f"{' | '.join(fits)} | {rate['ours']:,.0f} | {theirs} | {size:,.0f}"
                print(f"| {name} | {labels:,} | {told} |", flush=True)


if __name__ == "__main__":
    main()
