"""The minimum mapping unit: patches that are too small take the class of a neighbour."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, shown
from tessera.rasters import RowsFile

from ._patches import Patches
from .legend import HECTARE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ._patches import Strip

    Rows = Callable[[range], NDArray[Any]]
    Edges = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


MOST_HECTARES = 1_000_000
"""Of the smallest patch that stays: 10,000 square kilometres."""


def least_pixels(hectares: float) -> int:
    """Pixels of the smallest patch that stays.

    Raises
    ------
    InputError
        Not a number from 0 to `MOST_HECTARES`.
    """
    good = not isinstance(hectares, bool) and isinstance(hectares, (int, float, np.number))
    if not good or not 0 <= hectares <= MOST_HECTARES:
        raise InputError(f"minimum area {shown(hectares)[1:-1]} ha; expected 0 to {MOST_HECTARES:,} hectares")
    return math.ceil(round(hectares / HECTARE, 6))


def sieve(
    rows: Rows,
    strips: Sequence[range],
    width: int,
    least: int,
    nodata: int,
    folder: Path,
    counted: Callable[[Rows], Rows] = lambda rows: rows,
) -> Rows:
    """Give each patch of fewer than `least` pixels the class of the large patch with which it shares most border.

    Pixels of a class that touch at a side are one patch. A small patch beside several large ones takes the class of the
    one with the longest border, of equal borders the lowest class. One beside small ones alone waits until these have
    become part of a large one. Where nodata or the edge of the map surrounds small patches, they stay. Nodata is never
    changed. The result does not depend on how the raster is cut into strips.

    Parameters
    ----------
    rows : any rows of the raster, (h, w) uint8
    strips : that are in memory at once, from north to south
    width : of the raster
    folder : where rasters lie while they are made; the caller removes it
    counted : wraps the rows of each round, which reads them twice

    Returns
    -------
    any rows of the result
    """
    shape = strips[-1].stop, width
    files: list[RowsFile] = []
    while True:
        patches = Patches(counted(rows), strips, nodata)
        across = _chosen(_edges_across(patches, least))
        files.append(RowsFile(folder / f"sieved.{len(files)}", shape, np.uint8))
        changed, left = 0, False
        for number, strip in enumerate(strips):
            found = patches.strip(number)
            small = found.sizes < least
            wanted = np.full(len(found.keys), -1, dtype=np.int64)
            for keys, classes in (across, _chosen([_inner_edges(found, small)])):
                place = np.minimum(np.searchsorted(keys, found.keys), max(0, len(keys) - 1))
                if len(keys):
                    hit = keys[place] == found.keys
                    wanted[hit] = classes[place[hit]]
            moved = wanted >= 0
            left = left or bool((small & ~moved).any())
            changed += int(moved.sum())
            table = np.append(np.where(moved, wanted, found.classes), nodata).astype(np.uint8)
            files[-1].write(strip.start, table[found.labels])
        rows = files[-1].read
        for old in files[:-1]:
            old.path.unlink(missing_ok=True)
        if not changed or not left:
            return rows


def _edges_across(patches: Patches, least: int) -> list[Edges]:
    """Sides between a small patch that reaches another strip and a large one: key, key and class of the large one."""
    out: list[Edges] = []
    above: tuple[NDArray[Any], ...] | None = None
    for number in range(len(patches.strips)):
        found = patches.strip(number)
        small = found.sizes < least
        out += [_grouped(found, *sides, small, small & ~found.inner) for sides in _sides(found.labels)]
        top, last = found.labels[0], found.labels[-1]
        keys, classes, tiny = (
            np.append(part, end) for part, end in ((found.keys, -1), (found.classes, 0), (small, False))
        )
        here = keys[top], classes[top], tiny[top]
        if above is not None:
            for (one, _, one_small), (other, other_class, other_small) in ((above, here), (here, above)):
                good = one_small & ~other_small & (one >= 0) & (other >= 0) & (one != other)
                out.append((one[good], other[good], other_class[good].astype(np.int64)))
        above = keys[last], classes[last], tiny[last]
    return out


def _inner_edges(found: Strip, small: NDArray[np.bool_]) -> Edges:
    """Sides between a small patch that lies in one strip and a large one."""
    parts = [_grouped(found, *sides, small, small & found.inner) for sides in _sides(found.labels)]
    return tuple(np.concatenate([part[k] for part in parts]) for k in range(3))  # type: ignore[return-value]


def _sides(labels: NDArray[np.int64]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of patches along the sides of pixels, each pair both ways."""
    found = []
    for one, other in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])):
        apart = (one != other) & (one >= 0) & (other >= 0)
        found += [(one[apart], other[apart]), (other[apart], one[apart])]
    return found


def _grouped(
    found: Strip,
    one: NDArray[np.int64],
    other: NDArray[np.int64],
    small: NDArray[np.bool_],
    chosen: NDArray[np.bool_],
) -> Edges:
    """The sides from a small patch of those chosen to a large one."""
    good = chosen[one] & ~small[other]
    one, other = one[good], other[good]
    return found.keys[one], found.keys[other], found.classes[other].astype(np.int64)


def _chosen(edges: Sequence[Edges]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each small patch the class of the patch with which it shares most sides: keys, sorted, and classes."""
    one, other, classes = (np.concatenate([np.zeros(0, np.int64), *(edge[k] for edge in edges)]) for k in range(3))
    order = np.lexsort((other, one))
    one, other, classes = one[order], other[order], classes[order]
    begins = np.flatnonzero(np.append(True, (one[1:] != one[:-1]) | (other[1:] != other[:-1]))[: len(one)])
    counts = np.diff(np.append(begins, len(one)))
    one, classes = one[begins], classes[begins]
    order = np.lexsort((classes, -counts, one))
    one, classes = one[order], classes[order]
    best = np.append(True, one[1:] != one[:-1])[: len(one)]
    return one[best], classes[best]
