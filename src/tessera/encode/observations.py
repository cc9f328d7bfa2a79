"""Observations of a block of pixels: which are valid, in what order, and the tensors that a network reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .sampling import sample_indices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tessera.cubes import PixelCube
    from tessera.models import InputSpec, Sampling, Statistics


@dataclass(frozen=True)
class Stream:
    """One modality of P pixels.

    Attributes
    ----------
    tokens : (P, T, C + 1) float32, standardised bands and the day of year
    order : (P, T) int32, indices of the valid observations first, in order
    n : (P,) int64, number of valid observations
    """

    tokens: NDArray[np.float32]
    order: NDArray[np.int32]
    n: NDArray[np.int64]

    def sizes(self, sampling: Sampling) -> NDArray[np.int64]:
        """(P,) tokens that each pixel enters with: its bin, or 0 without an observation."""
        bins = np.asarray(sampling.bins)
        return np.where(self.n == 0, 0, bins[np.minimum(np.searchsorted(bins, self.n), len(bins) - 1)])

    def gather(self, pixels: NDArray[np.int64], size: int, sampling: Sampling) -> NDArray[np.float32]:
        """(M, size, C + 1) tokens of pixels of one size; a single token of zeros where the size is 0."""
        if size == 0:
            return np.zeros((len(pixels), 1, self.tokens.shape[-1]), dtype=np.float32)
        table = np.zeros((int(self.n[pixels].max()) + 1, size), dtype=np.int64)
        for n in np.unique(self.n[pixels]):
            table[n] = sample_indices(sampling.rule, sampling.bins, int(n))
        chosen = np.take_along_axis(self.order[pixels], table[self.n[pixels]], axis=1)
        return np.take_along_axis(self.tokens[pixels], chosen[:, :, None], axis=1)


def _by_pixel(stack: NDArray[np.generic]) -> NDArray[np.generic]:
    """(T, H, W, C) to (H * W, T, C)."""
    t, height, width, *channels = stack.shape
    return np.ascontiguousarray(stack.reshape(t, height * width, *(channels or [1])).transpose(1, 0, 2))


def _tokens(stack: NDArray[np.generic], days: NDArray[np.int16], statistics: Statistics) -> NDArray[np.float32]:
    pixels = _by_pixel(stack).astype(np.float32)
    mean = np.asarray(statistics.mean, dtype=np.float32)
    scale = np.asarray(statistics.std, dtype=np.float32) + np.float32(1e-9)
    tokens = np.empty((*pixels.shape[:2], pixels.shape[2] + 1), dtype=np.float32)
    np.divide(pixels - mean, scale, out=tokens[..., :-1])
    tokens[..., -1] = days.astype(np.float32)
    return tokens


def _stream(tokens: NDArray[np.float32], valid: NDArray[np.bool_]) -> Stream:
    order = np.argsort(~valid, axis=1, kind="stable").astype(np.int32)
    return Stream(tokens, order, valid.sum(axis=1, dtype=np.int64))


def observe(cube: PixelCube, spec: InputSpec) -> tuple[Stream, Stream, NDArray[np.uint16]]:
    """Standardise a block of a cube that lies in memory.

    Sentinel-2 counts where its mask is not 0, Sentinel-1 where VV or VH is not 0; the ascending orbit comes before the
    descending one, each standardised with its own statistics.

    Returns
    -------
    Sentinel-2 stream, Sentinel-1 stream, counts (H * W, 3) uint16 of Sentinel-2, ascending, descending
    """
    s2_valid = _by_pixel(np.asarray(cube.s2_mask))[..., 0] != 0
    s2 = _stream(_tokens(np.asarray(cube.s2), cube.s2_doy, spec.s2), s2_valid)
    asc, desc = np.asarray(cube.s1_asc), np.asarray(cube.s1_desc)
    asc_valid, desc_valid = ((_by_pixel(stack) != 0).any(axis=2) for stack in (asc, desc))
    s1 = _stream(
        np.concatenate(
            [_tokens(asc, cube.s1_asc_doy, spec.s1_asc), _tokens(desc, cube.s1_desc_doy, spec.s1_desc)], axis=1
        ),
        np.concatenate([asc_valid, desc_valid], axis=1),
    )
    counts = np.stack([valid.sum(axis=1) for valid in (s2_valid, asc_valid, desc_valid)], axis=1).astype(np.uint16)
    return s2, s1, counts


def batches(
    s2: Stream, s1: Stream, sampling: Sampling, token_budget: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]]:
    """Batches of pixels of one shape, each of at most `token_budget` tokens but at least one pixel.

    Pixels without any observation are left out.

    Yields
    ------
    pixels (M,) int64, s2 (M, T, 11) float32, s1 (M, T', 3) float32
    """
    sizes = np.stack([s2.sizes(sampling), s1.sizes(sampling)], axis=1)
    seen = np.flatnonzero(sizes.any(axis=1))
    shapes, group = np.unique(sizes[seen], axis=0, return_inverse=True)
    for index, (s2_size, s1_size) in enumerate(shapes.tolist()):
        members = seen[group.reshape(-1) == index]
        step = max(1, token_budget // (s2_size + s1_size))
        for start in range(0, len(members), step):
            pixels = members[start : start + step]
            yield pixels, s2.gather(pixels, s2_size, sampling), s1.gather(pixels, s1_size, sampling)
