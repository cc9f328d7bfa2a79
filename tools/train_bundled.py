"""Train the bundled encoder: pixel-years made by physics with their truths, and real composites marked `train`.

    python tools/train_bundled.py ../shared/data build/bundled-nano.safetensors

Beside the weights it writes a log (.json) and the training curves (.png). Interrupted, it goes on when run again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tessera.base import InputError, write_atomic
from tessera.cubes import S2_BANDS, PixelSeries, concatenate, series_of_arrays, series_of_cube
from tessera.encode import embed_with, encoder_of
from tessera.geo import Window
from tessera.models import Shape, Student
from tessera.pretrain import Augment, Objective, month_means, pretrain, year_curves
from tessera.scenes import build_cube
from tessera.simulator import simulate, simulate_series

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tessera.models import Checkpoint

MISSING = 65535
COMPOSITE_MINIMUM = 8
"""Least number of valid monthly composites: Belgium has 10 of 12, parcels and points lose some to clouds."""
NANO = Shape(latent_dim=36, num_layers=2, nhead=4, dim_feedforward=384, repr_dim=128)
STEPS, BATCH, DRAWS, PEAK, SEED = 4000, 256, (4, 28), 1.5e-3, 3407
"""For two CPU cores and an hour. The published run: 28,381 steps of 8 x 2,048, 40 draws, rate 2e-3."""
SIMULATED = 150_000
"""Pixel-years made by physics, about as many minutes of one core as hundred thousands."""
_SLICE = 2000
OBJECTIVE = Objective(weight=5e-4, mix=0.0, width=512, targets_weight=1.0, recall_weight=0.1)
"""Truths and curves first, Barlow Twins beside them (its sum is about 500 times the mean Huber loss), no mix term."""
AUGMENT = Augment(
    window=0.3,
    window_days=(60, 200),
    thin=0.3,
    least=2,
    no_radar=0.1,
    gain=0.02,
    radar_db=0.5,
    haze=60.0,
    distinct=True,
)
DROPOUT = 0.0
"""The published 0.1 lost in a trial of 200 to 260 steps."""
PROBE_EVERY = 500
WORLDCEREAL = tuple("B08" if band == "B8A" else band for band in S2_BANDS)
"""Bands read in place of `S2_BANDS`: the WorldCereal sets have no B8A, B08 stands in."""
MONTH_STARTS = np.array([1, 32, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335], dtype=np.int16)
"""First day of each month in a year of 365 days; a monthly composite is dated 15 days later."""


def scaled_db(db: NDArray[np.floating[Any]]) -> NDArray[np.int16]:
    """Backscatter in dB to the cube's int16, (2 dB + 50) * 200 clipped to 0..32767; values that are not finite to 0."""
    scaled = np.nan_to_num((2 * np.asarray(db, dtype=np.float64) + 50) * 200, nan=0.0, posinf=0.0, neginf=0.0)
    out: NDArray[np.int16] = np.clip(scaled, 0, 32767).astype(np.int16)
    return out


def worldcereal_db(dn: NDArray[Any]) -> NDArray[np.float64]:
    """WorldCereal Sentinel-1 numbers to dB, 20 log10(DN) - 83; NaN where missing (0 or 65535)."""
    values = np.asarray(dn, dtype=np.float64)
    out = np.full(values.shape, np.nan)
    seen = (values > 0) & (values < MISSING)
    out[seen] = 20 * np.log10(values[seen]) - 83
    return out


def composites(
    s2: NDArray[Any], db: NDArray[np.floating[Any]], days: NDArray[np.int16], generator: np.random.Generator
) -> PixelSeries:
    """Monthly composites as pixel-years; each is given one orbit at random, since a composite has none.

    Parameters
    ----------
    s2 : (N, T, 10) reflectance x 10000, 65535 = missing
    db : (N, T, 2) VV and VH in dB, NaN = missing
    days : (N, T) or (T,) day of year
    generator : random numbers of the orbits
    """
    valid = np.asarray(((s2 > 0) & (s2 < MISSING)).all(axis=2))
    # one polarisation alone is no observation
    db = np.where(np.isfinite(db).all(axis=2, keepdims=True), db, np.nan)
    descending = np.broadcast_to(np.asarray(generator.random((len(s2), 1)) < 0.5), db.shape[:2])
    days = np.asarray(days, dtype=np.int16)
    series = series_of_arrays(np.clip(s2, 0, MISSING).astype(np.uint16), valid, days, scaled_db(db), days, descending)
    return series.keep(COMPOSITE_MINIMUM)


