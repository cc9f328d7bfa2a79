"""Parts of the networks of all families: day code, attention, layers, pooling, and the backbone of one modality.

Modules have the tensor names of the published checkpoints, so that their state dicts load strictly.

A token may represent several equal observations: `log_count` is the logarithm of their number, added to the attention
logits and to the pooling score, which is equivalent to repeating the token; -inf marks padding.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable

    from .recurrent import RecurrentPool
    from .shape import Shape

S2_CHANNELS = 10
S1_CHANNELS = 2


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


def linear_relu(linear: nn.Module, x: Tensor) -> Tensor:
    """relu(linear(x)), in one operation if the layer has one."""
    fused = getattr(linear, "relu", None)
    out: Tensor = functional.relu(linear(x)) if fused is None else fused(x)
    return out


def linear_add(linear: nn.Module, x: Tensor, residual: Tensor, drop: nn.Module) -> Tensor:
    """residual + drop(linear(x)), in one operation if the layer has one."""
    fused = getattr(linear, "add", None)
    out: Tensor = residual + drop(linear(x)) if fused is None else fused(x, residual)
    return out


def attend(q: Tensor, k: Tensor, v: Tensor, log_count: Tensor | None, dropout: float = 0.0) -> Tensor:
    """Softmax attention of (N, T, heads, channels) to (N, T, heads * channels)."""
    bias = None if log_count is None else log_count[:, None, None, :].to(q.dtype)
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))
    mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout)
    return mixed.transpose(1, 2).flatten(2)


class SelfAttention(nn.Module):
    """Multi-head attention without its last projection, with the tensor names of torch.nn.MultiheadAttention."""

    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__()
        width = shape.width
        self.heads = shape.nhead
        self.dropout = dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        self.projection: nn.Module | None = None
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tensor, log_count: Tensor | None) -> Tensor:
        if self.projection is None:
            qkv = functional.linear(x, self.in_proj_weight, self.in_proj_bias)
        else:
            qkv = self.projection(x)
        q, k, v = qkv.view(*x.shape[:2], 3, self.heads, -1).unbind(2)
        return attend(q, k, v, log_count, self.dropout if self.training else 0.0)


class HeadNorm(nn.Module):
    """Root-mean-square norm of each head's channels, in float32 with its machine epsilon."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        normed = functional.rms_norm(x.float(), x.shape[-1:], self.weight.float(), torch.finfo(torch.float32).eps)
        return normed.to(x.dtype)


class JointLayer(nn.Module):
    """A post-norm layer with a ReLU feed-forward, the default of torch.nn.TransformerEncoderLayer."""

    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__()
        width = shape.width
        self.self_attn = SelfAttention(shape, dropout)
        self.linear1 = nn.Linear(width, shape.dim_feedforward)
        self.linear2 = nn.Linear(shape.dim_feedforward, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, log_count: Tensor | None = None) -> Tensor:
        x = self.norm1(linear_add(self.self_attn.out_proj, self.self_attn(x, log_count), x, self.drop))
        hidden = self.drop(linear_relu(self.linear1, x))
        out: Tensor = self.norm2(linear_add(self.linear2, hidden, x, self.drop))
        return out


