"""A cube as a stream of blocks of rows: a thread reads and packs ahead, and blocks are embedded one after another."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import prefetched

from ._observations import observe
from .draws import numpy_draws, pool_of
from .job import Job, lit, make_job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from tessera.cubes import PixelCube

    from ._run import Runner
    from .job import Options

Rows = list[tuple[int, int]]
"""Blocks of rows (start and stop of each) that are read together."""
_BLOCK_PIXELS = 16_384
"""Pixels a block: enough to fill batches with pixels of one length, and only a few minutes of work to lose."""
_READ_ROWS = 128
"""Rows read together: those of a cube's chunk on disk."""
_READ_BYTES = 256 * 1024**2
"""Bytes of raw observations read together."""


@dataclass(frozen=True)
class Block:
    """Embedded rows of a cube.

    Attributes
    ----------
    start, stop : rows
    codes : (rows, W, D) int8
    scales : (rows, W) float32
    counts : (rows, W, 3) uint16
    """

    start: int
    stop: int
    codes: NDArray[np.int8]
    scales: NDArray[np.float32]
    counts: NDArray[np.uint16]


def plan_blocks(cube: PixelCube) -> list[Rows]:
    """Blocks of rows, grouped by what is read together; they depend only on the cube's shape."""
    height, width = cube.shape
    rows = max(1, _BLOCK_PIXELS // width)
    steps = sum(int(np.prod(stack.shape[3:])) * 2 * stack.shape[0] for stack in (cube.s2, cube.s1_asc, cube.s1_desc))
    most = min(_READ_ROWS, _READ_BYTES // max(1, steps * width))
    together = max(1, most // rows)
    blocks = [(start, min(start + rows, height)) for start in range(0, height, rows)]
    return [blocks[i : i + together] for i in range(0, len(blocks), together)]


def embed_blocks(
    runner: Runner,
    cube: PixelCube,
    options: Options,
    groups: Iterable[Rows],
    advance: Callable[[int], None],
) -> Iterator[Block]:
    """Embed blocks of a cube.

    Parameters
    ----------
    groups : all or some blocks from `plan_blocks`
    advance : called with pixels done so far
    """
    width, finished = cube.shape[1], 0
    waiting: deque[tuple[Job, Any]] = deque()
    for job in chain(prefetched(_jobs(runner, cube, options, groups)), repeat(None, runner.in_flight)):
        if job is not None:
            waiting.append((job, runner.start(job, options, _reporter(finished, job, advance))))
            finished += len(job.counts)
            if len(waiting) <= runner.in_flight:
                continue
        if not waiting:
            break
        ready, started = waiting.popleft()
        codes, scales = runner.finish(ready, options, started)
        start, stop = ready.rows
        shape = (stop - start, width)
        yield Block(start, stop, codes.reshape(*shape, -1), scales.reshape(shape), ready.counts.reshape(*shape, -1))
        advance(finished)


def embed_floats(runner: Runner, cube: PixelCube, options: Options) -> NDArray[np.float32]:
    """(H, W, D) vectors before quantisation, NaN where a pixel is not embedded."""
    height, width = cube.shape
    out = np.empty((height, width, options.dims), dtype=np.float32)
    for job in prefetched(_jobs(runner, cube, options, plan_blocks(cube))):
        start, stop = job.rows
        out[start:stop] = runner.floats(job, options).reshape(stop - start, width, -1)
    return out


def _reporter(before: int, job: Job, advance: Callable[[int], None]) -> Callable[[int], None]:
    pixels, tokens, entered = len(job.counts), max(1, job.tokens), 0

    def report(more: int) -> None:
        nonlocal entered
        entered += more
        advance(before + pixels * entered // tokens)

    return report


def _jobs(runner: Runner, cube: PixelCube, options: Options, groups: Iterable[Rows]) -> Iterator[Job]:
    width = cube.shape[1]
    published = _published_draws(runner, cube, options) if runner.draws and options.draw.numpy_batch else None
    for group in groups:
        first = group[0][0]
        read = cube.window(first, group[-1][1])
        for start, stop in group:
            own = slice(start * width, stop * width)
            drawn = None if published is None else [[part[own] for part in repeat] for repeat in published]
            block = read.window(start - first, stop - first)
            yield make_job(block, (start, stop), runner.spec, options, ordered=runner.ordered, numpy_draws=drawn)


def _published_draws(runner: Runner, cube: PixelCube, options: Options) -> list[list[NDArray[np.uint16]]]:
    """The published code's draws, which need the number of observations of every pixel first, in row order."""
    sampling = runner.spec.sampling
    sizes: list[list[NDArray[np.int64]]] = [[], []]
    kept = []
    for group in plan_blocks(cube):
        s2, s1, counts = observe(cube.window(group[0][0], group[-1][1]), sampling)
        for stream, of in zip((s2, s1), sizes, strict=True):
            of.append(pool_of(stream.valid).sum(axis=1))
        enough = (counts[:, 0] >= options.min_s2) & (counts[:, 1:].sum(axis=1) >= options.min_s1)
        kept.append(lit(s2) & enough)
    whole = [np.concatenate(of) for of in sizes]
    return numpy_draws(whole, np.concatenate(kept), options.draw, sampling.bins[-1])
