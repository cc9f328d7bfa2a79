"""The v2 teacher: two pre-norm transformers, softmax pooling, and a transformer over the two modalities."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .layers import Layers, Pool, SplitLayer, Stack, TwoBackbones, reducer

if TYPE_CHECKING:
    from .shape import Shape

_FUSION_LAYERS = 2


class Teacher(TwoBackbones):
    """Embeds a pixel's year as one vector of mean 0 and standard deviation 1; its prefixes are not embeddings.

    Released: 1024 / 4 / 4 / 16384 to 1024 dims (latent width, layers, heads, feed-forward width); fusion by two layers
    of the same kind, whose feed-forward is twice the width.
    """

    def __init__(self, shape: Shape, dropout: float = 0.1) -> None:
        def layers() -> nn.Module:
            return Stack(Layers(SplitLayer(shape, dropout, pre_norm=True) for _ in range(shape.num_layers)))

        width = shape.width
        super().__init__(shape, layers, lambda: Pool(width))
        fusion = replace(shape, dim_feedforward=2 * width)
        self.fusion_modality_embed = nn.Parameter(torch.zeros(2, width))
        self.fusion_transformer = Stack(
            Layers(SplitLayer(fusion, dropout, pre_norm=True) for _ in range(_FUSION_LAYERS))
        )
        norm = nn.LayerNorm(shape.repr_dim, elementwise_affine=False)
        self.dim_reducer = reducer(2 * width, 4 * width, shape.repr_dim, 2 * dropout, norm)

    def fuse(self, s2: Tensor, s1: Tensor) -> Tensor:
        both = torch.stack((s2, s1), dim=1) + self.fusion_modality_embed
        out: Tensor = self.dim_reducer(self.fusion_transformer(both).flatten(1))
        return out
