"""Vectors of pixel-years by the encoder's own sampling rule: what a probe during training looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from tessera.encode import sample_indices

from .views import tokens_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.models import Checkpoint, Sampling

    from .data import PixelSeries

_TOKENS = 65_536


def embed_series(checkpoint: Checkpoint, series: PixelSeries) -> NDArray[np.float32]:
    """Embed pixel-years as `Encoder.encode` would.

    Parameters
    ----------
    checkpoint : weights and what they demand
    series : N pixel-years, each with at least one observation of each modality

    Returns
    -------
    (N, dims) float32
    """
    network, sampling = checkpoint.network(), checkpoint.spec.sampling
    rows2 = _rows(series.s2_offsets, sampling)
    rows1 = _rows(series.s1_offsets, sampling)
    sizes = np.asarray([(len(a), len(b)) for a, b in zip(rows2, rows1, strict=True)]).reshape(-1, 2)
    out = np.zeros((len(series), checkpoint.spec.dims), dtype=np.float32)
    for size in np.unique(sizes, axis=0):
        members = np.flatnonzero((sizes == size).all(axis=1))
        for pixels in np.array_split(members, -(-len(members) * int(size.sum()) // _TOKENS)):
            view = tokens_of(
                series, np.stack([rows2[i] for i in pixels]), np.stack([rows1[i] for i in pixels]), checkpoint.spec
            )
            with torch.inference_mode():
                out[pixels] = network(torch.from_numpy(view.s2), torch.from_numpy(view.s1)).numpy()
    return out


def _rows(offsets: NDArray[np.int64], sampling: Sampling) -> list[NDArray[np.int64]]:
    counts = np.diff(offsets)
    return [
        start + sample_indices(sampling.rule, sampling.bins, int(n))
        for start, n in zip(offsets[:-1], counts, strict=True)
    ]
