"""What suggested points are worth: a map after 10 random labels and 20 more, chosen in four ways, on simulated land.

    python benchmarks/suggest.py demo-output        # after make demo

Compared are points drawn at random, the pixels of which the head is least sure, suggestions without a head (coverage of
the vectors) and suggestions with it. The truth of the simulator is the label of each point. The score is the macro-F1
of the map over all pixels that were never labelled, as mean and standard error over repeats.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import tessera
from tessera.geo import PIXEL_SIZE, from_lonlat, to_lonlat
from tessera.labels import Labels
from tessera.simulator import CLASSES, read_truth
from tessera.suggestions import suggest
from tessera.validation import confusion, scores

if TYPE_CHECKING:
    from numpy.typing import NDArray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="what tessera demo wrote")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--start", type=int, default=10, help="labels drawn at random first")
    parser.add_argument("--more", type=int, default=20, help="labels added")
    given = parser.parse_args()
    store = tessera.open_store(given.folder / "store.zarr")
    truth = read_truth(given.folder / "scenes")
    (year,) = store.years
    cell = next(iter(store.cells(year)))
    bounds = store.commit(cell, year)
    assert bounds is not None
    corner = cell.window
    window = tessera.Window(corner.zone, corner.west + 256, corner.north - 256, *truth.shape[::-1])
    values = store.read_region(window, year).values
    valid = np.isfinite(values).all(axis=2)
    found: dict[str, list[float]] = {}
    for repeat in range(given.repeats):
        rng = np.random.default_rng(repeat)
        first = rng.choice(np.flatnonzero(valid), given.start, replace=False)
        while len(np.unique(truth.reshape(-1)[first])) < 2:
            first = rng.choice(np.flatnonzero(valid), given.start, replace=False)
        head = _fit(store, window, truth, first, year)
        start = _labels(window, truth, first)
        common: dict[str, Any] = {"year": year, "seed": repeat, "spacing_m": 50.0, "labels": start}
        chosen = {
            "none added": first[:0],
            "random": rng.choice(np.flatnonzero(valid), given.more, replace=False),
            "least sure": _least_sure(head, values, valid, given.more),
            "suggested, no head": _pixels(suggest(store, window, given.more, **common), window),
            "suggested": _pixels(suggest(store, window, given.more, head=head, **common), window),
        }
        for name, more in chosen.items():
            taken = np.unique(np.concatenate([first, more]))
            score = _score(_fit(store, window, truth, taken, year), values, truth, valid, taken)
            found.setdefault(name, []).append(score)
    rows = {
        name: {"macro_f1": round(float(np.mean(one)), 4), "standard_error": round(_error(one), 4)}
        for name, one in found.items()
    }
    gap = np.subtract(found["suggested"], found["random"])
    rows["suggested less random"] = {"macro_f1": round(float(gap.mean()), 4), "standard_error": round(_error(gap), 4)}
    print(json.dumps(rows, indent=1))


def _error(values: Any) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def _labels(window: Any, truth: NDArray[np.uint8], pixels: NDArray[np.int64]) -> Labels:
    rows, cols = np.divmod(pixels, truth.shape[1])
    x, y = (window.west + cols + 0.5) * PIXEL_SIZE, (window.north - rows - 0.5) * PIXEL_SIZE
    names = np.array([CLASSES[code] for code in truth[rows, cols]], dtype=object)
    return Labels(names, lonlat=np.column_stack(to_lonlat(x, y, window.zone)))


def _fit(store: Any, window: Any, truth: NDArray[np.uint8], pixels: NDArray[np.int64], year: int) -> Any:
    from tessera.learners import learn

    labels = _labels(window, truth, pixels)
    names = labels.classes
    x = store.sample_points(labels.lonlat, year)
    y = np.array([names.index(name) for name in labels.values])
    return _Fitted(learn("linear", x, y, len(names)), names, store.model, year)


class _Fitted:
    """What `suggest` needs of a head; a report would take most of the time."""

    def __init__(self, learnt: Any, classes: tuple[str, ...], model: Any, year: int) -> None:
        self.learnt, self.classes, self.model, self.year, self.dims = learnt, classes, model, year, model.dims
        self.probabilities = learnt.probabilities


def _least_sure(head: Any, values: NDArray[np.float32], valid: NDArray[np.bool_], count: int) -> NDArray[np.int64]:
    two = np.sort(head.probabilities(values), axis=2)[..., -2:]
    gap = np.where(valid, two[..., 1] - two[..., 0], np.inf)
    return np.argsort(gap.reshape(-1), kind="stable")[:count]


def _pixels(found: Any, window: Any) -> NDArray[np.int64]:
    x, y = from_lonlat(found.lonlat[:, 0], found.lonlat[:, 1], window.zone)
    cols = np.floor(x / PIXEL_SIZE).astype(np.int64) - window.west
    rows = window.north - 1 - np.floor(y / PIXEL_SIZE).astype(np.int64)
    return np.asarray(rows * window.width + cols)


def _score(
    head: Any, values: NDArray[np.float32], truth: NDArray[np.uint8], valid: NDArray[np.bool_], taken: Any
) -> float:
    tested = valid.copy()
    tested.reshape(-1)[taken] = False
    code = np.array([CLASSES.index(name) for name in head.classes])
    said = code[head.learnt.predict(values[tested])]
    return scores(confusion(truth[tested].astype(np.int64), said, len(CLASSES))).macro_f1


if __name__ == "__main__":
    main()
