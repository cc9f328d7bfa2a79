"""Encoder: weights together with everything that they demand of their input."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, require, silent
from tessera.cubes import parse_bands
from tessera.embeddings import STREAMS, Embeddings, ModelIdentity, quantise

from .observations import batches, observe

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from tessera.base import Progress
    from tessera.cubes import PixelCube
    from tessera.models import InputSpec

_TOKEN_BUDGET = 65_536
"""Tokens a batch; a few MB of activations for nano, and enough rows to keep the matmuls busy."""
_BLOCK_BYTES = 256 * 1024**2
"""Float32 tokens held at a time while a cube streams through."""


@dataclass(frozen=True, repr=False)
class Encoder:
    """Turns a pixel's year into a vector.

    Attributes
    ----------
    network : (s2 (N, T, 11), s1 (N, T', 3)) -> (N, D), float32 tensors
    spec : bands, order, statistics, sampling rule, dims, quantiser
    identity : name and SHA-256 over tensors and spec
    """

    network: nn.Module
    spec: InputSpec
    identity: ModelIdentity

    def __repr__(self) -> str:
        return f"Encoder({self.identity.name}, {self.dims} dims, {self.identity.sha256[:12]})"

    @property
    def dims(self) -> int:
        """Length of its vectors."""
        return self.spec.dims

    def encode_batch(self, s2: NDArray[np.float32], s1: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed standardised observations.

        Parameters
        ----------
        s2 : (N, T, 11), ten bands standardised by the spec's statistics, then the day of year
        s1 : (N, T', 3), VV and VH standardised, then the day of year

        Returns
        -------
        (N, D) float32

        Raises
        ------
        InputError
            Another shape, or values that are not finite.
        """
        import torch

        arrays = []
        for name, given, bands in (("s2", s2, self.spec.s2_bands), ("s1", s1, self.spec.s1_bands)):
            array = np.ascontiguousarray(given, dtype=np.float32)
            if array.ndim != 3 or array.shape[1] < 1 or array.shape[2] != len(bands) + 1:
                raise InputError(
                    f"{name} of shape {array.shape}; expected (N, T, {len(bands) + 1}): {' '.join(bands)} and the day"
                )
            if not np.isfinite(array).all():
                raise InputError(f"{name} holds values that are not finite")
            arrays.append(array)
        if len(arrays[0]) != len(arrays[1]):
            raise InputError(f"s2 of {len(arrays[0])} and s1 of {len(arrays[1])} pixels; expected as many of each")
        if len(arrays[0]) == 0:
            return np.zeros((0, self.dims), dtype=np.float32)
        with torch.inference_mode():
            out: NDArray[np.float32] = self.network(*(torch.from_numpy(array) for array in arrays)).numpy()
        return out

    def encode(
        self, cube: PixelCube, dims: int | None = None, *, reference_fill: bool = False, progress: Progress = silent
    ) -> Embeddings:
        """Embed every pixel of a cube, row block by row block.

        Parameters
        ----------
        cube : in memory or on disk
        dims : length of the prefix to keep, one of the model's prefixes; it is quantised by its own scale
        reference_fill : keep a vector of zeros (code 0, the least scale) where a pixel has no observation, instead of
            no data. The published students return undefined memory there, the teacher zeros
        progress : called with rows done and their total

        Returns
        -------
        Embeddings; a pixel without any observation has code 0 and scale NaN

        Raises
        ------
        InputError
            The cube's bands are in another order than the weights demand, or there is no such prefix.
        """
        spec = self.spec
        parse_bands(cube.s2_bands, spec.s2_bands, "Sentinel-2")
        parse_bands(cube.s1_bands, spec.s1_bands, "Sentinel-1")
        kept = self.dims if dims is None else dims
        if kept not in self.identity.prefix_dims:
            choices = ", ".join(str(size) for size in self.identity.prefix_dims)
            raise InputError(f"{kept} dims of {self.identity.name}; expected one of {choices}")
        height, width = cube.shape
        codes = np.zeros((height, width, kept), dtype=np.int8)
        scales = np.full((height, width), np.nan, dtype=np.float32)
        counts = np.zeros((height, width, len(STREAMS)), dtype=np.uint16)
        empty = quantise(np.zeros((1, kept), dtype=np.float32), spec.quantiser.floor, spec.quantiser.low)[1][0]
        for start, stop in cube.row_blocks(self._rows_a_block(cube)):
            s2, s1, block_counts = observe(cube.window(start, stop), spec)
            counts[start:stop] = block_counts.reshape(stop - start, width, -1)
            block_codes = np.zeros((len(block_counts), kept), dtype=np.int8)
            block_scales = np.full(len(block_counts), empty if reference_fill else np.nan, dtype=np.float32)
            for pixels, s2_tokens, s1_tokens in batches(s2, s1, spec.sampling, _TOKEN_BUDGET):
                vectors = self.encode_batch(s2_tokens, s1_tokens)[:, :kept]
                block_codes[pixels], block_scales[pixels] = quantise(vectors, spec.quantiser.floor, spec.quantiser.low)
            codes[start:stop] = block_codes.reshape(stop - start, width, kept)
            scales[start:stop] = block_scales.reshape(stop - start, width)
            progress(stop, height)
        identity = replace(
            self.identity, dims=kept, prefix_dims=tuple(size for size in self.identity.prefix_dims if size <= kept)
        )
        return Embeddings(codes, scales, counts, identity, cube.grid, self.provenance(cube))

    def provenance(self, cube: PixelCube) -> dict[str, Any]:
        """What an embedding of `cube` says about its inputs."""
        return {**cube.provenance, "cube_sha256": cube.sha256}

    def _rows_a_block(self, cube: PixelCube) -> int:
        bands = len(self.spec.s2_bands) + 1, len(self.spec.s1_bands) + 1
        steps = int(cube.s2.shape[0]), int(cube.s1_asc.shape[0] + cube.s1_desc.shape[0])
        bytes_a_row = 4 * cube.shape[1] * (bands[0] * steps[0] + bands[1] * steps[1])
        return max(1, min(128, _BLOCK_BYTES // max(1, bytes_a_row)))


def load_encoder(name_or_path: str | Path | None = None, source: str | None = None) -> Encoder:
    """Load an encoder.

    Parameters
    ----------
    name_or_path : None for the bundled weights, or the path of a checkpoint: a published v2 student or our safetensors
    source : which provider's statistics to bind ("mpc" or "aws"), for versions that need it; v2 students have one set

    Raises
    ------
    InputError
        No such file or name, a truncated file, another version, tensors that do not fit, a source where none applies.
    """
    require("torch", extra="models", purpose="an encoder")
    require("safetensors", extra="models", purpose="an encoder")
    from tessera.models import read_checkpoint, resolve

    checkpoint = read_checkpoint(resolve(name_or_path))
    if source is not None:
        raise InputError(f"source {source!r} for {checkpoint.name}; v2 students have one set of statistics, give none")
    identity = ModelIdentity(
        checkpoint.name, checkpoint.sha256, checkpoint.spec.dims, prefix_dims=checkpoint.spec.prefix_dims
    )
    return Encoder(checkpoint.network(), checkpoint.spec, identity)
