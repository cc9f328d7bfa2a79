"""The losses and RankMe: pure functions of the projected batch.

A batch is the union of the rows of all `ranks`, the same number on each; every rank gets the same value. Means and
unbiased deviations are those of the published trainer.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from .ranks import ALONE

if TYPE_CHECKING:
    from torch import Tensor

    from .ranks import Ranks

OFF_DIAGONAL = 5e-3
"""Weight of the off-diagonal terms, and of the mix term (published trainer)."""
VICREG = (25.0, 25.0, 1.0)
"""Weights of invariance, variance and covariance (VICReg, Bardes and others, 2022)."""


def whiten(z: Tensor, ranks: Ranks = ALONE) -> Tensor:
    """Scale each dimension of (..., B, P) to mean 0 and unbiased deviation 1 over rows; deviations are 1e-9 or more."""
    centred, variance = _moments(z, ranks)
    return centred / variance.clamp_min(1e-18).sqrt().unsqueeze(-2)


def correlation(a: Tensor, b: Tensor, ranks: Ranks = ALONE) -> Tensor:
    """Cross-correlation (P, P) of two whitened batches (B, P): transpose(a) b / B."""
    return ranks.sum(a.T @ b) / (len(a) * ranks.size)


def barlow_twins(z1: Tensor, z2: Tensor, off_diagonal: float = OFF_DIAGONAL, ranks: Ranks = ALONE) -> Tensor:
    """Sum of (c_ii - 1)^2 + off_diagonal * sum of c_ij^2, for the correlation c of two whitened views (B, P)."""
    on = ranks.sum((z1 * z2).sum(dim=0)) / (len(z1) * ranks.size)
    return (on - 1).square().sum() + off_diagonal * (squared_norm(z1, z2, ranks) - on.square().sum())


def mix_term(
    zm: Tensor,
    z1: Tensor,
    z2: Tensor,
    alpha: float,
    order: Tensor,
    off_diagonal: float = OFF_DIAGONAL,
    ranks: Ranks = ALONE,
) -> Tensor:
    """Distance of a mixed input's correlations from the mixture of its parents' correlations.

    Parameters
    ----------
    zm : (B, P) whitened projection of alpha * view1 + (1 - alpha) * view2[order]
    z1, z2 : (B, P) whitened projections of the views
    alpha : share of the first view
    order : (B,) permutation of the rows of this rank
    off_diagonal : weight

    Returns
    -------
    off_diagonal * (squared distance for the pair with z1 + that for the pair with z2[order])
    """
    z2 = z2[order]
    # a correlation is linear in either side, so the distance of two is the correlation of one difference
    apart = zm - alpha * z1 - (1 - alpha) * z2
    return off_diagonal * (squared_norm(apart, z1, ranks) + squared_norm(apart, z2, ranks))


def squared_norm(a: Tensor, b: Tensor, ranks: Ranks = ALONE) -> Tensor:
    """Sum of the squares of `correlation(a, b)`, computed by the smaller of (P, P) and (B, B)."""
    if ranks.size == 1 and a.shape[0] < a.shape[1]:
        return ((a @ a.T) * (b @ b.T)).sum() / len(a) ** 2
    return correlation(a, b, ranks).square().sum()


def vicreg(z1: Tensor, z2: Tensor, weights: tuple[float, float, float] = VICREG, ranks: Ranks = ALONE) -> Tensor:
    """Invariance, variance and covariance of two views (B, P) that are not whitened."""
    rows, width = len(z1) * ranks.size, z1.shape[1]
    invariance = ranks.sum((z1 - z2).square().sum()) / (rows * width)
    hinge, covariance = z1.new_zeros(()), z1.new_zeros(())
    for z in (z1, z2):
        centred, variance = _moments(z, ranks)
        hinge = hinge + functional.relu(1 - (variance + 1e-4).sqrt()).mean() / 2
        products = squared_norm(centred, centred, ranks) * (rows / (rows - 1)) ** 2
        covariance = covariance + (products - variance.square().sum()) / width
    return weights[0] * invariance + weights[1] * hinge + weights[2] * covariance


def regression(predicted: Tensor, truth: Tensor, ranks: Ranks = ALONE) -> Tensor:
    """Mean Huber loss (delta 1) of (..., B, K) against standardised truths, over the known ones (not NaN)."""
    known = ~truth.isnan()
    apart = functional.huber_loss(predicted, torch.where(known, truth, predicted.detach()), reduction="none")
    return ranks.sum(apart.sum()) / ranks.sum(known.to(apart.dtype).sum()).clamp_min(1)


def rankme(z: Tensor) -> float:
    """Entropy of the normalised singular values of (B, D), over the logarithm of their number: 0 collapsed, 1 full.

    NaN if a vector is not finite; 0 for at most one vector or dimension.
    """
    if not bool(torch.isfinite(z).all()):
        return math.nan
    values = torch.linalg.svdvals(z.detach().double())
    shares = values / values.sum().clamp_min(1e-300)
    entropy = -float(torch.special.xlogy(shares, shares).sum())
    # rounding may give a share above 1, and the sum of no terms is -0
    return max(0.0, entropy) / math.log(max(2, len(values)))


def _moments(z: Tensor, ranks: Ranks) -> tuple[Tensor, Tensor]:
    """(..., B, P) minus its mean, and its unbiased variance (..., P)."""
    rows = z.shape[-2] * ranks.size
    centred = z - (ranks.sum(z.sum(dim=-2)) / rows).unsqueeze(-2)
    return centred, ranks.sum(centred.square().sum(dim=-2)) / (rows - 1)
