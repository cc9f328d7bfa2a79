"""The losses against values computed by hand, loop by loop, in float64."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from tessera.pretrain import Projector, barlow_twins, correlation, learning_rate, mix_term, rankme, whiten


def batch(seed: int, rows: int = 9, width: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(2.0, 3.0, (rows, width))


def whitened(z: np.ndarray) -> np.ndarray:
    out = np.empty_like(z)
    for j in range(z.shape[1]):
        mean = sum(z[:, j]) / len(z)
        variance = sum((value - mean) ** 2 for value in z[:, j]) / (len(z) - 1)
        out[:, j] = (z[:, j] - mean) / max(math.sqrt(variance), 1e-9)
    return out


def correlated(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = whitened(a), whitened(b)
    width = a.shape[1]
    return np.array([[sum(a[:, i] * b[:, j]) / len(a) for j in range(width)] for i in range(width)])


def test_whitening_and_correlation() -> None:
    a, b = batch(1), batch(2)
    white = whiten(torch.from_numpy(a))
    np.testing.assert_allclose(white.numpy(), whitened(a), rtol=1e-12)
    got = correlation(white, whiten(torch.from_numpy(b)))
    np.testing.assert_allclose(got.numpy(), correlated(a, b), rtol=1e-12, atol=1e-14)


def test_a_constant_dimension_does_not_divide_by_zero() -> None:
    a = batch(3)
    a[:, 2] = 4.0
    white = whiten(torch.from_numpy(a))
    assert torch.isfinite(white).all()
    assert white[:, 2].abs().max() == 0


def test_barlow_twins() -> None:
    a, b = batch(4), batch(5)
    c = correlated(a, b)
    expected = 0.0
    for i in range(len(c)):
        for j in range(len(c)):
            expected += (c[i, i] - 1) ** 2 if i == j else 5e-3 * c[i, j] ** 2
    got = barlow_twins(whiten(torch.from_numpy(a)), whiten(torch.from_numpy(b)))
    assert got.dtype == torch.float64
    assert float(got) == pytest.approx(expected, rel=1e-12)


def test_barlow_twins_of_equal_views() -> None:
    white = whiten(torch.from_numpy(batch(6)))
    # an unbiased deviation and a mean over B leave (B - 1) / B on the diagonal
    c = correlation(white, white)
    np.testing.assert_allclose(c.diagonal().numpy(), 8 / 9, rtol=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_mix_term(alpha: float) -> None:
    zm, z1, z2 = batch(7), batch(8), batch(9)
    order = np.random.default_rng(10).permutation(len(z1))
    other = z2[order]
    to_first = alpha * correlated(z1, z1) + (1 - alpha) * correlated(other, z1)
    to_second = alpha * correlated(z1, other) + (1 - alpha) * correlated(other, other)
    expected = 5e-3 * (((correlated(zm, z1) - to_first) ** 2).sum() + ((correlated(zm, other) - to_second) ** 2).sum())
    white = [whiten(torch.from_numpy(part)) for part in (zm, z1, z2)]
    got = mix_term(white[0], white[1], white[2], alpha, torch.from_numpy(order))
    assert float(got) == pytest.approx(expected, rel=1e-12)


def test_mix_term_is_zero_for_the_parents_themselves() -> None:
    z1, z2 = (whiten(torch.from_numpy(batch(seed))) for seed in (11, 12))
    order = torch.arange(9).flip(0)
    assert float(mix_term(z1, z1, z2, 1.0, order)) == pytest.approx(0.0, abs=1e-20)
    assert float(mix_term(z2[order], z1, z2, 0.0, order)) == pytest.approx(0.0, abs=1e-20)


def test_rankme() -> None:
    z = batch(13, 20, 6)
    values = np.linalg.svd(z, compute_uv=False)
    shares = values / values.sum()
    expected = -sum(share * math.log(share) for share in shares) / math.log(6)
    assert rankme(torch.from_numpy(z)) == pytest.approx(expected, rel=1e-10)
    assert rankme(torch.eye(8)) == pytest.approx(1.0)
    assert rankme(torch.ones(8, 4)) == pytest.approx(0.0, abs=1e-6)
    assert rankme(torch.zeros(8, 4)) == 0.0


def test_projector_is_six_linear_layers_with_batchnorm_between() -> None:
    names = [type(part).__name__ for part in Projector(12, 24).net]
    assert names == ["Linear", "BatchNorm1d", "ReLU"] * 5 + ["Linear"]
    assert Projector(12, 24)(torch.randn(4, 12)).shape == (4, 24)


def test_learning_rate_rises_for_a_tenth_and_falls_to_zero() -> None:
    rates = [learning_rate(step, 100, 2e-3) for step in range(100)]
    assert rates[0] == pytest.approx(2e-4)
    assert rates[9] == max(rates) == pytest.approx(2e-3)
    assert rates[54] == pytest.approx(1e-3)
    assert rates[99] == pytest.approx(0.0, abs=1e-15)
    assert all(a > b for a, b in pairwise(rates[9:]))
