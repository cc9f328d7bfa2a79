"""Vectors of pixel-years by the encoder's own sampling rule: what a probe during training looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tessera.encode import sample_indices

from ._stream import Scaler, Stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.cubes import PixelSeries
    from tessera.models import Checkpoint, Sampling


_TOKENS = 65_536


def embed_series(checkpoint: Checkpoint, series: PixelSeries, *, radar: bool = True) -> NDArray[np.float32]:
    """Embed pixel-years as `Encoder.encode` would.

    Parameters
    ----------
    checkpoint : weights and what they demand
    series : N pixel-years; a modality without observations is the one token of zeros that stands for it
    radar : False hides Sentinel-1, for weights that were trained without

    Returns
    -------
    (N, dims) float32
    """
    network, sampling = checkpoint.network(), checkpoint.spec.sampling
    rows2 = _rows(series.s2_offsets, sampling)
    rows1 = _rows(series.s1_offsets if radar else np.zeros_like(series.s1_offsets), sampling)
    sizes = np.asarray([(len(a), len(b)) for a, b in zip(rows2, rows1, strict=True)]).reshape(-1, 2)
    optical, microwave = Scaler.of(checkpoint.spec.s2), Scaler.of(checkpoint.spec.s1_asc, checkpoint.spec.s1_desc)
    out = np.zeros((len(series), checkpoint.spec.dims), dtype=np.float32)
    for size in np.unique(sizes, axis=0):
        members = np.flatnonzero((sizes == size).all(axis=1))
        for pixels in np.array_split(members, -(-len(members) * max(2, int(size.sum())) // _TOKENS)):
            s2 = _tokens(optical, series.s2, series.s2_day, None, np.stack([rows2[i] for i in pixels]))
            s1 = _tokens(
                microwave, series.s1, series.s1_day, series.s1_descending, np.stack([rows1[i] for i in pixels])
            )
            with torch.inference_mode():
                out[pixels] = network(torch.from_numpy(s2), torch.from_numpy(s1)).numpy()
    return out


def _rows(offsets: NDArray[np.int64], sampling: Sampling) -> list[NDArray[np.int64]]:
    counts = np.diff(offsets)
    return [
        start + (sample_indices(sampling.rule, sampling.bins, int(n)) if n else np.empty(0, dtype=np.int64))
        for start, n in zip(offsets[:-1], counts, strict=True)
    ]


def _tokens(
    scaler: Scaler,
    values: NDArray[Any],
    day: NDArray[np.int16],
    table: NDArray[np.bool_] | None,
    rows: NDArray[np.int64],
) -> NDArray[np.float32]:
    """(B, T, C + 1) of rows (B, T) of a stream."""
    if not rows.shape[1]:
        return np.zeros((len(rows), 1, values.shape[1] + 1), dtype=np.float32)
    flat = rows.reshape(-1)
    which = None if table is None else table.take(flat) * np.intp(1)
    stream = Stream(values.take(flat, axis=0), day.take(flat), which, np.empty(0, dtype=np.int64))
    return scaler.tokens(stream).reshape(*rows.shape, -1)
