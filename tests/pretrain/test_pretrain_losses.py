"""The losses against values computed by hand, loop by loop, in float64."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tessera.base import InputError, TesseraError
from tessera.models import STUDENT_SPEC, Quantiser
from tessera.pretrain import (
    Objective,
    Projector,
    Ranks,
    Truths,
    Twins,
    barlow_twins,
    correlation,
    learning_rate,
    mix_term,
    rankme,
    regression,
    rounded,
    vicreg,
    whiten,
)
from tessera.pretrain._watch import collapsed
from tessera.pretrain.losses import squared_norm
from tessera.pretrain.objective import RECALLED
from tessera.pretrain.projector import BatchNorm


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
    assert names == ["Linear", "BatchNorm", "ReLU"] * 5 + ["Linear"]
    assert Projector(12, 24)(torch.randn(4, 12)).shape == (4, 24)


def test_learning_rate_rises_for_a_tenth_and_falls_to_zero() -> None:
    rates = [learning_rate(step, 100, 2e-3) for step in range(100)]
    assert rates[0] == pytest.approx(2e-4)
    assert rates[9] == max(rates) == pytest.approx(2e-3)
    assert rates[54] == pytest.approx(1e-3)
    assert rates[99] == pytest.approx(0.0, abs=1e-15)
    assert all(a > b for a, b in pairwise(rates[9:]))


@pytest.mark.parametrize(("rows", "width"), [(9, 5), (5, 9)])
def test_either_way_to_a_squared_norm(rows: int, width: int) -> None:
    a, b = batch(14, rows, width), batch(15, rows, width)
    expected = ((a.T @ b / rows) ** 2).sum()
    assert float(squared_norm(torch.from_numpy(a), torch.from_numpy(b))) == pytest.approx(expected, rel=1e-12)


def test_losses_of_a_batch_that_is_wider_than_long() -> None:
    a, b = batch(16, 6, 11), batch(17, 6, 11)
    c = correlated(a, b)
    expected = ((c.diagonal() - 1) ** 2).sum() + 5e-3 * ((c**2).sum() - (c.diagonal() ** 2).sum())
    got = barlow_twins(whiten(torch.from_numpy(a)), whiten(torch.from_numpy(b)))
    assert float(got) == pytest.approx(expected, rel=1e-11)


def test_vicreg() -> None:
    a, b = batch(18) / 4, batch(19) / 4
    rows, width = a.shape
    invariance = sum((a[i, j] - b[i, j]) ** 2 for i in range(rows) for j in range(width)) / (rows * width)
    hinge = covariance = 0.0
    for z in (a, b):
        c = np.cov(z.T)
        hinge += sum(max(0.0, 1 - math.sqrt(c[j, j] + 1e-4)) for j in range(width)) / width / 2
        covariance += sum(c[i, j] ** 2 for i in range(width) for j in range(width) if i != j) / width
    got = float(vicreg(torch.from_numpy(a), torch.from_numpy(b), (2.0, 3.0, 5.0)))
    assert hinge > 0
    assert got == pytest.approx(2 * invariance + 3 * hinge + 5 * covariance, rel=1e-12)


def test_regression_leaves_out_what_is_not_known() -> None:
    predicted = np.array([[[0.2, 3.0], [1.0, -1.0]], [[0.0, 0.0], [0.5, 0.5]]])
    truth = np.array([[0.0, math.nan], [3.0, -1.25]])
    apart = [abs(predicted[v, i, j] - truth[i, j]) for v in (0, 1) for i, j in ((0, 0), (1, 0), (1, 1))]
    expected = sum(0.5 * d**2 if d < 1 else d - 0.5 for d in apart) / 6
    given = torch.from_numpy(predicted).requires_grad_()
    loss = regression(given, torch.from_numpy(truth).expand(2, 2, 2))
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-12)
    loss.backward()  # type: ignore[no-untyped-call]
    assert given.grad is not None
    assert torch.isfinite(given.grad).all()
    assert (given.grad[:, 0, 1] == 0).all()
    nothing = regression(given, torch.full((2, 2, 2), math.nan, dtype=torch.float64))
    assert float(nothing.detach()) == 0


def test_batch_norm_is_that_of_torch_view_by_view() -> None:
    x = torch.from_numpy(np.stack([batch(20), 3 * batch(21) + 7]))
    ours, theirs = BatchNorm(5).double(), nn.BatchNorm1d(5).double()
    nn.init.normal_(ours.weight)
    theirs.load_state_dict({"weight": ours.weight, "bias": ours.bias}, strict=False)
    expected = torch.stack([theirs(view) for view in x])
    torch.testing.assert_close(ours(x), expected, rtol=1e-12, atol=1e-12)


def test_batch_norm_by_sums_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    # two processes that hold the same rows: every sum is twice that of one
    monkeypatch.setattr(Ranks, "sum", lambda self, x: x * self.size)
    x = torch.from_numpy(np.stack([batch(22), batch(23)]))
    both, alone = BatchNorm(5, Ranks(2)).double(), BatchNorm(5).double()
    torch.testing.assert_close(both(x), alone(x), rtol=1e-12, atol=1e-12)


@given(st.integers(0, 999), st.sampled_from(["pixel", "tensor"]))
def test_rounding_is_that_of_the_codes(seed: int, per: str) -> None:
    x = np.random.default_rng(seed).normal(size=(2, 5, 7))
    x[0, 0] = 0
    largest = np.abs(x).max(axis=2 if per == "pixel" else (1, 2), keepdims=True)
    scale = np.maximum(largest, 1e-12) / 127
    given = torch.from_numpy(x).requires_grad_()
    got = rounded(given, STUDENT_SPEC.quantiser, per)
    np.testing.assert_allclose(got.detach().numpy(), np.clip(np.rint(x / scale), -127, 127) * scale, atol=1e-12)
    weights = torch.from_numpy(np.random.default_rng(seed + 1).normal(size=x.shape))
    (got * weights).sum().backward()  # type: ignore[no-untyped-call]
    # straight through
    assert given.grad is not None
    torch.testing.assert_close(given.grad, weights, rtol=0, atol=0)


def test_rounding_by_pixel_is_that_of_inference() -> None:
    from tessera.embeddings import dequantise, quantise

    x = np.random.default_rng(3).normal(size=(6, 16)).astype(np.float32)
    quantiser = Quantiser(1e-12, -127)
    codes, scales = quantise(x, floor=quantiser.floor, low=quantiser.low)
    got = rounded(torch.from_numpy(x), quantiser)
    np.testing.assert_allclose(got.numpy(), dequantise(codes, scales), rtol=1e-6, atol=1e-7)


def twins(objective: Objective, targets: int = 0) -> Twins:
    from dataclasses import replace

    torch.manual_seed(4)
    sizes = tuple(sorted({*objective.prefixes, 8}))
    return Twins(objective, replace(STUDENT_SPEC, dims=8, prefix_dims=sizes), targets).double()


def told(targets: np.ndarray | None = None, *, quantised: bool = False, recalled: np.ndarray | None = None) -> Truths:
    given = np.empty((12, 0)) if targets is None else targets
    order = torch.from_numpy(np.random.default_rng(5).permutation(12))
    saw = np.empty((2, 0, 0)) if recalled is None else recalled
    return Truths(torch.from_numpy(given), 0.3, order, quantised, torch.from_numpy(saw))


def test_what_a_view_saw_is_told_from_its_own_vector() -> None:
    rng = np.random.default_rng(8)
    vectors = torch.from_numpy(rng.normal(size=(2, 12, 8)))
    saw = rng.normal(size=(2, 12, RECALLED))
    saw[0, 3] = np.nan
    network = twins(Objective(weight=0, recall_weight=3.0), 0)
    found = network(vectors, told(recalled=saw))
    assert set(found) == {"recall"}
    head = cast(torch.nn.Linear, network.recallers["8"])
    apart = np.abs(vectors.numpy() @ head.weight.detach().numpy().T + head.bias.detach().numpy() - saw)
    huber = np.where(apart < 1, apart**2 / 2, apart - 0.5)
    assert found["recall"].item() == pytest.approx(3 * np.nanmean(huber), rel=1e-12)


def test_the_objective_is_the_sum_of_its_parts() -> None:
    vectors = torch.from_numpy(np.random.default_rng(6).normal(size=(3, 12, 8)))
    targets = np.random.default_rng(7).normal(4, 2, size=(12, 2))
    objective = Objective(width=10, layers=2, prefixes=(3,), mix=0.5, targets_weight=7.0, weight=2.0)
    network = twins(objective, 2)
    network.mean.fill_(4.0)
    network.deviation.fill_(2.0)
    parts = network(vectors, told(targets, quantised=True))
    assert parts.keys() == {"barlow_twins", "mix", "targets"}
    expected = dict.fromkeys(parts, 0.0)
    for size in (3, 8):
        given = rounded(vectors[..., :size], STUDENT_SPEC.quantiser)
        z1, z2, zm = (whiten(network.projectors[str(size)](view[None])[0]) for view in given)
        expected["barlow_twins"] += float(2.0 * barlow_twins(z1, z2).detach()) / 2
        expected["mix"] += float(2.0 * 0.5 * mix_term(zm, z1, z2, 0.3, told().order).detach()) / 2
        head = network.heads[str(size)]
        wanted = torch.from_numpy((targets - 4) / 2)
        apart = torch.stack([nn.functional.huber_loss(head(view), wanted) for view in given[:2]])
        expected["targets"] += float(7.0 * apart.mean().detach()) / 2
    for name, value in expected.items():
        assert float(parts[name].detach()) == pytest.approx(value, rel=1e-11)


def test_switches_take_parts_away() -> None:
    vectors = torch.from_numpy(np.random.default_rng(8).normal(size=(2, 12, 8)))
    assert twins(Objective(mix=0, width=6))(vectors, told()).keys() == {"barlow_twins"}
    assert twins(Objective(mix=0, width=6, loss="vicreg"))(vectors, told()).keys() == {"vicreg"}
    only = twins(Objective(weight=0, targets_weight=1, targets_hidden=5), 1)
    assert only(vectors, told(np.ones((12, 1)))).keys() == {"targets"}
    assert not only.projectors


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"loss": "simclr"}, r"loss 'simclr'; expected barlow or vicreg"),
        ({"quantise_per": "row"}, r"quantise_per 'row'; expected pixel or tensor"),
        ({"mix": -1.0}, r"mix -1.0; expected 0 or more"),
        ({"mix": math.inf}, r"mix inf; expected 0 or more, and finite"),
        ({"targets_weight": math.nan}, r"targets_weight nan; expected 0 or more, and finite"),
        ({"weight": 0.0}, r"expected something to minimise"),
        ({"width": 0}, r"projector of 6 layers, 0 wide"),
        ({"prefixes": (0,)}, r"prefixes \(0,\); expected"),
    ],
)
def test_senseless_objectives(given: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Objective(**given)  # type: ignore[arg-type]


def test_rank_of_vectors_that_are_not_finite_and_of_few() -> None:
    vectors = torch.randn(8, 4, generator=torch.Generator().manual_seed(1))
    assert rankme(vectors) > 0.5
    for few in (vectors[:1], vectors[:, :1], vectors[:0], vectors[:, :0]):
        assert rankme(few) == 0.0
    vectors[3, 2] = math.inf
    assert math.isnan(rankme(vectors))
    with pytest.raises(TesseraError, match=r"^step 4: the vectors are not finite, RankMe nan; expected finite"):
        collapsed(4, rankme(vectors))
