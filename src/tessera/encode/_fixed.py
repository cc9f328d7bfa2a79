"""Batches of few fixed shapes, for a GPU: the work of each shape is captured once as a CUDA graph and replayed.

Launching a network's small kernels one by one takes longer than running them, especially in a recurrent pool.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from tessera.models import RecurrentPool

from ._engine import Tower

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from ._observations import Ragged

_MULTIPLE = 8
"""Lengths are padded to multiples of this, so that there are few shapes."""


def shapes(
    lengths: NDArray[np.int64], spans: NDArray[np.int64], budget: int, *, ordered: bool
) -> Iterator[tuple[int, int, int, int, int]]:
    """Runs of pixels with one padded length and, if time is read in order, one span; remainders take a half, a quarter,
    an eighth or a sixteenth of a batch.

    Yields
    ------
    start, stop, pixels of the shape, tokens a pixel, span
    """
    padded = -(-lengths // _MULTIPLE) * _MULTIPLE
    steps = spans if ordered else np.zeros_like(spans)
    edges = np.flatnonzero((np.diff(padded) != 0) | (np.diff(steps) != 0)) + 1
    for first, last in zip([0, *edges], [*edges, len(lengths)], strict=True):
        if first == last:
            continue
        tokens, span = int(padded[first]), int(steps[first])
        start, most = int(first), max(1, budget // tokens)
        while start < last:
            left = int(last) - start
            pixels = next((size for size in (most // 16, most // 8, most // 4, most // 2) if size >= left), most)
            yield start, min(start + pixels, int(last)), pixels, tokens, span
            start += pixels


class FixedTower(Tower):
    """A tower that computes in fixed shapes; with graphs on CUDA, elsewhere step by step (for tests).

    The graphs share their memory: they run one after another, and each result is copied out before the next.
    """

    _graphs: dict[tuple[int, int, int], tuple[list[Tensor], Callable[[], Tensor]]]
    _memory: Any
    _stream: Any

    def pool(self, ragged: Ragged, budget: int, outer: int, report: Callable[[int], None]) -> Tensor:
        """Like `Tower.pool`; `outer` is the budget here, and `budget` is ignored."""
        del budget
        values = self.moved(ragged.values.view(np.int16))
        days, kinds = self.moved(ragged.days), self.moved(ragged.kinds)
        log_count = torch.log(self.moved(ragged.counts.astype(np.int16)).float())
        own = self.moved(ragged.lengths)
        offsets = own.cumsum(0) - own
        sequences = None if ragged.sequences is None else self.moved(ragged.sequences)
        out = torch.empty(len(ragged.pixels), self.table.shape[1], dtype=self.dtype, device=self.device)
        runs = shapes(ragged.lengths, ragged.spans, outer, ordered=self.ordered)
        for start, stop, pixels, tokens, span in runs:
            rows = torch.arange(start, start + pixels, device=self.device).clamp_(max=stop - 1)
            steps = torch.arange(tokens, device=self.device)
            index = offsets[rows, None] + torch.minimum(steps, own[rows, None] - 1)
            bias = log_count[index].masked_fill(steps >= own[rows, None], float("-inf"))
            inputs = [values[index], days[index], kinds[index], bias]
            if sequences is not None:
                first = torch.arange(pixels, device=self.device)[:, None] * tokens
                inputs.append(sequences[rows, :span] + first)
            out[start:stop] = self._run((pixels, tokens, span), inputs)[: stop - start]
            report(int(ragged.lengths[start:stop].sum()))
        return out

    def _forward(self, values: Tensor, days: Tensor, kinds: Tensor, bias: Tensor, *order: Tensor) -> Tensor:
        x = self.backbone.transformer_encoder(self.embed(values, days, kinds), bias)
        pool = self.backbone.attn_pool
        if isinstance(pool, RecurrentPool):
            n, span = order[0].shape
            return pool.pool(x.flatten(0, 1), order[0], [span] * n)
        out: Tensor = pool(x, bias)
        return out

    def _run(self, shape: tuple[int, int, int], inputs: list[Tensor]) -> Tensor:
        if self.device.type != "cuda":
            return self._forward(*inputs)
        if not hasattr(self, "_graphs"):
            self._graphs, self._memory = {}, torch.cuda.graph_pool_handle()
            self._stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        if shape not in self._graphs:
            self._graphs[shape] = self._captured(inputs)
        fixed, replay = self._graphs[shape]
        for mine, given in zip(fixed, inputs, strict=True):
            mine.copy_(given)
        return replay()

    def _captured(self, inputs: list[Tensor]) -> tuple[list[Tensor], Callable[[], Tensor]]:
        """Inputs at fixed addresses, and a function that runs on them. CUDA needs a warm-up on another stream."""
        fixed = [tensor.clone() for tensor in inputs]
        aside = self._stream
        aside.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(aside):
            for _ in range(2):
                self._forward(*fixed)
        torch.cuda.current_stream(self.device).wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._memory, stream=aside):
            out = self._forward(*fixed)

        def replay() -> Tensor:
            graph.replay()
            return out

        return fixed, replay
