"""The engine: from ragged observations of a block to one pooled vector a pixel and modality.

Observations are copied to the device as raw integers and standardised there. Pixels are sorted by their number of
observations, so that batches need little padding. A repeated observation is computed once, with the logarithm of its
count as a bias (`tessera.models.layers`); it is repeated only for networks that read time in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from tessera.models import RecurrentPool, day_code

from ._lanes import side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from tessera.models import Backbone, Statistics

    from ._observations import Ragged

DAYS = 367
"""Rows of the day table: day 0 is for a modality without observations, 1 to 366 for days of the year."""


def cuts(lengths: NDArray[np.int64], budget: int) -> Iterator[tuple[int, int]]:
    """Runs of pixels, padded to their longest, of at most `budget` tokens but at least one pixel.

    `lengths` are the (K,) tokens of each pixel, ascending. Yields start and stop.
    """
    start, total = 0, len(lengths)
    while start < total:
        most = min(total, start + max(1, budget // int(lengths[start])))
        within = lengths[start:most] * np.arange(1, most - start + 1) <= budget
        stop = start + max(1, int(np.count_nonzero(within)))
        yield start, stop
        start = stop


@dataclass(frozen=True)
class Batch:
    """A run of pixels, still ragged: tensors on the host, ready to move.

    Attributes
    ----------
    values : (M, C) int16 bits
    days, kinds : (M,) int16, uint8
    counts : (M,) number of times that each token occurs in its pixel's sequence
    lengths : (N,) int64 tokens of each pixel, ascending
    """

    values: Tensor
    days: Tensor
    kinds: Tensor
    counts: Tensor
    lengths: NDArray[np.int64]


def batch_of(ragged: Ragged, offsets: NDArray[np.int64], start: int, stop: int) -> Batch:
    """Pixels `start` to `stop` of a block; no copy."""
    a, b = int(offsets[start]), int(offsets[stop])
    return Batch(
        torch.from_numpy(ragged.values[a:b].view(np.int16)),
        torch.from_numpy(ragged.days[a:b]),
        torch.from_numpy(ragged.kinds[a:b]),
        torch.from_numpy(ragged.counts[a:b].astype(np.int16)),
        ragged.lengths[start:stop],
    )


class Tower:
    """One modality's backbone on a device, from raw observations to pooled vectors.

    Parameters
    ----------
    backbone : prepared (`tessera.encode._device.prepare`)
    statistics : by kind
    device, dtype : of the computation
    unsigned : whether the raw values are uint16
    """

    def __init__(
        self,
        backbone: Backbone,
        statistics: Sequence[Statistics],
        device: torch.device,
        dtype: torch.dtype,
        *,
        unsigned: bool,
    ) -> None:
        self.backbone, self.device, self.dtype = backbone, device, dtype
        self.unsigned = unsigned
        self.mean = torch.tensor([part.mean for part in statistics], dtype=torch.float32, device=self.device)
        deviation = torch.tensor([part.std for part in statistics], dtype=torch.float32, device=self.device)
        self.scale = deviation + torch.tensor(1e-9, dtype=torch.float32, device=self.device)
        days = torch.arange(DAYS, dtype=torch.float32, device=self.device)
        self.table = day_code(days[None], backbone.width)[0].to(self.dtype)

    @property
    def ordered(self) -> bool:
        """Whether it reads time in order."""
        return isinstance(self.backbone.attn_pool, RecurrentPool)

    def embed(self, values: Tensor, days: Tensor, kinds: Tensor) -> Tensor:
        """Tokens (..., width) of raw observations on the device: values (..., C) int16 bits, days and kinds (...)."""
        whole = values.int() & 0xFFFF if self.unsigned else values
        kinds = kinds.int()
        bands = (whole.float() - self.mean[kinds]) / self.scale[kinds]
        return self.backbone.tokens(bands, self.table[days.int()])

    def moved(self, array: NDArray[np.generic]) -> Tensor:
        """An array on the device; for a GPU through pinned memory, so that the host does not wait."""
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        if self.device.type == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)

    def _layers(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
        """Tokens after the transformer (N, T, width), log counts (N, T), mask of real tokens if any is padding."""
        lengths = batch.lengths
        n, longest = len(lengths), int(lengths[-1])
        tokens = self.embed(*(part.to(self.device) for part in (batch.values, batch.days, batch.kinds)))
        log_count = torch.log(batch.counts.to(self.device).float())
        if int(lengths[0]) == longest:
            x, bias, real = tokens.view(n, longest, -1), log_count.view(n, longest), None
        else:
            own = torch.from_numpy(lengths).to(self.device)
            steps = torch.arange(longest, device=self.device)
            real = steps < own[:, None]
            index = (own.cumsum(0) - own)[:, None] + torch.minimum(steps, own[:, None] - 1)
            x, bias = tokens[index], log_count[index].masked_fill(~real, float("-inf"))
        return self.backbone.transformer_encoder(x, bias), bias, real

    def pool(self, ragged: Ragged, budget: int, outer: int, report: Callable[[int], None]) -> Tensor:
        """Pool every pixel of a block: (K, width), in the order of `ragged.pixels`.

        A batch has `budget` tokens. A pass of a recurrent pool, which is faster with many pixels at once, has `outer`.
        """
        offsets = np.concatenate([[0], np.cumsum(ragged.lengths)])
        out = torch.empty(len(ragged.pixels), self.table.shape[1], dtype=self.dtype, device=self.device)
        pool = self.backbone.attn_pool
        sequences = ragged.sequences
        if sequences is None or not isinstance(pool, RecurrentPool):

            def whole(run: tuple[int, int], tell: Callable[[int], None]) -> None:
                start, stop = run
                x, bias, _ = self._layers(batch_of(ragged, offsets, start, stop))
                out[start:stop] = pool(x, bias)
                tell(int(offsets[stop] - offsets[start]))

            side_by_side(whole, cuts(ragged.lengths, budget), report)
            return out
        recurrent = pool

        def ordered(run: tuple[int, int], tell: Callable[[int], None]) -> None:
            first, last = run
            flat = []
            for start, stop in cuts(ragged.lengths[first:last], budget):
                x, _, real = self._layers(batch_of(ragged, offsets, first + start, first + stop))
                flat.append(x.flatten(0, 1) if real is None else x[real])
                tell(int(offsets[first + stop] - offsets[first + start]))
            spans = ragged.spans[first:last]
            own = offsets[first:last] - offsets[first]
            order = sequences[first:last, : int(spans[-1])] + own[:, None]
            index = torch.from_numpy(order).to(self.device)
            out[first:last] = recurrent.pool(torch.cat(flat), index, spans.tolist())

        side_by_side(ordered, cuts(ragged.spans, outer), report)
        return out

    def nothing(self) -> Tensor:
        """(width,) the vector of a modality without observations: that of one token of zeros on day 0."""
        bands = torch.zeros(1, 1, self.mean.shape[1], device=self.device)
        x = self.backbone.transformer_encoder(self.backbone.tokens(bands, self.table[None, :1]))
        out: Tensor = x[0, 0]
        return out


def quantise_on(values: Tensor, floor: float, low: int) -> tuple[Tensor, Tensor]:
    """Like `tessera.embeddings.quantise`, on the values' device: (N, D) float32 to codes int8 and scales float32."""
    most = torch.full((), 127.0, device=values.device)  # CUDA would multiply by the reciprocal of a Python number
    scales = values.abs().amax(dim=-1).clamp_min(floor) / most
    codes = torch.round(values / scales.unsqueeze(-1)).clamp_(low, 127).to(torch.int8)
    return codes, scales
