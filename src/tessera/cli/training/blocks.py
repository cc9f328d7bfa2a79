"""tessera blocks: pixel-years of cubes and of the simulation as shuffled blocks on disk, for training."""

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

from ..terminal import step
from ._options import SLICE, cube_paths, need_training, simulated_slice

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tessera.cubes import PixelCube, PixelSeries
    from tessera.pretrain import Data

    Source = Callable[[], PixelSeries]
    Part = tuple[str, Source]
    Further = Callable[[PixelSeries], NDArray[np.float32]]


def blocks(
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder.")],
    cubes: Annotated[list[str] | None, typer.Argument(help="Cubes; quoted, with * and ? as in a shell.")] = None,
    every: Annotated[int, typer.Option(help="Take the pixels of one row and one column of a cube in so many.")] = 1,
    minimum: Annotated[int, typer.Option(help="Clear observations of each sensor that a pixel of a cube needs.")] = 10,
    simulate: Annotated[int, typer.Option(help="Simulated pixel-years to add, their truths as targets.")] = 0,
    simulate_seed: Annotated[int, typer.Option(help="Of the simulation.")] = 0,
    year_curves: Annotated[bool, typer.Option("--year-curves", help="Make curves of each year targets too.")] = False,
    month_means: Annotated[bool, typer.Option("--month-means", help="Make monthly means targets too.")] = False,
    seed: Annotated[int, typer.Option(help="Of the order, and of what a full record keeps.")] = 0,
    s2: Annotated[int, typer.Option(help="Sentinel-2 observations a year has room for; more are drawn from.")] = 96,
    s1: Annotated[int, typer.Option(help="Sentinel-1 observations a year has room for.")] = 128,
) -> None:
    """Write pixel-years as shuffled blocks for training; run again after any stop, it goes on to the same bytes.

    A run's configuration names the folder as blocks under data. Memory: two to three times the pixel-years of one cube.

    Example: tessera blocks "cubes/*.zarr" --every 4 --out data/blocks
    """
    need_training()
    from tessera import pretrain as room

    if not cubes and not simulate:
        raise InputError("no cubes and no --simulate; expected at least one of them")
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
        raise InputError(f"{out} exists; expected a new path for the blocks")
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
    print(f"{out}: {len(made):,} pixel-years, {count} block{'s' * (count != 1)}, {size:,} bytes; ", end="")
    print(f'next: blocks = "{out.as_posix()}" under [data] of a configuration, then tessera pretrain')


def _title(data: Data) -> str:
    told = [f"simulating {data.simulate:,} pixel-years"] if data.simulate else []
    if data.cubes:
        told.insert(0, "reading cubes")
    return " and ".join(told).capitalize()


def _parts(data: Data) -> tuple[list[Part], int]:
    """A named function for each cube and each slice of simulated pixel-years; the number of targets of all."""
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
        # opened first, so that what is no cube is told before hours of reading
        name = f"{Path(path).resolve()} ({_told(open_cube(path))}), every {data.every}, minimum {data.minimum}"
        source: Source = partial(_of_cube, path, data.every, data.minimum)
        parts.append((name, partial(_with_targets, source, targets, further)))
    for first in range(0, data.simulate, SLICE):
        count = min(SLICE, data.simulate - first)
        source = partial(simulated_slice, count, data.simulate_seed, first)
        name = f"simulated {first} to {first + count} of seed {data.simulate_seed}"
        parts.append((name, partial(_with_targets, source, targets, further)))
    return parts, targets


def _told(cube: PixelCube) -> str:
    """What tells one cube from another without reading its observations."""
    days = [doy.tolist() for doy in (cube.s2_doy, cube.s1_asc_doy, cube.s1_desc_doy)]
    about = json.dumps([cube.shape, repr(cube.grid), days, cube.provenance], sort_keys=True)
    return hashlib.sha256(about.encode()).hexdigest()[:16]


def _of_cube(path: str, every: int, minimum: int) -> PixelSeries:
    from tessera.cubes import open_cube, series_of_cube

    return series_of_cube(open_cube(path), every, minimum)


def _with_targets(source: Source, targets: int, further: list[Further]) -> PixelSeries:
    """A part with the targets of all parts: truths, unknown of pixels of cubes, then what the year itself tells."""
    series = source()
    known = np.full((len(series), targets), np.nan, dtype=np.float32)
    known[:, : series.targets.shape[1]] = series.targets
    for start in range(0, len(series) if further else 0, SLICE):
        some = series.take(np.arange(start, min(start + SLICE, len(series))))
        told = np.concatenate([make(some) for make in further], axis=1)
        known[start : start + len(some), targets - told.shape[1] :] = told
    return replace(series, targets=known)


def _none() -> PixelSeries:
    from tessera.cubes import S1_BANDS, S2_BANDS, series_of_arrays

    day = np.empty((0, 0), dtype=np.int16)
    seen = np.empty((0, 0), dtype=np.bool_)
    s2, s1 = np.empty((0, 0, len(S2_BANDS)), dtype=np.uint16), np.empty((0, 0, len(S1_BANDS)), dtype=np.int16)
    return series_of_arrays(s2, seen, day, s1, day, seen)
