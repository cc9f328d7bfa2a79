"""Quantisation-aware training: vectors are rounded like codes, so that the weights adapt to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tessera.base import InputError

from .ranks import ALONE

if TYPE_CHECKING:
    from torch import Tensor

    from tessera.models import Quantiser

    from .ranks import Ranks

PER = ("pixel", "tensor")
"""One scale a pixel, as at inference, or one a batch of vectors, as in the published v1.0 training."""


def check_rounding(quantise_from: int | None, per: str, prefixes: tuple[int, ...]) -> None:
    """Refuse a rounding that there is not, with InputError."""
    if per not in PER:
        raise InputError(f"quantise_per {per!r}; expected {' or '.join(PER)}")
    if (quantise_from or 0) < 0 or any(size < 1 for size in prefixes):
        raise InputError(f"quantise_from {quantise_from}, prefixes {prefixes}; expected a step from 0 and sizes from 1")


def rounded(x: Tensor, quantiser: Quantiser, per: str = "pixel", ranks: Ranks = ALONE) -> Tensor:
    """Codes times scale of vectors (..., B, D); the gradient ignores the rounding (straight-through estimator).

    Parameters
    ----------
    quantiser : floor of the scale and lowest code
    per : one of `PER`
    ranks : processes whose vectors share a scale, if there is one a batch
    """
    held = x.detach()
    if per == "pixel":
        largest = held.abs().amax(dim=-1, keepdim=True)
    else:
        largest = ranks.largest(held.abs().amax(dim=(-2, -1), keepdim=True))
    scale = largest.clamp_min(quantiser.floor) / 127
    codes = (held / scale).round().clamp(quantiser.low, 127)
    return x + (codes * scale - held)
