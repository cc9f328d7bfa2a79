"""Simulated pixel-years against real ones: ranges of bands and indices, and how much of the real lies within.

    python benchmarks/simulator.py SHARED_DATA [--count 20000] [--seed 7] [--out build/simulator]

Real: the sets marked `train` (belgium_2021, parcels_flanders_2021, points_prometheo, lake_series), read as
tools/train_bundled.py reads them. *Inside*: a real observation (or year of monthly means) is no farther from its
nearest simulated one than 99 % of other simulated ones are. Writes a table (.json) and pictures (.png).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import require
from tessera.cubes import S2_BANDS
from tessera.simulator import SimulatedSeries, simulate_series

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PERCENTILES = (1, 10, 50, 90, 99)
SAMPLE = 4000
RED, BLUE, GREEN, NIR, SWIR, FAR = (S2_BANDS.index(band) for band in ("B04", "B02", "B03", "B08", "B11", "B12"))


def indices(s2: NDArray[Any]) -> Floats:
    """(M, 13) reflectance of ten bands, then NDVI, NDMI and NBR."""
    x = s2.astype(np.float64) / 10000

    def ratio(a: int, b: int) -> Floats:
        return np.asarray((x[:, a] - x[:, b]) / np.maximum(x[:, a] + x[:, b], 1e-4))

    return np.column_stack([x, ratio(NIR, RED), ratio(NIR, SWIR), ratio(NIR, FAR)])


def decibels(s1: NDArray[Any]) -> Floats:
    """(M, 3) VV, VH and their difference in dB."""
    db = s1.astype(np.float64) / 400 - 25
    return np.column_stack([db, db[:, 0] - db[:, 1]])


NAMES = (*S2_BANDS, "NDVI", "NDMI", "NBR")
RADAR_NAMES = ("VV", "VH", "VV-VH")


def real_sets(data: Path) -> dict[str, Any]:
    """Name -> `PixelSeries` of the sets marked `train`."""
    path = Path(__file__).parents[1] / "tools" / "train_bundled.py"
    spec = importlib.util.spec_from_file_location("train_bundled", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["train_bundled"] = module
    spec.loader.exec_module(module)
    return {part.name: part.series for part in module.real_parts(data, 3407)}


def sample(values: Floats, number: int, seed: int) -> Floats:
    """At most `number` rows, at random."""
    chosen = np.random.default_rng(seed).permutation(len(values))[:number]
    return np.asarray(values[np.sort(chosen)])


def inside(real: Floats, simulated: Floats, other: Floats) -> tuple[float, float]:
    """Share of real rows as near to `simulated` as 99 % of `other` simulated ones; and the real median over theirs."""
    spatial = require("scipy.spatial", extra="train", purpose="this comparison")
    scale = simulated.std(axis=0) + 1e-6
    tree = spatial.cKDTree(simulated / scale)
    own = tree.query(other / scale)[0]
    distance = tree.query(real / scale)[0]
    return float((distance <= np.percentile(own, 99)).mean()), float(np.median(distance) / np.median(own))


def monthly(values: Floats, pixel: NDArray[Any], day: NDArray[Any], count: int) -> Floats:
    """(count, 12, F) monthly means, NaN where a month has none."""
    cell = pixel * 12 + (day.astype(np.int64) - 1) * 12 // 366
    number = np.bincount(cell, minlength=12 * count)
    total = np.stack([np.bincount(cell, weights=band, minlength=12 * count) for band in values.T], axis=1)
    return np.asarray(np.where(number[:, None] > 0, total / np.maximum(number, 1)[:, None], np.nan)).reshape(
        count, 12, -1
    )


def filled_year(months: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Years with at least 8 months, gaps filled along the circle of the year, as (n, 12 F)."""
    seen = ~np.isnan(months[..., 0])
    whole = seen.sum(axis=1) >= 8
    out = months[whole]
    at = np.arange(12)
    for row, has in zip(out, seen[whole], strict=True):
        for feature in range(row.shape[1]):
            row[:, feature] = np.interp(at, at[has], row[has, feature], period=12)
    return out.reshape(len(out), -1), whole


def table(name: str, values: Floats, names: tuple[str, ...]) -> list[str]:
    """Lines of percentiles."""
    marks = np.percentile(values, PERCENTILES, axis=0)
    return [
        f"{name:24s} {label:7s}" + "".join(f"{mark:9.3f}" for mark in marks[:, column])
        for column, label in enumerate(names)
    ]


