"""What a report shows of single predictions: rows of folds, worst examples, pairs, and where labels lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .intervals import plain
from .scores import score_classes, score_numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tessera.labels import Fold

    from .out_of_fold import OutOfFold

WORST = 20
SHOWN = 1000
"""Pairs and places that are kept for a picture."""
_DECIMALS = 6
"""Of degrees: 0.1 m."""


def fold_rows(found: OutOfFold, folds: Sequence[Fold], names: Sequence[str], classes: int) -> list[dict[str, Any]]:
    """Labels and scores of each region, year or fold."""
    out: list[dict[str, Any]] = []
    for name in dict.fromkeys(fold.name for fold in folds):
        numbers = [number for number, fold in enumerate(folds) if fold.name == name]
        own = np.isin(found.fold, numbers)
        truth, raw, once = found.truth[own], found.raw[own], found.amount[own][None]
        values: list[float | None]
        if not len(truth):
            values = [None] * len(names)
        elif classes:
            said = raw.argmax(axis=1)
            values = [plain(v) for v in score_classes(truth, said, once, classes=classes, probabilities=raw)[0]]
        else:
            values = [plain(v) for v in score_numbers(truth, raw, once)[0]]
        learnt = np.mean([len(folds[number].train) for number in numbers])
        counts = {"learnt": round(float(learnt)), "tested": len(truth), "units": len(np.unique(found.unit[own]))}
        out.append({"name": name, **counts, **dict(zip(names, values, strict=True))})
    return out


def worst_of(
    found: OutOfFold,
    folds: Sequence[Fold],
    classes: Sequence[str],
    groups: NDArray[np.int64],
    lonlat: NDArray[np.float64] | None,
) -> list[dict[str, Any]]:
    """Labels that were predicted worst, one a group: the surest wrong classes, or the largest errors."""
    if classes:
        said = found.raw.argmax(axis=1)
        place = np.arange(len(said))
        sure, truly = found.raw[place, said], found.raw[place, found.truth]
        bad = np.where(said == found.truth, -np.inf, sure - truly)
    else:
        bad = np.abs(found.raw - found.truth)
        bad[bad == 0] = -np.inf
    order = np.argsort(-bad, kind="stable")
    own = groups[found.rows]
    first = np.sort(np.unique(own[order], return_index=True)[1])[:WORST]
    out = []
    for index in order[first]:
        if not np.isfinite(bad[index]):
            break
        row = int(found.rows[index])
        about: dict[str, Any] = {"lon": None, "lat": None} if lonlat is None else _degrees(lonlat[row])
        about |= {"group": int(own[index]), "fold": folds[int(found.fold[index])].name}
        if classes:
            about |= {
                "truth": classes[int(found.truth[index])],
                "predicted": classes[int(said[index])],
                "probability": round(float(sure[index]), 4),
                "truth_probability": round(float(truly[index]), 4),
            }
        else:
            truth, predicted = float(found.truth[index]), float(found.raw[index])
            about |= {"truth": truth, "predicted": predicted, "error": predicted - truth}
        out.append(about)
    return out


def pairs_of(found: OutOfFold, seed: int) -> dict[str, list[float]]:
    """Numbers and their predictions, some of them where there are many."""
    rows = _some(len(found.truth), seed)
    return {"truth": found.truth[rows].tolist(), "predicted": found.raw[rows].tolist()}


def places_of(
    lonlat: NDArray[np.float64] | None, y: NDArray[Any], classes: Sequence[str], fold: NDArray[np.int64], seed: int
) -> dict[str, list[Any]] | None:
    """Where labels lie, what they are and which fold tested them, some of them where there are many."""
    if lonlat is None:
        return None
    rows = _some(len(y), seed)
    places = [_degrees(place) for place in lonlat[rows]]
    return {
        "lon": [place["lon"] for place in places],
        "lat": [place["lat"] for place in places],
        "value": [classes[int(value)] if classes else float(value) for value in y[rows]],
        "fold": fold[rows].tolist(),
    }


def _degrees(place: NDArray[np.float64]) -> dict[str, float]:
    return {"lon": round(float(place[0]), _DECIMALS), "lat": round(float(place[1]), _DECIMALS)}


def _some(count: int, seed: int) -> NDArray[np.int64]:
    if count <= SHOWN:
        return np.arange(count)
    return np.sort(np.random.default_rng([seed, 82]).choice(count, SHOWN, replace=False))
