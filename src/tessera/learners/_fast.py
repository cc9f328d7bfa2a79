"""Whether compiled predictions can be used here, and the layouts that they read."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.embeddings import CodedVectors, StackedVectors

from ._exact import linear_scores, nearest, squares

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_LEAST_SCALE, _MOST_SCALE = 1e-12, 1e9
_MOST_DIMS = 448
"""Of a part: sums of products with int16 weights then fit into int32."""


@cache
def kernels() -> Any | None:
    """The module of compiled predictions, or None without numba."""
    if find_spec("numba") is None:
        return None
    from . import _kernels

    return _kernels


@cache
def products() -> Any | None:
    """The same where the processor multiplies bytes, and does it right in a test; else None."""
    made = kernels()
    if made is None:
        return None
    from tessera.base import require

    binding: Any = require("llvmlite.binding", extra="heads", purpose="fast predictions")
    compiler: Any = require("numba.core.errors", extra="heads", purpose="fast predictions")
    has = binding.get_host_cpu_features()
    if not all(has.get(name) for name in ("avx512f", "avx512bw", "avx512vl", "avx512vnni")):
        return None
    new, own = _drawn(8), np.ones((16, 1))
    rows = (_drawn(16).parts[0].codes,)
    found, order = np.empty((8, 3), np.int64), np.empty((8, 3))
    try:
        made.nearest(*vectors(new, 8), pack_rows(rows), ends_of((20,)), *pack_squares(rows, own), found, order)
    except (compiler.NumbaError, RuntimeError):
        # a compiler that does not know the instruction: numpy gives the same bits
        return None
    wanted = nearest(new, rows, own, 3)
    return made if (found == wanted[0]).all() and (order == wanted[1]).all() else None


@cache
def linear_kernel() -> Any | None:
    """The module of compiled linear scores, if it gives the bits of numpy in a test; else None."""
    if kernels() is None:
        return None
    from tessera.base import require

    compiler: Any = require("numba.core.errors", extra="heads", purpose="fast predictions")
    try:
        from . import _linear_kernel as made

        new, weights = _drawn(40), np.repeat(np.array([[-32767], [32767], [12345]], np.int16), 20, axis=1)
        scale, bias = np.array([[0.1], [0.3], [0.7]]), np.array([0.1, 0.7, 1.3])
        best, scores = np.empty(40, np.uint8), np.empty((40, 3))
        packed, ends = pack_weights((weights,)), ends_of((20,))
        made.linear(*vectors(new, made.ROWS), packed, ends, scale, bias, *made.room(20, 3), best, scores)
    except (compiler.NumbaError, RuntimeError):
        return None
    return made if (scores == linear_scores(new, (weights,), scale, bias)).all() else None


def _drawn(count: int) -> StackedVectors:
    """Vectors of 20 dims to test with."""
    codes = (np.arange(20 * count) * 37 % 256 - 128).astype(np.int8).reshape(count, 20)
    codes[0], codes[1] = -128, 127
    return StackedVectors.of(CodedVectors(codes, (0.1 * np.arange(1, count + 1)).astype(np.float32)))


def fits(widths: Sequence[int]) -> bool:
    """Whether parts of these dims are for `products`."""
    return max(widths) <= _MOST_DIMS


def moderate(*scales: NDArray[np.float32]) -> bool:
    """Whether squares of scales, and their products with codes, are far from the ends of float32."""
    return all(not part.size or (part.min() > _LEAST_SCALE and part.max() < _MOST_SCALE) for part in scales)


def pack_weights(parts: Sequence[NDArray[np.int16]]) -> NDArray[np.int16]:
    """(K, d) int16 of each part -> (K, B) int16, of each four the first, third, second and fourth."""
    filled = np.concatenate([_filled(part) for part in parts], axis=1)
    return np.ascontiguousarray(filled.reshape(len(filled), -1, 4)[..., [0, 2, 1, 3]].reshape(filled.shape))


def pack_rows(parts: Sequence[NDArray[np.int8]]) -> NDArray[np.uint8]:
    """(N, d) int8 of each part -> (blocks, B / 4, 16, 4) uint8: codes + 128."""
    filled = np.concatenate([_filled(part) for part in parts], axis=1)
    rows = np.full((-(-len(filled) // 16) * 16, filled.shape[1]), 128, dtype=np.uint8)
    rows[: len(filled)] = (filled.astype(np.int16) + 128).astype(np.uint8)
    return _blocks(rows)


def pack_squares(parts: Sequence[NDArray[np.int8]], own: NDArray[np.float64]) -> tuple[NDArray[Any], ...]:
    """(P, 16 blocks) squares and doubled scales of the rows of `pack_rows`, as float64 and again as float32."""
    count = -(-len(own) // 16) * 16
    square, double = np.full((len(parts), count), np.inf), np.zeros((len(parts), count))
    for index, part in enumerate(parts):
        square[index, : len(own)] = squares(part, own[:, index])
        double[index, : len(own)] = 2.0 * own[:, index]
    with np.errstate(over="ignore"):
        return square, double, square.astype(np.float32), double.astype(np.float32)


def ends_of(widths: Sequence[int]) -> NDArray[np.int64]:
    """Where each part ends when all are filled up to a multiple of 4."""
    return np.cumsum([-(-width // 4) * 4 for width in widths])


def vectors(stacked: StackedVectors, count: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Codes (m, B) and scales (m, P) of n vectors; m is n, or `count` if that is more, and the rest is 0."""
    (first, *others), given = stacked.parts, len(stacked)
    if not others and given >= count and first.dims % 4 == 0:
        return np.ascontiguousarray(first.codes), np.ascontiguousarray(first.scales)[:, None]
    ends, full = ends_of(stacked.widths), max(given, count)
    codes, own = np.zeros((full, int(ends[-1])), dtype=np.int8), np.zeros((full, len(stacked.parts)), dtype=np.float32)
    for index, part in enumerate(stacked.parts):
        begin = int(ends[index - 1]) if index else 0
        codes[:given, begin : begin + part.dims] = part.codes
        own[:given, index] = part.scales
    return codes, own


def _filled(part: NDArray[Any]) -> NDArray[Any]:
    return np.pad(part, ((0, 0), (0, -part.shape[1] % 4)))


def _blocks(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    count, width = rows.shape
    return np.ascontiguousarray(rows.reshape(count // 16, 16, width // 4, 4).transpose(0, 2, 1, 3))
