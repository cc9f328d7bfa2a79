"""Patches of a raster of classes: pixels of one class that touch at a side, also across strips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Rows = Callable[[range], NDArray[Any]]


@dataclass(frozen=True)
class Strip:
    """The patches of a strip of rows.

    Attributes
    ----------
    values : (h, w) classes
    labels : (h, w) int64, index of each pixel's patch in the arrays below; -1 = nodata
    keys : (n,) int64, number of the patch in the whole raster, the same in every strip; in the order of first pixels
    sizes : (n,) int64, pixels of the patch in the whole raster
    inner : (n,) bool, whether the patch touches neither the first nor the last row of the strip
    classes : (n,) class
    """

    values: NDArray[Any]
    labels: NDArray[np.int64]
    keys: NDArray[np.int64]
    sizes: NDArray[np.int64]
    inner: NDArray[np.bool_]
    classes: NDArray[Any]


class Patches:
    """The patches of a raster: a first pass over its strips joins those that cross their borders.

    Memory holds one strip, and numbers and sizes of the patches at the borders of strips.

    Parameters
    ----------
    rows : any rows of the raster, (h, w) uint8
    strips : that are in memory at once, from north to south
    nodata : value of pixels that belong to no patch
    """

    def __init__(self, rows: Rows, strips: Sequence[range], nodata: int) -> None:
        self._rows, self.strips, self._nodata = rows, strips, nodata
        offsets, keys, sizes, ends = [0], [], [], []
        above: tuple[NDArray[Any], NDArray[np.int64]] | None = None
        for strip in strips:
            values = rows(strip)
            labels, count = label(values, nodata)
            edge = _edge(labels)
            keys.append(offsets[-1] + edge)
            sizes.append(np.bincount(labels[labels >= 0], minlength=count)[edge])
            if above is not None:
                same = (above[0] == values[0]) & (values[0] != nodata)
                ends.append(np.unique(np.stack([above[1][same], offsets[-1] + labels[0][same]]), axis=1))
            above = values[-1].copy(), offsets[-1] + labels[-1]
            offsets.append(offsets[-1] + count)
        self._offsets = offsets
        self._edges = np.concatenate(keys)
        pairs = np.concatenate([np.zeros((2, 0), np.int64), *ends], axis=1)
        first, second = np.searchsorted(self._edges, pairs)
        root = components(len(self._edges), first, second)
        self._roots = self._edges[root]
        self._sizes = np.bincount(root, weights=np.concatenate(sizes), minlength=len(root)).astype(np.int64)[root]

    def strip(self, number: int) -> Strip:
        """The patches of a strip."""
        values = self._rows(self.strips[number])
        labels, count = label(values, self._nodata)
        keys = self._offsets[number] + np.arange(count, dtype=np.int64)
        good = labels >= 0
        sizes = np.bincount(labels[good], minlength=count)
        edge = _edge(labels)
        place = np.searchsorted(self._edges, keys[edge])
        inner = np.ones(count, dtype=np.bool_)
        inner[edge] = False
        keys[edge], sizes[edge] = self._roots[place], self._sizes[place]
        classes = np.zeros(count, dtype=values.dtype)
        classes[labels[good]] = values[good]
        return Strip(values, labels, keys, sizes, inner, classes)


def label(values: NDArray[Any], nodata: int) -> tuple[NDArray[np.int64], int]:
    """Number the patches of a raster (h, w) in the order of their first pixels; -1 = nodata.

    Returns
    -------
    (h, w) int64, and how many there are
    """
    good = values != nodata
    begins = np.ones(values.shape, dtype=np.bool_)
    begins[:, 1:] = values[:, 1:] != values[:, :-1]
    runs = np.cumsum(begins.reshape(-1)).reshape(values.shape) - 1
    same = (values[1:] == values[:-1]) & good[1:]
    # one pair for each stretch along which two runs touch
    first = same.copy()
    first[:, 1:] &= ~same[:, :-1] | begins[1:, 1:] | begins[:-1, 1:]
    root = components(int(runs[-1, -1]) + 1, runs[:-1][first], runs[1:][first])
    valid = good.reshape(-1)[begins.reshape(-1)]
    heads = (root == np.arange(len(root))) & valid
    number = np.cumsum(heads) - 1
    found = np.where(valid, number[root], -1)
    return found[runs], int(heads.sum())


def components(count: int, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """The least number of the group that each of `count` numbers belongs to, where pairs are in one group."""
    root = np.arange(count, dtype=np.int64)
    while len(first):
        one, other = root[first], root[second]
        apart = one != other
        first, second, one, other = first[apart], second[apart], one[apart], other[apart]
        if not len(first):
            break
        np.minimum.at(root, np.maximum(one, other), np.minimum(one, other))
        while True:
            above = root[root]
            if np.array_equal(above, root):
                break
            root = above
    return root


def _edge(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The patches in the first and last row, sorted."""
    found = np.unique(np.concatenate([labels[0], labels[-1]]))
    return found[found >= 0]
