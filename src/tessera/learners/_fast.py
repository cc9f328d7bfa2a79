"""Whether compiled predictions can be used here, and the layouts that they read."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from ._exact import squares

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tessera.embeddings import StackedVectors

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
    codes = np.array([[-128] * 8, [127] * 8] * 4, dtype=np.int8)
    best, scores = np.empty(8, np.uint8), np.empty((8, 2))
    weights = np.array([[-32767] * 8, [32767] * 8], dtype=np.int16)
    packed, ends = pack_weights((weights,)), np.array([8])
    try:
        made.linear(codes, np.ones((8, 1), np.float32), packed, ends, np.ones((2, 1)), np.zeros(2), best, scores)
    except (compiler.NumbaError, RuntimeError):
        # a compiler that does not know the instruction: numpy gives the same bits
        return None
    return made if (scores == codes.astype(np.float64) @ weights.T.astype(np.float64)).all() else None


def fits(widths: Sequence[int]) -> bool:
    """Whether parts of these dims are for `products`."""
    return max(widths) <= _MOST_DIMS


def moderate(*scales: NDArray[np.float32]) -> bool:
    """Whether squares of scales, and their products with codes, are far from the ends of float32."""
    return all(not part.size or (part.min() > _LEAST_SCALE and part.max() < _MOST_SCALE) for part in scales)


def pack_weights(parts: Sequence[NDArray[np.int16]]) -> NDArray[np.uint8]:
    """(K, d) int16 of each part -> (blocks, B / 4, 16, 4) uint8: of 8 rows the high bytes + 128, then the
    low ones."""
    filled = np.concatenate([_filled(part) for part in parts], axis=1)
    count = -(-len(filled) // 8) * 8
    rows = np.zeros((count, 2, filled.shape[1]), dtype=np.uint8)
    rows[:, 0] = 128
    rows[: len(filled), 0] = ((filled >> 8) + 128).astype(np.uint8)
    rows[: len(filled), 1] = (filled & 255).astype(np.uint8)
    return _blocks(rows.reshape(count // 8, 8, 2, -1).transpose(0, 2, 1, 3).reshape(2 * count, -1))


def pack_rows(parts: Sequence[NDArray[np.int8]]) -> NDArray[np.uint8]:
    """(N, d) int8 of each part -> (blocks, B / 4, 16, 4) uint8: codes + 128."""
    filled = np.concatenate([_filled(part) for part in parts], axis=1)
    rows = np.full((-(-len(filled) // 16) * 16, filled.shape[1]), 128, dtype=np.uint8)
    rows[: len(filled)] = (filled.astype(np.int16) + 128).astype(np.uint8)
    return _blocks(rows)


def pack_squares(
    parts: Sequence[NDArray[np.int8]], own: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(P, 16 blocks) squares and doubled scales of the rows of `pack_rows`."""
    count = -(-len(own) // 16) * 16
    square, double = np.full((len(parts), count), np.inf), np.zeros((len(parts), count))
    for index, part in enumerate(parts):
        square[index, : len(own)] = squares(part, own[:, index])
        double[index, : len(own)] = 2.0 * own[:, index]
    return square, double


def vectors(stacked: StackedVectors) -> tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.int64]]:
    """Codes (m, B), scales (m, P) and where the parts end; m is a multiple of 8, the last vectors are copies."""
    count = len(stacked)
    full = -(-count // 8) * 8
    ends = np.cumsum([-(-width // 4) * 4 for width in stacked.widths])
    (first, *others) = stacked.parts
    if not others and full == count and first.dims % 4 == 0 and first.codes.flags.c_contiguous:
        return first.codes, first.scales[:, None], ends
    codes, own = np.zeros((full, int(ends[-1])), dtype=np.int8), np.zeros((full, len(stacked.parts)), dtype=np.float32)
    for index, part in enumerate(stacked.parts):
        begin = int(ends[index - 1]) if index else 0
        codes[:count, begin : begin + part.dims] = part.codes
        own[:count, index] = part.scales
    return codes, own, ends


def _filled(part: NDArray[Any]) -> NDArray[Any]:
    return np.pad(part, ((0, 0), (0, -part.shape[1] % 4)))


def _blocks(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    count, width = rows.shape
    return np.ascontiguousarray(rows.reshape(count // 16, 16, width // 4, 4).transpose(0, 2, 1, 3))
