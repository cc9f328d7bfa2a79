"""What `blocks`, `pretrain` and `distill` share: the extra that they need, their pixel-years, their progress."""

from __future__ import annotations

import glob
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from tessera.base import InputError, require, silent

from ..terminal import step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tessera.base import Progress
    from tessera.cubes import PixelSeries
    from tessera.models import Checkpoint
    from tessera.pretrain import Blocks, Data

OutOption = Annotated[
    str | None, typer.Option("--out", "-o", help="Checkpoint to write. Default: the one in the configuration.")
]
StepsOption = Annotated[int | None, typer.Option(help="Optimiser steps. Default: those in the configuration.")]

SLICE = 2048
"""Pixel-years that are simulated at once."""


def need_training() -> None:
    """Check that the packages for training are installed.

    Raises
    ------
    InputError
        A package is missing.
    """
    for module in ("torch", "lightning", "safetensors"):
        require(module, extra="train", purpose="training")


def is_first() -> bool:
    """Whether this process prints; of those that torchrun started, only the first does."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def shown(title: str, unit: str = "") -> Iterator[Progress]:
    """Progress of a step, shown by the first process only."""
    if not is_first():
        yield silent
        return
    with step(title, unit) as progress:
        yield progress


def from_where(progress: Progress) -> Progress:
    """Progress that first prints the step from which a run continues."""
    fresh = True

    def tell(done: int, total: int) -> None:
        nonlocal fresh
        if fresh and done:
            rest = (
                f"continuing after step {done:,} of {total:,}"
                if done < total
                else f"all {total:,} steps were already done"
            )
            print(rest, file=sys.stderr)
        fresh = False
        progress(done, total)

    return tell


def table_of(data: Data) -> PixelSeries | Blocks:
    """The pixel-years that a configuration names.

    Raises
    ------
    InputError
        There are none, or a file cannot be read.
    """
    from dataclasses import replace

    from tessera.cubes import concatenate, open_cube, series_of_cube
    from tessera.pretrain import month_means, open_blocks, year_curves

    if data.blocks is not None:
        return open_blocks(data.blocks)
    parts = []
    paths = cube_paths(data.cubes)
    if paths:
        with shown(f"Reading {len(paths)} cubes") as progress:
            for number, path in enumerate(paths):
                parts.append(series_of_cube(open_cube(path), data.every, data.minimum))
                progress(number + 1, len(paths))
    if data.simulate:
        with shown(f"Simulating {data.simulate:,} pixel-years") as progress:
            for first in range(0, data.simulate, SLICE):
                count = min(SLICE, data.simulate - first)
                parts.append(simulated_slice(count, data.simulate_seed, first))
                progress(first + count, data.simulate)
    table = concatenate(parts)
    asked = ((data.year_curves, year_curves), (data.month_means, month_means))
    further = [make(table) for wanted, make in asked if wanted]
    return replace(table, targets=np.concatenate([table.targets, *further], axis=1)) if further else table


def cube_paths(patterns: tuple[str, ...]) -> list[str]:
    """Paths that match patterns such as "cubes/*.zarr", each once.

    Raises
    ------
    InputError
        A pattern matches nothing.
    """
    found: list[str] = []
    for pattern in patterns:
        here = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - a pattern may be absolute
        if not here:
            raise InputError(f"no cube at {pattern}; expected a path, or a pattern that matches some")
        found += [path for path in here if path not in found]
    return found


def simulated_slice(count: int, seed: int, start: int) -> PixelSeries:
    """Simulated pixel-years that have an observation, with their true values as targets."""
    from dataclasses import replace

    from tessera.cubes import series_of_arrays
    from tessera.simulator import simulate_series

    made = simulate_series(count, seed=seed, start=start)
    series = series_of_arrays(made.s2, made.s2_valid, made.s2_day, made.s1, made.s1_day, made.s1_descending)
    series = replace(series, targets=made.truths)
    return series.take(np.flatnonzero(series.s2_count + series.s1_count))


def tell(checkpoint: Checkpoint, out: str) -> None:
    """Print what was written and what to run next; the first process only."""
    if is_first():
        prefixes = " ".join(map(str, checkpoint.spec.prefix_dims))
        print(f"{out}: {checkpoint.parameters:,} parameters, dims {prefixes}, identity {checkpoint.sha256}")
        print(f"log: {out}.json; next: tessera embed CUBE --model {out} --out STORE")
