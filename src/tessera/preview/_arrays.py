"""Rectangles of derived arrays, from a folder or a URL; each shard of one version in all its layers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.embeddings import is_valid
from tessera.net import ChangedError

from ._shard import open_shard, read_chunks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tessera.net import Objects

    from ._levels import Box, Layer

_THREADS = 8
_ATTEMPTS = 4
"""Readings of a shard that somebody keeps replacing."""


def read_box(
    objects: Objects, layers: Sequence[Layer], zone: int, year_index: int, box: Box
) -> dict[str, NDArray[Any]]:
    """Arrays over a rectangle, every chunk verified; codes only where scales say that there are any.

    Parameters
    ----------
    layers : of one level, the scales last where they are among them: they are opened last, as they are written last

    Raises
    ------
    CorruptError
        A checksum does not fit.
    ChangedError
        A shard kept changing.
    """
    out = {layer.name: layer.empty(box.height, box.width) for layer in layers}
    level = layers[0].level
    rows = range(box.row // level.shard, (box.row + box.height - 1) // level.shard + 1)
    cols = range(box.col // level.shard, (box.col + box.width - 1) // level.shard + 1)

    def read(place: tuple[int, int]) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                _read_place(objects, layers, zone, year_index, box, place, out)
                return
            except ChangedError:
                if attempt + 1 == _ATTEMPTS:
                    raise

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(read, [(row, col) for row in rows for col in cols]))
    return out


def _read_place(
    objects: Objects,
    layers: Sequence[Layer],
    zone: int,
    year_index: int,
    box: Box,
    place: tuple[int, int],
    out: dict[str, NDArray[Any]],
) -> None:
    size = layers[0].level.shard
    top, left = place[0] * size - box.row, place[1] * size - box.col
    view = slice(max(0, top), min(box.height, top + size)), slice(max(0, left), min(box.width, left + size))
    opened = {layer.name: open_shard(objects, layer.key(zone, year_index, *place), layer) for layer in layers}
    data = None
    for layer in reversed(layers):
        target, shard = out[layer.name], opened[layer.name]
        target[view] = layer.fill
        wanted = _chunks(layer, top, left, view, data if layer.dtype == "int8" else None)
        for number, values in () if shard is None else read_chunks(objects, shard, layer, wanted):
            y, x = top + number // layer.side * layer.chunk, left + number % layer.side * layer.chunk
            down = slice(max(0, y), min(box.height, y + layer.chunk))
            right = slice(max(0, x), min(box.width, x + layer.chunk))
            target[down, right] = values[down.start - y : down.stop - y, right.start - x : right.stop - x]
        if layer.name == "scales":
            data = is_valid(target[view])


def _chunks(
    layer: Layer, top: int, left: int, view: tuple[slice, slice], mask: NDArray[np.bool_] | None
) -> NDArray[np.int64]:
    """The chunks of a shard at (top, left) of the rectangle that `view` touches, or those with a pixel of `mask`."""
    rows = (np.arange(view[0].start, view[0].stop) - top) // layer.chunk
    cols = (np.arange(view[1].start, view[1].stop) - left) // layer.chunk
    if mask is None:
        return np.asarray(np.unique(rows)[:, None] * layer.side + np.unique(cols)).reshape(-1)
    down, right = np.nonzero(mask)
    return np.unique(rows[down] * layer.side + cols[right])
