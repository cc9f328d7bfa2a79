"""The v2 student: two transformers over a pixel's year, softmax pooling, and an MLP that fuses them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from tessera.base import InputError

if TYPE_CHECKING:
    from torch import Tensor

S2_CHANNELS = 10
S1_CHANNELS = 2


@dataclass(frozen=True)
class StudentShape:
    """Sizes of a student; the model is 4 * `latent_dim` wide.

    The released ones are nano 36 / 2 / 384, small 64 / 4 / 1024, medium 110 / 4 / 1792, large 160 / 4 / 2560 (latent
    width, layers, feed-forward width), all with 4 heads and 128 dims.
    """

    latent_dim: int = 64
    num_layers: int = 4
    nhead: int = 4
    dim_feedforward: int = 1024
    repr_dim: int = 128

    def __post_init__(self) -> None:
        limits = {"latent_dim": 4096, "num_layers": 64, "nhead": 256, "dim_feedforward": 65536, "repr_dim": 4096}
        for name, limit in limits.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= limit:
                raise InputError(f"student with {name} {value!r}; expected a whole number from 1 to {limit}")
        if self.width % self.nhead:
            raise InputError(f"student {self.width} wide with {self.nhead} heads; expected a multiple")

    @property
    def width(self) -> int:
        """Width of the model."""
        return 4 * self.latent_dim


def day_code(days: Tensor, width: int) -> Tensor:
    """Sine and cosine code of the day of year: even channels sin(day * w_i), odd ones cos, w_i = 10000^(-2i / width).

    Parameters
    ----------
    days : (N, T) float
    width : channels, even

    Returns
    -------
    (N, T, width) float
    """
    rates = torch.exp(torch.arange(0, width, 2, device=days.device, dtype=torch.float32) * (-math.log(1e4) / width))
    angles = days.float().unsqueeze(-1) * rates
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)


class SelfAttention(nn.Module):
    """Multi-head attention under the tensor names of torch.nn.MultiheadAttention."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tensor) -> Tensor:
        n, t, width = x.shape
        qkv = functional.linear(x, self.in_proj_weight, self.in_proj_bias)
        q, k, v = qkv.view(n, t, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0.0)
        out: Tensor = self.out_proj(mixed.transpose(1, 2).reshape(n, t, width))
        return out


class Layer(nn.Module):
    """A post-norm transformer layer with a ReLU feed-forward, as torch.nn.TransformerEncoderLayer defaults to."""

    def __init__(self, shape: StudentShape, dropout: float) -> None:
        super().__init__()
        width = shape.width
        self.self_attn = SelfAttention(width, shape.nhead, dropout)
        self.linear1 = nn.Linear(width, shape.dim_feedforward)
        self.linear2 = nn.Linear(shape.dim_feedforward, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(x + self.drop(self.self_attn(x)))
        hidden = self.drop(functional.relu(self.linear1(x)))
        out: Tensor = self.norm2(x + self.drop(self.linear2(hidden)))
        return out


class Layers(nn.Module):
    """The stack, under the tensor names of torch.nn.TransformerEncoder."""

    def __init__(self, shape: StudentShape, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(shape, dropout) for _ in range(shape.num_layers))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class Pool(nn.Module):
    """Softmax over time of one learned score a token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.softmax(self.query(x), dim=1)
        return (weights * x).sum(dim=1)


class Backbone(nn.Module):
    """One modality: (N, T, C + 1), standardised bands and the day of year, to (N, width)."""

    def __init__(self, channels: int, shape: StudentShape, dropout: float) -> None:
        super().__init__()
        width = shape.width
        self.embedding = nn.Sequential(nn.Linear(channels, width), nn.ReLU(), nn.Linear(width, width))
        self.transformer_encoder = Layers(shape, dropout)
        self.attn_pool = Pool(width)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embedding(x[..., :-1])
        tokens = tokens + day_code(x[..., -1], tokens.shape[-1]).to(tokens.dtype)
        pooled: Tensor = self.attn_pool(self.transformer_encoder(tokens))
        return pooled


class Student(nn.Module):
    """A pixel's year to one vector of mean 0 and standard deviation 1.

    Its tensors have the names of the published students, so that their state dicts load strictly.
    """

    def __init__(self, shape: StudentShape, dropout: float = 0.1) -> None:
        super().__init__()
        self.shape = shape
        width = shape.width
        self.s2_backbone = Backbone(S2_CHANNELS, shape, dropout)
        self.s1_backbone = Backbone(S1_CHANNELS, shape, dropout)
        self.dim_reducer = nn.Sequential(
            nn.Linear(2 * width, 4 * width),
            nn.LayerNorm(4 * width),
            nn.ReLU(),
            nn.Dropout(2 * dropout),
            nn.Linear(4 * width, shape.repr_dim),
            nn.LayerNorm(shape.repr_dim, elementwise_affine=False),
        )

    def forward(self, s2: Tensor, s1: Tensor) -> Tensor:
        """Embed a batch.

        Parameters
        ----------
        s2 : (N, T, 11) float, ten standardised bands and the day of year
        s1 : (N, T', 3) float, two standardised bands and the day of year

        Returns
        -------
        (N, repr_dim) float
        """
        out: Tensor = self.dim_reducer(torch.cat((self.s2_backbone(s2), self.s1_backbone(s1)), dim=-1))
        return out
