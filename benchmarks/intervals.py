"""How often 95 % intervals of scores hold the true score, by the way that they are made.

    python benchmarks/intervals.py

Made units of 2 to 30 labels, of five classes of which one is rare; all labels of a unit tend to be right or wrong
together. Prints the share of 300 data sets whose interval holds the score of 3,000 units, for the jackknife that
reports use (`tessera.validation.intervals`) and for percentiles of a bootstrap over units.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tessera.validation import group_weights, interval, intervals, left_out, score_by_group, score_classes

NAMES = ("balanced_accuracy", "macro_f1", "accuracy")
SHARES = (0.4, 0.25, 0.2, 0.1, 0.05)
TIMES = 300


def make(generator: np.random.Generator, units: int) -> tuple[Any, Any, Any]:
    """Truth, prediction and unit of each label."""
    count = len(SHARES)
    unit = np.repeat(np.arange(units), 1 + generator.geometric(1 / 6, size=units))
    main = generator.choice(count, size=units, p=SHARES)
    other = generator.choice(count, size=len(unit), p=SHARES)
    truth = np.where(generator.random(len(unit)) < 0.8, main[unit], other)
    right = generator.random(len(unit)) < generator.beta(1.5, 0.6, size=units)[unit]
    wrong = (truth + 1 + generator.integers(0, count - 1, len(unit))) % count
    return truth, np.where(right, truth, wrong), unit


def score(truth: Any, predicted: Any, unit: Any, weights: Any) -> Any:
    """(B, 3) scores under the weights of units."""
    return score_by_group(
        lambda rows: score_classes(truth, predicted, rows, classes=len(SHARES))[:, : len(NAMES)], weights, unit
    )


def main() -> None:
    """Print the coverage of both kinds of intervals."""
    generator = np.random.default_rng(0)
    many = [score(*make(generator, 3000), np.ones((1, 3000), np.float32))[0] for _ in range(12)]
    true = np.mean(many, axis=0)
    print(f"{'units':>5}  {'interval':<10}  " + "  ".join(f"{name:>17}" for name in NAMES))
    for units in (12, 20, 40, 100):
        held = {"jackknife": np.zeros(3), "bootstrap": np.zeros(3)}
        for trial in range(TIMES):
            made = make(generator, units)
            for k, (_, low, high) in enumerate(intervals(score(*made, left_out(made[2])), NAMES, units)):
                held["jackknife"][k] += low is not None and high is not None and low <= true[k] <= high
            drawn = score(*made, group_weights(made[2], 400, trial))
            for k in range(3):
                low, high = interval(drawn[1:, k])
                held["bootstrap"][k] += low <= true[k] <= high
        for name, counts in held.items():
            print(f"{units:>5}  {name:<10}  " + "  ".join(f"{count / TIMES:>17.3f}" for count in counts))


if __name__ == "__main__":
    main()
