"""The processes of a run as one batch: sums over all of them, through which gradients flow."""

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
    """Over whom statistics are taken.

    Where every process computes the same loss from such sums, the gradients of each are `size` times its share, so that
    the mean over processes, which DDP and FSDP take, is the gradient of the loss.

    Attributes
    ----------
    size : processes; 1 leaves every tensor as it is, also where there are several processes
    """

    size: int = 1

    def sum(self, x: Tensor) -> Tensor:
        """Sum over the processes, on each of them."""
        if self.size == 1:
            return x
        out: Tensor = _Sum.apply(x)  # type: ignore[no-untyped-call]
        return out

    def largest(self, x: Tensor) -> Tensor:
        """Elementwise maximum over the processes; no gradient flows."""
        out = x.detach().clone()
        if self.size > 1:
            distributed.all_reduce(out, op=distributed.ReduceOp.MAX)
        return out


ALONE = Ranks()
"""No sums over processes: what is local stays local."""
