"""Training of the U-Net head: crops of windows, turned and mirrored, with a loss on labelled pixels only."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from tessera.labels import bins_of, make_folds

from ._unet_layers import network_input
from ._unet_network import Network
from .linear import SETTINGS as LINEAR
from .linear import LinearModel, fit_linear
from .model import standard
from .training import EVEN

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from tessera.labels import ChipVectors

    from .training import Training

_CROP = 64
"""Pixels of a side of what is learnt from at a time; places within the window change from pass to pass."""
_BATCH, _STEPS = 4, 12
"""Crops a step, and steps a pass at least: few windows are seen several times a pass."""
_DECAY = 0.01
_HELD = 5
"""One group in five decides when to stop."""
_STARTED_ON = 20_000
"""Labels of the linear head that it begins as, at most."""
_ENOUGH = 6
"""With fewer groups all are learnt from, for half of the passes."""


def train_unet(training: Training, chips: ChipVectors) -> dict[str, Any]:
    """Train; returns the arrays of a `UnetModel`. The same training gives the same arrays."""
    settings = training.settings
    generator = np.random.default_rng([training.seed, 6])
    mean, std = (part.astype(np.float32) for part in standard(training.x))
    numbers = not training.classes
    centre, spread = (float(training.y.mean()), float(training.y.std()) or 1.0) if numbers else (0.0, 1.0)
    target = ((training.y - centre) / spread).astype(np.float32) if numbers else training.y.astype(np.int64)
    held = _held_out(training, chips)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        network = Network(len(mean), int(settings["width"]), training.classes or 1)
        _start_linear(network, training, target, np.flatnonzero(~held), generator)
        fitting = _Fitting(network, chips, target, held, training, (mean, std))
        fitting.run(generator, int(settings["epochs"]), int(settings["patience"]), float(settings["rate"]))
    return {**network.eval().folded(), "mean": mean, "std": std, "scale": np.array([centre, spread])}


def _held_out(training: Training, chips: ChipVectors) -> NDArray[np.bool_]:
    """Labels that decide when to stop: whole groups, or whole windows where labels have none."""
    groups = training.groups if training.groups is not None else chips.chip
    if len(np.unique(groups)) < _ENOUGH:
        return np.zeros(len(chips), dtype=np.bool_)
    dealt = training.y if training.classes else bins_of(training.y)
    return np.asarray(make_folds(dealt, groups, folds=_HELD, seed=training.seed) == 0, dtype=np.bool_)


def _start_linear(
    network: Network, training: Training, target: NDArray[Any], rows: NDArray[np.int64], generator: np.random.Generator
) -> None:
    """Let the network begin as a linear head of the labels in `rows`, to which the convolutions add what they learn."""
    rows = generator.permutation(rows)[:_STARTED_ON]
    met, y = np.unique(target[rows], return_inverse=True) if training.classes else (np.zeros(1, np.int64), target[rows])
    if len(rows) < 2 or (training.classes and len(met) < 2) or (not training.classes and np.ptp(y) == 0):
        return
    y = y.reshape(-1) if training.classes else y.astype(np.float64)
    defaults = {name: setting.default for name, setting in LINEAR.items()}
    count = len(met) if training.classes else 0
    start = replace(training, x=training.x[rows], y=y, classes=count, settings=defaults, groups=None, codes=None)
    model = fit_linear(start)
    assert isinstance(model, LinearModel)  # noqa: S101 - of features that are no codes
    # as of features that are standardised by all labels
    mean, std = standard(training.x)
    weights = model.weights / model.std * std
    bias = model.bias + (model.weights / model.std) @ (mean - model.mean)
    dims = len(mean)
    with torch.no_grad():
        bias_of: Any = network.head.bias
        network.head.weight.zero_()
        bias_of.zero_()
        network.head.weight[met, -dims - 1 : -1, 0, 0] = torch.from_numpy(weights.astype(np.float32))
        bias_of[met] = torch.from_numpy(bias.astype(np.float32))


class _Fitting:
    """A network, the windows, and where in them each label lies."""

    def __init__(
        self,
        network: Network,
        chips: ChipVectors,
        target: NDArray[Any],
        held: NDArray[np.bool_],
        training: Training,
        scaling: tuple[NDArray[np.float32], NDArray[np.float32]],
    ) -> None:
        self.network, self.chips, self.target, self.held, self.scaling = network, chips, target, held, scaling
        self.classes = training.classes
        self.learnt_windows = np.unique(chips.chip[~held])
        self.weight = torch.ones(max(1, training.classes))
        if training.classes and training.weights == EVEN:
            counts = np.bincount(target[~held], minlength=training.classes)
            share = np.where(counts > 0, counts.sum() / np.maximum(counts, 1), 0)
            self.weight = torch.from_numpy((share / share.max()).astype(np.float32))
        # pixel -> its label in training, -1 = none; a pixel of several labels keeps the last
        self.label = np.full(chips.windows.shape, -1, dtype=np.int64)
        rows = np.flatnonzero(~held)
        self.label[chips.chip[rows], chips.row[rows], chips.col[rows]] = rows

    def run(self, generator: np.random.Generator, epochs: int, patience: int, rate: float) -> None:
        """Learn until the held-out labels get no better, and keep the best; without any, for half of the passes."""
        stops = bool(self.held.any())
        epochs = epochs if stops else max(1, epochs // 2)
        per_epoch = max(_STEPS, -(-len(self.learnt_windows) // _BATCH))
        optimiser = torch.optim.AdamW(self.network.parameters(), lr=rate, weight_decay=_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=epochs * per_epoch + 1)
        best, since, kept = self._value() if stops else 0.0, 0, copy.deepcopy(self.network.state_dict())
        for _ in range(epochs):
            self.network.train()
            rounds = -(-per_epoch * _BATCH // len(self.learnt_windows))
            order = np.concatenate([generator.permutation(self.learnt_windows) for _ in range(rounds)])
            for step in range(per_epoch):
                windows = order[step * _BATCH : (step + 1) * _BATCH]
                inputs, label = self._crops(generator, windows)
                if not (label >= 0).any():
                    continue
                optimiser.zero_grad()
                loss: Any = self._loss(self.network(inputs), label)
                loss.backward()
                optimiser.step()
                schedule.step()
            if not stops:
                continue
            value = self._value()
            if value < best - 1e-5:
                best, since, kept = value, 0, copy.deepcopy(self.network.state_dict())
            else:
                since += 1
                if since >= patience:
                    break
        if stops:
            self.network.load_state_dict(kept)

    def _crops(self, generator: np.random.Generator, windows: NDArray[np.int64]) -> tuple[Tensor, NDArray[np.int64]]:
        """A crop of each window, one of the eight ways to turn and mirror it, and the labels of its pixels."""
        inputs, labels = [], []
        slack = self.label.shape[1] - _CROP
        for window in windows:
            row, col = generator.integers(slack + 1, size=2)
            turns, mirrored = int(generator.integers(4)), bool(generator.integers(2))
            part = int(window), slice(row, row + _CROP), slice(col, col + _CROP)
            image = network_input(self.chips.windows[part][None], *self.scaling)[0]
            image, label = np.rot90(image, turns, axes=(1, 2)), np.rot90(self.label[part], turns)
            if mirrored:
                image, label = image[:, :, ::-1], label[:, ::-1]
            inputs.append(image)
            labels.append(label)
        return torch.from_numpy(np.stack(inputs)), np.stack(labels)

    def _loss(self, out: Tensor, label: NDArray[np.int64]) -> Tensor:
        window, row, col = np.nonzero(label >= 0)
        return self._loss_of(out[window, :, row, col], label[window, row, col])

    def _loss_of(self, said: Tensor, rows: NDArray[np.int64]) -> Tensor:
        truth = torch.from_numpy(self.target[rows])
        if self.classes:
            return functional.cross_entropy(said, truth, weight=self.weight)
        return functional.huber_loss(said[:, 0], truth)

    @torch.no_grad()
    def _value(self) -> float:
        """The loss on the labels held out."""
        self.network.eval()
        rows = np.flatnonzero(self.held)
        said = torch.zeros((len(rows), self.classes or 1))
        where = self.chips.chip[rows]
        for window in np.unique(where):
            at = np.flatnonzero(where == window)
            out = self.network(torch.from_numpy(network_input(self.chips.windows[int(window)][None], *self.scaling)))
            said[at] = out[0][:, self.chips.row[rows[at]], self.chips.col[rows[at]]].T
        return float(self._loss_of(said, rows))
