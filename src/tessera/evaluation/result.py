"""What an evaluation found: scores with intervals, differences of two feature sets, a table, JSON, curves."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, check_output, check_picture, read_json, write_atomic
from tessera.validation import LOWER_IS_BETTER, METRIC_NAMES, UNRANKED, bootstrap, interval

from ._curves import draw_curves

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

PRIMARY = {"classification": "macro_f1", "regression": "rmse"}
"""What the curves show."""


@dataclass(frozen=True)
class Outcome:
    """One feature set, head and amount of labels.

    Attributes
    ----------
    features, head, labels : their names
    taken : labels learnt from, mean over draws
    scores : (R, B + 1, metrics) float64; of each draw the score, then B bootstrap samples of the tested groups
    """

    features: str
    head: str
    labels: str
    taken: float
    scores: NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Scores of every feature set, head and amount of labels, over the same draws: `evaluate` returns one.

    Attributes
    ----------
    about : plain values: the labels, the split, the draws, notes
    metrics : names of the scores
    outcomes : scores, one entry a feature set, head and amount
    seed : of the bootstrap

    Examples
    --------
    >>> import tessera
    >>> from tessera.labels import read_labels
    >>> store, labelled = tessera.open_store("store.zarr"), read_labels("labels.geojson", "class")
    >>> result = tessera.evaluate(store, labelled, heads="linear", labels="5/class,10/class", draws=3, block_km=0.1)
    >>> result.labels, result.primary
    (('5/class', '10/class'), 'macro_f1')
    """

    about: dict[str, Any]
    metrics: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    seed: int = 0

    def __repr__(self) -> str:
        return f"Evaluation({self.about['source']}, {len(self.outcomes)} outcomes, {', '.join(self.features)})"

    @property
    def primary(self) -> str:
        """The metric that the curves show."""
        return PRIMARY[self.about["kind"]]

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the feature sets, in the given order."""
        return tuple(dict.fromkeys(outcome.features for outcome in self.outcomes))

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the heads, in the given order."""
        return tuple(dict.fromkeys(outcome.head for outcome in self.outcomes))

    @property
    def labels(self) -> tuple[str, ...]:
        """Amounts of labels, in the given order."""
        return tuple(dict.fromkeys(outcome.labels for outcome in self.outcomes))

    def table(self) -> list[dict[str, Any]]:
        """One record a feature set, head, amount and metric: mean over the draws, standard deviation, 95 % interval.

        The interval comes from a bootstrap over draws and tested groups.
        """
        out = []
        for outcome in self.outcomes:
            for index, metric in enumerate(self.metrics):
                draws = outcome.scores[:, 0, index]
                low, high = interval(bootstrap(outcome.scores[:, 1:, index], self.seed))
                out.append(
                    {
                        "features": outcome.features,
                        "head": outcome.head,
                        "labels": outcome.labels,
                        "labels_taken": round(outcome.taken, 1),
                        "draws": len(draws),
                        "metric": metric,
                        "mean": mean_of(draws),
                        "deviation": _number(np.std(draws, ddof=1)) if len(draws) > 1 else None,
                        "low": _number(low),
                        "high": _number(high),
                    }
                )
        return out

    def best(self, metric: str | None = None) -> list[dict[str, Any]]:
        """The record of the best head, for each feature set and amount.

        It is chosen on the tested labels, so its score is a little too high, for all feature sets alike.

        Parameters
        ----------
        metric : one of `metrics`; `primary` if None
        """
        name = self._metric(metric)
        sign = 1 if name in (*LOWER_IS_BETTER, *UNRANKED) else -1
        rows = [row for row in self.table() if row["metric"] == name and row["mean"] is not None]

        def rank(row: dict[str, Any]) -> float:
            mean = float(row["mean"])
            return sign * (abs(mean) if name in UNRANKED else mean)

        keys = dict.fromkeys((row["features"], row["labels"]) for row in rows)
        return [min((row for row in rows if (row["features"], row["labels"]) == key), key=rank) for key in keys]

    def differences(self, first: str, second: str, metric: str | None = None) -> list[dict[str, Any]]:
        """Differences of two feature sets, first minus second, paired over draws and tested groups.

        Parameters
        ----------
        first : name of a feature set
        second : name of a feature set
        metric : one of `metrics`; `primary` if None

        Returns
        -------
        One record a head and amount, and one of each set's best head ("best"). "holds" is True if the 95 % interval
        excludes 0.

        Raises
        ------
        InputError
            There is no such feature set or metric.
        """
        for name in (first, second):
            if name not in self.features:
                raise InputError(f"feature set {name!r}; there is {', '.join(self.features)}")
        chosen = self._metric(metric)
        best = {(row["features"], row["labels"]): row["head"] for row in self.best(chosen)}
        out = []
        for labels in self.labels:
            pairs = [(head, head, head) for head in self.heads]
            if len(self.heads) > 1 and {(first, labels), (second, labels)} <= best.keys():
                pairs.append(("best", best[first, labels], best[second, labels]))
            for title, one, other in pairs:
                about = {"first": first, "second": second, "head": title, "labels": labels, "metric": chosen}
                out.append(about | self._gap((first, one, labels), (second, other, labels), chosen))
        return out

    def head_differences(self, first: str, second: str, metric: str | None = None) -> list[dict[str, Any]]:
        """Differences of two heads on the same features, first minus second, paired over draws and tested groups.

        Parameters
        ----------
        first : name of a head
        second : name of a head
        metric : one of `metrics`; `primary` if None

        Returns
        -------
        One record a feature set and amount.

        Raises
        ------
        InputError
            There is no such head or metric.
        """
        for name in (first, second):
            if name not in self.heads:
                raise InputError(f"head {name!r}; there is {', '.join(self.heads)}")
        chosen = self._metric(metric)
        return [
            {"first": first, "second": second, "features": features, "labels": labels, "metric": chosen}
            | self._gap((features, first, labels), (features, second, labels), chosen)
            for features in self.features
            for labels in self.labels
        ]

    def _gap(self, first: tuple[str, str, str], second: tuple[str, str, str], metric: str) -> dict[str, Any]:
        """The mean difference of two outcomes, its 95 % interval, and whether it holds: the interval is without 0."""
        found = {(one.features, one.head, one.labels): one for one in self.outcomes}
        gap = (found[first].scores - found[second].scores)[:, :, self.metrics.index(metric)]
        low, high = interval(bootstrap(gap[:, 1:], self.seed))
        return {
            "difference": mean_of(gap[:, 0]),
            "low": _number(low),
            "high": _number(high),
            "holds": bool(low > 0 or high < 0),
        }

    def to_json(self, path: str | Path | None = None, *, overwrite: bool = False) -> str:
        """All records as JSON, with the differences from the first feature set and from the first head.

        Parameters
        ----------
        path : a file to write it to; an earlier evaluation is replaced
        overwrite : replace any other file, too

        Raises
        ------
        InputError
            The file cannot be written, or another file is there.
        """
        if path is not None:
            check_evaluation(path, overwrite=overwrite)
        first, *others = self.features
        content = {
            **self.about,
            "records": self.table(),
            "differences": [
                row for other in others for metric in self.metrics for row in self.differences(first, other, metric)
            ],
            "head_differences": [
                row
                for other in self.heads[1:]
                for metric in self.metrics
                for row in self.head_differences(self.heads[0], other, metric)
            ],
        }
        text = json.dumps(content, indent=1, allow_nan=False) + "\n"
        if path is not None:
            try:
                write_atomic(Path(path), text.encode())
            except OSError as error:
                raise InputError(f"cannot write {path}: {error.strerror or error}") from None
        return text

    def report(self, metric: str | None = None) -> list[tuple[str, ...]]:
        """Rows of text: feature set and head, then for each amount the mean with its interval.

        Parameters
        ----------
        metric : one of `metrics`; `primary` if None
        """
        name = self._metric(metric)
        cells = {
            (row["features"], row["head"], row["labels"]): _cell(row) for row in self.table() if row["metric"] == name
        }
        rows = [(name, "head", *self.labels)]
        rows += [
            (features, head, *(cells[features, head, labels] for labels in self.labels))
            for features in self.features
            for head in self.heads
        ]
        return rows

    def report_random(self, metric: str | None = None) -> str:
        """What a random split would show of the last amount of labels, in a line; "" where it is not known."""
        name, beside = self._metric(metric), self.about.get("random")
        if not beside:
            return ""
        found = [
            f"{features} {head} {_figures(means[name])}"
            for features, heads in beside["scores"].items()
            for head, means in heads.items()
        ]
        sign, end = (-1, "low") if name in LOWER_IS_BETTER else (1, "high")
        flattered = name not in UNRANKED and any(
            None not in (row[end], random := beside["scores"].get(row["features"], {}).get(row["head"], {}).get(name))
            and sign * random > sign * row[end]
            for row in self.table()
            if row["metric"] == name and row["labels"] == beside["labels"]
        )
        why = "; neighbours of what was learnt flatter it" if flattered else ""
        return f"a random split would show {METRIC_NAMES[name]} of {beside['labels']}: {', '.join(found)}{why}"

    def report_differences(self, metric: str | None = None) -> tuple[list[tuple[str, ...]], list[str]]:
        """Rows of text with the differences from the first feature set and the first head, and lines that explain them.

        A star marks a difference that holds.

        Parameters
        ----------
        metric : one of `metrics`; `primary` if None

        Returns
        -------
        The rows, empty if there is nothing to compare, and the lines.
        """
        name = self._metric(metric)
        sets = [row for other in self.features[1:] for row in self.differences(self.features[0], other, name)]
        heads = [row for other in self.heads[1:] for row in self.head_differences(self.heads[0], other, name)]
        both = [((f"{row['first']} - {row['second']}", row["head"]), row) for row in sets]
        both += [((row["features"], f"{row['first']} - {row['second']}"), row) for row in heads]
        if not both:
            return [], []
        cells: dict[tuple[str, str], dict[str, str]] = {}
        for title, row in both:
            cells.setdefault(title, {})[row["labels"]] = _gap_cell(row)
        rows = [(f"difference of {name}", "head", *self.labels)]
        rows += [(*title, *(own.get(labels, "-") for labels in self.labels)) for title, own in cells.items()]
        held = sum(row["holds"] for _, row in both)
        better = "below 0 the first is better" if name in LOWER_IS_BETTER else "above 0 the first is better"
        better = "the better one is nearer to 0" if name in UNRANKED else better
        return rows, [
            f"first less second on the same draws and tested groups, 95 % intervals of the paired difference; {better}",
            f"{held} of {len(both)} differences hold (*: the interval is without 0); where nothing differs, about "
            "one in 20 still gets a star",
        ]

    def draw(self, path: str | Path, metric: str | None = None, *, overwrite: bool = False) -> None:
        """Write the curves as a PNG: one panel a head, one line a feature set with its 95 % interval.

        Parameters
        ----------
        path : a path that ends in .png
        metric : one of `metrics`; `primary` if None
        overwrite : replace a file that is not an earlier picture of curves, too

        Raises
        ------
        InputError
            The path does not end in .png or cannot be written, or another file is there.
        """
        check_picture(path, "curves", overwrite=overwrite)
        draw_curves(self.table(), self.about, Path(path), self._metric(metric))

    def _metric(self, name: str | None) -> str:
        chosen = self.primary if name is None else name
        if chosen not in self.metrics:
            raise InputError(f"metric {chosen!r}; expected one of {', '.join(self.metrics)}")
        return chosen


