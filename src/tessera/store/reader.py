"""Reading: indexes first, scales before codes, exact ranges for points, verified chunks for windows."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tessera.embeddings import is_valid
from tessera.geo import Cell, points_in_zones
from tessera.net import ChangedError, CorruptError, MissingError

from .layout import CRC_BYTES, SCALES, ArraySpec, Layout
from .shard import ShardIndex, chunk_bitmap, decode_chunk, decode_index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from tessera.geo import Window
    from tessera.net import Objects

Result = TypeVar("Result")
_THREADS = 8
"""Rows of chunks under way at once."""
_ATTEMPTS = 6
"""Reads of a cell that keeps changing, 0.6 s in all."""


@dataclass(frozen=True)
class Shard:
    """A shard that is there: its object, its array, its index."""

    objects: Objects
    key: str
    spec: ArraySpec
    layout: Layout
    index: ShardIndex
    etag: str | None

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return f"{self.objects.root}/{self.key}"

    def chunks(self, numbers: list[int]) -> Iterator[tuple[int, NDArray[Any]]]:
        """Those of the numbered chunks that are there, verified: number and values as `decode_chunk` gives them."""
        there = [number for number in numbers if self.index.offsets[number] >= 0]
        if there:
            starts = [int(self.index.offsets[number]) for number in there]
            length = self.layout.chunk_bytes(self.spec) + CRC_BYTES
            parts = self.objects.read_ranges(self.key, starts, [length] * len(there), etag=self.etag)
            for number, part in zip(there, parts, strict=True):
                yield number, decode_chunk(part, self.spec, self.layout, self.name)

    def pixels(
        self, rows: NDArray[np.int64], cols: NDArray[np.int64], length: int
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """The first `length` bytes of pixels, by exact ranges: which are there (M,), their bytes (M, length)."""
        offsets = [
            self.index.pixel(int(row), int(col), self.spec, self.layout) for row, col in zip(rows, cols, strict=True)
        ]
        there = [(number, offset) for number, offset in enumerate(offsets) if offset is not None]
        if not there:
            return _nothing(length)
        starts = [offset for _, offset in there]
        parts = self.objects.read_ranges(self.key, starts, [length] * len(there), etag=self.etag)
        values = np.frombuffer(b"".join(parts), dtype=np.uint8).reshape(-1, length)
        return np.asarray([number for number, _ in there]), values

    def verified_pixels(
        self, rows: NDArray[np.int64], cols: NDArray[np.int64], length: int
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """As `pixels`, from whole chunks whose checksum was checked."""
        chunk = self.layout.chunk
        which = (rows // chunk) * self.layout.side + cols // chunk
        found: list[tuple[NDArray[np.int64], NDArray[np.uint8]]] = []
        for number, values in self.chunks(np.unique(which).tolist()):
            inside = np.flatnonzero(which == number)
            raw = np.ascontiguousarray(values).view(np.uint8).reshape(chunk, chunk, -1)
            found.append((inside, raw[rows[inside] % chunk, cols[inside] % chunk, :length]))
        if not found:
            return _nothing(length)
        return np.concatenate([inside for inside, _ in found]), np.concatenate([values for _, values in found])


def _nothing(length: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    return np.zeros(0, dtype=np.int64), np.zeros((0, length), dtype=np.uint8)


def open_shard(objects: Objects, key: str, spec: ArraySpec, layout: Layout) -> Shard | None:
    """A shard with its index, None where there is no such shard.

    Raises
    ------
    CorruptError
        Truncated, or its checksum or an entry does not fit.
    """
    try:
        data, size, etag = objects.head_range(key, layout.index_bytes)
    except MissingError:
        return None
    index = decode_index(data, size, spec, layout, f"{objects.root}/{key}")
    return Shard(objects, key, spec, layout, index, etag)


Shards = dict[str, "Shard | None"]


def open_cell(objects: Objects, layout: Layout, cell: Cell, year_index: int, specs: tuple[ArraySpec, ...]) -> Shards:
    """The shards of a cell's arrays and its scales, opened in an order that tells a change from a whole version.

    A commit removes the scales, moves the other shards and puts the scales last. Scales that are opened after the
    others therefore belong to them, as long as every read that follows finds the versions that were opened.
    """
    names = [spec for spec in specs if spec != SCALES]
    return {
        spec.name: open_shard(objects, layout.key(spec, cell, year_index), spec, layout) for spec in (*names, SCALES)
    }


def steady(read: Callable[[], Result], cell: Cell) -> Result:
    """Call `read` until it meets one version of a cell: again when a shard was replaced, removed or lacked pixels.

    Raises
    ------
    ChangedError
        The cell kept changing.
    CorruptError
        Codes lack pixels that have scales, and that stays so.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return read()
        except (ChangedError, MissingError, _LackingError) as error:
            if attempt == _ATTEMPTS - 1:
                if isinstance(error, MissingError):
                    raise ChangedError(f"cell {cell.name} kept changing while it was read, try again") from None
                raise
            time.sleep(0.02 * 2**attempt)
    raise AssertionError("unreachable")


