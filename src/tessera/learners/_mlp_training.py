"""Training of the MLP head: small where labels are few, stopped early on a part of the training labels."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from .model import standard

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGE, SMALL = (512, 256), (64,)
"""Hidden layers: those of the published downstream head, and of fewer than `ENOUGH` labels."""
ENOUGH = 300
DROPOUT, RATE, DECAY = 0.3, 1e-3, 0.01
"""Of the published head: dropout 0.3, AdamW 1e-3, weight decay 0.01."""
_HELD = 0.2
"""Share of the training labels that decides when to stop."""
_LEAST = 20
"""Fewer labels are all learnt from, for a fixed number of epochs."""
_BATCH, _EPOCHS, _PATIENCE, _FEW_EPOCHS = 256, 200, 25, 60


def train_mlp(x: NDArray[np.float64], y: NDArray[Any], classes: int, seed: int) -> dict[str, Any]:
    """Train, and fold batch norm into the weights; arguments as of `learn`. Classes weigh the same in the loss.

    Returns
    -------
    "weights" and "bias", a float32 array a layer; "mean" and "std" of the features; "centre" and "spread" of a number
    """
    generator = np.random.default_rng([seed, 5])
    mean, std = (part.astype(np.float32) for part in standard(x))
    centre, spread = (0.0, 1.0) if classes else (float(y.mean()), float(y.std()) or 1.0)
    inputs = torch.from_numpy((x.astype(np.float32) - mean) / std)
    target = torch.from_numpy(y.astype(np.int64) if classes else ((y - centre) / spread).astype(np.float32))
    learnt, held = _parts(y, classes, generator)
    threads = torch.get_num_threads()
    # one thread: the products are small, and the sums do not depend on the machine
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = _network(x.shape[1], classes or 1, LARGE if len(x) >= ENOUGH else SMALL)
            _train(network, inputs, target, learnt, held, classes, generator)
    finally:
        torch.set_num_threads(threads)
    folded = _folded(network.eval())
    weights, bias = (tuple(part.numpy().astype(np.float32) for part in parts) for parts in zip(*folded, strict=True))
    return {"weights": weights, "bias": bias, "mean": mean, "std": std, "centre": centre, "spread": spread}


@torch.no_grad()
def _folded(network: nn.Sequential) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Weights (in, out) and bias (out,) of each layer with its batch norm, in float64."""
    layers: list[tuple[torch.Tensor, torch.Tensor]] = []
    for part in network:
        if isinstance(part, nn.Linear):
            layers.append((part.weight.double().T, part.bias.double()))
        elif isinstance(part, nn.BatchNorm1d):
            weight, bias = layers[-1]
            assert part.running_var is not None  # noqa: S101 - of every batch norm in training
            assert part.running_mean is not None  # noqa: S101 - as above
            factor = part.weight.double() / (part.running_var.double() + part.eps).sqrt()
            layers[-1] = weight * factor, (bias - part.running_mean.double()) * factor + part.bias.double()
    return layers


def _network(dims: int, out: int, widths: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Linear(dims, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(DROPOUT)]
        dims = width
    return nn.Sequential(*layers, nn.Linear(dims, out))


def _parts(
    y: NDArray[Any], classes: int, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to learn from and rows to stop by; each class keeps a row to learn from."""
    mixed = generator.permutation(len(y))
    if len(y) < _LEAST:
        return mixed, mixed[:0]
    held = np.zeros(len(y), dtype=np.bool_)
    for index in range(classes) if classes else (None,):
        own = mixed if index is None else mixed[y[mixed] == index]
        held[own[: min(len(own) - 1, round(len(own) * _HELD)) if len(own) else 0]] = True
    return mixed[~held[mixed]], mixed[held[mixed]]


def _train(
    network: nn.Sequential,
    inputs: torch.Tensor,
    target: torch.Tensor,
    learnt: NDArray[np.int64],
    held: NDArray[np.int64],
    classes: int,
    generator: np.random.Generator,
) -> None:
    if classes:
        counts = torch.bincount(target[learnt], minlength=classes).float()
        weight = torch.where(counts > 0, counts.sum() / counts.clamp(min=1), torch.zeros(()))
        loss: nn.Module = nn.CrossEntropyLoss(weight=weight / weight.max())
    else:
        loss = nn.MSELoss()
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    best, since, kept = float("inf"), 0, copy.deepcopy(network.state_dict())
    for _ in range(_EPOCHS if len(held) else _FEW_EPOCHS):
        network.train()
        mixed = generator.permutation(learnt)
        for rows in np.array_split(mixed, max(1, len(mixed) // _BATCH)):
            if len(rows) < 2:
                continue
            optimiser.zero_grad()
            out = network(inputs[rows])
            loss(out if classes else out[:, 0], target[rows]).backward()
            optimiser.step()
        if not len(held):
            continue
        network.eval()
        with torch.inference_mode():
            out = network(inputs[held])
            value = float(loss(out if classes else out[:, 0], target[held]))
        if value < best - 1e-5:
            best, since, kept = value, 0, copy.deepcopy(network.state_dict())
        else:
            since += 1
            if since >= _PATIENCE:
                break
    if len(held):
        network.load_state_dict(kept)