def check_evaluation(path: str | Path, *, inputs: Iterable[object] = (), overwrite: bool = False) -> Path:
    """Look at the file that an evaluation is about to be written to, as `tessera.base.check_output` does."""

    def ours(path: Path) -> bool:
        return read_json(path, what="evaluation").keys() >= {"records", "differences", "labels", "split"}

    return check_output(path, "evaluation", inputs=inputs, ours=ours, overwrite=overwrite)


def mean_of(draws: NDArray[np.float64]) -> float | None:
    """The mean over draws that have a score; None where none has."""
    good = draws[np.isfinite(draws)]
    return _number(good.mean()) if len(good) else None


def _figures(value: float | None) -> str:
    return "-" if value is None else f"{value:.{1 if abs(value) >= 10 else 3}f}"


def _cell(row: dict[str, Any]) -> str:
    text = _figures(row["mean"])
    figures = 1 if row["mean"] is not None and abs(row["mean"]) >= 10 else 3
    if row["low"] is None:
        return text
    return f"{text} ({row['low']:.{figures}f} to {row['high']:.{figures}f})"


def _gap_cell(row: dict[str, Any]) -> str:
    if row["difference"] is None:
        return "-"
    figures = 1 if abs(row["difference"]) >= 10 else 3
    text = f"{row['difference']:+.{figures}f}"
    if row["low"] is not None:
        text += f" ({row['low']:+.{figures}f} to {row['high']:+.{figures}f})"
    return f"{text} *" if row["holds"] else text


def _number(value: Any) -> float | None:
    return round(float(value), 6) if math.isfinite(value) else None
