"""The v2 student: two transformers over a pixel's year, softmax pooling, and an MLP that fuses them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .layers import (
    S1_CHANNELS,
    S2_CHANNELS,
    Backbone,
    JointLayer,
    Layers,
    Pool,
    SplitLayer,
    Stack,
    TwoBackbones,
    reducer,
)

if TYPE_CHECKING:
    from .shape import Shape


class Student(TwoBackbones):
    """Embeds a pixel's year as one vector of mean 0 and standard deviation 1.

    The released ones are nano 36 / 2 / 384, small 64 / 4 / 1024, medium 110 / 4 / 1792, large 160 / 4 / 2560 (latent
    width, layers, feed-forward width), all with 4 heads and 128 dims.
    """

    def __init__(self, shape: Shape, dropout: float = 0.1) -> None:
        super().__init__()
        self.shape = shape
        width = shape.width
        self.s2_backbone = _backbone(S2_CHANNELS, shape, dropout)
        self.s1_backbone = _backbone(S1_CHANNELS, shape, dropout)
        norm = nn.LayerNorm(shape.repr_dim, elementwise_affine=False)
        self.dim_reducer = reducer(2 * width, 4 * width, shape.repr_dim, 2 * dropout, norm)

    def fuse(self, s2: Tensor, s1: Tensor) -> Tensor:
        out: Tensor = self.dim_reducer(torch.cat((s2, s1), dim=-1))
        return out


def _backbone(channels: int, shape: Shape, dropout: float) -> Backbone:
    def layers() -> nn.Module:
        count = range(shape.num_layers)
        if shape.qk_norm:
            return Layers(SplitLayer(shape, dropout, pre_norm=False) for _ in count)
        return Stack(Layers(JointLayer(shape, dropout) for _ in count))

    return Backbone(channels, shape, layers, lambda: Pool(shape.width))