def outside(real: Floats, simulated: Floats) -> Floats:
    """Share of real values beyond the simulated 0.5 to 99.5 %, by column."""
    low, high = np.percentile(simulated, (0.5, 99.5), axis=0)
    return np.asarray(((real < low) | (real > high)).mean(axis=0))


def compare(data: Path, count: int, seed: int, out: Path) -> None:
    """Print and write everything."""
    started = time.process_time()
    simulated = simulate_series(count, seed=seed)
    rate = count / (time.process_time() - started)
    other = simulate_series(min(count, 6000), seed=seed + 1)
    print(f"{count} pixel-years simulated, {rate:.0f} a CPU-second")
    optical, radar, years = _features(simulated)
    optical_2, radar_2, years_2 = _features(other)
    lines = [f"{'set':24s} {'':7s}" + "".join(f"{mark:8d}%" for mark in PERCENTILES)]
    lines += table("simulated", optical, NAMES) + table("simulated", radar, RADAR_NAMES)
    results: dict[str, Any] = {"count": count, "a_cpu_second": round(rate)}
    pictures: dict[str, tuple[Floats, Floats]] = {}
    for name, series in real_sets(data).items():
        own, waves = indices(series.s2), decibels(series.s1)
        lines += table(name, own, NAMES) + table(name, waves, RADAR_NAMES)
        pictures[name] = (sample(own, SAMPLE, 1), sample(waves, SAMPLE, 2))
        pixel = np.repeat(np.arange(len(series)), series.s2_count)
        year, _ = filled_year(monthly(own[:, [RED, GREEN, NIR, SWIR, FAR, 10]], pixel, series.s2_day, len(series)))
        share, ratio = inside(sample(own, SAMPLE, 3), sample(optical, 60000, 4), sample(optical_2, SAMPLE, 5))
        share_1, ratio_1 = inside(
            sample(waves[:, :2], SAMPLE, 3), sample(radar[:, :2], 60000, 4), sample(radar_2[:, :2], SAMPLE, 5)
        )
        share_y, ratio_y = inside(sample(year, SAMPLE, 3), years, sample(years_2, SAMPLE, 5))
        beyond = {label: round(float(x), 3) for label, x in zip(NAMES, outside(own, optical), strict=True)}
        beyond |= {label: round(float(x), 3) for label, x in zip(RADAR_NAMES, outside(waves, radar), strict=True)}
        results[name] = {
            "optical_inside": share,
            "optical_distance": ratio,
            "radar_inside": share_1,
            "radar_distance": ratio_1,
            "year_inside": share_y,
            "year_distance": ratio_y,
            "beyond_99_percent": beyond,
        }
    print("\n".join(lines))
    for name, row in results.items():
        if isinstance(row, dict):
            shares = ", ".join(
                f"{part} {row[f'{part}_inside']:.3f} (x {row[f'{part}_distance']:.2f})"
                for part in ("optical", "radar", "year")
            )
            print(f"{name}: inside {shares}; beyond {row['beyond_99_percent']}")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n")
    draw_scatter(optical, radar, pictures, out.with_name(out.name + "-scatter.png"))
    draw_series(simulated, out.with_name(out.name + "-series.png"))


def _features(series: SimulatedSeries) -> tuple[Floats, Floats, Floats]:
    own = indices(series.s2[series.s2_valid])
    waves = decibels(series.s1[(series.s1 != 0).any(axis=2)])
    pixel, _ = np.nonzero(series.s2_valid)
    year, _ = filled_year(
        monthly(own[:, [RED, GREEN, NIR, SWIR, FAR, 10]], pixel, series.s2_day[series.s2_valid], len(series))
    )
    return own, waves, year


def _pyplot() -> Any:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    return plt