def composite_days(first: NDArray[np.datetime64]) -> NDArray[np.int16]:
    """Day of year of monthly composites from their first days: 15 days later."""
    dates = first.astype("datetime64[D]") + np.timedelta64(15, "D")
    days: NDArray[np.int16] = ((dates - dates.astype("datetime64[Y]")).astype(np.int64) + 1).astype(np.int16)
    return days


def belgium(data: Path, generator: np.random.Generator) -> PixelSeries:
    """belgium_2021: every pixel of 1 km x 1 km, row by row, twelve months of which two are without Sentinel-2."""
    import xarray as xr

    file = data / "belgium_2021" / "worldcereal_preprocessed_inputs.nc"
    with xr.open_dataset(file, engine="netcdf4", mask_and_scale=False) as stored:
        # stored as int16 that stands for uint16
        read = {str(name): stored[name].values.view(np.uint16) for name in stored.data_vars if "-" in str(name)}
        days = composite_days(stored["t"].values)
    stack = [
        np.stack([read[name].reshape(len(days), -1).T for name in names], axis=2)
        for names in ([f"S2-L2A-{band}" for band in WORLDCEREAL], ["S1-SIGMA0-VV", "S1-SIGMA0-VH"])
    ]
    return composites(stack[0].astype(np.int32), worldcereal_db(stack[1]), days, generator)


def flanders(data: Path, generator: np.random.Generator) -> PixelSeries:
    """parcels_flanders_2021: a pixel in each of 100 parcels, five years of twelve months from its sixteen months."""
    import pandas as pd

    table = pd.read_parquet(data / "parcels_flanders_2021" / "2021_BEL_LPIS-Flanders_POLY_110.month.parquet")
    table = table.sort_values(["sample_id", "timestamp"])
    pixels = table["sample_id"].nunique()
    s2 = table[[f"S2-L2A-{band}" for band in WORLDCEREAL]].to_numpy(dtype=np.int32).reshape(pixels, -1, 10)
    s1 = table[["S1-SIGMA0-VV", "S1-SIGMA0-VH"]].to_numpy(dtype=np.int32).reshape(pixels, -1, 2)
    first = table["timestamp"].to_numpy().reshape(pixels, -1)
    return _years(s2, worldcereal_db(s1), first, generator)


def prometheo(data: Path, generator: np.random.Generator) -> PixelSeries:
    """points_prometheo: 50 pixels, five years of twelve months from their sixteen months."""
    import pandas as pd

    table = pd.read_parquet(data / "points_prometheo" / "prometheo_worldcereal_dataset.parquet")
    months = range(16)
    s2 = np.stack(
        [
            table[[f"OPTICAL-{band}-ts{i}-{_metres(band)}m" for i in months]].to_numpy(dtype=np.int32)
            for band in WORLDCEREAL
        ],
        axis=2,
    )
    s1 = np.stack(
        [table[[f"SAR-{p}-ts{i}-20m" for i in months]].to_numpy(dtype=np.int32) for p in ("VV", "VH")], axis=2
    )
    start = table["start_date"].to_numpy().astype("datetime64[M]")
    first = (start[:, None] + np.arange(16)).astype("datetime64[D]")
    return _years(s2, worldcereal_db(s1), first, generator)


def _metres(band: str) -> int:
    return 10 if band in {"B02", "B03", "B04", "B08"} else 20


def _years(
    s2: NDArray[np.int32], db: NDArray[np.float64], first: NDArray[np.datetime64], generator: np.random.Generator
) -> PixelSeries:
    """Every run of twelve months of (N, T, ...) as a pixel-year of its own."""
    return concatenate(
        [
            composites(s2[:, i : i + 12], db[:, i : i + 12], composite_days(first[:, i : i + 12]), generator)
            for i in range(s2.shape[1] - 11)
        ]
    )


