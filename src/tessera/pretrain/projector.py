"""The projector: what the losses read instead of the vectors themselves; it is thrown away after training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

LAYERS = 6
"""Linear layers of the published projector; it is 16,384 wide, ours is as wide as one asks."""


class Projector(nn.Module):
    """`LAYERS` linear layers, with BatchNorm and ReLU after each but the last; (B, dims) to (B, width)."""

    def __init__(self, dims: int, width: int) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for _ in range(LAYERS - 1):
            parts += [nn.Linear(dims, width), nn.BatchNorm1d(width), nn.ReLU()]
            dims = width
        self.net = nn.Sequential(*parts, nn.Linear(dims, width))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x)
        return out