class _LackingError(CorruptError):
    """Codes lack pixels that have scales: damage, unless the cell is being replaced."""


def read_window(
    objects: Objects, layout: Layout, window: Window, year_index: int, specs: tuple[ArraySpec, ...]
) -> dict[str, NDArray[Any]]:
    """Arrays over a window, the scales always among them; every chunk is verified, every cell is of one version.

    Returns
    -------
    Array name -> (height, width, bands) of its dtype, (height, width) without a band axis; filled where nothing is

    Raises
    ------
    CorruptError
        A shard is truncated, a checksum does not fit, or codes lack pixels that have scales.
    ChangedError
        A cell kept changing.
    """
    specs = (SCALES, *(spec for spec in specs if spec != SCALES))
    out = {}
    for spec in specs:
        shape = window.shape if spec.axis is None else (*window.shape, spec.bands)
        out[spec.name] = np.full(shape, spec.fill, dtype=spec.dtype)
    with ThreadPoolExecutor(_THREADS) as pool:
        for cell in window.cells(layout.shard):
            wanted = cell.window.intersection(window)
            if wanted is not None:
                views = {name: array[wanted.slices_in(window)] for name, array in out.items()}
                read = partial(_read_cell, objects, layout, cell, wanted, year_index, specs, views, pool)
                steady(read, cell)
    return out


def _read_cell(
    objects: Objects,
    layout: Layout,
    cell: Cell,
    wanted: Window,
    year_index: int,
    specs: tuple[ArraySpec, ...],
    views: dict[str, NDArray[Any]],
    pool: ThreadPoolExecutor,
) -> None:
    shards = open_cell(objects, layout, cell, year_index, specs)
    for spec in specs:
        view, shard = views[spec.name], shards[spec.name]
        view[...] = spec.fill
        valid = is_valid(views[SCALES.name])
        if spec.dtype == "int8":
            if not valid.any():
                continue
            _check_codes(shard, spec, layout, cell, wanted, valid)
        if shard is not None:
            jobs = [pool.submit(job) for job in _row_jobs(shard, cell, wanted, view)]
            wait(jobs)
            for job in jobs:
                job.result()


def _check_codes(
    shard: Shard | None, spec: ArraySpec, layout: Layout, cell: Cell, wanted: Window, valid: NDArray[np.bool_]
) -> None:
    """Every chunk that holds a valid pixel must be there: an absent one would read as vectors of zeros."""
    whole = np.zeros((layout.shard, layout.shard), dtype=np.bool_)
    whole[wanted.slices_in(cell.window)] = valid
    needed = chunk_bitmap(whole, layout).reshape(-1)
    lacking = int(needed.sum()) if shard is None else int((needed & (shard.index.offsets < 0)).sum())
    if lacking:
        where = f"cell {cell.name}" if shard is None else shard.name
        raise _LackingError(f"{where} lacks the codes ({spec.name}) of {lacking} chunks that have scales")


