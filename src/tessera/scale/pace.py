"""How fast this machine embeds: a few pixels through the encoder, and a few megabytes into a store."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.cubes import S1_BANDS, S2_BANDS, PixelCube
from tessera.encode import Block
from tessera.geo import Cell, Window
from tessera.store import create_store

from ._spool import Spool

if TYPE_CHECKING:
    from tessera.encode import Encoder, Options
    from tessera.geo import Grid
    from tessera.shards import Layout

_WARM_ROWS = 2
_PARTS = 3
"""Parts of the time that the encoder is timed for; one that takes less is too small to count."""
_PATIENCE = 3
"""A busy machine is given so many times the processor time that is wanted."""
_WRITTEN = (256, 1024)
"""Rows and columns that are written to a store for their time."""
_STACKS = ("s2", "s2_mask", "s1_asc", "s1_desc")


@dataclass(frozen=True)
class Pace:
    """What a pixel takes of all processes together.

    Attributes
    ----------
    seconds, processor_seconds : of the encoder, a pixel
    hashing : seconds a byte of a cube, for the digest that says what was embedded
    pixels : that were embedded to find out
    """

    seconds: float
    processor_seconds: float
    hashing: float
    pixels: int


def measure_pace(
    encoder: Encoder, sample: PixelCube, options: Options, devices: tuple[str, ...], budget: float = 5.0
) -> Pace:
    """Embed rows of a sample, ever more of them until they take a moment.

    Several processes on a CPU are measured as one that has the cores of all: either way each core computes batches of
    its own. Several GPUs are measured as the first of them, times their number.

    Parameters
    ----------
    encoder : on the first device
    sample : in memory, with as many dates as what is to be embedded
    devices : one of each process
    budget : about the processor seconds a process, on a GPU the seconds, that are spent
    """
    began = time.monotonic()
    digest = replace(sample).sha256
    size = sum(np.asarray(getattr(sample, name)).nbytes for name in _STACKS)
    hashing = (time.monotonic() - began) / max(1, size) if digest else 0.0
    cpu = encoder.device == "cpu"
    whole = sample if cpu else _taller(sample, 4)
    at_once = len(devices) if cpu else 1
    _embed(encoder, whole.window(0, min(_WARM_ROWS, whole.shape[0])), options, 1)
    rows = min(whole.shape[0], _WARM_ROWS if cpu else whole.shape[0])
    wall = work = seconds = processor = 0.0
    pixels, times = 0, 1
    while True:
        began, used = time.monotonic(), time.process_time()
        _embed(encoder, whole.window(0, rows), options, times * at_once)
        took, spent = time.monotonic() - began, time.process_time() - used
        effort = spent / at_once if cpu else took
        wall += took
        work += effort
        last = work + effort >= budget or wall + took >= _PATIENCE * budget
        if effort * _PARTS >= budget or last:
            # small parts take more a pixel than a run does, and are not counted
            seconds += took
            processor += spent
            pixels += rows * whole.shape[1] * times * at_once
            if last:
                break
            continue
        grow = max(2, min(16, int(budget / _PARTS / max(effort, 1e-3))))
        if rows < whole.shape[0]:
            rows = min(whole.shape[0], rows * grow)
        else:
            times *= grow
    share = 1 if cpu else len(devices)
    return Pace(seconds / pixels / share, processor / pixels, hashing, pixels)


def _embed(encoder: Encoder, part: PixelCube, options: Options, times: int) -> None:
    """Embed all rows of a part so many times."""
    for _ in encoder.blocks(part, options, [[(0, part.shape[0])]] * times):
        pass


def _taller(cube: PixelCube, times: int) -> PixelCube:
    """The same rows several times, since a GPU wants more at once than a sample has."""
    stacks: dict[str, Any] = {
        name: np.concatenate([np.asarray(getattr(cube, name))] * times, axis=1) for name in _STACKS
    }
    return replace(cube, **stacks, grid=None)


def measure_writing(encoder: Encoder, options: Options) -> tuple[float, Layout, int]:
    """Seconds a pixel of keeping blocks and writing a cell to a new store; a new store's layout, and its bytes."""
    height, width = _WRITTEN
    corner = Cell(31, 64, 548).window
    cube = _dateless(Window(31, corner.west, corner.north, width=width, height=height).grid)
    rng, block = np.random.default_rng(0), 16
    codes = rng.integers(-127, 127, (block, width, options.dims), dtype=np.int8)
    scales, counts = np.full((block, width), 0.5, np.float32), np.ones((block, width, 3), np.uint16)
    blocks = [Block(row, row + block, codes, scales, counts) for row in range(0, height, block)]
    with tempfile.TemporaryDirectory(prefix="tessera-pace-") as place:
        store = create_store(Path(place) / "store.zarr", options.dims, encoder, zones=(corner.zone,))
        # a store has the documents of sixty zones, one as long as the other
        bare = 60 * sum(path.stat().st_size for path in (Path(place) / "store.zarr").rglob("*") if path.is_file())
        began = time.monotonic()
        kept = Spool(Path(place) / "blocks", width, options.dims)
        for one in blocks:
            kept.put(one)
        found = [kept.get(one.start, one.stop) or one for one in blocks]
        store.write(encoder.assemble(cube, options, found), 2000)
        return (time.monotonic() - began) / (height * width), store.layout, bare


def _dateless(grid: Grid) -> PixelCube:
    """A cube without a date."""
    days, shape = np.zeros(0, dtype=np.int16), (grid.height, grid.width)
    optical = np.zeros((0, *shape, len(S2_BANDS)), dtype=np.uint16)
    radar = np.zeros((0, *shape, len(S1_BANDS)), dtype=np.int16)
    return PixelCube(optical, np.zeros((0, *shape), np.uint8), days, radar, days, radar, days, grid=grid)
