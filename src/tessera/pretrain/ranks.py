"""The processes of a run as one batch: differentiable sums over all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed

if TYPE_CHECKING:
    from torch import Tensor


class _Sum(torch.autograd.Function):
    """Sum over all processes; the gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004 - the callable's shape is given
        out = x.detach().clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(out)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:  # noqa: ARG004
        out = grads[0].clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(out)
        return out


@dataclass(frozen=True)
class Ranks:
    """The processes over which statistics are computed.

    If every process computes the same loss from such sums, its gradients are `size` times its share, so that the mean
    over processes, which DDP and FSDP compute, is the gradient of the loss.

    Attributes
    ----------
    size : processes; 1 leaves every tensor unchanged, even if there are several processes
    """

    size: int = 1

    def sum(self, x: Tensor) -> Tensor:
        """Sum over the processes, available on each of them."""
        if self.size == 1:
            return x
        out: Tensor = _Sum.apply(x)  # type: ignore[no-untyped-call]
        return out

    def largest(self, x: Tensor) -> Tensor:
        """Elementwise maximum over the processes, without gradient."""
        out = x.detach().clone()
        if self.size > 1:
            distributed.all_reduce(out, op=distributed.ReduceOp.MAX)
        return out


ALONE = Ranks()
"""No sums over processes: statistics are local."""