def lakes(data: Path, generator: np.random.Generator) -> PixelSeries:
    """lake_series: 1,122 pixels around lakes of the US Midwest, twelve months, VV and VH in dB, B8A present."""
    names = ("VV", "VH", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
    values = np.load(data / "lake_series" / "s1_s2_era5_srtm.npy")
    months = np.load(data / "lake_series" / "month.npy").astype(np.int64)
    s2 = np.rint(values[..., [names.index(band) for band in S2_BANDS]]).astype(np.int32)
    return composites(s2, values[..., :2], MONTH_STARTS[months] + np.int16(15), generator)


@dataclass(frozen=True)
class Part:
    """A set of the training table, each of its pixel-years entering `repeat` times an epoch."""

    name: str
    series: PixelSeries
    repeat: int


def real_parts(data: Path, seed: int) -> list[Part]:
    """The real sets; the few that are not Belgian fields are repeated, so that these do not drown them."""
    if not data.is_dir():
        raise InputError(f"no folder {data}; expected the data sets that are marked `train`")
    readers: tuple[tuple[str, Callable[[Path, np.random.Generator], PixelSeries], int], ...] = (
        ("belgium_2021", belgium, 1),
        ("parcels_flanders_2021", flanders, 3),
        ("points_prometheo", prometheo, 3),
        ("lake_series", lakes, 4),
    )
    return [
        Part(name, read(data, np.random.default_rng([seed, index])), repeat)
        for index, (name, read, repeat) in enumerate(readers)
    ]


HELD_OUT = (90_001, 90_002, 90_003)
"""Seeds of the simulated places that the probe looks at and that training never sees."""
_SIDE = 96


def simulated_window(index: int, side: int = _SIDE) -> Window:
    """Where a simulated place lies: one of six zones, every fourth in the south, where seasons are turned."""
    south = index % 4 == 3
    return Window(
        31 + index % 6, 30_000 + 997 * index % 30_000, -400_000 if south else 500_000 + 1500 * index, side, side
    )


LOGARITHMIC = ("height", "woody_volume", "snow_days", "water_year")
ROOTED = ("canopy_water", "canopy_dry_matter", "live_fuel_moisture", "fuel_moisture_with_cured", "shrub_fuel_moisture")
"""Truths with long tails, and what is taken of them before they are targets: log(1 + x), or the square root."""


def simulated(
    count: int, seed: int, progress: Callable[[int, int], None]
) -> tuple[PixelSeries, NDArray[np.integer[Any]]]:
    """Pixel-years made by physics, with their truths as targets, and the kind of land of each.

    Those with an observation of either sensor.
    """
    parts, kinds = [], []
    for start in range(0, count, _SLICE):
        made = simulate_series(min(_SLICE, count - start), seed=seed, start=start)
        series = series_of_arrays(made.s2, made.s2_valid, made.s2_day, made.s1, made.s1_day, made.s1_descending)
        series = replace(series, targets=targets_of(made.truths, made.latent_names))
        seen = np.flatnonzero(series.s2_count + series.s1_count)
        parts.append(series.take(seen))
        kinds.append(made.kind[seen])
        progress(start + len(made.kind), count)
    return concatenate(parts), np.concatenate(kinds)


def targets_of(latents: NDArray[np.float32], names: tuple[str, ...]) -> NDArray[np.float32]:
    """Truths with their long tails drawn in; what stands after the named ones is left as it is."""
    out = np.array(latents, dtype=np.float32)
    for column, name in enumerate(names):
        if name in LOGARITHMIC:
            out[:, column] = np.log1p(np.maximum(out[:, column], 0))
        elif name.startswith(ROOTED):
            out[:, column] = np.sqrt(np.maximum(out[:, column], 0))
    return out


@dataclass(frozen=True)
class Labelled:
    """Pixel-years with a class each, and the raw bands that vectors are compared with."""

    name: str
    series: PixelSeries
    label: NDArray[np.int64]
    raw: NDArray[np.float64]


def held_out(seed: int) -> Labelled:
    """A simulated place that training never saw, one pixel in 3 x 3, with its true land cover."""
    with tempfile.TemporaryDirectory() as folder:
        made = simulate(f"{folder}/scenes", simulated_window(seed % 7, 128), 2023, seed=seed)
        series = series_of_cube(build_cube(made.window, 2023, source=made.path), every=3, minimum=1)
    label = made.truth[::3, ::3].reshape(-1).astype(np.int64)
    if len(label) != len(series):
        raise InputError(f"held-out place {seed}: {len(series)} of {len(label)} pixels seen; expected all")
    return Labelled(f"simulated_{seed}", series, label, monthly_means(series))


def belgian(data: Path, series: PixelSeries) -> Labelled:
    """A quarter of belgium_2021 with the WorldCereal cropland map: in-domain, and the labels are another model's."""
    import xarray as xr

    with xr.open_dataset(data / "belgium_2021" / "worldcereal_cropland_classification.nc", engine="netcdf4") as stored:
        label = next(iter(stored.data_vars.values())).sel(bands="classification").values.reshape(-1).astype(np.int64)
    chosen = np.arange(0, len(label), 4)
    return Labelled("belgium_cropland", series.take(chosen), label[chosen], monthly_means(series.take(chosen)))


def monthly_means(series: PixelSeries) -> NDArray[np.float64]:
    """Raw bands as features, (N, 144), of each band twelve months; one without takes the mean of the pixel's year."""
    # as if all were seen in January
    undated = replace(series, s2_day=np.ones_like(series.s2_day), s1_day=np.ones_like(series.s1_day))
    months, year = (
        1e4 * month_means(part).astype(np.float64).reshape(len(series), 12, 12) for part in (series, undated)
    )
    return np.nan_to_num(np.where(np.isnan(months), year[..., :1], months)).reshape(len(series), -1)


def macro_f1(
    features: NDArray[np.floating[Any]], label: NDArray[np.int64], per_class: int = 10, draws: int = 5
) -> float:
    """Mean macro-F1 of a logistic regression fitted on `per_class` pixels a class, tested on all others."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score

    classes = [int(code) for code in np.unique(label) if (label == code).sum() >= 2 * per_class]
    kept = np.flatnonzero(np.isin(label, classes))
    scores = []
    for draw in range(draws):
        generator = np.random.default_rng([7, draw])
        fitted = np.concatenate(
            [generator.choice(np.flatnonzero(label == code), per_class, replace=False) for code in classes]
        )
        tested = np.setdiff1d(kept, fitted)
        mean, deviation = features[fitted].mean(axis=0), features[fitted].std(axis=0) + 1e-6
        head = LogisticRegression(max_iter=2000).fit((features[fitted] - mean) / deviation, label[fitted])
        predicted = head.predict((features[tested] - mean) / deviation)
        scores.append(f1_score(label[tested], predicted, average="macro"))
    return float(np.mean(scores))


def make_probe(sets: list[Labelled]) -> Callable[[Checkpoint], dict[str, float]]:
    """What the loop calls: macro-F1 of the encoder so far, on average over the simulated places, and on Belgium."""

    def probe(checkpoint: Checkpoint) -> dict[str, float]:
        scores = [macro_f1(embed_with(encoder_of(checkpoint), part.series), part.label) for part in sets]
        return _summary(scores)

    return probe


def _summary(scores: list[float]) -> dict[str, float]:
    return {"f1_held_out": float(np.mean(scores[:-1])), "f1_belgium": scores[-1]}


def compare(checkpoint: Checkpoint, sets: list[Labelled], seed: int) -> dict[str, dict[str, dict[str, float]]]:
    """Macro-F1 by labels a class and by features: raw bands, the network with its first weights, the trained one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        untrained = replace(checkpoint, tensors=dict(Student(checkpoint.shape).state_dict()))
    features: dict[str, list[NDArray[Any]]] = {
        "raw_bands": [part.raw for part in sets],
        "untrained": [embed_with(encoder_of(untrained), part.series) for part in sets],
        "trained": [embed_with(encoder_of(checkpoint), part.series) for part in sets],
    }
    return {
        str(labels): {
            name: _summary([macro_f1(x, part.label, labels, 20) for x, part in zip(given, sets, strict=True)])
            for name, given in features.items()
        }
        for labels in (5, 10, 20, 50)
    }


def draw_curves(log: list[dict[str, float]], raw: dict[str, float], out: Path) -> None:
    """Loss, RankMe and the probe over the steps, as a PNG of 1,500 x 540 pixels."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), dpi=150, layout="constrained")
    for key, colour in (
        ("loss", "#1b3a57"),
        ("barlow_twins", "#3d8b8b"),
        ("targets", "#c9803a"),
        ("recall", "#8b5a9c"),
    ):
        rows = [row for row in log if key in row]
        axes[0].plot(
            [row["step"] for row in rows], [row[key] for row in rows], label=key.replace("_", " "), color=colour
        )
    axes[0].set(title="loss", yscale="log")
    rows = [row for row in log if "rankme" in row]
    axes[1].plot([row["step"] for row in rows], [row["rankme"] for row in rows], color="#1b3a57")
    axes[1].set(title="RankMe of the vectors", ylim=(0, 1))
    for key, colour, label in (
        ("f1_held_out", "#3d8b8b", "held-out simulation"),
        ("f1_belgium", "#c9803a", "Belgium, cropland (in-domain)"),
    ):
        rows = [row for row in log if key in row]
        axes[2].plot([row["step"] for row in rows], [row[key] for row in rows], "o-", ms=3, color=colour, label=label)
        axes[2].axhline(raw[key], color=colour, ls=":", label="raw bands, same labels")
    axes[2].set(title="macro-F1, 10 labels a class")
    for axis in axes:
        axis.set_xlabel("step")
        axis.grid(alpha=0.3)
    # legends below the panels hide no curve
    for axis in (axes[0], axes[2]):
        axis.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2, frameon=False)
    figure.savefig(out, metadata={"Software": None})
    plt.close(figure)


def unknown(count: int, like: PixelSeries) -> NDArray[np.float32]:
    """Targets of pixel-years whose truths nobody knows."""
    return np.full((count, like.targets.shape[1]), np.nan, dtype=np.float32)


def all_parts(data: Path, seed: int, made: PixelSeries) -> list[Part]:
    """The real sets, whose truths nobody knows, then what was simulated."""
    real = [
        replace(part, series=replace(part.series, targets=unknown(len(part.series), made)))
        for part in real_parts(data, seed)
    ]
    parts = [*real, Part("simulated", made, 1)]
    for part in parts:
        print(f"{part.name}: {len(part.series)} pixel-years, {part.repeat} times an epoch", flush=True)
    return parts


def table_of(parts: list[Part]) -> PixelSeries:
    """What is trained on: each part as often as it enters an epoch; targets are truths, curves of the year, months."""
    series = concatenate([part.series for part in parts for _ in range(part.repeat)])
    return replace(series, targets=np.concatenate([series.targets, year_curves(series), month_means(series)], axis=1))


def show(done: int, total: int) -> None:
    """A line now and then, while pixel-years are made."""
    if done % 10_000 == 0 or done == total:
        print(f"simulated {done} of {total}", flush=True)


def main() -> None:
    """Read, simulate, train, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with the sets belgium_2021, lake_series, ...")
    parser.add_argument("out", type=Path, help="the safetensors file; the log and the curves stand beside it")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--simulate", type=int, default=SIMULATED)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    started = time.perf_counter()

    made, _ = simulated(options.simulate, options.seed, show)
    parts = all_parts(options.data, options.seed, made)
    series = table_of(parts)
    sets = [*(held_out(seed) for seed in HELD_OUT), belgian(options.data, parts[0].series)]
    raw = _summary([macro_f1(part.raw, part.label) for part in sets])
    print(f"raw bands: {raw}", flush=True)

    def tell(done: int, total: int) -> None:
        if done % 50 == 0 or done == total:
            print(f"step {done} of {total}, {time.perf_counter() - started:.0f} s", flush=True)

    checkpoint = pretrain(
        series,
        NANO,
        steps=options.steps,
        batch=options.batch,
        draws=DRAWS,
        objective=OBJECTIVE,
        augment=AUGMENT,
        peak=PEAK,
        dropout=DROPOUT,
        seed=options.seed,
        out=options.out,
        save_every=50,
        probe=make_probe(sets),
        probe_every=PROBE_EVERY,
        progress=tell,
    )
    log_file = options.out.with_name(options.out.name + ".json")
    content = json.loads(log_file.read_text())
    content |= {
        "parts": {part.name: {"pixel_years": len(part.series), "repeat": part.repeat} for part in parts},
        "macro_f1": compare(checkpoint, sets, options.seed),
        "seconds": round(time.perf_counter() - started),
        "threads": torch.get_num_threads(),
        "sha256": checkpoint.sha256,
    }
    write_atomic(log_file, (json.dumps(content, indent=1) + "\n").encode())
    draw_curves(content["log"], raw, options.out.with_suffix(".png"))
    print(f"{options.out}: {checkpoint.sha256}", flush=True)


if __name__ == "__main__":
    main()
