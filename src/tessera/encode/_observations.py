"""Observations of a block of pixels: masks of valid ones, and ragged arrays of those that a network reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .sampling import sample_indices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.cubes import PixelCube
    from tessera.models import Sampling

_DUMMY_DAY = 180
"""Day of the zeros that represent an orbit without dates in v1.0 (published code: ssl_dataset.py)."""


@dataclass(frozen=True)
class Stream:
    """One modality of P pixels, in the layout of the cube.

    Attributes
    ----------
    stack : (T, P, C) uint16 or int16, raw
    days : (T,) int16, day of year
    kinds : (T,) uint8, index of the statistics for each observation: 0, or 1 (the descending orbit)
    valid : (P, T) bool
    """

    stack: NDArray[np.generic]
    days: NDArray[np.int16]
    kinds: NDArray[np.uint8]
    valid: NDArray[np.bool_]


@dataclass(frozen=True)
class Ragged:
    """The observations of one modality that a network reads, pixel by pixel, in ascending order of their number.

    Attributes
    ----------
    pixels : (K,) int64, rows of the block; those without an observation are left out
    values : (M, C) uint16 or int16, raw
    days : (M,) int16
    kinds : (M,) uint8
    counts : (M,) uint8 or uint16, number of times that each occurs in the pixel's sequence
    lengths : (K,) int64, observations of each pixel, ascending
    sequences : (K, L) int32 or None, the whole sequence of each pixel with its repeats, as rows of the pixel's own
        observations; for networks that read time in order
    spans : (K,) int64, length of each pixel's sequence
    """

    pixels: NDArray[np.int64]
    values: NDArray[np.generic]
    days: NDArray[np.int16]
    kinds: NDArray[np.uint8]
    counts: NDArray[np.generic]
    lengths: NDArray[np.int64]
    sequences: NDArray[np.int32] | None
    spans: NDArray[np.int64]


def _flat(stack: NDArray[np.generic]) -> NDArray[np.generic]:
    """(T, H, W, C) to (T, H * W, C)."""
    stack = np.ascontiguousarray(stack)
    return stack.reshape(stack.shape[0], stack.shape[1] * stack.shape[2], *stack.shape[3:])


def observe(cube: PixelCube, sampling: Sampling) -> tuple[Stream, Stream, NDArray[np.uint16]]:
    """The two modalities of a block of a cube that is in memory.

    Sentinel-2 is valid where its mask is not 0, Sentinel-1 where VV or VH is not 0. The ascending orbit precedes the
    descending one.

    Returns
    -------
    Sentinel-2 stream, Sentinel-1 stream, counts (H * W, 3) uint16 of Sentinel-2, ascending, descending
    """
    stacks = [_flat(np.asarray(stack)) for stack in (cube.s2, cube.s1_asc, cube.s1_desc)]
    days = [cube.s2_doy, cube.s1_asc_doy, cube.s1_desc_doy]
    valid = [
        np.ascontiguousarray((_flat(np.asarray(cube.s2_mask)) != 0).T),
        *(np.ascontiguousarray((stack.view(np.int32)[..., 0] != 0).T) for stack in stacks[1:]),
    ]
    counts = np.stack([part.sum(axis=1, dtype=np.uint16) for part in valid], axis=1)
    if sampling.rule == "v1.0":
        for index, stack in enumerate(stacks):
            if len(stack) == 0:
                stacks[index] = np.zeros((1, *stack.shape[1:]), dtype=stack.dtype)
                days[index] = np.asarray([_DUMMY_DAY], dtype=np.int16)
                valid[index] = np.zeros((stack.shape[1], 1), dtype=np.bool_)
    s2 = Stream(stacks[0], days[0], np.zeros(len(days[0]), dtype=np.uint8), valid[0])
    s1 = Stream(
        np.concatenate(stacks[1:]),
        np.concatenate(days[1:]),
        np.repeat(np.asarray([0, 1], dtype=np.uint8), [len(part) for part in days[1:]]),
        np.concatenate(valid[1:], axis=1),
    )
    return s2, s1, counts


def pack_rule(stream: Stream, pixels: NDArray[np.int64], sampling: Sampling, *, ordered: bool) -> Ragged:
    """Pack by a rule without random draws: all valid observations up to the largest bin, repeats as counts.

    Parameters
    ----------
    pixels : (K,) rows of the block
    ordered : whether the network reads time in order and needs the sequences
    """
    valid = stream.valid[pixels]
    n = valid.sum(axis=1, dtype=np.int64)
    longest = sampling.bins[-1]
    for size in np.unique(n[n > longest]):
        rows = np.flatnonzero(n == size)
        dates = np.nonzero(valid[rows])[1].reshape(len(rows), size)
        valid[rows] = False
        valid[rows[:, None], dates[:, sample_indices(sampling.rule, sampling.bins, int(size))]] = True
        n[rows] = longest
    sizes, how_many = np.unique(n[n > 0], return_counts=True)
    tables = [sample_indices(sampling.rule, sampling.bins, int(size)) for size in sizes]
    counts = [
        np.tile(np.bincount(table, minlength=size).astype(np.uint16), k)
        for table, size, k in zip(tables, sizes, how_many, strict=True)
    ]
    spans = np.repeat([len(table) for table in tables], how_many).astype(np.int64)
    sequences = None
    if ordered:
        whole = np.zeros((len(tables), max(map(len, tables), default=1)), dtype=np.int32)
        for row, table in zip(whole, tables, strict=True):
            row[: len(table)] = table
        sequences = np.repeat(whole, how_many, axis=0)
    return _pack(stream, pixels, valid, n, np.concatenate(counts) if counts else None, sequences, spans)


def pack_counts(stream: Stream, pixels: NDArray[np.int64], drawn: NDArray[np.uint8], *, ordered: bool) -> Ragged:
    """Pack drawn observations.

    Parameters
    ----------
    pixels : (K,) rows of the block
    drawn : (K, T) uint8, number of times that each observation of these pixels was drawn; all rows have the same sum
    """
    valid = drawn != 0
    n = valid.sum(axis=1, dtype=np.int64)
    packed = _pack(stream, pixels, valid, n, None, None, drawn.sum(axis=1, dtype=np.int64), drawn)
    if not ordered:
        return packed
    own = np.arange(len(packed.counts)) - np.repeat(np.cumsum(packed.lengths) - packed.lengths, packed.lengths)
    size = int(packed.spans[0]) if len(packed.spans) else 1
    sequences = np.repeat(own, packed.counts.astype(np.int64)).astype(np.int32).reshape(-1, size)
    return Ragged(**{**packed.__dict__, "sequences": sequences})


def _pack(
    stream: Stream,
    pixels: NDArray[np.int64],
    valid: NDArray[np.bool_],
    n: NDArray[np.int64],
    counts: NDArray[np.generic] | None,
    sequences: NDArray[np.int32] | None,
    spans: NDArray[np.int64],
    drawn: NDArray[np.uint8] | None = None,
) -> Ragged:
    rank = np.argsort(n, kind="stable")
    rank = rank[np.searchsorted(n[rank], 1) :]
    lengths = n[rank]
    chosen = valid[rank]
    flat = np.flatnonzero(chosen)
    steps = flat % max(1, chosen.shape[1])
    if drawn is not None:
        counts, spans = drawn[rank].reshape(-1)[flat], spans[rank]
    stack = stream.stack
    channels = stack.shape[2]
    record = np.dtype((np.void, stack.dtype.itemsize * channels))
    where = steps * stack.shape[1] + np.repeat(pixels[rank], lengths)
    records = np.ascontiguousarray(stack).reshape(-1).view(record)
    values = records[where].view(stack.dtype).reshape(-1, channels)
    return Ragged(
        pixels[rank],
        values,
        stream.days[steps],
        stream.kinds[steps],
        np.zeros(0, dtype=np.uint16) if counts is None else counts,
        lengths,
        sequences,
        spans,
    )
