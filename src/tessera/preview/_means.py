"""Mean vectors of a cell over larger pixels, from its 10 m pixels, strip by strip."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import TesseraError, sha256_hex
from tessera.embeddings import is_valid, quantise
from tessera.geo import Window

from ._levels import COARSE, FINE, LEVELS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tessera.geo import Cell
    from tessera.store import Store

    from ._levels import Level

_STRIP_BYTES = 16 * 1024**2
"""Bytes of codes in a strip."""


class InFluxError(TesseraError):
    """A cell differs from its commit record: it is being written, its writer was killed, or it is damaged."""


def source_of(store: Store, cell: Cell, year: int) -> str | None:
    """SHA-256 of all that a cell's overview depends on; None if the cell is not committed."""
    record = store.commit(cell, year)
    if record is None:
        return None
    named = {name: record.objects.get(name, {}).get("sha256") for name in (store.layout.codes.name, "scales")}
    return sha256_hex(json.dumps([record.model, named], sort_keys=True).encode())


def read_strips(store: Store, cell: Cell, year: int) -> Iterator[tuple[slice, NDArray[np.int8], NDArray[np.float32]]]:
    """Rows, codes (rows, W, D) and scales (rows, W) of a cell from north to south, each a multiple of 128 rows.

    `InFluxError` comes at the end: the pixels are not those that the commit record counts, or it was committed anew.
    """
    codes, index = store.layout.codes, store.years.index(year)
    before = store.commit(cell, year)
    whole, least = cell.window, COARSE.factor
    rows = max(least, _STRIP_BYTES // (whole.width * codes.bands) // least * least)
    counted = {"valid": 0, "no_data": 0, "not_written": 0}
    for top in range(0, whole.height, rows):
        height = min(rows, whole.height - top)
        strip = Window(whole.zone, whole.west, whole.north - top, whole.width, height)
        found = store.source.read_window(strip, index, (codes,))
        scales = found["scales"]
        valid, blank = int(is_valid(scales).sum()), int(np.isposinf(scales).sum())
        counted["valid"] += valid
        counted["not_written"] += blank
        counted["no_data"] += scales.size - valid - blank
        yield slice(top, top + height), found[codes.name], scales
    if before is None or before.pixels != counted or store.commit(cell, year) != before:
        raise InFluxError(f"cell {cell.name} of {year} does not hold what its commit record says")


@dataclass(frozen=True)
class Means:
    """Overview pixels of one level."""

    codes: NDArray[np.int8]  # (h, w, D) int8; value = code x scale
    scales: NDArray[np.float32]  # (h, w) float32; NaN = processed, no data; +inf = nothing written
    valid: NDArray[np.uint16]  # (h, w) uint16, pixels of 10 m behind each mean


def cell_means(store: Store, cell: Cell, year: int) -> dict[str, Means]:
    """Level name -> means of a cell's vectors, summed in float64 and quantised as the encoder does.

    The coarse level is made from the sums of the 10 m pixels, not from the fine level's codes.
    """
    side, dims = cell.size // FINE.factor, store.dims
    sums = np.empty((side, side, dims))
    valid = np.empty((side, side), dtype=np.int64)
    seen = np.empty((side, side), dtype=np.int64)
    for rows, codes, scales in read_strips(store, cell, year):
        for top in range(0, codes.shape[0], FINE.factor):
            part = slice(top, top + FINE.factor)
            row = (rows.start + top) // FINE.factor
            sums[row], valid[row], seen[row] = _block_sums(codes[part], scales[part])
    found = {}
    for level in LEVELS:
        found[level.name] = _means(*(_gather(array, level) for array in (sums, valid, seen)))
    return found


def _block_sums(
    codes: NDArray[np.int8], scales: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Sums (w, D), valid and written pixels (w,) of a row of fine pixels, from (16, W, D) and (16, W)."""
    side = FINE.factor
    width, dims = scales.shape[1] // side, codes.shape[2]
    good = is_valid(scales)
    weights = np.where(good, scales, 0).astype(np.float64)
    blocks = codes.reshape(side, width, side, dims).swapaxes(0, 1).reshape(width, side * side, dims)
    factors = weights.reshape(side, width, side).swapaxes(0, 1).reshape(width, 1, side * side)
    total = np.matmul(factors, blocks.astype(np.float64))[:, 0]
    written = ~np.isposinf(scales)
    valid, seen = (mask.reshape(side, width, side).sum(axis=(0, 2)) for mask in (good, written))
    return total, valid, seen


def _gather(values: NDArray[Any], level: Level) -> NDArray[Any]:
    side = level.factor // FINE.factor
    if side == 1:
        return values
    height, width = values.shape[0] // side, values.shape[1] // side
    return np.asarray(values.reshape(height, side, width, side, *values.shape[2:]).sum(axis=(1, 3)))


def _means(sums: NDArray[np.float64], valid: NDArray[np.int64], seen: NDArray[np.int64]) -> Means:
    mean = sums / np.maximum(valid, 1)[..., None]
    codes, scales = quantise(mean.astype(np.float32))
    none = valid == 0
    codes[none] = 0
    scales[none] = np.where(seen[none] > 0, np.float32(np.nan), np.float32(np.inf))
    return Means(codes, scales, valid.astype(np.uint16))
