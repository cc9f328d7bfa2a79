"""Encoder: weights together with everything that they require of their input."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, checked, require, sha256_hex, silent
from tessera.cubes import PixelCube, parse_bands
from tessera.embeddings import STREAMS, Embeddings, ModelIdentity

from .draws import Draw
from .job import Options
from .row_blocks import embed_blocks, embed_floats, plan_blocks
from .sampling import RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.base import Progress
    from tessera.models import Checkpoint, InputSpec, TwoBackbones

    from ._run import Runner
    from .row_blocks import Block, Rows


@dataclass(frozen=True, repr=False)
class Encoder:
    """A network with everything that it requires of its input; `load_encoder` returns one.

    Attributes
    ----------
    network : (s2 (N, T, 11), s1 (N, T', 3)) -> vectors, float32 tensors
    spec : bands and their order, statistics, sampling rule, dims, quantiser
    identity : name, and SHA-256 over tensors and spec
    device : "cpu", "cuda" or "cuda:<n>"
    precision : "fp32" or "bf16", of all layers but the first and the last

    Examples
    --------
    >>> import tessera
    >>> encoder = tessera.load_encoder()
    >>> encoder.dims, encoder.device, encoder.precision
    (128, 'cpu', 'fp32')
    >>> encoder.encode(tessera.open_cube("cube.zarr"))
    Embeddings(58 x 59 pixels, 128 dims of bundled-nano, EPSG:32631, 100.0% with data)
    """

    network: TwoBackbones
    spec: InputSpec
    identity: ModelIdentity
    device: str = "cpu"
    precision: str = "fp32"

    def __repr__(self) -> str:
        how = f"{self.precision} on {self.device}"
        return f"Encoder({self.identity.name}, {self.dims} dims, {how}, {self.identity.sha256[:12]})"

    @property
    def dims(self) -> int:
        """Length of the vectors."""
        return self.spec.dims

    @cached_property
    def _runner(self) -> Runner:
        from ._run import Runner

        return Runner(self.network, self.spec, self.device, self.precision)

    @cached_property
    def _statistics_sha256(self) -> str:
        """SHA-256 of the statistics alone, as canonical JSON."""
        streams = [asdict(self.spec.s2), asdict(self.spec.s1_asc), asdict(self.spec.s1_desc)]
        return sha256_hex(json.dumps(streams, sort_keys=True).encode())

    def encode_batch(self, s2: NDArray[np.float32], s1: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed standardised observations.

        Parameters
        ----------
        s2 : (N, T, 11) float32: ten bands, standardised by the spec's statistics, then the day of year, 1 to 366
        s1 : (N, T', 3) float32: VV and VH, standardised, then the day of year

        Returns
        -------
        (N, D) float32. v1.1 computes 192 numbers; the 128 that are published are returned.

        Raises
        ------
        InputError
            An array has another shape, or values that are not finite.

        Examples
        --------
        >>> import numpy as np, tessera
        >>> s2 = np.zeros((2, 20, 11), dtype=np.float32)
        >>> s2[..., 10] = np.arange(1, 21)
        >>> s1 = np.zeros((2, 5, 3), dtype=np.float32)
        >>> s1[..., 2] = np.arange(1, 6)
        >>> tessera.load_encoder().encode_batch(s2, s1).shape
        (2, 128)
        """
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
        return self._runner.vectors(*arrays)

    def encode(
        self,
        cube: PixelCube,
        dims: int | None = None,
        *,
        reference_fill: bool = False,
        min_s2: int = 0,
        min_s1: int = 0,
        draw: Draw | None = None,
        progress: Progress = silent,
    ) -> Embeddings:
        """Embed every pixel of a cube.

        Memory is bounded by a block of rows and the result.

        Parameters
        ----------
        cube : in memory or on disk
        dims : length of the prefix to keep, one of `identity.prefix_dims`, quantised by its own scale; all if None
        reference_fill : return what the published code returns for a pixel without observations: v1.1 embeds it; v1.0
            drops a pixel without a Sentinel-2 value; the teacher writes zeros (here code 0 and the smallest scale); the
            students return undefined memory, here zeros
        min_s2 : fewest valid observations of Sentinel-2 for a pixel to be embedded
        min_s1 : fewest valid observations of Sentinel-1, both orbits together
        draw : seed and repeats of the observations that v1.0 draws at random; other models draw nothing
        progress : called as `progress(done, total)`, pixels

        Returns
        -------
        Embeddings on the cube's grid: codes (H, W, D) int8, scales (H, W) float32. A pixel without observations has
        code 0 and scale NaN.

        Raises
        ------
        InputError
            The cube's bands are in another order than the weights require, or there is no such prefix.

        Examples
        --------
        >>> import tessera
        >>> cube = tessera.open_cube("cube.zarr")
        >>> embeddings = tessera.load_encoder().encode(cube, min_s2=3)  # at least three clear dates
        >>> embeddings.shape
        (58, 59, 128)
        """
        if not isinstance(cube, PixelCube):
            raise InputError(f"a {type(cube).__name__} to encode; expected a PixelCube, as tessera.open_cube gives it")
        options = self.options(dims, reference_fill=reference_fill, min_s2=min_s2, min_s1=min_s1, draw=draw)
        total = cube.shape[0] * cube.shape[1]
        blocks = self.blocks(cube, options, advance=lambda pixels: progress(pixels, total))
        return self.assemble(cube, options, blocks)

    def options(
        self,
        dims: int | None = None,
        *,
        reference_fill: bool = False,
        min_s2: int = 0,
        min_s1: int = 0,
        draw: Draw | None = None,
    ) -> Options:
        """Check the arguments of `encode` and return them as `Options`.

        Raises
        ------
        InputError
            There is no such prefix, or a minimum is below 0.
        """
        kept = self.dims if dims is None else dims
        if kept not in self.identity.prefix_dims:
            choices = ", ".join(str(size) for size in self.identity.prefix_dims)
            raise InputError(f"{kept} dims of {self.identity.name}; expected one of {choices}")
        if min_s2 < 0 or min_s1 < 0:
            raise InputError(f"min_s2 {min_s2} and min_s1 {min_s1}; expected 0 or more observations")
        return Options(kept, reference_fill, min_s2, min_s1, draw or Draw())

    def blocks(
        self,
        cube: PixelCube,
        options: Options,
        groups: Iterable[Rows] | None = None,
        *,
        advance: Callable[[int], None] = lambda _: None,
    ) -> Iterator[Block]:
        """Embed a cube and yield its blocks of rows.

        Parameters
        ----------
        cube : in memory or on disk
        options : from `options`
        groups : blocks from `plan_blocks`, all if None; they depend only on the cube's shape
        advance : called with the number of pixels done so far

        Raises
        ------
        InputError
            The cube's bands are in another order than the weights demand.
        """
        self._check_bands(cube)
        return embed_blocks(self._runner, cube, options, plan_blocks(cube) if groups is None else groups, advance)

    def vectors(self, cube: PixelCube, *, draw: Draw | None = None) -> NDArray[np.float32]:
        """Embed every pixel of a cube, without quantising.

        Parameters
        ----------
        cube : in memory or on disk
        draw : seed and repeats of the observations that v1.0 draws at random

        Returns
        -------
        (H, W, D) float32; NaN for a pixel without observations.

        Raises
        ------
        InputError
            The cube's bands are in another order than the weights demand.

        Examples
        --------
        >>> import tessera
        >>> tessera.load_encoder().vectors(tessera.open_cube("cube.zarr").crop(0, 4, 0, 5)).shape
        (4, 5, 128)
        """
        self._check_bands(cube)
        return embed_floats(self._runner, cube, self.options(draw=draw))

    def _check_bands(self, cube: PixelCube) -> None:
        parse_bands(cube.s2_bands, self.spec.s2_bands, "Sentinel-2")
        parse_bands(cube.s1_bands, self.spec.s1_bands, "Sentinel-1")

    def assemble(self, cube: PixelCube, options: Options, blocks: Iterable[Block]) -> Embeddings:
        """Assemble the blocks of a cube into Embeddings."""
        height, width = cube.shape
        codes = np.zeros((height, width, options.dims), dtype=np.int8)
        scales = np.full((height, width), np.nan, dtype=np.float32)
        counts = np.zeros((height, width, len(STREAMS)), dtype=np.uint16)
        for block in blocks:
            rows = slice(block.start, block.stop)
            codes[rows], scales[rows], counts[rows] = block.codes, block.scales, block.counts
        prefixes = tuple(size for size in self.identity.prefix_dims if size <= options.dims)
        identity = replace(self.identity, dims=options.dims, prefix_dims=prefixes)
        return Embeddings(codes, scales, counts, identity, cube.grid, self.provenance(cube, options))

    def provenance(self, cube: PixelCube, options: Options | None = None) -> dict[str, Any]:
        """The record of inputs and computation that embeddings of a cube carry."""
        encoding: dict[str, Any] = {"precision": self.precision}
        if options is not None:
            drawn = RULES[self.spec.sampling.rule].choose is None
            encoding |= {
                **({"draw": asdict(options.draw)} if drawn else {}),
                **({"reference_fill": True} if options.reference_fill else {}),
                **({"min_s2": options.min_s2} if options.min_s2 else {}),
                **({"min_s1": options.min_s1} if options.min_s1 else {}),
            }
        return {
            **cube.provenance,
            "cube_sha256": cube.sha256,
            "statistics_sha256": self._statistics_sha256,
            "encoding": encoding,
        }


def find_devices(device: str | None = None) -> tuple[str, ...]:
    """The devices with a name: every GPU for None or "cuda" if there are any, else the one device.

    Raises
    ------
    InputError
        The name is unknown, or the GPU does not exist.
    """
    require("torch", extra="models", purpose="an encoder")
    from ._device import parse_device

    first = parse_device(device)
    if first.type == "cpu" or ":" in str(first):
        return (str(first),)
    import torch

    return tuple(f"cuda:{index}" for index in range(torch.cuda.device_count()))


@checked
def load_encoder(
    name_or_path: str | Path | None = None,
    source: str | None = None,
    *,
    device: str | None = None,
    precision: str | None = None,
) -> Encoder:
    """Load an encoder. It never downloads; `tessera models pull` does.

    Parameters
    ----------
    name_or_path : the path of a checkpoint (a published one of any version, or our safetensors), the name of a
        published model that was pulled (`tessera models list`), or None for the bundled weights
    source : which provider's statistics v1.1 was trained with: "mpc" or "aws"
    device : "cpu", "cuda" or "cuda:<n>"; a GPU if there is one and None is given
    precision : "fp32", "bf16", or "auto" for bf16 where the device has instructions for it. None means fp32 on a CPU
        and auto on a GPU

    Raises
    ------
    InputError
        There is no such file, name or device; the file is damaged; or `source` is missing or does not apply.

    Examples
    --------
    >>> import tessera
    >>> tessera.load_encoder(device="cpu").identity.name
    'bundled-nano'
    >>> encoder = tessera.load_encoder("v1.1", source="mpc", device="cuda")  # doctest: +SKIP
    """
    require("torch", extra="models", purpose="an encoder")
    require("safetensors", extra="models", purpose="an encoder")
    from tessera.models import open_checkpoint

    from ._device import parse_device, parse_precision

    where = parse_device(device)
    how = parse_precision(precision, where)
    return encoder_of(open_checkpoint(name_or_path, source), str(where), how)


def encoder_of(checkpoint: Checkpoint, device: str = "cpu", precision: str = "fp32") -> Encoder:
    """The encoder with a checkpoint's weights, under its name."""
    spec = checkpoint.spec
    identity = ModelIdentity(checkpoint.name, checkpoint.sha256, spec.dims, prefix_dims=spec.prefix_dims)
    return Encoder(checkpoint.network(), spec, identity, device, precision)
