"""tessera blocks: pixel-years of cubes and of the simulator, as shuffled blocks on disk, for training."""

from __future__ import annotations

import hashlib
import json
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from tessera.base import InputError, check_folder

from ..terminal import bytes_in_words, step
from ._options import SLICE, cube_paths, need_training, simulated_slice

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tessera.cubes import PixelCube, PixelSeries
    from tessera.pretrain import Data

    Source = Callable[[], PixelSeries]
    Part = tuple[str, Source]
    Further = Callable[[PixelSeries], NDArray[np.float32]]

_CUBES, _SIMULATOR, _TARGETS = "Pixel-years of cubes", "Simulated pixel-years", "Targets"


def blocks(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the blocks, new.")],
    cubes: Annotated[list[str] | None, typer.Argument(help='Cubes, or a pattern in quotes: "cubes/*.zarr".')] = None,
    every: Annotated[
        int,
        typer.Option(
            help="Take every n-th row and column of a cube, such as 4 for 1 pixel in 16.", rich_help_panel=_CUBES
        ),
    ] = 1,
    minimum: Annotated[
        int,
        typer.Option(help="Skip pixels with fewer clear observations of either sensor.", rich_help_panel=_CUBES),
    ] = 10,
    simulate: Annotated[
        int,
        typer.Option(
            help="Add so many simulated pixel-years, with true values as targets.", rich_help_panel=_SIMULATOR
        ),
    ] = 0,
    simulate_seed: Annotated[int, typer.Option(help="Seed of the simulator.", rich_help_panel=_SIMULATOR)] = 0,
    year_curves: Annotated[
        bool,
        typer.Option("--year-curves", help="Add harmonic curves of the year as targets.", rich_help_panel=_TARGETS),
    ] = False,
    month_means: Annotated[
        bool, typer.Option("--month-means", help="Add monthly means as targets.", rich_help_panel=_TARGETS)
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the shuffling and of the draws of --s2 and --s1.")] = 0,
    s2: Annotated[
        int, typer.Option(help="Most Sentinel-2 observations of a pixel-year; of more, some are drawn.")
    ] = 96,
    s1: Annotated[int, typer.Option(help="Most Sentinel-1 observations of a pixel-year.")] = 128,
) -> None:
    """Write pixel-years of cubes, shuffled, into blocks on disk that training reads.

    Name the folder in the configuration of a run: blocks = "data/blocks" in the section data. Memory is two to three
    times the pixel-years of one cube. After a stop, run the same command again: it continues.

    Example: tessera blocks "cubes/*.zarr" --every 4 --out data/blocks
    """
    need_training()
    from tessera import pretrain as room

    if not cubes and not simulate:
        raise InputError("no cubes and no --simulate given; expected at least one of them")
    data = room.Data(
        cubes=tuple(cubes or ()),
        every=every,
        minimum=minimum,
        simulate=simulate,
        simulate_seed=simulate_seed,
        year_curves=year_curves,
        month_means=month_means,
    )
    if out.exists() and not (out.name and out.with_name(f"{out.name}.part").exists()):
        raise InputError(f"{out} exists; expected a new folder for the blocks")
    if not out.exists() or not out.name:
        check_folder(out, "blocks", inputs=cube_paths(data.cubes))
    parts, targets = _parts(data)
    with ExitStack() as shown:
        reading = shown.enter_context(step(_title(data)))
        packing = reading

        def progress(done: int, total: int) -> None:
            nonlocal packing
            if not total:
                reading(done, len(parts))
                return
            if packing is reading:
                # one bar at a time
                shown.close()
                packing = shown.enter_context(step("Writing blocks"))
            packing(done, total)

        made = room.write_blocks(parts, out, seed=seed, s2=s2, s1=s1, targets=targets, progress=progress)
    size = sum(path.stat().st_size for path in made.folder.iterdir())
    count = len(made.index.sha256)
    print(f"{out}: {len(made):,} pixel-years, {count} block{'s' * (count != 1)}, {bytes_in_words(size)}")
    print(f'next: write blocks = "{out.as_posix()}" under [data] of a configuration, and run tessera pretrain')


def _title(data: Data) -> str:
    work = ["reading cubes"] * bool(data.cubes) + [f"simulating {data.simulate:,} pixel-years"] * bool(data.simulate)
    return " and ".join(work).capitalize()


def _parts(data: Data) -> tuple[list[Part], int]:
    """A named function for each cube and each slice of simulated pixel-years, and their number of targets."""
    from tessera.cubes import open_cube
    from tessera.pretrain import month_means, year_curves

    further: list[Further] = [
        make for wanted, make in ((data.year_curves, year_curves), (data.month_means, month_means)) if wanted
    ]
    truths = simulated_slice(1, data.simulate_seed, 0).targets.shape[1] if data.simulate else 0
    none = _none()
    targets = truths + sum(make(none).shape[1] for make in further)
    parts: list[Part] = []
    for path in cube_paths(data.cubes):
        # opened first: what is no cube is refused before hours of reading
        name = f"{Path(path).resolve()} ({_digest(open_cube(path))}), every {data.every}, minimum {data.minimum}"
        source: Source = partial(_of_cube, path, data.every, data.minimum)
        parts.append((name, partial(_with_targets, source, targets, further)))
    for first in range(0, data.simulate, SLICE):
        count = min(SLICE, data.simulate - first)
        source = partial(simulated_slice, count, data.simulate_seed, first)
        name = f"simulated {first} to {first + count} of seed {data.simulate_seed}"
        parts.append((name, partial(_with_targets, source, targets, further)))
    return parts, targets


def _digest(cube: PixelCube) -> str:
    """A hash that differs between cubes, made without reading observations."""
    days = [doy.tolist() for doy in (cube.s2_doy, cube.s1_asc_doy, cube.s1_desc_doy)]
    about = json.dumps([cube.shape, repr(cube.grid), days, cube.provenance], sort_keys=True)
    return hashlib.sha256(about.encode()).hexdigest()[:16]


def _of_cube(path: str, every: int, minimum: int) -> PixelSeries:
    from tessera.cubes import open_cube, series_of_cube

    return series_of_cube(open_cube(path), every, minimum)


def _with_targets(source: Source, targets: int, further: list[Further]) -> PixelSeries:
    """A part with all targets: true values, NaN for pixels of cubes, then those computed from the year itself."""
    series = source()
    known = np.full((len(series), targets), np.nan, dtype=np.float32)
    known[:, : series.targets.shape[1]] = series.targets
    for start in range(0, len(series) if further else 0, SLICE):
        some = series.take(np.arange(start, min(start + SLICE, len(series))))
        made = np.concatenate([make(some) for make in further], axis=1)
        known[start : start + len(some), targets - made.shape[1] :] = made
    return replace(series, targets=known)


def _none() -> PixelSeries:
    from tessera.cubes import S1_BANDS, S2_BANDS, series_of_arrays

    day = np.empty((0, 0), dtype=np.int16)
    seen = np.empty((0, 0), dtype=np.bool_)
    s2, s1 = np.empty((0, 0, len(S2_BANDS)), dtype=np.uint16), np.empty((0, 0, len(S1_BANDS)), dtype=np.int16)
    return series_of_arrays(s2, seen, day, s1, day, seen)
