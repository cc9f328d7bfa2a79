"""The v2 student: two transformers over a pixel's year, softmax pooling, and an MLP that fuses them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .layers import JointLayer, Layers, Pool, SplitLayer, Stack, TwoBackbones, reducer

if TYPE_CHECKING:
    from .shape import Shape


class Student(TwoBackbones):
    """Embeds a pixel's year as one vector of mean 0 and standard deviation 1.

    The released ones are nano 36 / 2 / 384, small 64 / 4 / 1024, medium 110 / 4 / 1792, large 160 / 4 / 2560 (latent
    width, layers, feed-forward width), all with 4 heads and 128 dims.
    """

    def __init__(self, shape: Shape, dropout: float = 0.1) -> None:
        def layers() -> nn.Module:
            count = range(shape.num_layers)
            if shape.qk_norm:
                return Layers(SplitLayer(shape, dropout, pre_norm=False) for _ in count)
            return Stack(Layers(JointLayer(shape, dropout) for _ in count))

        width = shape.width
        super().__init__(shape, layers, lambda: Pool(width))
        norm = nn.LayerNorm(shape.repr_dim, elementwise_affine=False)
        self.dim_reducer = reducer(2 * width, 4 * width, shape.repr_dim, 2 * dropout, norm)

    def fuse(self, s2: Tensor, s1: Tensor) -> Tensor:
        out: Tensor = self.dim_reducer(torch.cat((s2, s1), dim=-1))
        return out
