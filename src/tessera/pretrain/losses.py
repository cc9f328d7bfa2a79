"""The Barlow Twins loss, its mix term, and RankMe: pure functions of the projected batch.

Correlations are taken over the whole batch that is given; means and unbiased deviations as in the published trainer.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

OFF_DIAGONAL = 5e-3
"""Weight of the off-diagonal terms, and of the mix term (published trainer)."""


def whiten(z: Tensor) -> Tensor:
    """Each dimension of (B, P) to mean 0 and unbiased deviation 1 over the batch; deviations are at least 1e-9."""
    return (z - z.mean(dim=0)) / z.std(dim=0, unbiased=True).clamp_min(1e-9)


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Cross-correlation (P, P) of two whitened batches (B, P): transpose(a) b / B."""
    return a.T @ b / len(a)


def barlow_twins(z1: Tensor, z2: Tensor, off_diagonal: float = OFF_DIAGONAL) -> Tensor:
    """Sum of (c_ii - 1)^2 + off_diagonal * sum of c_ij^2, for the correlation c of two whitened views (B, P)."""
    c = correlation(z1, z2)
    on = c.diagonal()
    return (on - 1).square().sum() + off_diagonal * (c.square().sum() - on.square().sum())


def mix_term(
    zm: Tensor, z1: Tensor, z2: Tensor, alpha: float, order: Tensor, off_diagonal: float = OFF_DIAGONAL
) -> Tensor:
    """How far a mixed input's correlations are from the mixture of its parents' correlations.

    Parameters
    ----------
    zm : (B, P) whitened projection of alpha * view1 + (1 - alpha) * view2[order]
    z1, z2 : (B, P) whitened projections of the views
    alpha : share of the first view
    order : (B,) permutation
    off_diagonal : weight

    Returns
    -------
    off_diagonal * (squared distance for the pair with z1 + that for the pair with z2[order])
    """
    z2 = z2[order]
    cross = correlation(z1, z2)
    first = alpha * correlation(z1, z1) + (1 - alpha) * cross.T
    second = alpha * cross + (1 - alpha) * correlation(z2, z2)
    distance = (correlation(zm, z1) - first).square().sum() + (correlation(zm, z2) - second).square().sum()
    return off_diagonal * distance


def rankme(z: Tensor) -> float:
    """Entropy of the normalised singular values of (B, D), over the logarithm of their number: 0 collapsed, 1 full."""
    values = torch.linalg.svdvals(z.detach().double())
    shares = values / values.sum().clamp_min(1e-300)
    entropy = -torch.special.xlogy(shares, shares).sum()
    return float(entropy) / math.log(max(2, len(values)))
