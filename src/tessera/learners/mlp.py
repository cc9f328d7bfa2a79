"""The MLP head: layers with batch norm, trained by torch, predicted by numpy in float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, require

from .model import Model, expect, expect_standard, refuse_overflow, softmax
from .settings import Setting

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from numpy.typing import NDArray

    from .training import Training

SETTINGS = {
    "layers": Setting("512-256", words=("512-256", "256-128", "128", "64")),
    "epochs": Setting("auto", 1, 5000, words=("auto",), tried=("auto", 30, 120)),
    "dropout": Setting(0.3, 0.0, 0.9),
    "keep": Setting("loss", words=("loss", "f1")),
}
"""Hidden layers; epochs, where a number learns from all labels and stops after so many; dropout; what the kept epoch is
best by on the labels that are held out. The published head keeps the best weighted F1. On Corsica and Belgium the loss
scored 0.474 macro-F1 on embeddings and 0.488 on raw bands, F1 0.463 and 0.465, and its probabilities were less sure of
what is wrong (log loss 0.99 for 1.16)."""
_LAYERS, _WIDTH = 8, 2048
"""Layers of a file and outputs of one, at most: 65,536 pixels of a layer then take 0.5 GB."""


@dataclass(frozen=True, repr=False)
class MlpModel(Model):
    """Layers on standardised features, ReLU between them; batch norm is folded into the weights.

    All is float32. Sums of products depend on the machine in their last digits: probabilities agree to 1e-5.

    Attributes
    ----------
    weights : (in, out) float32 of each layer; the last out is K, or 1 of a number
    bias : (out,) float32 of each layer
    mean, std : (D,) float32, of the features
    scale : (2,) float64, centre and spread of a number; 0 and 1 of classes
    """

    weights: tuple[NDArray[np.float32], ...]
    bias: tuple[NDArray[np.float32], ...]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    scale: NDArray[np.float64]

    def __post_init__(self) -> None:
        super().__post_init__()
        width = expect_standard(self.mean, self.std)
        for index, (weights, bias) in enumerate(zip(self.weights, self.bias, strict=True)):
            out = weights.shape[1] if weights.ndim == 2 else 0
            if out > _WIDTH:
                raise InputError(f"layer {index} of {out:,} outputs; expected at most {_WIDTH:,}")
            expect(f"weights of layer {index}", weights, np.float32, (width, out))
            expect(f"bias of layer {index}", bias, np.float32, (out,))
            width = out
        expect("scale", self.scale, np.float64, (2,))
        if not self.weights or width != (self.classes or 1):
            raise InputError(f"{len(self.weights)} layers that end in {width} outputs; expected {self.classes or 1}")

    @property
    def dims(self) -> int:
        return len(self.mean)

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        values = (rows - self.mean) / self.std
        for index, (weights, bias) in enumerate(zip(self.weights, self.bias, strict=True)):
            values = values @ weights + bias
            if index < len(self.weights) - 1:
                values = np.maximum(values, 0, out=values)
        refuse_overflow(values)
        if self.classes:
            return np.asarray(values, dtype=np.float32)
        return np.asarray(values[:, 0] * self.scale[1] + self.scale[0], dtype=np.float32)

    def chances(self, scores: NDArray[Any]) -> NDArray[np.float32]:
        return softmax(scores)

    def arrays(self) -> dict[str, NDArray[Any]]:
        layers = {f"weights_{index}": part for index, part in enumerate(self.weights)}
        layers |= {f"bias_{index}": part for index, part in enumerate(self.bias)}
        return layers | {"mean": self.mean, "std": self.std, "scale": self.scale}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], classes: int) -> Self:
        count = (len(arrays) - 3) // 2
        names = {*(f"{part}_{index}" for part in ("weights", "bias") for index in range(count)), "mean", "std", "scale"}
        if not 1 <= count <= _LAYERS or set(arrays) != names:
            raise InputError(
                f"arrays {', '.join(sorted(arrays)) or 'none'}; expected weights and bias of 1 to 8 layers"
            )
        weights, bias = (tuple(arrays[f"{part}_{index}"] for index in range(count)) for part in ("weights", "bias"))
        return cls(classes, weights, bias, arrays["mean"], arrays["std"], arrays["scale"])


def fit_mlp(training: Training) -> MlpModel:
    """Train the published head: layers of 512 and 256, each with batch norm, ReLU and dropout 0.3, by AdamW.

    With 200 labels or more, 1,000 of a number, a fifth of the groups is held out for 200 epochs, and the epoch with the
    least loss there is kept. Fewer labels are all learnt from, for 60 epochs.
    """
    require("torch", extra="models", purpose="an MLP head")
    from ._mlp_training import train_mlp

    widths = tuple(int(width) for width in str(training.settings["layers"]).split("-"))
    found = train_mlp(training, widths)
    scale = np.array([found.pop("centre"), found.pop("spread")])
    return MlpModel(training.classes, scale=scale, **found)
