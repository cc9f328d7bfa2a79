"""A cube into a store, cell by cell: what is there already is left alone, what was begun is taken up."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from tessera.base import silent
from tessera.encode import plan_blocks
from tessera.geo import Window, check_year_of

from ._spool import Spool, spool
from .workers import WorkerPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tessera.base import Progress
    from tessera.cubes import PixelCube
    from tessera.encode import Block, Encoder, Options
    from tessera.store import Store

    from .workers import Workers


def embed_cube(
    store: Store,
    encoder: Encoder,
    cube: PixelCube,
    year: int,
    options: Options,
    *,
    workers: Workers | None = None,
    progress: Progress = silent,
) -> tuple[int, int]:
    """Embed a cube into a local store.

    Each finished block of rows is kept beside the store until its cell is written, so that a run that was stopped, in
    whichever way, goes on where it was and ends with the same bytes.

    Parameters
    ----------
    store : on this machine, of the encoder's model
    cube : on the lattice
    options : see `Encoder.options`
    workers : processes to share the work; None works in this one
    progress : called with pixels done and their total

    Returns
    -------
    cells written, cells left alone because they hold these very inputs

    Raises
    ------
    InputError
        The cube is off the lattice, has another band order, or is not of that year; the store is of another model.
    TesseraError
        The disk is full or refuses, or a worker died; finished blocks and cells stay.
    """
    check_year_of(cube.provenance, year, "the cube")
    window = Window.of_grid(cube.grid)
    height, width = cube.shape
    done = written = skipped = 0
    with WorkerPool(workers) if workers else nullcontext() as pool:
        for cell in window.cells(store.layout.shard):
            inside = cell.window.intersection(window)
            if inside is None:
                continue
            rows, cols = inside.slices_in(window)
            box = (rows.start, rows.stop, cols.start, cols.stop)
            part = cube.crop(*box)
            work = work_of(encoder, encoder.provenance(part, options), options, year, box)
            with spool(store.scratch(), work, part.shape[1], options.dims) as kept:
                # asked with the lock held: another process may have been at it until now
                if store.holds(inside, year, encoder.provenance(part, options)):
                    skipped += 1
                else:
                    report = _shifted(progress, done, height * width)
                    _fill(encoder, part, options, kept, report, pool, box)
                    store.write(encoder.assemble(part, options, _blocks(encoder, part, options, kept)), year)
                    written += 1
            done += inside.height * inside.width
            progress(done, height * width)
    return written, skipped


def work_of(
    encoder: Encoder, provenance: dict[str, Any], options: Options, year: int, box: tuple[int, int, int, int]
) -> dict[str, Any]:
    """All that the bytes of a block depend on.

    Parameters
    ----------
    provenance : of the embeddings of a cell's part of a cube
    box : that part: first and last row, first and last column
    """
    return {
        "model": encoder.identity.sha256,
        "device": encoder.device.partition(":")[0],
        "dims": options.dims,
        "year": year,
        "box": box,
        "provenance": provenance,
    }


def _shifted(progress: Progress, before: int, total: int) -> Callable[[int], None]:
    return lambda pixels: progress(before + pixels, total)


def _fill(
    encoder: Encoder,
    part: PixelCube,
    options: Options,
    kept: Spool,
    report: Callable[[int], None],
    pool: WorkerPool | None,
    box: tuple[int, int, int, int],
) -> None:
    """Put every block that the spool lacks into it."""
    width = part.shape[1]
    groups, finished = [], 0
    for group in plan_blocks(part):
        lacking = [rows for rows in group if kept.get(*rows) is None]
        finished += width * sum(stop - start for start, stop in group if (start, stop) not in lacking)
        if lacking:
            groups.append(lacking)
    report(finished)
    if pool is not None:
        pool.run(box, options, kept, groups, lambda pixels: report(finished + pixels))
        return
    for block in encoder.blocks(part, options, groups, advance=lambda pixels: report(finished + pixels)):
        kept.put(block)


def _blocks(encoder: Encoder, part: PixelCube, options: Options, kept: Spool) -> Iterator[Block]:
    """A cell's blocks, each from its file."""
    for group in plan_blocks(part):
        for rows in group:
            block = kept.get(*rows)
            # a file that cannot be read back is made again rather than missed
            yield from [block] if block is not None else encoder.blocks(part, options, [[rows]])
