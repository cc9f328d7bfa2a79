"""The projector, whose output the losses use instead of the vectors; it is discarded after training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from .ranks import ALONE

if TYPE_CHECKING:
    from torch import Tensor

    from .ranks import Ranks

LAYERS = 6
"""Linear layers of the published projector, which is 16,384 wide; here the width is a setting."""
_FLOOR = 1e-5
"""Added to variances, as in torch's BatchNorm."""


class BatchNorm(nn.Module):
    """Batch normalisation without running statistics, over the rows of all `ranks`, for each view; also on a CPU."""

    def __init__(self, width: int, ranks: Ranks = ALONE) -> None:
        super().__init__()
        self.ranks = ranks
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C) or views (G, B, C)."""
        if self.ranks.size == 1:
            views = [
                functional.batch_norm(view, None, None, self.weight, self.bias, training=True, eps=_FLOOR)
                for view in x.reshape(-1, *x.shape[-2:])
            ]
            return torch.stack(views).reshape(x.shape)
        wide = x.to(self.weight.dtype)
        rows = x.shape[-2] * self.ranks.size
        centred = wide - (self.ranks.sum(wide.sum(dim=-2)) / rows).unsqueeze(-2)
        variance = self.ranks.sum(centred.square().sum(dim=-2)) / rows
        normed = centred * (variance + _FLOOR).rsqrt().unsqueeze(-2) * self.weight + self.bias
        return normed.to(x.dtype)


class Projector(nn.Module):
    """`layers` linear layers, with BatchNorm and ReLU after each but the last; (..., B, dims) to (..., B, width)."""

    def __init__(self, dims: int, width: int, layers: int = LAYERS, ranks: Ranks = ALONE) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for _ in range(layers - 1):
            parts += [nn.Linear(dims, width), BatchNorm(width, ranks), nn.ReLU()]
            dims = width
        self.net = nn.Sequential(*parts, nn.Linear(dims, width))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x)
        return out
