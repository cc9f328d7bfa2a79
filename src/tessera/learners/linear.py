"""The linear head: logistic regression of classes, ridge regression of a number, on standardised features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import require

from .coded import CodedLinearModel, coded_linear
from .model import Model, expect, expect_standard, named, softmax, standard
from .settings import Setting
from .training import EVEN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from numpy.typing import NDArray

    from .training import Training

SETTINGS = {"variance": Setting(10.0, 0.001, 1e6, tried=(1.0, 10.0, 100.0), tried_numbers=())}
"""Prior variance of a logit: 10 gives logits of about +-3. On 114 real raw bands it came within 0.005 macro-F1 of the
best of 0.1 to 1000 at 5, 10, 20 and 50 labels a class; choosing by cross-validated log loss lost up to 0.03 at 5 and 10
labels and gained at most 0.004 at 50."""
_ALPHAS = np.logspace(-4, 4, 33)
"""Ridge penalties per feature, relative to the noise; the data's own likelihood chooses one."""


@dataclass(frozen=True, repr=False)
class LinearModel(Model):
    """Weights of standardised features.

    Attributes
    ----------
    weights : (K, D) float32; (1, D) of a number
    bias : (K,) float32
    mean, std : (D,) float32, of the features
    """

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    def __post_init__(self) -> None:
        super().__post_init__()
        dims, count = expect_standard(self.mean, self.std), self.classes or 1
        expect("weights", self.weights, np.float32, (count, dims))
        expect("bias", self.bias, np.float32, (count,))

    @property
    def dims(self) -> int:
        return len(self.mean)

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        scaled = (rows - self.mean) / self.std
        logits = np.asarray(scaled @ self.weights.T + self.bias, dtype=np.float32)
        return logits if self.classes else logits[:, 0]

    def chances(self, scores: NDArray[Any]) -> NDArray[np.float32]:
        return softmax(scores)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"weights": self.weights, "bias": self.bias, "mean": self.mean, "std": self.std}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], classes: int) -> Self:
        return cls(classes, **named(arrays, ("weights", "bias", "mean", "std")))


def read_linear(arrays: Mapping[str, NDArray[Any]], classes: int) -> Model:
    """The model of these arrays: of codes, or of any features."""
    kind = LinearModel if "mean" in arrays else CodedLinearModel
    return kind.from_arrays(arrays, classes)


def fit_linear(training: Training) -> Model:
    """Fit on any features: embeddings, raw bands.

    Of classes it is multinomial logistic regression; by default each class weighs the same, because where people click
    says little about how much land a class covers. The penalty is L2 with C = 10 / D, which gives a logit the prior
    variance 10 whatever the number D of features, so that 16 and 128 dims, or raw bands, are treated alike; with many
    labels it ceases to matter. Of a number it is ridge regression; the penalty is the one under which the training
    labels are likeliest (type-II maximum likelihood), so that no label is held out for it.
    The present solver draws nothing by the seed. On codes of a store the standardisation is folded into whole weights.
    """
    x, y, classes = training.x, training.y, training.classes
    mean, std = standard(x)
    scaled = (x - mean) / std
    if classes:
        weights, bias = _solve(scaled, y, training)
    else:
        centre = float(y.mean())
        weights, bias = _ridge(scaled, y - centre)[None], np.array([centre])
    if training.codes is not None:
        return coded_linear(classes, weights / std, bias, training.codes.widths, mean)
    return LinearModel(classes, *(np.ascontiguousarray(part, dtype=np.float32) for part in (weights, bias, mean, std)))


def _solve(
    x: NDArray[np.float64], y: NDArray[np.int64], training: Training
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (K, D) and bias (K,) of the classes 0 to K - 1, each of which occurs in `y`."""
    linear: Any = require("sklearn.linear_model", extra="heads", purpose="a linear head")
    penalty = float(training.settings["variance"]) / x.shape[1]
    weigh = "balanced" if training.weights == EVEN else None
    model = linear.LogisticRegression(
        C=penalty, class_weight=weigh, max_iter=1000, tol=1e-5, random_state=training.seed
    )
    weights, bias = model.fit(x, y).coef_, model.intercept_
    if len(weights) > 1:
        return weights, bias
    # two classes come as one logit; halves of it with opposite signs give the same softmax
    return np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2


def _ridge(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """(D,) weights under the likeliest penalty."""
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    along, count = u.T @ y, len(y)
    rest = max(0.0, float(y @ y - along @ along))
    best, chosen = -np.inf, float(_ALPHAS[-1]) * x.shape[1]
    for alpha in _ALPHAS * x.shape[1]:
        # the labels' covariance over the noise: I + X X' / alpha
        scale = 1 + s**2 / alpha
        noise = (float((along**2 / scale).sum()) + rest) / count
        likelihood = -count * np.log(max(noise, 1e-300)) - float(np.log(scale).sum())
        if likelihood > best:
            best, chosen = likelihood, alpha
    out: NDArray[np.float64] = vt.T @ (s / (s**2 + chosen) * along)
    return out
