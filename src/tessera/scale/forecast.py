"""What embedding would take: counted where it can be, sampled where not, and timed on this machine."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError
from tessera.encode import plan_blocks
from tessera.geo import Window
from tessera.shards import parse_year

from ._spool import finished_rows, has_begun
from .area import known_of, places_of
from .cells import work_of
from .pace import measure_pace, measure_writing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tessera.cubes import PixelCube
    from tessera.encode import Encoder, Options
    from tessera.scenes import Survey
    from tessera.shards import Layout
    from tessera.store import Store

    from .cubes import CubeSource, Place
    from .how import How
    from .pace import Pace

_CRC = 4
_BLOCK_PIXEL = 10
"""Bytes of a pixel's scale and counts."""
_SAMPLED_PLACES, _SAMPLED_PIXELS = 3, 4096
_MOST_TIMED = 4
_BUDGET = 6.0
"""Processor seconds of timing the encoder."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What embedding would take.

    Attributes
    ----------
    cells, cells_done, cells_empty : in all, in the store already, and without a scene
    pixels : to embed
    scenes : to read; 0 of cubes
    requests, bytes_read : of scenes' files, beside the search; of cubes no requests, and their bytes on disk
    bytes_written : to the store
    disk_peak : bytes that this machine's disk holds more at the most: the store's, two cubes, a cell's blocks
    reading_seconds, embedding_seconds : of each by itself
    seconds : of both together, where the next cell is read while one is embedded
    processor_seconds : of both, over all cores
    pixels_per_second : of the encoder, all processes together
    device, precision, processes : how
    pixels_timed : that were embedded to find out
    """

    cells: int
    cells_done: int
    cells_empty: int = 0
    pixels: int = 0
    scenes: int = 0
    requests: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    disk_peak: int = 0
    reading_seconds: float = 0.0
    embedding_seconds: float = 0.0
    seconds: float = 0.0
    processor_seconds: float = 0.0
    pixels_per_second: float = 0.0
    device: str
    precision: str
    processes: int
    pixels_timed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {key: round(value, 1) if isinstance(value, float) else value for key, value in asdict(self).items()}


@dataclass(frozen=True)
class _Work:
    """Seconds and processor seconds of a cell: before it can be embedded, and after that."""

    reading: float
    reading_processor: float
    embedding: float
    embedding_processor: float


def forecast_area(
    store: Store | None,
    area: object,
    year: int,
    source: CubeSource,
    how: How,
    survey: Callable[[list[Window]], Survey],
    *,
    local: bool = True,
    begun: tuple[float, float] = (0.0, 0.0),
) -> Forecast:
    """Estimate what `embed_area` would take; what an earlier run kept of a cell that it did not finish is not counted.

    Parameters
    ----------
    survey : what the cubes of windows would take
    begun : seconds and processor seconds that were spent before, such as on a search, which a run would spend again
    """
    year = parse_year(year)
    encoder, options, devices = how.encoder, how.options, how.devices
    writing, layout, bare = measure_writing(encoder, options)
    if store is not None:
        layout, bare = store.layout, 0
    places = places_of(area, layout.shard)
    if not places:
        raise InputError("no cell lies on the area")
    known = known_of(how, source)
    todo = [place for place in places if store is None or how.refresh or not store.made_from(place.window, year, known)]
    if not todo:
        return _nothing(len(places), len(places), how)
    reads = survey([place.window for place in todo])
    pace = measure_pace(encoder, reads.sample, options, devices, _BUDGET)
    raw = _raw_bytes(reads.sample)
    works, there = [], []
    for place, one in zip(todo, reads.windows, strict=True):
        if one is None:
            continue
        other = writing + pace.hashing * raw
        embedding = place.pixels * (pace.seconds + other)
        processor = place.pixels * (pace.processor_seconds + other)
        works.append(_Work(one.seconds, one.processor_seconds, embedding, processor))
        there.append((place, one))
    written = [_store_bytes(place.window, layout) for place, _ in there]
    cubes = sorted(one.cube_bytes for _, one in there)
    pixels = sum(place.pixels for place, _ in there)
    held = sum(cubes) if how.keep_cubes else sum(cubes[-2:])
    return replace(
        _nothing(len(places), len(places) - len(todo), how),
        cells_empty=len(todo) - len(there),
        pixels=pixels,
        scenes=reads.scenes,
        requests=sum(one.requests for _, one in there),
        bytes_read=sum(one.bytes for _, one in there),
        bytes_written=bare + sum(written),
        disk_peak=held + _peak([place for place, _ in there], written, options, local=local),
        reading_seconds=sum(work.reading for work in works),
        embedding_seconds=sum(work.embedding for work in works),
        seconds=begun[0] + _in_turn(works),
        processor_seconds=begun[1] + sum(work.reading_processor + work.embedding_processor for work in works),
        pixels_per_second=1 / max(pace.seconds, 1e-9),
        pixels_timed=pace.pixels,
    )


