"""Arithmetic on codes that gives the same bits everywhere: whole numbers first, then float64 in a fixed order.

A sum of products of codes is a whole number below 2**53, so float64 holds it exactly in whatever order it is summed.
What comes after is one float64 multiply or add after another, never fused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tessera.embeddings import StackedVectors

MOST = 32767
"""The largest weight, and the steps on either side of 0."""
_BLOCK = 4096
_FLOAT32 = 1024
"""Dims up to which sums of products of int8 stay below 2**24, which float32 holds."""


def dots(codes: NDArray[np.int8], weights: NDArray[Any]) -> NDArray[np.float64]:
    """(n, d) int8 codes and (m, d) int8 or int16 weights -> (n, m) float64, whole numbers."""
    small = weights.dtype == np.int8 and weights.shape[1] <= _FLOAT32
    kind: Any = np.float32 if small else np.float64
    turned = np.ascontiguousarray(weights.T, dtype=kind)
    out = np.empty((len(codes), len(weights)))
    for start in range(0, len(codes), _BLOCK):
        out[start : start + _BLOCK] = codes[start : start + _BLOCK].astype(kind) @ turned
    return out


def linear_scores(
    stacked: StackedVectors, weights: Sequence[NDArray[np.int16]], scale: NDArray[np.float64], bias: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(n, K): bias of the class, and part by part + scale of the vector x (scale of the class x sum of products).

    Parameters
    ----------
    stacked : (n,) vectors of P parts
    weights : (K, d) of each part
    scale : (K, P)
    bias : (K,)
    """
    out = np.repeat(bias[None], len(stacked), axis=0)
    for index, part in enumerate(stacked.parts):
        product = dots(part.codes, weights[index]) * scale[:, index]
        out += part.scales.astype(np.float64)[:, None] * product
    return out


def nearest(
    stacked: StackedVectors,
    rows: Sequence[NDArray[np.int8]],
    own: NDArray[np.float64],
    count: int,
    *,
    distances: bool = False,
    square: Sequence[NDArray[np.float64]] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(n, count) rows nearest to each vector, from the nearest, the first of those at one distance; and what orders
    them, or their squared distances.

    What orders them is the squared distance less the square of the vector: from 0, part by part
    + (s s |q|^2 - (t (2 s)) (q . p)), with s and q the scale and codes of a row, t and p those of the vector. A squared
    distance is that plus the square: from 0, part by part + (t t) |p|^2.

    Parameters
    ----------
    stacked : (n,) vectors of P parts
    rows : (N, d) codes of each part
    own : (N, P) scales of the rows
    square : (N,) `squares` of each part of the rows; None: computed here
    """
    if square is None:
        square = [squares(part, own[:, index]) for index, part in enumerate(rows)]
    order = np.zeros((len(stacked), len(own)))
    for index, part in enumerate(stacked.parts):
        double = 2.0 * own[:, index]
        order += square[index] - (part.scales.astype(np.float64)[:, None] * double) * dots(part.codes, rows[index])
    found, values = smallest(order, count)
    if not distances:
        return found, values
    return found, values + own_squares(stacked)[:, None]


def own_squares(stacked: StackedVectors) -> NDArray[np.float64]:
    """(n,) the square of each vector, summed from 0 part by part."""
    out = np.zeros(len(stacked))
    for part in stacked.parts:
        out += squares(part.codes, part.scales.astype(np.float64))
    return out


def squares(rows: NDArray[np.int8], own: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) (scale x scale) x the sum of the squared codes."""
    whole = rows.astype(np.int64)
    out: NDArray[np.float64] = (own * own) * (whole * whole).sum(axis=1).astype(np.float64)
    return out


def smallest(order: NDArray[np.float64], count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(n, N) -> (n, count) the columns of the smallest numbers of each row, in order, the first of equals; the numbers.

    `order` is changed.
    """
    found, values = np.empty((len(order), count), dtype=np.int64), np.empty((len(order), count))
    rows = np.arange(len(order))
    for index in range(count):
        found[:, index] = order.argmin(axis=1)
        values[:, index] = order[rows, found[:, index]]
        order[rows, found[:, index]] = np.inf
    return found, values
