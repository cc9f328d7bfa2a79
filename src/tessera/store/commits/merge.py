"""Merge embeddings into a cell, encode its shards, and make its commit record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.embeddings import is_valid
from tessera.geo import Window
from tessera.shards import COUNTS, SCALES, chunk_bitmap, encode_shard

from .commit import Commit, pack_bitmap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.embeddings import Embeddings
    from tessera.geo import Cell
    from tessera.shards import Header, Layout


@dataclass(frozen=True)
class Pixels:
    """A cell's pixels."""

    codes: NDArray[np.int8]  # (shard, shard, dims) int8
    scales: NDArray[np.float32]  # (shard, shard) float32
    counts: NDArray[np.uint16]  # (shard, shard, streams) uint16


def blank(layout: Layout) -> Pixels:
    """The pixels of a cell to which nothing was written."""
    side = layout.shard
    return Pixels(
        np.zeros((side, side, layout.dims), dtype=np.int8),
        np.full((side, side), np.inf, dtype=np.float32),
        np.zeros((side, side, COUNTS.bands), dtype=np.uint16),
    )


def covers(cell: Cell, window: Window, part: Embeddings) -> bool:
    """Whether embeddings have data in every pixel of a cell, so that what it held does not matter."""
    return window == cell.window and bool(is_valid(part.scales).all())


def merge(before: Pixels | None, cell: Cell, window: Window, part: Embeddings) -> Pixels:
    """Write embeddings over a cell: new valid pixels win, one without data never overwrites one that has some.

    `before` is changed in place; it is None where `part` covers the cell.
    """
    if before is None:
        return Pixels(part.codes, part.scales, part.counts)
    box = window.slices_in(cell.window)
    codes, scales, counts = before.codes[box], before.scales[box], before.counts[box]
    new = is_valid(part.scales)
    empty = np.isnan(part.scales) & ~is_valid(scales)
    np.copyto(codes, part.codes, where=new[..., None])
    np.copyto(scales, part.scales, where=new | empty)
    np.copyto(counts, part.counts, where=(new | empty)[..., None])
    scales[empty] = np.nan
    return before


def draw_up(
    header: Header,
    cell: Cell,
    year: int,
    pixels: Pixels,
    before: Commit | None,
    window: Window,
    provenance: dict[str, Any],
) -> tuple[Commit, dict[str, bytes | bytearray | None]]:
    """The record of a cell, its objects not filled in, and the bytes of its shards, None for an array without data."""
    layout = header.layout
    written = ~np.isposinf(pixels.scales)
    valid = is_valid(pixels.scales)
    chunks, with_codes = chunk_bitmap(written, layout), chunk_bitmap(valid, layout)
    shards: dict[str, bytes | bytearray | None] = {
        layout.codes.name: encode_shard(pixels.codes, layout.format(layout.codes), with_codes),
        SCALES.name: encode_shard(pixels.scales, layout.format(SCALES), chunks),
        COUNTS.name: encode_shard(pixels.counts, layout.format(COUNTS), chunks),
    }
    for spec in layout.prefix_arrays:
        shards[spec.name] = encode_shard(pixels.codes[..., : spec.bands], layout.format(spec), with_codes)
    record = Commit(
        cell=cell.name,
        year=year,
        model=header.model.sha256,
        objects={},
        chunks=pack_bitmap(chunks),
        pixels={
            "valid": int(valid.sum()),
            "no_data": int((written & ~valid).sum()),
            "not_written": int((~written).sum()),
        },
        inputs=_inputs(before, window, provenance),
    )
    return record, shards


def _inputs(before: Commit | None, window: Window, provenance: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """The parts that a cell was written from; one is intact while no later part touched its window."""
    kept = []
    for part in () if before is None else before.inputs:
        west, north, width, height = part["window"]
        old = Window(window.zone, west, north, width, height)
        if old != window:
            kept.append({**part, "intact": bool(part["intact"]) and old.intersection(window) is None})
    return (*kept, input_of(window, provenance))


def input_of(window: Window, provenance: dict[str, Any]) -> dict[str, Any]:
    """What a commit record keeps of one written part."""
    place = [window.west, window.north, window.width, window.height]
    return {"window": place, "provenance": provenance, "intact": True}