class SplitLayer(nn.Module):
    """A layer with separate projections and normalised queries and keys; the norm is before or after each half."""

    def __init__(self, shape: Shape, dropout: float, *, pre_norm: bool) -> None:
        super().__init__()
        width = shape.width
        self.heads = shape.nhead
        self.dropout = dropout
        self.pre_norm = pre_norm
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))
        self.q_norm, self.k_norm = HeadNorm(width // shape.nhead), HeadNorm(width // shape.nhead)
        self.linear1 = nn.Linear(width, shape.dim_feedforward)
        self.linear2 = nn.Linear(shape.dim_feedforward, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.drop = nn.Dropout(dropout)

    def _mixed(self, x: Tensor, log_count: Tensor | None) -> Tensor:
        q, k, v = (part(x).view(*x.shape[:2], self.heads, -1) for part in (self.q_proj, self.k_proj, self.v_proj))
        return attend(self.q_norm(q), self.k_norm(k), v, log_count, self.dropout if self.training else 0.0)

    def _hidden(self, x: Tensor) -> Tensor:
        out: Tensor = self.drop(linear_relu(self.linear1, x))
        return out

    def forward(self, x: Tensor, log_count: Tensor | None = None) -> Tensor:
        if self.pre_norm:
            x = linear_add(self.out_proj, self._mixed(self.norm1(x), log_count), x, self.drop)
            return linear_add(self.linear2, self._hidden(self.norm2(x)), x, self.drop)
        x = self.norm1(linear_add(self.out_proj, self._mixed(x, log_count), x, self.drop))
        out: Tensor = self.norm2(linear_add(self.linear2, self._hidden(x), x, self.drop))
        return out


class Layers(nn.ModuleList):
    """A stack of layers whose tensors are named by number only."""

    def forward(self, x: Tensor, log_count: Tensor | None = None) -> Tensor:
        for layer in self:
            x = layer(x, log_count)
        return x


class Stack(nn.Module):
    """A stack of layers with the tensor names of torch.nn.TransformerEncoder."""

    def __init__(self, layers: Layers) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor, log_count: Tensor | None = None) -> Tensor:
        out: Tensor = self.layers(x, log_count)
        return out


class Pool(nn.Module):
    """Weighted mean over time, with a softmax of one learned score a token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, 1)

    def forward(self, x: Tensor, log_count: Tensor | None = None) -> Tensor:
        scores = self.query(x)
        if log_count is not None:
            scores = scores + log_count.unsqueeze(-1).to(scores.dtype)
        return (torch.softmax(scores, dim=1) * x).sum(dim=1)


class Backbone(nn.Module):
    """One modality: (N, T, C + 1), standardised bands and the day of year, to (N, width)."""

    attn_pool: Pool | RecurrentPool

    def __init__(
        self, channels: int, shape: Shape, layers: Callable[[], nn.Module], pool: Callable[[], Pool | RecurrentPool]
    ) -> None:
        super().__init__()
        self.width = width = shape.width
        self.embedding = nn.Sequential(nn.Linear(channels, width), nn.ReLU(), nn.Linear(width, width))
        self.transformer_encoder = layers()
        self.attn_pool = pool()

    def tokens(self, bands: Tensor, code: Tensor) -> Tensor:
        """Embed standardised bands (..., C) float32 and add the code of their days (..., width)."""
        hidden = functional.relu(self.embedding[0](bands)).to(code.dtype)
        out: Tensor = self.embedding[2](hidden) + code
        return out

    def forward(self, x: Tensor) -> Tensor:
        code = day_code(x[..., -1], self.width).to(self.attn_pool.query.weight.dtype)
        pooled: Tensor = self.attn_pool(self.transformer_encoder(self.tokens(x[..., :-1], code)))
        return pooled


class TwoBackbones(nn.Module, ABC):
    """A backbone for Sentinel-2 and one for Sentinel-1, and a fusion of their vectors into one."""

    def __init__(self, shape: Shape, layers: Callable[[], nn.Module], pool: Callable[[], Pool | RecurrentPool]) -> None:
        super().__init__()
        self.shape = shape
        self.s2_backbone = Backbone(S2_CHANNELS, shape, layers, pool)
        self.s1_backbone = Backbone(S1_CHANNELS, shape, layers, pool)

    @abstractmethod
    def fuse(self, s2: Tensor, s1: Tensor) -> Tensor:
        """(N, width) of each modality to (N, repr_dim)."""

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
        return self.fuse(self.s2_backbone(s2), self.s1_backbone(s1))


def reducer(inputs: int, hidden: int, outputs: int, dropout: float, *norm: nn.Module) -> nn.Sequential:
    """The layers that fuse two modalities, with `norm` after them; layers 0, 1 and 4 have tensors."""
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.LayerNorm(hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, outputs),
        *norm,
    )
