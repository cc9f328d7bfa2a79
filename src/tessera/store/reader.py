"""Reading: index first, scales before codes, exact ranges for points, verified chunks for windows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.embeddings import is_valid
from tessera.geo import Cell, points_in_zones
from tessera.net import CorruptError, MissingError

from .layout import CRC_BYTES, SCALES, ArraySpec, Layout
from .shard import ShardIndex, decode_chunk, decode_index

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tessera.geo import Window
    from tessera.net import Objects

_THREADS = 8
"""Reads under way at once."""


def read_index(objects: Objects, key: str, spec: ArraySpec, layout: Layout) -> ShardIndex | None:
    """A shard's index, None where there is no such shard.

    Raises
    ------
    CorruptError
        Truncated, or its checksum or an entry does not fit.
    """
    try:
        data, size = objects.head_range(key, layout.index_bytes)
    except MissingError:
        return None
    return decode_index(data, size, spec, layout, f"{objects.root}/{key}")


def read_window(objects: Objects, layout: Layout, window: Window, year_index: int, spec: ArraySpec) -> NDArray[Any]:
    """One array over a window; every chunk that is read is verified.

    Returns
    -------
    (height, width, bands) of the array's dtype, (height, width) without a band axis; the fill value where nothing is

    Raises
    ------
    CorruptError
        A shard is truncated or a checksum does not fit.
    """
    shape = window.shape if spec.axis is None else (*window.shape, spec.bands)
    out = np.full(shape, spec.fill, dtype=spec.dtype)
    with ThreadPoolExecutor(_THREADS) as pool:
        jobs = []
        for cell in window.cells(layout.shard):
            key = layout.key(spec, cell, year_index)
            index = read_index(objects, key, spec, layout)
            if index is not None:
                jobs += [pool.submit(job) for job in _row_jobs(objects, key, index, layout, cell, window, spec, out)]
        try:
            for job in jobs:
                job.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return out


def _row_jobs(
    objects: Objects,
    key: str,
    index: ShardIndex,
    layout: Layout,
    cell: Cell,
    window: Window,
    spec: ArraySpec,
    out: NDArray[Any],
) -> list[Callable[[], None]]:
    wanted = cell.window.intersection(window)
    assert wanted is not None  # noqa: S101 - the cell is one that the window touches
    rows, cols = wanted.slices_in(cell.window)
    into_rows, into_cols = wanted.slices_in(window)
    chunk, side = layout.chunk, layout.side
    length = layout.chunk_bytes(spec) + CRC_BYTES

    def job(row: int) -> None:
        present = [
            col
            for col in range(cols.start // chunk, (cols.stop - 1) // chunk + 1)
            if index.offsets[row * side + col] >= 0
        ]
        starts = [int(index.offsets[row * side + col]) for col in present]
        parts = objects.read_ranges(key, starts, [length] * len(starts)) if starts else []
        for col, part in zip(present, parts, strict=True):
            values = decode_chunk(part, spec, layout, f"{objects.root}/{key}")
            top, left = row * chunk, col * chunk
            r0, r1 = max(rows.start, top), min(rows.stop, top + chunk)
            c0, c1 = max(cols.start, left), min(cols.stop, left + chunk)
            y, x = into_rows.start + r0 - rows.start, into_cols.start + c0 - cols.start
            out[y : y + r1 - r0, x : x + c1 - c0] = values[r0 - top : r1 - top, c0 - left : c1 - left]

    def bound(row: int) -> Callable[[], None]:
        return lambda: job(row)

    return [bound(row) for row in range(rows.start // chunk, (rows.stop - 1) // chunk + 1)]


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
            rows = cell.window.north - 1 - py[inside]
            cols = px[inside] - cell.window.west
            pixels, back = np.unique(np.stack([rows, cols], axis=1), axis=0, return_inverse=True)
            found_codes, found_scales = _read_cell_points(
                objects, layout, cell, pixels, year_index, spec, dims, verify=verify
            )
            codes[members[inside]] = found_codes[back.reshape(-1)]
            scales[members[inside]] = found_scales[back.reshape(-1)]
    return codes, scales


def _read_cell_points(
    objects: Objects,
    layout: Layout,
    cell: Cell,
    pixels: NDArray[np.int64],
    year_index: int,
    spec: ArraySpec,
    dims: int,
    *,
    verify: bool,
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    codes = np.zeros((len(pixels), dims), dtype=np.int8)
    scales = np.full(len(pixels), np.inf, dtype=np.float32)
    everyone = np.arange(len(pixels))
    read = _read_verified if verify else _read_exact
    found, values = read(objects, layout, layout.key(SCALES, cell, year_index), pixels, everyone, SCALES, 4)
    scales[found] = values.view("<f4")[:, 0]
    valid = np.flatnonzero(is_valid(scales))
    if len(valid):
        key = layout.key(spec, cell, year_index)
        found, values = read(objects, layout, key, pixels, valid, spec, dims)
        if len(found) < len(valid):
            raise CorruptError(f"{objects.root}/{key} lacks the codes of pixels that have scales")
        codes[found] = values.view(np.int8)
    return codes, scales


def _read_exact(
    objects: Objects,
    layout: Layout,
    key: str,
    pixels: NDArray[np.int64],
    wanted: NDArray[np.int64],
    spec: ArraySpec,
    length: int,
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """The first `length` bytes of each wanted pixel that is there: its number (M,), its bytes (M, length)."""
    index = read_index(objects, key, spec, layout)
    if index is None:
        return np.zeros(0, dtype=np.int64), np.zeros((0, length), dtype=np.uint8)
    offsets = [index.pixel(int(row), int(col), spec, layout) for row, col in pixels[wanted]]
    there = [(number, offset) for number, offset in zip(wanted.tolist(), offsets, strict=True) if offset is not None]
    if not there:
        return np.zeros(0, dtype=np.int64), np.zeros((0, length), dtype=np.uint8)
    parts = objects.read_ranges(key, [offset for _, offset in there], [length] * len(there))
    values = np.frombuffer(b"".join(parts), dtype=np.uint8).reshape(-1, length)
    return np.asarray([number for number, _ in there]), values


def _read_verified(
    objects: Objects,
    layout: Layout,
    key: str,
    pixels: NDArray[np.int64],
    wanted: NDArray[np.int64],
    spec: ArraySpec,
    length: int,
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """As `_read_exact`, from whole chunks whose checksum was checked."""
    index = read_index(objects, key, spec, layout)
    chunk = layout.chunk
    numbers: list[int] = []
    values: list[NDArray[np.uint8]] = []
    if index is not None:
        which = (pixels[wanted, 0] // chunk) * layout.side + pixels[wanted, 1] // chunk
        for k in np.unique(which).tolist():
            if index.offsets[k] < 0:
                continue
            data = objects.read_range(key, int(index.offsets[k]), layout.chunk_bytes(spec) + CRC_BYTES)
            block = decode_chunk(data, spec, layout, f"{objects.root}/{key}")
            raw = np.ascontiguousarray(block).view(np.uint8).reshape(chunk, chunk, -1)
            for number in wanted[which == k].tolist():
                row, col = pixels[number]
                numbers.append(number)
                values.append(raw[row % chunk, col % chunk, :length])
    if not numbers:
        return np.zeros(0, dtype=np.int64), np.zeros((0, length), dtype=np.uint8)
    return np.asarray(numbers), np.stack(values)
