"""How long embedding takes on this machine, for a point, a field, a village and a county, by model.

python benchmarks/how_long.py [MODEL ...] [--precision auto] [--cores 2] [--rounds 3] [--dates 70 30 30] [--clear 0.5]

The encoder is timed as `tessera embed --dry-run` times it, on random observations; what counts is how many a pixel has.
"bundled" are the weights that come with the package; other models have random weights of the published shape, so that
nothing is downloaded. Rounds alternate between the models and the best one counts. Hours are processor seconds over
the cores, as on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from encode import CASES, cube_of, encoder_of
from tessera.cli.terminal.show import rate_in_words, time_in_words
from tessera.encode import load_encoder
from tessera.scale import measure_pace

if TYPE_CHECKING:
    from tessera.encode import Encoder

AREAS = {"point (1 pixel)": 1, "field of 4 ha": 400, "village of 4 km2": 40_000, "county of 300 cells": 300 * 1024**2}


def encoder(name: str, precision: str) -> Encoder:
    """The bundled weights, or random ones of a published shape."""
    bundled = load_encoder(device="cpu", precision=precision)
    return bundled if name == "bundled" else encoder_of(CASES[name], "cpu", bundled.precision)


def main() -> None:
    """Time each model and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["bundled", "v2-nano", "v2-small"])
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dates", type=int, nargs=3, default=[70, 30, 30], help="of Sentinel-2, ascending, descending")
    parser.add_argument("--clear", type=float, default=0.5, help="share of Sentinel-2's")
    given = parser.parse_args()
    case = replace(CASES["v2-nano"], dates=tuple(given.dates), clear=given.clear, pixels=64)
    cubes = [cube_of(case)]
    sample = replace(
        cubes[0],
        s2=cubes[0].s2[:].repeat(64, axis=1),
        s2_mask=cubes[0].s2_mask[:].repeat(64, axis=1),
        s1_asc=cubes[0].s1_asc[:].repeat(64, axis=1),
        s1_desc=cubes[0].s1_desc[:].repeat(64, axis=1),
    )
    encoders = {name: encoder(name, given.precision) for name in given.models}
    took: dict[str, list[float]] = {name: [] for name in encoders}
    for _ in range(given.rounds):
        for name, one in encoders.items():
            took[name].append(measure_pace(one, sample, one.options(), ("cpu",)).processor_seconds)
    print(f"| {given.cores} cores | " + " | ".join(encoders) + " |")
    print("|---|" + "---|" * len(encoders))
    best = {name: min(values) for name, values in took.items()}
    rates = [
        f"{rate_in_words(1 / value)} ({one.precision})"
        for value, one in zip(best.values(), encoders.values(), strict=True)
    ]
    print("| pixels a processor second | " + " | ".join(rates) + " |")
    for area, pixels in AREAS.items():
        print(f"| {area} | " + " | ".join(_hours(pixels * value / given.cores) for value in best.values()) + " |")


def _hours(seconds: float) -> str:
    return time_in_words(seconds).removeprefix("about ") if seconds >= 1 else "under 1 second"


if __name__ == "__main__":
    main()
