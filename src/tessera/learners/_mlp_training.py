"""Training of the MLP head: the published one, stopped on whole groups; where labels are few, on all for some steps."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from tessera.labels import bins_of, make_folds

from .model import standard
from .training import EVEN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .training import Training

RATE, DECAY, BATCH = 1e-3, 0.01, 8192
"""Of the published head: AdamW 1e-3, weight decay 0.01, batches of 8,192 labels."""
ENOUGH = {True: 200, False: 1000}
"""Labels of classes, or of numbers, from which some are held out: below that each label is worth more learnt from."""
EPOCHS, FEW_EPOCHS = 200, 60
"""Epochs of which the best is kept; epochs of fewer labels."""
_PARTS = 5
"""One group in so many decides which epoch is kept."""


def train_mlp(training: Training, widths: tuple[int, ...]) -> dict[str, Any]:
    """Train, and fold batch norm into the weights.

    Returns
    -------
    "weights" and "bias", a float32 array a layer; "mean" and "std" of the features; "centre" and "spread" of a number
    """
    x, y, classes = training.x, training.y, training.classes
    mean, std = (part.astype(np.float32) for part in standard(x))
    centre, spread = (0.0, 1.0) if classes else (float(y.mean()), float(y.std()) or 1.0)
    inputs = torch.from_numpy((x.astype(np.float32) - mean) / std)
    target = torch.from_numpy(y.astype(np.int64) if classes else ((y - centre) / spread).astype(np.float32))
    learnt, held = _parts(training)
    threads = torch.get_num_threads()
    # one thread: the products are small, and the sums do not depend on the machine
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(training.seed)
            network = _network(x.shape[1], classes or 1, widths, float(training.settings["dropout"]))
            _Run(training, inputs, target, learnt, held).train(network)
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


def _network(dims: int, out: int, widths: tuple[int, ...], dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Linear(dims, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(dropout)]
        dims = width
    return nn.Sequential(*layers, nn.Linear(dims, out))


def _parts(training: Training) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to learn from, and rows of other groups by which an epoch is chosen; none of these where labels are few.

    A class whose labels would all be held out is learnt from instead.
    """
    y, classes = training.y, training.classes
    every = np.arange(len(y))
    groups = every if training.groups is None else training.groups
    if training.settings["epochs"] != "auto" or len(y) < ENOUGH[classes > 0] or len(np.unique(groups)) < _PARTS:
        return every, every[:0]
    strata = y.astype(np.int64) if classes else bins_of(y)
    held = make_folds(strata, groups.astype(np.int64), folds=_PARTS, seed=training.seed, mixed=True) == 0
    if classes:
        left = np.bincount(y[~held], minlength=classes)
        held &= left[y] > 0
    return every[~held], every[held]


class _Run:
    """One training: its labels, its loss, and how an epoch is judged."""

    def __init__(
        self,
        training: Training,
        inputs: torch.Tensor,
        target: torch.Tensor,
        learnt: NDArray[np.int64],
        held: NDArray[np.int64],
    ) -> None:
        self.inputs, self.target, self.learnt, self.held = inputs, target, learnt, held
        self.classes, self.keep = training.classes, training.settings["keep"]
        settings = training.settings
        own = EPOCHS if len(held) else FEW_EPOCHS
        self.epochs = own if settings["epochs"] == "auto" else int(settings["epochs"])
        self.generator = np.random.default_rng([training.seed, 5])
        self.loss: nn.Module = nn.MSELoss()
        self.weight = torch.ones(max(1, self.classes))
        if self.classes:
            if training.weights == EVEN:
                counts = torch.bincount(target[learnt], minlength=self.classes).float()
                self.weight = torch.where(counts > 0, counts.sum() / counts.clamp(min=1), torch.zeros(()))
                self.weight /= self.weight.max()
            self.loss = nn.CrossEntropyLoss(weight=self.weight)

    def train(self, network: nn.Sequential) -> None:
        """Train, and leave the network as it was after its best epoch, or after the last where nothing is held out."""
        optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
        best: tuple[float, float] = (-np.inf, -np.inf)
        kept: dict[str, torch.Tensor] | None = None
        for _ in range(self.epochs):
            network.train()
            mixed = self.generator.permutation(self.learnt)
            for rows in np.array_split(mixed, max(1, -(-len(mixed) // BATCH))):
                if len(rows) < 2:
                    continue
                optimiser.zero_grad()
                loss = self._loss(network(self.inputs[rows]), rows)
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            if len(self.held) and (value := self._judge(network)) > best:
                best, kept = value, copy.deepcopy(network.state_dict())
        if kept is not None:
            network.load_state_dict(kept)

    def _loss(self, out: torch.Tensor, rows: NDArray[np.int64]) -> torch.Tensor:
        value: torch.Tensor = self.loss(out if self.classes else out[:, 0], self.target[rows])
        return value

    def _judge(self, network: nn.Sequential) -> tuple[float, float]:
        """The loss of what is held out, or its F1 and then the loss; more is better."""
        network.eval()
        with torch.inference_mode():
            out = network(self.inputs[self.held])
            loss = -float(self._loss(out, self.held))
        if not self.classes or self.keep == "loss":
            return loss, loss
        return f1(self.target[self.held].numpy(), out.argmax(dim=1).numpy(), self.weight.double().numpy()), loss


def f1(truth: NDArray[np.int64], said: NDArray[np.int64], weight: NDArray[np.float64]) -> float:
    """F1 of each class over labels that weigh as their class does, its mean weighed by what the class weighs."""
    count = len(weight)
    each = weight[truth]
    support = np.bincount(truth, each, minlength=count)
    called, right = (np.bincount(said, part, minlength=count) for part in (each, np.where(truth == said, each, 0.0)))
    scores = np.divide(2 * right, support + called, out=np.zeros(count), where=support + called > 0)
    return float((scores * support).sum() / max(float(support.sum()), 1e-300))
