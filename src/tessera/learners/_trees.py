"""Nodes of trees: one layout, one way to walk, for a forest and for boosting."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError

from ._fast import kernels
from .model import expect, named

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

MAX_DEPTH = 128
"""Of a tree; grown trees of 100,000 labels are some 40 deep, and a file's trees could otherwise take forever."""
MAX_TREES = 10_000
LEAF = -1
_BLOCK = 1024
"""Pixels that go through a tree together: with 128 features 0.5 MB, which a processor's cache holds."""


@dataclass(frozen=True, repr=False)
class Trees:
    """Trees one after another, the nodes of each in the order of breadth: both children of the j-th node that splits
    are nodes 1 + 2 j and 2 + 2 j of its tree, so that no link can lead back.

    A vector goes to the first child where float32(x[feature]) <= threshold, both float32, else to the second.

    Attributes
    ----------
    features : D, how many features there are
    sizes : (T,) int32, nodes of each tree
    feature : (M,) int16, what each node looks at; -1 = leaf
    threshold : (M,) float32; 0 of a leaf

    Raises
    ------
    InputError
        Arrays that are no such trees.
    """

    features: int
    sizes: NDArray[np.int32]
    feature: NDArray[np.int16]
    threshold: NDArray[np.float32]

    def __post_init__(self) -> None:
        count, nodes = len(self.sizes), len(self.feature)
        expect("sizes", self.sizes, np.int32, (count,))
        expect("feature", self.feature, np.int16, (nodes,))
        expect("threshold", self.threshold, np.float32, (nodes,))
        if not 1 <= count <= MAX_TREES or self.sizes.min() < 1 or int(self.sizes.sum(dtype=np.int64)) != nodes:
            raise InputError(f"{count} trees of other sizes than {nodes} nodes; expected 1 to {MAX_TREES} trees")
        if self.feature.min() < LEAF or self.feature.max() >= self.features:
            raise InputError(f"a tree that looks at a feature outside 0 to {self.features - 1}")
        _ = self._walk

    @property
    def leaves(self) -> int:
        """How many leaves all trees have."""
        return int((self.feature == LEAF).sum())

    @cached_property
    def _walk(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32], NDArray[np.intp]]:
        """The first child of each node, what it looks at, its threshold, and the number of a leaf.

        A leaf is its own child and its threshold is infinite, so that a vector stays there.
        """
        starts = np.concatenate([[0], np.cumsum(self.sizes, dtype=np.int64)])
        inner = self.feature != LEAF
        split = np.concatenate([[0], np.cumsum(inner, dtype=np.int64)])
        tree = np.repeat(np.arange(len(self.sizes)), self.sizes)
        place = np.arange(len(inner), dtype=np.int64)
        child = starts[tree] + 1 + 2 * (split[:-1] - split[starts[tree]])
        if (2 * np.diff(split[starts]) + 1 != self.sizes).any() or (child <= place)[inner].any():
            raise InputError("a tree whose nodes are no binary tree in the order of breadth")
        level = starts[:-1]
        for _ in range(MAX_DEPTH):
            level = child[level[inner[level]]]
            level = np.concatenate([level, level + 1])
        if inner[level].any():
            raise InputError(f"a tree of more than {MAX_DEPTH} levels")
        number = np.cumsum(~inner, dtype=np.int64) - 1
        threshold = np.where(inner, self.threshold, np.float32(np.inf)).astype(np.float32)
        looks = np.where(inner, self.feature, 0).astype(np.intp)
        return np.where(inner, child, place).astype(np.intp), looks, threshold, number.astype(np.intp)

    def ends(self, rows: NDArray[np.float32]) -> Iterator[tuple[slice, int, NDArray[np.intp]]]:
        """Where vectors end: for some of them at a time, their place, a tree, the number of the leaf that each reaches.

        Leaves are numbered in the order of the nodes of all trees. Of one vector trees come in their order.
        """
        made = kernels()
        if made is not None:
            for place, tree, nodes in self.nodes(made, rows):
                yield place, tree, self.numbers().take(nodes)
            return
        roots = np.cumsum(self.sizes, dtype=np.int64) - self.sizes
        for start in range(0, len(rows), _BLOCK):
            part = np.ascontiguousarray(rows[start : start + _BLOCK])
            place = slice(start, start + len(part))
            for tree, root in enumerate(roots):
                yield place, tree, self._ends(part, int(root))

    @cached_property
    def _packed(self) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """The depth of each tree; and the first child of each node x 65,536 + what it looks at."""
        child, looks, _, _ = self._walk
        deep = np.zeros(len(child), dtype=np.int64)
        level, roots = 0, np.cumsum(self.sizes, dtype=np.int64) - self.sizes
        here = roots
        while len(here):
            deep[here] = level
            inner = here[self.feature[here] != LEAF]
            here = np.concatenate([child[inner], child[inner] + 1])
            level += 1
        walk = (child.astype(np.uint64) << np.uint64(16)) | looks.astype(np.uint64)
        return np.maximum.reduceat(deep, roots), walk

    def nodes(self, made: Any, rows: NDArray[np.float32]) -> Iterator[tuple[slice, int, NDArray[np.uint32]]]:
        """As `ends`, by the compiled loop, and leaves by their nodes."""
        depth, walk = self._packed
        roots = np.cumsum(self.sizes, dtype=np.int64) - self.sizes
        for start in range(0, len(rows), _BLOCK):
            part = np.ascontiguousarray(rows[start : start + _BLOCK])
            out = np.empty(len(part), dtype=np.uint32)
            for tree, root in enumerate(roots.tolist()):
                made.leaves(part, root, depth[tree], walk, self._walk[2], out)
                yield slice(start, start + len(part)), tree, out

    def numbers(self) -> NDArray[np.intp]:
        """The number of the leaf of each node that is one."""
        return self._walk[3]

    def _ends(self, rows: NDArray[np.float32], root: int) -> NDArray[np.intp]:
        child, looks, threshold, number = self._walk
        flat = rows.reshape(-1)
        ends = np.full(len(rows), root, dtype=np.intp)
        moving = np.arange(len(rows))
        node, own = ends, moving * rows.shape[1]
        while len(moving):
            for _ in range(3):
                right = flat.take(own + looks.take(node)) > threshold.take(node)
                node = child.take(node) + right
            still = child.take(node) != node
            ends[moving] = node
            moving, node, own = moving[still], node[still], own[still]
        return number.take(ends)


def named_trees(arrays: Mapping[str, NDArray[Any]], names: tuple[str, ...]) -> tuple[int, dict[str, NDArray[Any]]]:
    """How many features there are, and the other arrays, if they are just those of these names."""
    held = named(arrays, ("features", *names))
    features = held.pop("features")
    expect("features", features, np.int32, (1,))
    return int(features[0]), held


def in_breadth(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """The nodes of a tree in the order of breadth, from the children of each, -1 of a leaf; node 0 is the root."""
    levels = [np.zeros(1, dtype=np.int64)]
    while len(inner := levels[-1][left[levels[-1]] >= 0]):
        levels.append(np.column_stack([left[inner], right[inner]]).reshape(-1))
    return np.concatenate(levels)


def float32_below(exact: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 up to each threshold: for a float32 x, x <= it just where x <= the threshold."""
    with np.errstate(over="ignore"):
        threshold = exact.astype(np.float32)
    above = threshold.astype(np.float64) > exact
    threshold[above] = np.nextafter(threshold[above], np.float32(-np.inf))
    return threshold
