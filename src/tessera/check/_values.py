"""Check the values of one cell in strips: verify every chunk, count scales, compare prefixes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.embeddings import is_valid
from tessera.geo import Window
from tessera.net import NetError
from tessera.shards import SCALES, open_shard
from tessera.store import pack_bitmap

from .report import Tally

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.geo import Cell
    from tessera.shards import ArraySpec, Layout, ShardedSource

STRIP_BYTES = 32 * 1024**2
"""Bytes of a strip's arrays together; a cell of 1024 pixels and 128 dims has 160 MB."""


@dataclass
class Values:
    """Counts and problems of a cell's values."""

    tally: Tally = field(default_factory=Tally)  # pixels by their scale
    finite: int = 0  # pixels that `is_valid` accepts, those with a scale of 1 or more among them
    nonpositive: int = 0  # pixels with a scale of 0 or less, or -inf
    example: float = 0.0  # a bad scale
    chunks: str = ""  # which chunks hold a written pixel, as in a commit record
    damage: list[str] = field(default_factory=list)  # what could not be read, a line an array
    wrong: list[str] = field(default_factory=list)  # values that contradict each other


def check_values(source: ShardedSource, layout: Layout, cell: Cell, year_index: int, specs: list[ArraySpec]) -> Values:
    """Read a cell's arrays, strip by strip; an array that is damaged is named once and not read further."""
    found = Values()
    held = [spec for spec in (SCALES, *(spec for spec in specs if spec != SCALES)) if spec in specs]
    held = [spec for spec in held if _index_fits(found, source, layout, cell, year_index, spec)]
    if SCALES in specs and SCALES not in held:
        return found
    written = np.zeros((layout.side, layout.side), dtype=np.bool_)
    differing: dict[str, int] = {}
    window = cell.window
    for top in range(0, layout.shard, _rows(layout)):
        height = min(_rows(layout), layout.shard - top)
        strip = Window(cell.zone, window.west, window.north - top, layout.shard, height)
        arrays: dict[str, NDArray[Any]] = {}
        for spec in list(held):
            try:
                arrays.update(source.read_window(strip, year_index, (spec,)))
            except NetError as error:
                found.damage.append(str(error))
                held.remove(spec)
                if spec == SCALES:
                    return found
        if SCALES.name not in arrays:
            arrays[SCALES.name] = np.full(strip.shape, SCALES.fill, dtype=np.float32)
        scales = arrays[SCALES.name]
        _count(found, scales)
        blocks = ~np.isposinf(scales.reshape(height // layout.chunk, layout.chunk, layout.side, layout.chunk))
        written[top // layout.chunk : (top + height) // layout.chunk] = blocks.any(axis=(1, 3))
        valid = is_valid(scales)
        for spec in layout.prefix_arrays:
            if spec.name in arrays and layout.codes.name in arrays:
                codes = arrays[layout.codes.name][..., : spec.bands]
                wrong = ((arrays[spec.name] != codes).any(axis=-1) & valid).sum()
                differing[spec.name] = differing.get(spec.name, 0) + int(wrong)
    found.chunks = pack_bitmap(written)
    found.wrong += [f"{name} is not the first codes in {count} pixels" for name, count in differing.items() if count]
    return found


def _rows(layout: Layout) -> int:
    """Rows of a strip, whole chunks."""
    row = layout.shard * sum(spec.pixel_bytes for spec in layout.arrays)
    return min(layout.shard, max(1, STRIP_BYTES // (row * layout.chunk)) * layout.chunk)


def _index_fits(
    found: Values, source: ShardedSource, layout: Layout, cell: Cell, year_index: int, spec: ArraySpec
) -> bool:
    """Whether a shard's index can be read and no two of its chunks share a byte."""
    try:
        shard = open_shard(source.reading, layout.key(spec, cell, year_index), layout.format(spec), trust=False)
    except NetError as error:
        found.damage.append(str(error))
        return False
    if shard is None:
        return False
    there = np.flatnonzero(shard.index.offsets >= 0)
    order = there[np.argsort(shard.index.offsets[there], kind="stable")]
    starts, stops = shard.index.offsets[order], shard.index.offsets[order] + shard.index.lengths[order]
    if (starts[1:] < stops[:-1]).any():
        found.damage.append(f"{shard.name}: its index has chunks that overlap")
        return False
    return True


def _count(found: Values, scales: NDArray[np.float32]) -> None:
    with np.errstate(invalid="ignore"):
        nonpositive = scales <= 0
        large = (scales >= 1) & np.isfinite(scales)
    bad = nonpositive | large
    if bad.any():
        found.example = float(scales[bad].flat[0])
    missing, blank = int(np.isnan(scales).sum()), int(np.isposinf(scales).sum())
    found.nonpositive += int(nonpositive.sum())
    found.finite += scales.size - missing - blank - int(nonpositive.sum())
    found.tally += Tally(scales.size - missing - blank - int(bad.sum()), missing, blank, int(bad.sum()))
