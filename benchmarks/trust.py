"""Whether probabilities, sets and intervals hold on real pixels of places that nothing was learnt from.

python benchmarks/trust.py SHARED_DATA [--heads linear forest knn] [--repeats 4]

Reads points_africa (crops, blocks of 5 km), brazil_amazon_2018 (land cover, blocks of 20 km) and fuel_moisture (four
classes and the number, sites) of SHARED_DATA, raw bands as features. Each repeat holds a quarter of the places out. On
the rest a head is cross-validated, and its calibration, sets and intervals are learnt; the held-out quarter measures
them. "Adaptive" are sets of cumulated probabilities at the same level, for comparison.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from tessera.labels import bins_of, make_folds, spatial_blocks
from tessera.learners import learn_and_score
from tessera.validation import fit_trust, log_losses, place_quantile, reliability

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Task = tuple[NDArray[np.float32], NDArray[Any], NDArray[np.int64], tuple[str, ...]]

LEVEL = 0.9
LEAST = 15
"""Labels that a class needs."""


def filled(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of a column where it has no value."""
    return np.where(np.isfinite(x), x, np.nanmean(x, axis=0)).astype(np.float32)


def frequent(x: NDArray[np.float32], named: NDArray[Any], units: NDArray[np.int64]) -> Task:
    """The labels of classes that occur often enough."""
    names, index, often = np.unique(named.astype(str), return_inverse=True, return_counts=True)
    keep = often[index] >= LEAST
    names, index = np.unique(named[keep].astype(str), return_inverse=True)
    return filled(x[keep]), index.astype(np.int64), units[keep], tuple(map(str, names))


def tasks(data: Path) -> dict[str, Task]:
    """Features, truth, places and classes of each set."""
    table = pq.read_table(data / "points_africa/test_public_extractions.parquet").to_pydict()
    bands = [name for name in table if name.startswith(("OPTICAL", "SAR"))]
    x = np.array([table[name] for name in bands], dtype=np.float32).T
    x[x == 65535] = np.nan
    block = spatial_blocks(np.column_stack([table["lon"], table["lat"]]).astype(np.float64), 5.0)
    found = {"Africa, crops": frequent(x, np.array(table["sampling_label"]), block)}
    frame = pq.read_table(data / "brazil_amazon_2018/series_10band.parquet").to_pandas()
    by_id = frame.groupby("id")
    bands = [name for name in frame.columns if name.startswith("B")]
    x = np.concatenate([getattr(by_id[bands], how)().to_numpy() for how in ("median", "std", "min")], axis=1)
    first = by_id.first()
    block = spatial_blocks(first[["lon", "lat"]].to_numpy(np.float64), 20.0)
    found["Amazon, land cover"] = frequent(x.astype(np.float32), first["label"].to_numpy(), block)
    folder = data / "fuel_moisture"
    x = np.load(folder / "s1_s2_era5_srtm.npy").astype(np.float32)
    y = np.load(folder / "target.npy").astype(np.float64).reshape(-1)
    site = np.unique(np.load(folder / "site.npy"), return_inverse=True)[1].reshape(-1).astype(np.int64)
    x = filled(x.reshape(len(x), -1))
    named = np.array(["to 80", "80 to 100", "100 to 130", "above 130"])[np.digitize(y, [80, 100, 130])]
    found["fuel moisture, classes"] = frequent(x, named, site)
    found["fuel moisture, number"] = (x, y, site, ())
    return found


def measured(head: str, task: Task, new: NDArray[np.bool_], seed: int) -> tuple[float, ...]:
    """Calibration error and log loss raw and calibrated, coverage and size of sets, and those of adaptive sets."""
    x, y, units, classes = task
    old, count = np.flatnonzero(~new), len(classes)
    fold = make_folds(y[old] if count else bins_of(y[old]), units[old], seed=seed)
    raw = np.full((len(old), count) if count else len(old), np.nan)
    for one in np.unique(fold):
        train, test = old[fold != one], old[fold == one]
        raw[fold == one] = learn_and_score(head, x[train], y[train], count, seed, x[test])
    trust, _ = fit_trust(y[old], raw, units[old], classes, level=LEVEL, seed=seed)
    final = learn_and_score(head, x[old], y[old], count, seed, x[new])
    truth = y[new]
    if not count:
        low, high = trust.interval(final)
        held = (truth >= low) & (truth <= high)
        return (np.nan,) * 4 + (by_place(held, units[new]), float(np.mean(high - low)), np.nan, np.nan)
    made = trust.probabilities(final)
    sets = trust.sets(made)
    rows = np.arange(len(truth))
    cumulated = [adaptive(trust.probabilities(one)) for one in (raw, final)]
    limit = place_quantile(cumulated[0][np.arange(len(old)), y[old]], units[old], LEVEL)
    wide = cumulated[1] <= limit
    wide[rows, made.argmax(axis=1)] = True
    errors = [reliability(truth, one, units[new], seed=seed).error for one in (final, made)]
    losses = [float(log_losses(truth, one).mean()) for one in (final, made)]
    sizes = [float(one.sum(axis=1).mean()) for one in (sets, wide)]
    held_by = [by_place(one[rows, truth], units[new]) for one in (sets, wide)]
    return (*errors, *losses, held_by[0], sizes[0], held_by[1], sizes[1])


def adaptive(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probability of a class and of all that are more probable."""
    order = np.argsort(-probabilities, axis=1, kind="stable")
    out = np.empty(probabilities.shape)
    np.put_along_axis(out, order, np.take_along_axis(probabilities, order, axis=1).cumsum(axis=1), axis=1)
    return out


def by_place(held: NDArray[np.bool_], units: NDArray[np.int64]) -> float:
    """Share held where each place counts once."""
    return float(np.mean([held[units == one].mean() for one in np.unique(units)]))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--heads", nargs="+", default=["linear", "forest", "knn"])
    parser.add_argument("--repeats", type=int, default=4)
    given = parser.parse_args()
    print("| labels | head | calibration error | log loss | held by sets | size | adaptive: held | size |")
    print("|---|---|---|---|---|---|---|---|")
    for name, task in tasks(given.data).items():
        truth = task[1] if task[3] else bins_of(task[1])
        for head in given.heads:
            quarters = [
                make_folds(truth, task[2], folds=4, seed=k // 4, mixed=True) == k % 4 for k in range(given.repeats)
            ]
            found = np.mean([measured(head, task, new, seed) for seed, new in enumerate(quarters)], axis=0)
            cells = ["-" if np.isnan(one) else f"{one:.2f}" if abs(one) < 10 else f"{one:.1f}" for one in found]
            error, loss = (f"{cells[k]} raw, {cells[k + 1]}" if task[3] else "-" for k in (0, 2))
            print(f"| {name} | {head} | {error} | {loss} | {' | '.join(cells[4:])} |", flush=True)


if __name__ == "__main__":
    main()
