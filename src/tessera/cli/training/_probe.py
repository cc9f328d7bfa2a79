"""The probe of a training run: scores of the encoder so far on labelled pixel-years, as `tessera evaluate` does."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError

from ._options import is_first, shown

if TYPE_CHECKING:
    from tessera.base import Progress
    from tessera.labels import Labels
    from tessera.models import Checkpoint
    from tessera.pretrain import ProbeSource

_WORDS = {
    "macro_f1": "macro-F1",
    "balanced_accuracy": "balanced accuracy",
    "auc": "AUC",
    "rmse": "RMSE",
    "r2": "R2",
}
"""Score -> its name on the console, in the order of printing."""
_BEST = {"macro_f1": max, "rmse": min}
"""Score that finds the best step -> how: of classes, and of numbers."""
_LARGEST = 64 * 1024 * 1024
"""Largest log that is read, bytes: some 200,000 records."""


@dataclass
class Probe:
    """Called by the training loop with the encoder so far.

    Attributes
    ----------
    source : settings of the probe
    labelled : labelled pixel-years; None on every process but the first, which does the work
    fresh : scores that are not printed yet
    """

    source: ProbeSource
    labelled: Labels | None
    fresh: dict[str, float] = field(default_factory=dict)

    def __call__(self, checkpoint: Checkpoint) -> dict[str, float]:
        """Scores of its quantised vectors (int8 codes x scale), embedded on the CPU."""
        if self.labelled is None:
            return {}
        from tessera.encode import encoder_of

        self.fresh = _scores(encoder_of(checkpoint), self.labelled, self.source)
        return self.fresh


def probe_of(source: ProbeSource | None) -> Probe | None:
    """The probe of a configuration. Before training starts it is tried once, on counts of observations as features.

    Raises
    ------
    InputError
        Labels, head or amount do not exist, labels are too few, or a package is missing.
    """
    if source is None or not is_first():
        return None if source is None else Probe(source, None)
    from tessera.evaluation import parse_amounts, read_pixel_years
    from tessera.learners import parse_heads

    try:
        parse_heads((source.head,))
        with shown(f"Reading {source.labels} for the probe"):
            labelled = read_pixel_years(source.labels, kind=source.kind)
            parse_heads((source.head,), labelled.kind)
            usual = "10/class" if labelled.kind == "classification" else "10%"
            amounts = parse_amounts(str(usual if source.amount is None else source.amount), labelled.kind)
            if len(amounts) > 1:
                raise InputError(f"amount {source.amount!r}; expected one amount of labels, such as 10/class")
            source = replace(source, amount=str(amounts[0]))
            _scores(_counts(labelled), labelled, source, tell=True)
    except InputError as error:
        raise InputError(f"[probe] {error}") from None
    return Probe(source, labelled)


def beside(progress: Progress, probe: Probe | None) -> Progress:
    """Progress that also prints the scores of the probe at each step that has some."""
    if probe is None:
        return progress

    def tell(done: int, total: int) -> None:
        progress(done, total)
        if probe.fresh:
            found = (f"{word} {_figure(probe.fresh[key])}" for key, word in _words(probe.fresh))
            print(f"step {done:,}: probe {', '.join(found)}", file=sys.stderr)
            probe.fresh = {}

    return tell


def tell_best(out: str) -> None:
    """Print the best and the last score of the probe, from the log beside `out`; the first process only."""
    file = Path(f"{out}.json")
    if not is_first() or not file.is_file() or file.stat().st_size > _LARGEST:
        return
    log = json.loads(file.read_text(encoding="utf-8"))["log"]
    for metric, best in _BEST.items():
        held = [(record[f"probe_{metric}"], record["step"]) for record in log if f"probe_{metric}" in record]
        if held:
            value, step = best(held, key=lambda one: one[0])
            last, end = held[-1]
            rest = ", the last" if step == end else f", {_figure(last)} at step {end:,}, the last"
            print(f"probe {_WORDS[metric]}: best {_figure(value)} at step {step:,}{rest}")


def _scores(features: Any, labelled: Labels, source: ProbeSource, *, tell: bool = False) -> dict[str, float]:
    """Mean of each score over the draws. A score without a value is left out."""
    from tessera.evaluation import evaluate

    result = evaluate(
        {"so far": features},
        labelled,
        heads=(source.head,),
        labels=(str(source.amount),),
        draws=source.draws,
        seed=source.seed,
        # no interval is shown, and no other split
        times=1,
        beside=False,
    )
    if tell:
        for note in result.about["notes"]:
            print(f"probe: {note}", file=sys.stderr)
    return {f"probe_{row['metric']}": row["mean"] for row in result.table() if row["mean"] is not None}


def _counts(labelled: Labels) -> np.ndarray[Any, Any]:
    """(N, 2) float64: observations of Sentinel-2 and Sentinel-1; NaN for a pixel-year without any."""
    assert labelled.series is not None  # noqa: S101 - of a table of pixel-years
    counts = np.column_stack([labelled.series.s2_count, labelled.series.s1_count]).astype(np.float64)
    counts[counts.sum(axis=1) == 0] = np.nan
    return counts


def _words(found: dict[str, float]) -> list[tuple[str, str]]:
    return [(f"probe_{metric}", word) for metric, word in _WORDS.items() if f"probe_{metric}" in found]


def _figure(value: float) -> str:
    return f"{value:.{1 if abs(value) >= 10 else 3}f}"
