"""v1.0 early, v1.0 QAT and v1.1: two transformers, pooling by a recurrent network, and a fusion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .layers import JointLayer, Layers, Stack, TwoBackbones, reducer
from .recurrent import RecurrentPool

if TYPE_CHECKING:
    from .shape import Shape


class V1(TwoBackbones):
    """Embeds a pixel's year as one vector.

    Released: v1.0 early 128 / 8 / 8 / 4096 to 128 dims, v1.0 QAT 128 / 4 / 4 / 4096 to 128, v1.1 192 / 4 / 4 / 2048 to
    192, of which the first 128 are kept (latent width, layers, heads, feed-forward width).

    Parameters
    ----------
    published : "v1.0-early", "v1.0" (QAT) or "v1.1": chooses recurrent cell and reducer
    """

    def __init__(self, shape: Shape, dropout: float = 0.1, *, published: str) -> None:
        def layers() -> nn.Module:
            return Stack(Layers(JointLayer(shape, dropout) for _ in range(shape.num_layers)))

        width = shape.width
        super().__init__(shape, layers, lambda: RecurrentPool(width, published=published))
        if published == "v1.1":
            self.dim_reducer = reducer(2 * width, 4 * width, shape.repr_dim, 2 * dropout)
        else:
            self.dim_reducer = nn.Sequential(nn.Linear(2 * width, shape.repr_dim))

    def fuse(self, s2: Tensor, s1: Tensor) -> Tensor:
        out: Tensor = self.dim_reducer(torch.cat((s2, s1), dim=-1))
        return out
