"""Running jobs on a device: vectors, codes and scales of a block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ._device import PRECISIONS, prepare
from ._engine import Tower, quantise_on
from ._fixed import FixedTower
from ._lanes import side_by_side
from .sampling import RULES

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from tessera.models import InputSpec, TwoBackbones

    from ._observations import Ragged
    from .job import Job, Options

_BUDGET = 4096
"""Tokens a batch on a CPU: its output fits a core's cache."""
_OUTER = {"cpu": 32_768, "cuda": 131_072}
"""Tokens a batch on a GPU, and a pass of a recurrent pool on a CPU, whose products are faster with more pixels."""
_FUSED = 4096
"""Pixels fused at a time."""


class Runner:
    """A network on a device, with its statistics and quantiser."""

    def __init__(self, network: TwoBackbones, spec: InputSpec, device: str, precision: str) -> None:
        self.device = torch.device(device)
        if self.device.type == "cuda":
            # graphs are captured and memory is pinned on the current device
            torch.cuda.set_device(self.device)
        self.spec = spec
        self.network = prepare(network, self.device, precision)
        dtype = PRECISIONS[precision]
        tower = FixedTower if self.device.type == "cuda" else Tower
        self.towers = (
            tower(self.network.s2_backbone, [spec.s2], self.device, dtype, unsigned=True),
            tower(self.network.s1_backbone, [spec.s1_asc, spec.s1_desc], self.device, dtype, unsigned=False),
        )

    @property
    def ordered(self) -> bool:
        """Whether the network reads time in order."""
        return any(tower.ordered for tower in self.towers)

    @torch.inference_mode()
    def vectors(self, s2: NDArray[np.float32], s1: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed standardised observations (N, T, 11) and (N, T', 3) to (N, dims)."""
        pooled = (
            tower.backbone(torch.from_numpy(array).to(self.device)).float()
            for tower, array in zip(self.towers, (s2, s1), strict=True)
        )
        out: NDArray[np.float32] = self.network.fuse(*pooled)[:, : self.spec.dims].contiguous().cpu().numpy()
        return out

    @property
    def draws(self) -> bool:
        """Whether observations are drawn at random."""
        return RULES[self.spec.sampling.rule].choose is None

    @property
    def in_flight(self) -> int:
        """Blocks to start before waiting for the first, so that a GPU works while the host fetches results."""
        return int(self.device.type == "cuda")

    @torch.inference_mode()
    def start(self, job: Job, options: Options, report: Callable[[int], None]) -> tuple[Tensor, Tensor] | None:
        """Start a block: codes and scales of its kept pixels on the device, which may still be computing them.

        Parameters
        ----------
        report : called with tokens done
        """
        if len(job.kept) == 0:
            return None
        quantiser = self.spec.quantiser
        return quantise_on(self._mean(job, report)[:, : options.dims], quantiser.floor, quantiser.low)

    @torch.inference_mode()
    def floats(self, job: Job, options: Options) -> NDArray[np.float32]:
        """Vectors (P, dims) of a block before they are quantised; NaN where a pixel is not embedded."""
        out = np.full((len(job.counts), options.dims), np.nan, dtype=np.float32)
        if len(job.kept):
            out[job.kept] = self._mean(job, lambda _: None)[:, : options.dims].cpu().numpy()
        return out

    def finish(
        self, job: Job, options: Options, started: tuple[Tensor, Tensor] | None
    ) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
        """Codes (P, dims) and scales (P,) of a block; scale NaN, or the smallest, where a pixel is not embedded."""
        size, floor = len(job.counts), self.spec.quantiser.floor
        codes = np.zeros((size, options.dims), dtype=np.int8)
        scales = np.full(size, np.float32(floor) / np.float32(127) if options.reference_fill else np.nan, np.float32)
        if started is not None:
            codes[job.kept], scales[job.kept] = (part.cpu().numpy() for part in started)
        return codes, scales

    def _mean(self, job: Job, report: Callable[[int], None]) -> Tensor:
        """(K, out) vectors of the kept pixels, averaged over the draws."""
        each = (
            self._fused([self._pooled(*part, job, report) for part in zip(self.towers, draw, strict=True)])
            for draw in job.draws
        )
        total = next(each)
        for vectors in each:
            total += vectors
        return total if len(job.draws) == 1 else total / len(job.draws)

    def _pooled(self, tower: Tower, ragged: Ragged, job: Job, report: Callable[[int], None]) -> Tensor:
        """(K, width) in the order of the kept pixels."""
        rows = tower.moved(np.searchsorted(job.kept, ragged.pixels))
        pooled = tower.pool(ragged, _BUDGET, _OUTER[self.device.type], report)
        out = pooled.new_empty(len(job.kept), pooled.shape[1])
        if len(rows) < len(job.kept):
            out[:] = tower.nothing()
        out[rows] = pooled
        return out

    def _fused(self, pooled: list[Tensor]) -> Tensor:
        pairs = list(zip(*(torch.split(tensor, _FUSED) for tensor in pooled), strict=True))
        fused: list[Tensor | None] = [None] * len(pairs)

        def fuse(index: int, _: Callable[[int], None]) -> None:
            fused[index] = self.network.fuse(*(part.float() for part in pairs[index]))

        if self.device.type == "cpu":
            side_by_side(fuse, range(len(pairs)), lambda _: None)
        else:
            for index in range(len(pairs)):
                fuse(index, lambda _: None)
        return torch.cat([part for part in fused if part is not None])