def forecast_cubes(
    store: Store | None,
    cubes: Sequence[tuple[PixelCube, int]],
    how: How,
    *,
    sizes: Sequence[int],
    local: bool = True,
    begun: tuple[float, float] = (0.0, 0.0),
) -> Forecast:
    """Estimate what `embed_cube` would take for each of some cubes, of `sizes` bytes on disk."""
    encoder, options, devices = how.encoder, how.options, how.devices
    writing, layout, bare = measure_writing(encoder, options)
    if store is not None:
        layout, bare = store.layout, 0
    scratch = None if store is None else store.scratch()
    every: list[tuple[int, int, Window]] = []
    cells = done = 0
    for index, (cube, year) in enumerate(cubes):
        window = Window.of_grid(cube.grid)
        for cell in window.cells(layout.shard):
            inside = cell.window.intersection(window)
            if inside is None:
                continue
            cells += 1
            lacking = _lacking(store, scratch, encoder, cube, year, window, inside, options)
            if lacking is None:
                done += 1
            else:
                every.append((index, lacking, inside))
    if not every:
        return _nothing(cells, done or cells, how)
    used = sorted({index for index, _, _ in every})
    timed = used[:: max(1, len(used) // _MOST_TIMED)][:_MOST_TIMED]
    paces = {
        index: measure_pace(encoder, _rows_of(cubes[index][0]), options, devices, _BUDGET / len(timed))
        for index in timed
    }
    mean = sum(_dates(cubes[index][0]) / paces[index].seconds for index in timed) / len(timed)
    embedding = processor = read = 0.0
    for index, pixels, inside in every:
        cube, height, width = cubes[index][0], inside.height, inside.width
        pace = paces.get(index) or _scaled(paces[timed[0]], _dates(cube) / mean)
        whole = cube.shape[0] * cube.shape[1]
        other = height * width * (writing + 2 * pace.hashing * _raw_bytes(cube))
        embedding += pixels * pace.seconds + other
        processor += pixels * pace.processor_seconds + other
        read += sizes[index] * height * width / whole
    written = [_store_bytes(inside, layout) for _, _, inside in every]
    pixels = sum(pixels for _, pixels, _ in every)
    return replace(
        _nothing(cells, done, how),
        pixels=pixels,
        bytes_read=round(read),
        bytes_written=bare + sum(written),
        disk_peak=_peak([inside for _, _, inside in every], written, options, local=local),
        embedding_seconds=embedding,
        seconds=begun[0] + embedding,
        processor_seconds=begun[1] + processor,
        pixels_per_second=pixels / max(1e-9, embedding),
        pixels_timed=sum(pace.pixels for pace in paces.values()),
    )


def _nothing(cells: int, done: int, how: How) -> Forecast:
    """A forecast of cells that are all done."""
    return Forecast(
        cells=cells,
        cells_done=done,
        device=how.encoder.device,
        precision=how.encoder.precision,
        processes=len(how.devices),
    )


def _in_turn(works: Sequence[_Work]) -> float:
    """Seconds of cells of which each is read while the one before it is embedded, on the cores of this machine."""
    if not works:
        return 0.0
    cores = os.cpu_count() or 1
    total = works[0].reading
    for before, work in pairwise(works):
        both = (before.embedding_processor + work.reading_processor) / cores
        total += max(before.embedding, work.reading, both)
    return total + works[-1].embedding


def _store_bytes(window: Window, layout: Layout) -> int:
    """Bytes of a window's shards in a store where nothing else lies in its cell."""
    side = layout.chunk
    left, right = window.west // side, -(-(window.west + window.width) // side)
    top, bottom = -(-window.north // side), (window.north - window.height) // side
    chunks = (right - left) * (top - bottom)
    forms = [layout.format(spec) for spec in layout.arrays]
    return sum(form.index_bytes + chunks * (form.chunk_bytes + _CRC * form.chunk_crc) for form in forms)


def _peak(places: Sequence[Place | Window], written: Sequence[int], options: Options, *, local: bool) -> int:
    """The store's bytes, where it is on this machine, with a cell's blocks and its shards once more."""
    sizes = [place.height * place.width if isinstance(place, Window) else place.pixels for place in places]
    working = max(sizes, default=0) * (options.dims + _BLOCK_PIXEL) + max(written, default=0)
    return working + (sum(written) if local else 0)


def _dates(cube: PixelCube) -> int:
    return max(1, sum(len(days) for days in (cube.s2_doy, cube.s1_asc_doy, cube.s1_desc_doy)))


def _raw_bytes(cube: PixelCube) -> int:
    """Of a pixel's observations, unpacked."""
    stacks = (cube.s2, cube.s2_mask, cube.s1_asc, cube.s1_desc)
    return sum(
        int(np.prod(stack.shape[3:], initial=1)) * stack.shape[0] * np.dtype(stack.dtype).itemsize for stack in stacks
    )


def _scaled(pace: Pace, seconds: float) -> Pace:
    """The pace of a cube that was not timed, by seconds a pixel."""
    return replace(pace, seconds=seconds, processor_seconds=pace.processor_seconds * seconds / pace.seconds)


def _rows_of(cube: PixelCube) -> PixelCube:
    """A few rows from three places of a cube, in memory."""
    height, width = cube.shape
    rows = max(1, min(height // _SAMPLED_PLACES, _SAMPLED_PIXELS // width // _SAMPLED_PLACES))
    starts = sorted({(2 * place + 1) * (height - rows) // (2 * _SAMPLED_PLACES) for place in range(_SAMPLED_PLACES)})
    parts = [cube.window(start, start + rows) for start in starts]
    stacks: dict[str, Any] = {
        name: np.concatenate([np.asarray(getattr(part, name)) for part in parts], axis=1)
        for name in ("s2", "s2_mask", "s1_asc", "s1_desc")
    }
    return replace(cube, **stacks, grid=None)


def _lacking(
    store: Store | None,
    scratch: Path | None,
    encoder: Encoder,
    cube: PixelCube,
    year: int,
    window: Window,
    inside: Window,
    options: Options,
) -> int | None:
    """Pixels of a cell that are neither in the store nor kept beside it, None where the cell is finished."""
    if store is None or scratch is None:
        return inside.height * inside.width
    rows, cols = inside.slices_in(window)
    box = (rows.start, rows.stop, cols.start, cols.stop)
    part = cube.crop(*box)
    known = year in store.years
    if not known and not has_begun(scratch):
        return inside.height * inside.width
    provenance = encoder.provenance(part, options)
    if known and store.holds(inside, year, provenance):
        return None
    kept = finished_rows(scratch, work_of(encoder, provenance, options, year, box))
    blocks = [rows for group in plan_blocks(part) for rows in group]
    return inside.width * sum(stop - start for start, stop in blocks if start not in kept)
