"""Pooling of v1.0 and v1.1 by a recurrent network: a pass over time scores the tokens, which are then averaged.

Order and repetition matter here, so repeated tokens are read as often as they occur in `order`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence


class ResetFirstCell(nn.Module):
    """The cell of v1.0 QAT and v1.1, which differs from torch.nn.GRU in two points.

    r = sigmoid(W_ir x + W_hr h + b_r), z = sigmoid(W_iz x + W_hz h + b_z), n = tanh(W_ih x + W_hh (r * h) + b_h),
    next h = (1 - z) * h + z * n: the reset gate acts before the product, and z weighs the new state.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        for name in ("W_ir", "W_iz", "W_ih", "W_hr", "W_hz", "W_hh"):
            setattr(self, name, nn.Linear(width, width, bias=False))
        self.b_r, self.b_z, self.b_h = (nn.Parameter(torch.zeros(width)) for _ in range(3))

    def joined(self) -> tuple[nn.Module, nn.Module, nn.Module]:
        """The three products: all gates of a token; r and z of a state; n of a reset state."""
        return (
            _linear(self._weights("W_ir", "W_iz", "W_ih"), torch.cat([self.b_r, self.b_z, self.b_h])),
            _linear(self._weights("W_hr", "W_hz"), None),
            _linear(self._weights("W_hh"), None),
        )

    def _weights(self, *names: str) -> Tensor:
        return torch.cat([self.get_parameter(f"{name}.weight") for name in names])

    @staticmethod
    def step(h: Tensor, gates: Tensor, state: nn.Module, reset_state: nn.Module) -> Tensor:
        """One step: state (N, width), a token's gates (N, 3 * width)."""
        width = h.shape[-1]
        rz = torch.sigmoid(state(h).add_(gates[:, : 2 * width]))
        n = torch.tanh(reset_state(rz[:, :width] * h).add_(gates[:, 2 * width :]))
        return torch.lerp(h, n, rz[:, width:])


class TorchCell(nn.Module):
    """The cell of torch.nn.GRU with its tensor names, for v1.0 early.

    n = tanh(W_in x + b_in + r * (W_hn h + b_hn)), next h = (1 - z) * n + z * h.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight_ih_l0 = nn.Parameter(torch.zeros(3 * width, width))
        self.weight_hh_l0 = nn.Parameter(torch.zeros(3 * width, width))
        self.bias_ih_l0 = nn.Parameter(torch.zeros(3 * width))
        self.bias_hh_l0 = nn.Parameter(torch.zeros(3 * width))

    def joined(self) -> tuple[nn.Module, nn.Module, nn.Module]:
        """The products: all gates of a token; all gates of a state; nothing."""
        return _linear(self.weight_ih_l0, self.bias_ih_l0), _linear(self.weight_hh_l0, self.bias_hh_l0), nn.Identity()

    @staticmethod
    def step(h: Tensor, gates: Tensor, state: nn.Module, _: nn.Module) -> Tensor:
        """One step: state (N, width), a token's gates (N, 3 * width)."""
        width = h.shape[-1]
        own = state(h)
        rz = torch.sigmoid(own[:, : 2 * width] + gates[:, : 2 * width])
        n = torch.tanh(torch.addcmul(gates[:, 2 * width :], rz[:, :width], own[:, 2 * width :]))
        return torch.lerp(n, h, rz[:, width:])


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    with torch.device("meta"):
        linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    linear.weight = nn.Parameter(weight.detach(), requires_grad=False)
    if bias is not None:
        linear.bias = nn.Parameter(bias.detach(), requires_grad=False)
    return linear


class _Wrapped(nn.Module):
    """Puts a cell's tensors under `gru_cell`, as in the published files."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gru_cell = ResetFirstCell(width)


class RecurrentPool(nn.Module):
    """Weighted mean of the tokens, with a softmax over time of scores from the states of a pass over time."""

    def __init__(self, width: int, *, published: str) -> None:
        super().__init__()
        early = published == "v1.0-early"
        self.query = nn.Linear(width, 1)
        self.temporal_context: nn.Module = TorchCell(width) if early else _Wrapped(width)
        self.layer_norm: nn.Module = nn.Identity() if early else nn.LayerNorm(width)
        self.products: nn.ModuleList | None = None

    @property
    def cell(self) -> ResetFirstCell | TorchCell:
        """The cell with the tensors."""
        inner = self.temporal_context
        return inner.gru_cell if isinstance(inner, _Wrapped) else inner  # type: ignore[return-value]

    def forward(self, x: Tensor, log_count: Tensor | None = None) -> Tensor:
        """Pool (N, T, width) in order of time to (N, width); x includes repeats, `log_count` is ignored."""
        del log_count
        n, t, width = x.shape
        order = torch.arange(n * t, device=x.device).view(n, t)
        return self.pool(x.reshape(n * t, width), order, [t] * n)

    def pool(self, flat: Tensor, order: Tensor, lengths: Sequence[int]) -> Tensor:
        """Pool sequences that share tokens.

        Parameters
        ----------
        flat : (M, width) tokens
        order : (N, L) rows of `flat` in order of time; entries beyond a length are ignored
        lengths : ascending, 1 to L

        Returns
        -------
        (N, width)
        """
        gate, state, reset_state = self.products or self.cell.joined()
        gates = gate(flat)
        steps = order.t().contiguous()
        total, begin = len(lengths), 0
        h = flat.new_zeros(total, flat.shape[1])
        scores = flat.new_full((order.shape[1], total), float("-inf"))
        for t, rows in enumerate(steps):
            while lengths[begin] <= t:
                begin += 1
            h[begin:] = self.cell.step(h[begin:], gates.index_select(0, rows[begin:]), state, reset_state)
            scores[t, begin:] = self.query(self.layer_norm(h[begin:])).squeeze(-1)
        weights = torch.softmax(scores.float(), dim=0).to(flat.dtype)
        return torch.bmm(weights.t().unsqueeze(1), flat[order]).squeeze(1)