def draw_scatter(optical: Floats, radar: Floats, real: dict[str, tuple[Floats, Floats]], out: Path) -> None:
    """Pairs of bands and indices: the simulated in grey, each real set over it."""
    plt = _pyplot()
    pairs = [(RED, NIR), (BLUE, RED), (NIR, SWIR), (SWIR, FAR), (10, 11), (10, 12), (5, 6), (GREEN, BLUE)]
    figure, axes = plt.subplots(len(real), len(pairs) + 1, figsize=(22, 2.6 * len(real)), dpi=80, layout="constrained")
    few, few_radar = sample(optical, 6000, 8), sample(radar, 6000, 9)
    for row, (name, (own, waves)) in zip(axes, real.items(), strict=True):
        for axis, (a, b) in zip(row, pairs, strict=False):
            axis.plot(few[:, a], few[:, b], ".", ms=1.5, color="0.7")
            axis.plot(own[:, a], own[:, b], ".", ms=1.5, color="#c0392b", alpha=0.4)
            axis.set(xlabel=NAMES[a], ylabel=NAMES[b])
            if a < 10:
                axis.set(xlim=(0, 0.6), ylim=(0, 0.7))
        row[0].set_title(name)
        row[-1].plot(few_radar[:, 0], few_radar[:, 1], ".", ms=1.5, color="0.7")
        row[-1].plot(waves[:, 0], waves[:, 1], ".", ms=1.5, color="#c0392b", alpha=0.4)
        row[-1].set(xlabel="VV", ylabel="VH", xlim=(-25, 5), ylim=(-32, -2))
    figure.savefig(out)
    plt.close(figure)


def draw_series(series: SimulatedSeries, out: Path) -> None:
    """NDVI, and VH in means of 24 days, of three pixel-years of each kind; axes are labelled at the outer panels."""
    plt = _pyplot()
    kinds = range(len(series.kind_names))
    columns = 6
    rows = -(-len(kinds) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(14, 1.75 * rows + 0.6), dpi=90, layout="constrained")
    enough = (series.s2_valid.sum(axis=1) > 9) & (series.s1 != 0).any(axis=(1, 2))
    colours = ("#1b7837", "#762a83", "#b35806")
    for place, axis in enumerate(axes.flat):
        if place >= len(kinds):
            axis.set_axis_off()
            continue
        twin = axis.twinx()
        for pixel, colour in zip(np.flatnonzero((series.kind == place) & enough)[:3], colours, strict=False):
            valid = series.s2_valid[pixel]
            day, own = series.s2_day[pixel][valid], indices(series.s2[pixel][valid])
            order = np.argsort(day)
            axis.plot(day[order], own[order, 10], ".-", ms=3, lw=1.2, color=colour)
            seen = (series.s1[pixel] != 0).any(axis=1)
            bins = (series.s1_day[pixel][seen].astype(np.int64) - 1) // 24
            waves = decibels(series.s1[pixel][seen])[:, 1]
            held = np.unique(bins)
            means = [waves[bins == one].mean() for one in held]
            twin.plot(held * 24 + 12, means, ls=(0, (2, 1.5)), lw=1, alpha=0.7, color=colour)
        axis.set_title(series.kind_names[place], fontsize=9)
        axis.set(ylim=(-0.5, 1), xlim=(0, 366), yticks=(-0.5, 0, 0.5, 1), xticks=(1, 91, 182, 274))
        twin.set(ylim=(-30, 0), yticks=(-30, -20, -10, 0))
        left, right = place % columns == 0, place % columns == columns - 1
        axis.tick_params(labelsize=8, labelleft=left, labelbottom=place + columns >= len(kinds))
        twin.tick_params(labelsize=8, labelright=right)
        axis.set_xticklabels(("Jan", "Apr", "Jul", "Oct"))
        axis.grid(alpha=0.25, linewidth=0.5)
        if left:
            axis.set_ylabel("NDVI", fontsize=8)
        if right:
            twin.set_ylabel("VH, dB", fontsize=8)
    lined = require("matplotlib.lines", extra="heads", purpose="a picture").Line2D
    handles = [
        lined([], [], color="0.2", marker=".", label="NDVI, left axis: each clear day"),
        lined([], [], color="0.2", ls=(0, (2, 1.5)), label="VH in dB, right axis: means of 24 days"),
        *(lined([], [], color=colour, label=f"pixel-year {number + 1}") for number, colour in enumerate(colours)),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=5, frameon=False, fontsize=9)
    figure.savefig(out)
    plt.close(figure)


def main() -> None:
    """Parse and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with belgium_2021, lake_series, ...")
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("build/simulator"))
    parser.add_argument("--series", type=Path, help="draw the seasons alone, to this .png")
    options = parser.parse_args()
    if options.series is not None:
        draw_series(simulate_series(options.count, seed=options.seed), options.series)
        return
    compare(options.data, options.count, options.seed, options.out)


if __name__ == "__main__":
    main()