def _row_jobs(shard: Shard, cell: Cell, wanted: Window, out: NDArray[Any]) -> Iterator[Callable[[], None]]:
    """One job a row of chunks; each copies its part of `wanted` into `out`."""
    rows, cols = wanted.slices_in(cell.window)
    chunk, side = shard.layout.chunk, shard.layout.side
    columns = range(cols.start // chunk, (cols.stop - 1) // chunk + 1)

    def read_row(row: int) -> None:
        for number, values in shard.chunks([row * side + column for column in columns]):
            top, left = row * chunk, number % side * chunk
            r0, r1 = max(rows.start, top), min(rows.stop, top + chunk)
            c0, c1 = max(cols.start, left), min(cols.stop, left + chunk)
            into = (slice(r0 - rows.start, r1 - rows.start), slice(c0 - cols.start, c1 - cols.start))
            out[into] = values[r0 - top : r1 - top, c0 - left : c1 - left]

    for row in range(rows.start // chunk, (rows.stop - 1) // chunk + 1):
        yield partial(read_row, row)


def read_points(
    objects: Objects,
    layout: Layout,
    lonlat: NDArray[np.float64],
    year_index: int,
    spec: ArraySpec,
    dims: int,
    *,
    verify: bool,
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Codes and scale of the pixel that holds each point.

    Parameters
    ----------
    lonlat : (N, 2), degrees
    spec : the array of codes to read, at least `dims` bands
    verify : read whole chunks and check them, instead of exact ranges

    Returns
    -------
    codes (N, dims) int8, scales (N,) float32; 0 and +inf where nothing was written
    """
    codes = np.zeros((len(lonlat), dims), dtype=np.int8)
    scales = np.full(len(lonlat), np.inf, dtype=np.float32)
    size = layout.shard
    for zone, members, px, py in points_in_zones(lonlat):
        cells, group = np.unique(np.stack([px // size, py // size], axis=1), axis=0, return_inverse=True)
        for number, (east, north) in enumerate(cells.tolist()):
            cell = Cell(zone, east, north, size)
            inside = np.flatnonzero(group.reshape(-1) == number)
            places = np.stack([cell.window.north - 1 - py[inside], px[inside] - cell.window.west], axis=1)
            (rows, cols), back = _distinct(places)

            read = partial(_read_cell_points, objects, layout, cell, rows, cols, year_index, spec, dims, verify=verify)
            cell_codes, cell_scales = steady(read, cell)
            codes[members[inside]] = cell_codes[back]
            scales[members[inside]] = cell_scales[back]
    return codes, scales


def _read_cell_points(
    objects: Objects,
    layout: Layout,
    cell: Cell,
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    year_index: int,
    spec: ArraySpec,
    dims: int,
    *,
    verify: bool,
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Codes and scales of pixels of one cell, counted from its corner; codes only of those that are valid."""
    shards = open_cell(objects, layout, cell, year_index, (spec,))
    codes = np.zeros((len(rows), dims), dtype=np.int8)
    scales = np.full(len(rows), np.inf, dtype=np.float32)
    read = Shard.verified_pixels if verify else Shard.pixels
    shard = shards[SCALES.name]
    if shard is not None:
        found, values = read(shard, rows, cols, 4)
        scales[found] = np.ascontiguousarray(values).view("<f4")[:, 0]
    valid = np.flatnonzero(is_valid(scales))
    if len(valid):
        shard = shards[spec.name]
        found, values = _nothing(dims) if shard is None else read(shard, rows[valid], cols[valid], dims)
        if len(found) < len(valid):
            where = f"cell {cell.name}" if shard is None else shard.name
            raise _LackingError(
                f"{where} lacks the codes ({spec.name}) of {len(valid) - len(found)} pixels that have scales"
            )
        codes[valid[found]] = np.ascontiguousarray(values).view(np.int8)
    return codes, scales


def _distinct(places: NDArray[np.int64]) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], NDArray[np.int64]]:
    """Distinct (row, column) pairs, and for each given pair which of them it is."""
    pixels, back = np.unique(places, axis=0, return_inverse=True)
    return (pixels[:, 0], pixels[:, 1]), back.reshape(-1)
